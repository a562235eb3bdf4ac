package control

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"culvert/internal/pattern"
)

// Run is a task that a process of this user has started, or is about to, for as long as its tunnels are there.
type Run struct {
	ID      string    `json:"id"` // that ECS knows it by as well
	Cluster string    `json:"cluster"`
	Task    string    `json:"task,omitempty"`    // empty as long as it is not known
	Share   string    `json:"share,omitempty"`   // what the task is known by to all who share it
	Service string    `json:"service,omitempty"` // that runs for it instead
	Account Account   `json:"account"`
	Process Process   `json:"process"`
	Until   time.Time `json:"until"` // when it ends by itself
}

// runForm is how ids of runs are written: they are names of files.
var runForm = pattern.Of(`^[0-9a-f]{1,64}$`) //nolint:gochecknoglobals // compiled when it is needed

func (d Dir) runFile(id string) string { return filepath.Join(d.State, "runs", id+".json") }

// NoteRun writes down a run, before the task is started and again when more is known of it.
func (d Dir) NoteRun(r Run) error {
	path := d.runFile(r.ID)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return &FileError{Doing: "note the task that is started", Err: err}
	}
	text, err := json.Marshal(r)
	if err != nil {
		return &FileError{Doing: "note the task that is started", Err: err}
	}
	next := path + ".new"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return &FileError{Doing: "note the task that is started", Err: err}
	}
	if err := os.Rename(next, path); err != nil {
		return &FileError{Doing: "note the task that is started", Err: err}
	}
	return nil
}

// ForgetRun removes the note of a run whose task is stopped.
func (d Dir) ForgetRun(id string) { _ = os.Remove(d.runFile(id)) } // the next start looks at it again

// keptRuns is how long the note of a run is kept after its task has ended by itself.
const keptRuns = time.Hour

// LeftRuns are the runs whose processes have ended without stopping their tasks. Notes that are of no use any more are removed.
func (d Dir) LeftRuns() []Run {
	paths, _ := filepath.Glob(filepath.Join(d.State, "runs", "*.json")) // a directory with brackets in its name has none
	var left []Run
	for _, path := range paths {
		var r Run
		text, err := os.ReadFile(path) //nolint:gosec // our own
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		switch {
		case err != nil, !runForm().MatchString(r.ID), filepath.Base(path) != r.ID+".json", time.Since(r.Until) > keptRuns:
			_ = os.Remove(path)
		case !r.Process.Alive():
			left = append(left, r)
		}
	}
	return left
}
