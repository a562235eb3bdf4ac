package tunnel

import "time"

// Limits of the send window, in bytes of frames. protocol.md 4 advises 256 KiB to 1 MiB; AWS's service may cap the rate
// (protocol.md 8), so the window starts small, grows while the round trip stays short and shrinks when it does not.
const (
	firstWindow = 64 << 10
	leastWindow = 16 << 10
	mostWindow  = 1 << 20
)

// window decides how many bytes may be unacknowledged: slow start, then growth by one message per round trip, shrinking
// on loss and on queueing (a round trip that grows to a multiple of the shortest means that bytes wait somewhere).
type window struct {
	size      int
	threshold int       // below it the window grows by all that is acknowledged
	decreased time.Time // at most one decrease a round trip
	credit    int       // acknowledged bytes since the last growth by a message

	// The shortest round trip of this and the previous period.
	least, leastBefore time.Duration
	samples            int
}

const (
	periodSamples = 4096
	// Queueing on loopback stays well under this; on a real path it is a small part of the round trip.
	queueSlack = 15 * time.Millisecond
)

func newWindow() window { return window{size: firstWindow, threshold: mostWindow} }

// restart forgets what the path was like: another socket may take another one.
func (w *window) restart() {
	w.least, w.leastBefore, w.samples = 0, 0, 0
	w.size, w.threshold = max(w.size/2, firstWindow), mostWindow
}

func (w *window) measured(d time.Duration) {
	if w.samples++; w.samples >= periodSamples {
		w.leastBefore, w.least, w.samples = w.least, 0, 0
	}
	if w.least == 0 || d < w.least {
		w.least = d
	}
}

func (w *window) shortest() time.Duration {
	if w.leastBefore != 0 && (w.least == 0 || w.leastBefore < w.least) {
		return w.leastBefore
	}
	return w.least
}

func (w *window) acknowledged(n int, now time.Time, smoothed time.Duration) {
	queueing := smoothed - w.shortest()
	switch {
	case smoothed > 0 && queueing > w.shortest()*2+4*queueSlack:
		w.decrease(now, smoothed, 9)
	case smoothed > 0 && queueing > w.shortest()/2+queueSlack:
		return // full enough
	case w.size < w.threshold:
		w.size = min(w.size+n, mostWindow)
	default:
		if w.credit += n; w.credit >= w.size {
			w.credit = 0
			w.size = min(w.size+4<<10, mostWindow)
		}
	}
}

// lost shrinks the window; a single loss says little on a path that loses one message in a hundred, so not by half.
func (w *window) lost(now time.Time, smoothed time.Duration) { w.decrease(now, smoothed, 8) }

func (w *window) decrease(now time.Time, smoothed time.Duration, tenths int) {
	if now.Sub(w.decreased) < smoothed {
		return
	}
	w.decreased = now
	w.size = max(w.size*tenths/10, leastWindow)
	w.threshold = w.size
}

// pacer keeps a ceiling on the rate of what is sent.
type pacer struct {
	perSecond int       // bytes; 0 is no ceiling
	free      time.Time // nothing goes before
}

// at is when the next message may go.
func (p *pacer) at(now time.Time) time.Time {
	if p.free.Before(now) {
		return now
	}
	return p.free
}

// took accounts for a message that goes now. Up to 5 ms are made up for, since timers come late.
func (p *pacer) took(n int, now time.Time) {
	if p.perSecond <= 0 {
		return
	}
	if earliest := now.Add(-5 * time.Millisecond); p.free.Before(earliest) {
		p.free = earliest
	}
	p.free = p.free.Add(time.Duration(n) * time.Second / time.Duration(p.perSecond))
}
