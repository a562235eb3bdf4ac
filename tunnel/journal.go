package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"culvert/aws"
	"culvert/internal/flock"
	"culvert/internal/say"
)

const (
	journalSuffix = ".json"
	// journalKeeps a record of sessions in regions that nobody comes back to: no idle timeout is longer.
	journalKeeps = 24 * time.Hour
	maxJournal   = 1 << 20
)

// Left is a session that a process did not live to terminate.
type Left struct {
	Session string    `json:"session"`
	Target  string    `json:"target"`
	Region  string    `json:"region"`
	Process int       `json:"process"`
	Started time.Time `json:"started"`
}

// Journal notes the open sessions of this process in a file of its own (0600), so that what a killed process left
// behind is known to the next one. It holds ids, never tokens. A nil *Journal notes nothing. Safe for concurrent use.
type Journal struct {
	region string
	path   string
	log    *slog.Logger

	mu   sync.Mutex
	file *os.File // its lock says that this process lives
	open map[string]Left
}

// OpenJournal starts a journal in dir and returns the sessions that dead processes have left in region. Their records
// are taken: whoever gets them terminates the sessions, or says why not.
func OpenJournal(dir, region string, log *slog.Logger) (*Journal, []Left, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("journal of sessions: %w", err)
	}
	left, err := takeLeft(dir, region, log)
	if err != nil {
		return nil, nil, err
	}
	file, err := os.CreateTemp(dir, "*"+journalSuffix)
	if err != nil {
		return nil, left, fmt.Errorf("journal of sessions: %w", err)
	}
	j := &Journal{region: region, path: file.Name(), log: log, file: file, open: make(map[string]Left)}
	if locked, err := flock.Try(file); !locked {
		return nil, left, errors.Join(fmt.Errorf("journal of sessions: %s cannot be locked", j.path), err, j.Close())
	}
	return j, left, nil
}

// takeLeft reads the files of processes that are dead. Sessions of other regions stay for a start there.
func takeLeft(dir, region string, log *slog.Logger) ([]Left, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+journalSuffix))
	if err != nil {
		return nil, fmt.Errorf("journal of sessions: %w", err)
	}
	var left []Left
	for _, path := range paths {
		taken, err := takeFile(path, region)
		if err != nil {
			log.Warn("a journal of sessions cannot be read", "file", path, "error", err)
		}
		left = append(left, taken...)
	}
	return left, nil
}

func takeFile(path, region string) (taken []Left, err error) {
	file, err := os.OpenFile(filepath.Clean(path), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if locked, err := flock.Try(file); !locked {
		return nil, err // without one its process lives
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var all, others []Left
	if info.Size() > maxJournal {
		return nil, errors.Join(fmt.Errorf("%d bytes are too many", info.Size()), os.Remove(path))
	}
	if info.Size() > 0 {
		if err := json.NewDecoder(file).Decode(&all); err != nil {
			return nil, errors.Join(err, os.Remove(path)) // cut off in the middle of a write
		}
	}
	for _, l := range all {
		switch {
		case time.Since(l.Started) > journalKeeps: // long over
		case l.Region == region:
			taken = append(taken, l)
		default:
			others = append(others, l)
		}
	}
	if len(others) > 0 {
		return taken, writeJournal(file, others)
	}
	return taken, os.Remove(path)
}

func writeJournal(file *os.File, all []Left) error {
	content, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = file.WriteAt(append(content, '\n'), 0)
	return err
}

func (j *Journal) add(session string, target aws.Target) {
	if j == nil {
		return
	}
	j.change(func() {
		j.open[session] = Left{Session: session, Target: target.String(), Region: j.region, Process: os.Getpid(), Started: time.Now()}
	})
}

func (j *Journal) remove(session string) {
	if j == nil {
		return
	}
	j.change(func() { delete(j.open, session) })
}

func (j *Journal) change(do func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	do()
	if j.file == nil {
		return
	}
	all := make([]Left, 0, len(j.open))
	for _, l := range j.open {
		all = append(all, l)
	}
	if err := writeJournal(j.file, all); err != nil {
		j.log.Warn("a session could not be noted", "file", j.path, "error", err)
	}
}

// Close removes the file, unless sessions are still open: those the next start finds.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	if len(j.open) == 0 {
		err = errors.Join(err, os.Remove(j.path))
	}
	return err
}

// Terminate ends what was left. The error says what could not be ended, one line per session.
func Terminate(ctx context.Context, client *aws.Client, left []Left) error {
	var failed []error
	for _, l := range left {
		if err := client.TerminateSession(ctx, l.Session); err != nil {
			failed = append(failed, fmt.Errorf("session %s: %w", l.Session, err))
		}
	}
	return errors.Join(failed...)
}

// String says it in a line.
func (l Left) String() string {
	return strings.TrimSpace(fmt.Sprintf("session %s to %s, opened by process %d at %s", say.Brief(l.Session), say.Brief(l.Target), l.Process, l.Started.Format(time.DateTime)))
}
