package tunnel

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Another socket may take another way: what the old one has shown of it says nothing. The round trip of 300 ms would else
// look like a queue on a path of 20 ms, and shrink the window.
func TestTheWindowBeginsAnewOnANewSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := measured(t, 20*time.Millisecond)
		c.out.window.lost(time.Now(), 20*time.Millisecond)
		c.out.window.size = mostWindow
		time.Sleep(time.Minute)
		c.attach(time.Now())
		if got := c.out.window.size; got != mostWindow/2 {
			t.Errorf("the window has %d bytes on the new socket, want half of %d", got, mostWindow)
		}
		before := c.out.window.size
		bytes := 0
		for range 20 {
			mustSend(t, c, strings.Repeat("x", 1024))
			all := written(t, c)
			for _, o := range c.out.unacked {
				bytes += len(o.frame)
			}
			time.Sleep(300 * time.Millisecond)
			mustReceive(t, c, ackFor(t, all[0]))
		}
		if got := c.out.window.size; got != before+bytes {
			t.Errorf("the window went from %d to %d bytes, want all %d more that were acknowledged", before, got, bytes)
		}
	})
	w := newWindow()
	if w.restart(); w.size != firstWindow {
		t.Errorf("a window of %d bytes begins with %d on a new socket", firstWindow, w.size)
	}
}

// acknowledge takes 1 KiB after 1 KiB in that were under way for a time, and returns what the window has gained.
func (w *window) acknowledge(times int, now time.Time, trip time.Duration) (gained int) {
	before := w.size
	for range times {
		w.acknowledged(1<<10, now, trip)
	}
	return w.size - before
}

func TestHowTheWindowGrows(t *testing.T) {
	now := time.Now()
	const path = 100 * time.Millisecond
	fresh := func() window {
		w := newWindow()
		w.measured(path)
		return w
	}
	for _, c := range []struct {
		name  string
		trip  time.Duration
		after bool // a loss
		want  int  // bytes for 132 KiB: of two windows, the second of which is larger by one growth
	}{
		{"by all that is acknowledged", path, false, 132 << 10},
		{"as long as nothing has been measured", 0, false, 132 << 10},
		{"with half of a round trip of queueing and 15 ms", path + path/2 + queueSlack, false, 132 << 10},
		{"not with a little more", path + path/2 + queueSlack + 1, false, 0},
		{"nor with two round trips and 60 ms", 3*path + 4*queueSlack, false, 0},
		{"but shrinks by a tenth with more than that", 3*path + 4*queueSlack + 1, false, -firstWindow/10 - 1},
		{"after a loss by 4 KiB for each window that was acknowledged", path, true, 8 << 10},
	} {
		w := fresh()
		if c.after {
			w.threshold = w.size
		}
		if got := w.acknowledge(132, now, c.trip); got != c.want {
			t.Errorf("%s: the window has gained %d bytes, want %d", c.name, got, c.want)
		}
	}
	w := fresh()
	w.acknowledge(4<<10, now, path)
	if w.size != mostWindow {
		t.Errorf("the window has %d bytes after 4 MiB, want %d", w.size, mostWindow)
	}
}

// The shortest round trip is that of the last two periods: a path may have become longer.
func TestTheShortestRoundTripIsForgotten(t *testing.T) {
	w := newWindow()
	if got := w.shortest(); got != 0 {
		t.Errorf("%s before anything was measured", got)
	}
	period := func(d time.Duration) {
		for range periodSamples {
			w.measured(d)
		}
	}
	w.measured(10 * time.Millisecond)
	period(200 * time.Millisecond)
	if got := w.shortest(); got != 10*time.Millisecond {
		t.Errorf("%s a period later, want 10ms still", got)
	}
	w.measured(5 * time.Millisecond)
	if got := w.shortest(); got != 5*time.Millisecond {
		t.Errorf("%s, want the newest 5ms", got)
	}
	period(200 * time.Millisecond)
	period(200 * time.Millisecond)
	if got := w.shortest(); got != 200*time.Millisecond {
		t.Errorf("%s two periods later, want 200ms", got)
	}
}

func TestAnAverageBeginsWithItsFirstValueAndForgets(t *testing.T) {
	var a average
	if got := a.or(7); got != 7 {
		t.Errorf("%v before there is a value, want what is said then", got)
	}
	for _, step := range []struct{ add, want float64 }{{100, 100}, {200, 125}, {125, 125}} {
		if a.add(step.add); a.or(7) != step.want {
			t.Errorf("%v after %v, want %v", a.or(7), step.add, step.want)
		}
	}
}
