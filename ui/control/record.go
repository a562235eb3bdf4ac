package control

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"culvert/internal/pattern"
)

// Dir is where the records, sockets and logs of a user's sets are.
type Dir struct {
	Runtime string // records and sockets, mode 0700
	State   string // logs
}

// Record is what a process writes down about the set that it holds.
type Record struct {
	Name     string    `json:"name"`
	Process  Process   `json:"process"`
	Since    time.Time `json:"since"`
	Request  []string  `json:"request"`
	Accounts []Account `json:"accounts,omitempty"` // that its sessions are in
	Former   []Account `json:"former,omitempty"`   // that sessions of an earlier process of this name may be in
	Log      string    `json:"log"`
	Exported []Export  `json:"exports,omitempty"` // variables in GITHUB_ENV, to be given back in the end
	Failure  *SetError `json:"failure,omitempty"` // how it ended, if not because it was told to
	Last     *Set      `json:"last,omitempty"`    // how it was when it ended by itself
}

// Export is a variable that was set for the steps of a job that follow.
type Export struct {
	Name   string `json:"name"`
	Before string `json:"before,omitempty"` // what it was, and is to be again
	Sum    string `json:"sum"`              // of what it was set to: the value itself may have a password in it
}

// NewExport notes what a variable was and is set to.
func NewExport(name, before, value string) Export {
	return Export{Name: name, Before: before, Sum: sum(value)}
}

// Is reports whether a value is the one that the variable was set to.
func (e Export) Is(value string) bool { return e.Sum == sum(value) }

func sum(value string) string {
	of := sha256.Sum256([]byte(value))
	return hex.EncodeToString(of[:])
}

// SetError is how a set has ended, as it outlives its process.
type SetError struct {
	Problem string `json:"error"`
	Advice  string `json:"remedy"`
	Code    int    `json:"code"` // exit code
}

func (f *SetError) Error() string { return f.Problem }

// Remedy says what to do about it.
func (f *SetError) Remedy() string { return f.Advice }

// Set is the record as a Set: Failed with a failure, Ended where it ended as it was asked to, else Crashed.
func (r Record) Set() Set {
	s := Set{Name: r.Name, State: Crashed, PID: r.Process.PID, Since: r.Since, Log: r.Log, Request: r.Request, Tunnels: []Tunnel{}}
	if r.Last != nil {
		s.Took, s.Tunnels, s.Left, s.Ended = r.Last.Took, append(s.Tunnels, r.Last.Tunnels...), r.Last.Left, r.Last.Ended
	}
	switch {
	case r.Failure != nil:
		s.State, s.Error, s.Remedy = Failed, r.Failure.Problem, r.Failure.Advice
		return s
	case s.Ended != nil:
		s.State = Ended
		return s
	}
	s.Error = fmt.Sprintf("process %d that held the tunnels is gone without having ended its sessions", r.Process.PID)
	s.Remedy = "run culvert down " + r.Name + " to end what it has left"
	return s
}

