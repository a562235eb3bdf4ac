package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"culvert/aws"
	"culvert/internal/flock"
	"culvert/internal/say"
)

const (
	// journalKeeps is how long the record of a session that nobody could end is kept. AWS has ended the session by then, as an
	// idle timeout is an hour at the most (protocol.md 7).
	journalKeeps = 24 * time.Hour
	// maxJournal is how many bytes of a journal are read.
	maxJournal = 1 << 20
)

// Left is the record of a session that a process could not terminate, or did not live to terminate.
type Left struct {
	Session string `json:"session"`
	Target  string `json:"target"`
	// Account is empty while it is not known, and in journals of culverts before 2026-11-26.
	Account  string    `json:"account,omitempty"`
	Region   string    `json:"region"`
	Endpoint string    `json:"endpoint,omitempty"` // of Session Manager; empty for AWS's own
	Process  int       `json:"process"`
	Started  time.Time `json:"started"`
	// Tried is set when the process that opened the session has tried to terminate it.
	Tried bool `json:"tried,omitempty"`
}

// String describes the session in one line.
func (l Left) String() string {
	return strings.TrimSpace(fmt.Sprintf("session %s to %s, opened by process %d at %s", say.Brief(l.Session), say.Brief(l.Target), l.Process, l.Started.Format(time.DateTime)))
}

// within reports whether a session may be in the account, region and endpoint of a client, as far as region and endpoint tell. A
// record without an account may lack the endpoint too.
func (l Left) within(client *aws.Client) bool {
	return l.Region == client.Region() && (l.Endpoint == client.ServedAt() || l.Account == "" && l.Endpoint == "")
}

// UnendedError is a session that could not be terminated.
type UnendedError struct {
	Session string
	Command string // the shell command with which a person can end the session
	Err     error
}

func (e *UnendedError) Error() string {
	return fmt.Sprintf("session %s was not terminated: %s", say.Brief(e.Session), e.Err)
}

func (e *UnendedError) Unwrap() error { return e.Err }

// Remedy is the command that ends the session by hand.
func (e *UnendedError) Remedy() string {
	return "run: " + e.Command + " (else the account's idle timeout ends it)"
}

func unended(client *aws.Client, session string, err error) *UnendedError {
	return &UnendedError{Session: session, Command: client.TerminateCommand(session), Err: err}
}

// EndLeft terminates the sessions that dead processes have left in a client's account, region and endpoint, by the journals in
// dir. It calls ending before each of them. AWS is asked for nothing when there are none. A record is dropped when its session is
// terminated or known to be over, or after a day; the sessions that could not be ended are returned, and their records stay for
// the next start. EndLeft locks the journals that it works on, so that of several processes that start at the same time only one
// ends a session.
//
// A session whose account was not noted is tried as well. That cannot hit another session, as ids are unique; but where the
// client's account does not know the session, it may be in another account, so the record stays.
func EndLeft(ctx context.Context, dir string, client *aws.Client, log *slog.Logger, ending func(Left)) []*UnendedError {
	var found []*deadJournal
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+journalSuffix)) // the pattern is well formed
	for _, path := range paths {
		d, err := openDead(path)
		if err != nil {
			log.Warn("a journal of sessions cannot be read", "file", path, "error", err)
		}
		switch {
		case d == nil:
		case slices.ContainsFunc(d.left, func(l Left) bool { return l.within(client) }):
			found = append(found, d)
		default:
			d.close(log)
		}
	}
	if len(found) == 0 {
		return nil
	}
	account, nobody := client.Account(ctx)
	var failed []*UnendedError
	for _, d := range found {
		d.left = slices.DeleteFunc(d.left, func(l Left) bool {
			switch {
			case !l.within(client):
				return false
			case l.Account != "" && nobody != nil: // the client's account is not known, so the session may be in it
				failed = append(failed, unended(client, l.Session, nobody))
				return false
			case l.Account != "" && l.Account != account:
				return false
			}
			ending(l)
			known, err := client.EndSession(ctx, l.Session)
			if err != nil {
				failed = append(failed, unended(client, l.Session, err))
			}
			return err == nil && (known || l.Account != "")
		})
		d.close(log)
	}
	return failed
}

// AnyLeft reports whether dead processes have left sessions anywhere, by the journals in dir.
func AnyLeft(dir string, log *slog.Logger) bool {
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+journalSuffix)) // the pattern is well formed
	return slices.ContainsFunc(paths, func(path string) bool {
		d, err := openDead(path)
		if d == nil {
			return err != nil
		}
		some := len(d.left) > 0
		d.close(log)
		return some
	})
}

// deadJournal is the journal of a process that is gone, locked.
type deadJournal struct {
	file *os.File
	left []Left // records younger than journalKeeps
}

// openDead locks and reads a journal; nil when its process lives, or another process has locked it. With an error it may return a
// journal all the same, with as many of the records as can be read.
func openDead(path string) (*deadJournal, error) {
	file, err := flock.Open(path, 0)
	switch {
	case errors.Is(err, flock.ErrHeld), errors.Is(err, fs.ErrNotExist):
		return nil, nil //nolint:nilnil // there is no dead process's journal
	case err != nil:
		return nil, err
	}
	d := &deadJournal{file: file}
	list := json.NewDecoder(io.LimitReader(file, maxJournal))
	if _, err = list.Token(); errors.Is(err, io.EOF) {
		return d, nil // its process was killed before it had a session
	}
	for err == nil && list.More() {
		var l Left
		if err = list.Decode(&l); err == nil && time.Since(l.Started) < journalKeeps {
			d.left = append(d.left, l)
		}
	}
	return d, err
}

// close writes the records that are left, or removes the journal without any, and unlocks it.
func (d *deadJournal) close(log *slog.Logger) {
	var err error
	if len(d.left) == 0 {
		err = flock.Remove(d.file)
	} else {
		err = errors.Join(writeJournal(d.file, d.left), d.file.Close())
	}
	if err != nil {
		log.Warn("a journal of sessions cannot be written", "file", d.file.Name(), "error", err)
	}
}
