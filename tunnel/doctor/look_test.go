package doctor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A check that does not end is ended, and says so; one that waits for what may pass has as long as the examination.
func TestEveryCheckEnds(t *testing.T) {
	t.Parallel()
	stuck := func(ctx context.Context) Finding {
		<-ctx.Done()
		return fail(context.Cause(ctx))
	}
	for title, row := range map[string]struct {
		check    Check
		patience time.Duration
		given    time.Duration // for all of it
		ends     time.Duration
	}{
		"by itself":                   {Check{Run: stuck}, 0, time.Minute, checkWithin},
		"later with more patience":    {Check{Run: stuck}, 30 * time.Second, time.Minute, 30 * time.Second},
		"with the examination":        {Check{Run: stuck}, 0, 5 * time.Second, 5 * time.Second},
		"with the examination, later": {Check{Run: stuck, Lasts: true}, 0, 40 * time.Second, 40 * time.Second},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), row.given)
				defer cancel()
				started := time.Now()
				f := newExamination(Options{Patience: row.patience}).look(ctx, row.check)
				late, ok := errors.AsType[*LateError](f.Err)
				if !ok || f.Verdict != Fail || late.Remedy() == "" {
					t.Errorf("got %v %v, want a LateError", f.Verdict, f.Err)
				}
				if took := time.Since(started); took != row.ends {
					t.Errorf("it ended after %s, want %s", took, row.ends)
				}
			})
		})
	}
}

// A check that could not look when all time was over is no check that passed.
func TestBlindAtTheDeadlineFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		x := newExamination(Options{})
		f := x.look(ctx, Check{Run: func(ctx context.Context) Finding {
			<-ctx.Done()
			return blind(&SlowError{What: "an answer", Within: time.Second})
		}})
		if f.Verdict != Fail || f.Err == nil {
			t.Errorf("got %+v, want a failure", f)
		}
		if f := x.look(ctx, Check{ID: "next", Run: func(context.Context) Finding { return pass() }}); f.Verdict != Fail {
			t.Errorf("got %+v of the next one, want a failure: it was not looked at", f)
		}
	})
}
