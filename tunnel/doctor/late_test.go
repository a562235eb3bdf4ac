package doctor_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/tunnel/doctor"
)

// An examination whose time is over fails where it stood, with what was in the way there; nothing is left out quietly.
func TestDeadlineFailsWhatWasUnderWay(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // its queue takes connections
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c := newClinic(t, healthy())
	c.connect(aws.Options{Region: "eu-west-1", Endpoint: "http://" + silent.Addr().String(), Keys: aws.Keys{ID: "AKIDEXAMPLE", Secret: "example"}})
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	started := time.Now()
	report := doctor.Run(ctx, c.options, func(doctor.Result) {})
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	first := report.First()
	if first == nil || first.Check != "identity" || first.Cause != "A9" || !strings.Contains(first.Finding.Err.Error(), "reach "+silent.Addr().String()) {
		t.Errorf("got %+v, want the check that was under way, with the address", first)
	}
}

// A cancelled examination has no verdict on what it did not look at.
func TestCancelledChecksAreSkipped(t *testing.T) {
	c := newClinic(t, healthy())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report := doctor.Run(ctx, c.options, func(doctor.Result) {})
	for _, r := range report.Results {
		if r.Finding.Verdict == doctor.Fail {
			t.Errorf("%s fails with %v", r.Check, r.Finding.Err)
		}
	}
}
