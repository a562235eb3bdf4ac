package tunnel

import "time"

// Limits of the send window, in bytes of frames. protocol.md 4 advises 256 KiB to 1 MiB; AWS's service may cap the rate
// (protocol.md 8), so the window starts small, grows while the round trip stays short and shrinks when it does not.
const (
	firstWindow = 64 << 10
	leastWindow = 16 << 10
	mostWindow  = 1 << 20
)

// window decides how many bytes may be under way unacknowledged. Below threshold it grows by as much as is acknowledged, which
// doubles it in a round trip (slow start); above that by growBy for each window's worth of acknowledged bytes, that is once a
// round trip. It stops growing while bytes seem to queue on the way, that is while the smoothed round trip is half as long again
// as the shortest one, and shrinks when that is three times as long, and on loss. queueSlack is allowed for on top.
type window struct {
	size      int       // bytes
	threshold int       // size after the last decrease, where slow start ends
	decreased time.Time // when it last shrank, which it does once a round trip at the most
	credit    int       // bytes acknowledged since it last grew by growBy

	// The shortest round trip of this period of periodSamples, and of the period before. Older ones are forgotten, so that a path
	// that has become longer is not compared with its past for ever.
	least, leastBefore time.Duration
	samples            int // round trips measured in this period
}

const (
	growBy        = 4 << 10 // bytes
	periodSamples = 4096    // measured round trips
	// queueSlack is by how much a round trip may differ from the shortest one without any queue: more than a busy loopback
	// takes, and little beside the round trip of a real path.
	queueSlack = 15 * time.Millisecond
)

func newWindow() window { return window{size: firstWindow, threshold: mostWindow} }

// restart forgets the measured round trips, as a new socket may take another path, and begins slow start again at half the
// size, firstWindow at the least.
func (w *window) restart() {
	w.least, w.leastBefore, w.samples = 0, 0, 0
	w.size, w.threshold = max(w.size/2, firstWindow), mostWindow
}

// measured takes one round trip.
func (w *window) measured(d time.Duration) {
	if w.samples++; w.samples >= periodSamples {
		w.leastBefore, w.least, w.samples = w.least, 0, 0
	}
	if w.least == 0 || d < w.least {
		w.least = d
	}
}

// shortest is the shortest round trip of this period and the one before; 0 before there was one.
func (w *window) shortest() time.Duration {
	if w.leastBefore != 0 && (w.least == 0 || w.leastBefore < w.least) {
		return w.leastBefore
	}
	return w.least
}

// acknowledged takes n acknowledged bytes, and grows or shrinks by what the smoothed round trip says.
func (w *window) acknowledged(n int, now time.Time, smoothed time.Duration) {
	queueing := smoothed - w.shortest()
	switch {
	case smoothed > 0 && queueing > w.shortest()*2+4*queueSlack:
		w.decrease(now, smoothed, 9)
	case smoothed > 0 && queueing > w.shortest()/2+queueSlack:
		return // the path is full: a larger window would only lengthen the queue
	case w.size < w.threshold:
		w.size = min(w.size+n, mostWindow)
	default:
		if w.credit += n; w.credit >= w.size {
			w.credit = 0
			w.size = min(w.size+growBy, mostWindow)
		}
	}
}

// lost shrinks the window by a fifth and not, as TCP does, by half: on a path that loses one message in a hundred, one loss says
// little.
func (w *window) lost(now time.Time, smoothed time.Duration) { w.decrease(now, smoothed, 8) }

// decrease shrinks the window to so many tenths, unless it has shrunk within this round trip.
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
	perSecond int       // bytes per second; 0 is no ceiling
	free      time.Time // no message may be written before this time
}

// at is when the next message may be written.
func (p *pacer) at(now time.Time) time.Time {
	if p.free.Before(now) {
		return now
	}
	return p.free
}

// took accounts for a message of n bytes that is written now. A message that is up to 5 ms late, as timers are, does not lower
// the rate: the next ones may be written that much earlier.
func (p *pacer) took(n int, now time.Time) {
	if p.perSecond <= 0 {
		return
	}
	if earliest := now.Add(-5 * time.Millisecond); p.free.Before(earliest) {
		p.free = earliest
	}
	p.free = p.free.Add(time.Duration(n) * time.Second / time.Duration(p.perSecond))
}
