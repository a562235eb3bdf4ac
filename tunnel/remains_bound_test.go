package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"culvert/aws"
)

func TestSessionsThatCouldNotBeTerminatedAreBounded(t *testing.T) {
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Keys: aws.Keys{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	r := remains{log: slog.New(slog.DiscardHandler), closed: true}
	for i := range 3 * mostRemains {
		r.leave(client, fmt.Sprint(i), errors.New("no answer"))
	}
	if all := r.list(); len(all) != mostRemains || all[0].Session != fmt.Sprint(2*mostRemains) {
		t.Errorf("%d are kept, the first is %s; want the last %d", len(all), all[0].Session, mostRemains)
	}
}

// Beyond the bound the session is dropped that was over first, wherever it stands in the queue, and it does not come back when
// the attempt that was just made for it fails.
func TestOfTooManySessionsTheOldestIsDropped(t *testing.T) {
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Keys: aws.Keys{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	r := remains{log: slog.New(slog.DiscardHandler), closed: true}
	leave := func(n int) { r.leave(client, fmt.Sprint(n), errors.New("no answer")) }
	for i := range mostRemains {
		leave(i)
	}
	failing, cancel := context.WithCancel(t.Context())
	cancel()
	oldest := r.first()
	if r.end(failing, oldest) {
		t.Fatal("a call without a time to make it has succeeded")
	}
	if last := r.all[mostRemains-1]; last != oldest {
		t.Fatalf("at the end of the queue is session %s, want %s", last.Session, oldest.Session)
	}
	leave(mostRemains)
	if slices.Contains(r.all, oldest) || r.all[0].Session != "1" {
		t.Errorf("the oldest session is kept: %t; the first one is %s, want 1", slices.Contains(r.all, oldest), r.all[0].Session)
	}
	if r.end(failing, oldest); len(r.all) != mostRemains || slices.Contains(r.all, oldest) {
		t.Errorf("%d sessions are kept, want %d; with the one that was dropped: %t", len(r.all), mostRemains, slices.Contains(r.all, oldest))
	}
}
