package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ending is the answer to a request to end one destination.
type ending struct {
	Ended bool   `json:"ended"`           // it was open
	Error string `json:"error,omitempty"` // why there is no answer
}

// endingOf is what has come of such a request.
func endingOf(ended, found bool) ending {
	if !found {
		return ending{Error: noTunnel}
	}
	return ending{Ended: ended}
}

// SilentError is a holder that was told to do something and has not answered in time.
type SilentError struct{ Name string }

func (e *SilentError) Error() string {
	return fmt.Sprintf("culvert up %s has not answered within %s: it may still do what it was told", e.Name, askTime)
}

// Remedy says how to be sure.
func (e *SilentError) Remedy() string {
	return "look again in a moment, or run culvert down " + e.Name + ": it ends the process and its sessions"
}

// EndDestination has the process that holds a set end one destination of a tunnel to any host, named as Detail names it, with its
// connections. It reports whether that was open. The error is an *OldHolderError when the holder cannot do that, a
// *NoTunnelError when it does not hold that tunnel, an *AbsentError when it is gone, and a *SilentError when it does not answer.
func (d Dir) EndDestination(ctx context.Context, name string, id int, destination string) (bool, error) {
	if err := CheckName(name); err != nil {
		return false, err
	}
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var answer ending
	err := d.request(asking, name, request{Do: doEndDestination, ID: id, Destination: destination}, &answer)
	switch {
	case err == nil && answer.Error == "":
		return answer.Ended, nil
	case err == nil && answer.Error != unknownRequest:
		return false, &NoTunnelError{Name: name, ID: id}
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case asking.Err() != nil:
		return false, &SilentError{Name: name}
	case err != nil && d.gone(name): // which is why it has said nothing
		known, _ := d.Names() // only for advice
		return false, &AbsentError{Name: name, Known: known}
	case err == nil, errors.Is(err, io.EOF): // the first ones hung up on what they did not know
		return false, &OldHolderError{Name: name}
	}
	return false, err
}

// gone reports whether no process holds a set any more.
func (d Dir) gone(name string) bool {
	r, err := d.Read(name)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !r.Process.Alive()
}
