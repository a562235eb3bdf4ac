package headless

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// gate is a writer that stands still until it is opened.
type gate struct {
	open chan struct{}
	text bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	return g.text.Write(p)
}

func TestAReaderWhoStandsStillHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		o := newOutbox(g)
		o.put([]byte("first\n"), false)
		synctest.Wait() // it is being written
		for i := range 3 * maxWaiting {
			o.put(fmt.Appendf(nil, "traffic %d\n", i), true)
			if i%300 == 0 {
				o.put(fmt.Appendf(nil, "state %d\n", i/300), false)
			}
		}
		if n := len(o.lines); n > maxWaiting {
			t.Errorf("%d lines wait, want at most %d", n, maxWaiting)
		}
		o.flush() // gives up after a time
		close(g.open)
		leftOut, err := o.close()
		if err != nil || leftOut != 3*maxWaiting+10-maxWaiting {
			t.Errorf("%d lines were left out, %v", leftOut, err)
		}
		got := g.text.String()
		if !strings.HasPrefix(got, "first\nstate 0\n") || strings.Count(got, "state") != 10 || !strings.HasSuffix(got, fmt.Sprintf("traffic %d\n", 3*maxWaiting-1)) {
			t.Errorf("of the states not all were printed, or in another order: %.200q…", got)
		}
	})
}

func TestTheEndIsNotHeldUpEither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		o := newOutbox(g)
		for range 3 {
			o.put([]byte("line\n"), false)
		}
		if leftOut, err := o.close(); leftOut != 2 || err != nil { // the one that is being written may still arrive
			t.Errorf("%d were left out, %v", leftOut, err)
		}
		close(g.open)
	})
}

func TestStatesThatNobodyReadsAreBoundedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		o := newOutbox(g)
		for range maxKept + 100 {
			o.put([]byte("state\n"), false)
		}
		if n := len(o.lines); n > maxKept {
			t.Errorf("%d lines wait, want at most %d", n, maxKept)
		}
		close(g.open)
		_, _ = o.close()
	})
}

func TestLinesArePrintedInOrderAndFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		o := newOutbox(&text)
		for i := range 100 {
			o.put(fmt.Appendf(nil, "%d\n", i), i%2 == 0)
		}
		o.flush()
		if got := strings.Count(text.String(), "\n"); got != 100 || !strings.HasPrefix(text.String(), "0\n1\n2\n") {
			t.Errorf("%d lines were printed: %.40q…", got, text.String())
		}
		if leftOut, err := o.close(); leftOut != 0 || err != nil {
			t.Errorf("%d were left out, %v", leftOut, err)
		}
	})
}

func TestAFailedWriteIsSaidAndNothingPrintedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		gone := errors.New("gone")
		_ = r.CloseWithError(gone)
		o := newOutbox(w)
		o.put([]byte("line\n"), false)
		<-o.failed
		o.put([]byte("line\n"), false)
		o.flush()
		if leftOut, err := o.close(); leftOut != 0 || !errors.Is(err, gone) {
			t.Errorf("got %d, %v, want %v", leftOut, err, gone)
		}
	})
}