var nameForm = pattern.Of(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`) //nolint:gochecknoglobals // compiled when it is needed

// NameError is a name that no set can have.
type NameError struct{ Name string }

func (e *NameError) Error() string {
	return fmt.Sprintf("%q cannot be the name of a set of tunnels", e.Name)
}

// Remedy says how names look.
func (e *NameError) Remedy() string {
	return "use up to 32 letters, digits, dots, dashes and underscores, a letter or digit first"
}

// CheckName refuses names that cannot be those of files; the error is a *NameError.
func CheckName(name string) error {
	if !nameForm().MatchString(name) {
		return &NameError{Name: name}
	}
	return nil
}

// Socket is where the process that holds a set answers.
func (d Dir) Socket(name string) string { return filepath.Join(d.Runtime, name+".sock") }

// Log is where that process writes what happens.
func (d Dir) Log(name string) string { return filepath.Join(d.State, name+".log") }

func (d Dir) record(name string) string { return filepath.Join(d.Runtime, name+".json") }

func (d Dir) lockFile(name string) string { return filepath.Join(d.Runtime, name+".lock") }

// UnsafeError is a directory that others could have put something into.
type UnsafeError struct{ Path, Problem string }

func (e *UnsafeError) Error() string { return fmt.Sprintf("%s %s", e.Path, e.Problem) }

// Remedy names the way out.
func (e *UnsafeError) Remedy() string {
	return fmt.Sprintf("make it a directory of your own with mode 0700 (chmod 700 %s), or point XDG_RUNTIME_DIR at one", e.Path)
}

// Prepare makes the directories, and refuses a runtime directory that others can write to.
func (d Dir) Prepare() error {
	for _, dir := range []string{d.Runtime, d.State} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return &FileError{Doing: "make a place for the tunnels", Err: err}
		}
	}
	info, err := os.Lstat(d.Runtime)
	switch {
	case err != nil:
		return &FileError{Doing: "look at the runtime directory", Err: err}
	case !info.IsDir():
		return &UnsafeError{Path: d.Runtime, Problem: "is no directory"}
	case !ownedByUs(info):
		return &UnsafeError{Path: d.Runtime, Problem: "belongs to somebody else"}
	case info.Mode().Perm()&0o077 != 0:
		if err := os.Chmod(d.Runtime, 0o700); err != nil { //nolint:gosec // a directory has to be entered
			return &FileError{Doing: "close the runtime directory to others", Err: err}
		}
	}
	return nil
}

// FileError is a file of a set that cannot be made or written.
type FileError struct {
	Doing string
	Err   error
}

func (e *FileError) Error() string { return fmt.Sprintf("%s: %v", e.Doing, e.Err) }
func (e *FileError) Unwrap() error { return e.Err }

// Remedy names the variables that lead elsewhere.
func (e *FileError) Remedy() string {
	return "make room there and make it writable for you, or point XDG_RUNTIME_DIR and XDG_STATE_HOME elsewhere (culvert version --paths prints what they are now)"
}

// Write keeps a record, in place of an older one of that name.
func (d Dir) Write(r Record) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	path := d.record(r.Name)
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	err = os.WriteFile(temporary, body, 0o600)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary)
		return &FileError{Doing: "keep a record of the tunnels", Err: err}
	}
	return nil
}

// overwrite keeps a record in the place of the older one, which is all the room that a full disk has. When even that
// fails no record is whole, which counts as a crash.
func (d Dir) overwrite(r Record) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(d.record(r.Name), body, 0o600)
}

// Read returns the record of a name; the error is fs.ErrNotExist when there is none. One that cannot be read, as a full
// disk leaves it, counts as the record of a crash.
func (d Dir) Read(name string) (Record, error) {
	body, err := os.ReadFile(d.record(name))
	if err != nil {
		return Record{}, err
	}
	r := Record{Name: name, Log: d.Log(name)}
	if broken := json.Unmarshal(body, &r); broken != nil || r.Name != name {
		r = Record{Name: name, Log: d.Log(name)}
	}
	return r, nil
}

// End adds to a record how its set was last, and why its process ended: with a failure, or, where that is nil, as
// last.Ended says.
func (d Dir) End(name string, last Set, failure *SetError) error {
	r, err := d.Read(name)
	if err != nil {
		return &FileError{Doing: "read the record of the tunnels", Err: err}
	}
	r.Failure, r.Last = failure, &last
	err = d.Write(r)
	if err != nil {
		r.Last = &Set{Ended: last.Ended} // there may be room for no more
		if d.overwrite(r) == nil {
			return nil
		}
	}
	return err
}

// Export adds to a record the variables that have to be given back when its set ends.
func (d Dir) Export(name string, variables []Export) error {
	r, err := d.Read(name)
	if err != nil {
		return &FileError{Doing: "read the record of the tunnels", Err: err}
	}
	r.Exported = variables
	return d.Write(r)
}

// Remove forgets a set: its record and its socket.
func (d Dir) Remove(name string) error {
	for _, path := range []string{d.Socket(name), d.record(name)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &FileError{Doing: "remove the record of the tunnels", Err: err}
		}
	}
	return nil
}

// Names returns the names that have a record, sorted.
func (d Dir) Names() ([]string, error) {
	entries, err := os.ReadDir(d.Runtime)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &FileError{Doing: "look for tunnels that are up", Err: err}
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok && nameForm().MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
