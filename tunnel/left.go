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
	// journalKeeps a record of a session that nobody could end: no idle timeout is longer.
	journalKeeps = 24 * time.Hour
	maxJournal   = 1 << 20
)

// Left is a session that a process did not live to terminate, or could not.
type Left struct {
	Session string `json:"session"`
	Target  string `json:"target"`
	// Account is empty while it is not known, and in what culverts before 2026-11-26 have noted.
	Account  string    `json:"account,omitempty"`
	Region   string    `json:"region"`
	Endpoint string    `json:"endpoint,omitempty"` // empty is AWS's own
	Process  int       `json:"process"`
	Started  time.Time `json:"started"`
	// Tried is set when its own process has tried to terminate it.
	Tried bool `json:"tried,omitempty"`
}

// String says it in a line.
func (l Left) String() string {
	return strings.TrimSpace(fmt.Sprintf("session %s to %s, opened by process %d at %s", say.Brief(l.Session), say.Brief(l.Target), l.Process, l.Started.Format(time.DateTime)))
}

// within reports whether a session may be one of a client's place, as far as that can be told without its account. A
// record without an account may lack the endpoint too.
func (l Left) within(client *aws.Client) bool {
	return l.Region == client.Region() && (l.Endpoint == client.ServedAt() || l.Account == "" && l.Endpoint == "")
}

// UnendedError is a session that could not be terminated.
type UnendedError struct {
	Session string
	Command string // with which a person can end it
	Err     error
}

func (e *UnendedError) Error() string {
	return fmt.Sprintf("session %s was not terminated: %s", say.Brief(e.Session), e.Err)
}

func (e *UnendedError) Unwrap() error { return e.Err }

// Remedy ends it by hand.
func (e *UnendedError) Remedy() string {
	return "run: " + e.Command + " (else the account's idle timeout ends it)"
}

func unended(client *aws.Client, session string, err error) *UnendedError {
	return &UnendedError{Session: session, Command: client.TerminateCommand(session), Err: err}
}

// EndLeft terminates the sessions that dead processes have left in a client's account, region and endpoint, by the
// journals in dir; ending is told of each before. AWS is asked for nothing when there are none. A record is dropped when
// its session is terminated or known to be over, or after a day; what could not be ended stays for the next start and is
// returned. The journals that it works on are locked meanwhile: of several starts one ends a session.
//
// A session whose account was not noted is tried, which harms nobody, as its id names no other; but that this account
// does not know it says nothing then, and its record stays.
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
			case l.Account != "" && nobody != nil: // it may be ours
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
	left []Left // young enough to matter
}

// openDead locks and reads a journal; nil when its process lives, or another one is at it. With an error there may be a
// journal all the same: as much of it as can be read.
func openDead(path string) (*deadJournal, error) {
	file, err := flock.Open(path, 0)
	switch {
	case errors.Is(err, flock.ErrHeld), errors.Is(err, fs.ErrNotExist):
		return nil, nil //nolint:nilnil // there is none to look at
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

// close keeps what is still left, and gives the lock back.
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
