package cli

import (
	"bytes"
	"errors"
	"testing"
)

// What could not be closed is told, and costs no tunnel that goes on.
func TestWhatCouldNotBeClosedEndsNoTunnelThatGoesOn(t *testing.T) {
	var told bytes.Buffer
	k := &keeping{app: &app{Process: Process{Stderr: &told}}}
	if err := k.after("kept", errors.New("another account does not answer")); err != nil {
		t.Errorf("the interface has failed with %v", err)
	}
	if got, want := told.String(), "culvert: warning: another account does not answer\n"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if err := k.after("", errors.New("no terminal")); err == nil {
		t.Error("an interface that kept nothing has not failed")
	}
}
