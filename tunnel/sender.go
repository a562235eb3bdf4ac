package tunnel

import (
	"sync"
	"time"
)

// A message that stays unacknowledged for a timeout is sent again. The timeout is the smoothed round trip and four times its
// variation, as in RFC 6298 and AWS's own client (protocol.md 4), within these limits.
const (
	firstTimeout = 400 * time.Millisecond // before a round trip was measured
	leastTimeout = 200 * time.Millisecond
	mostTimeout  = 5 * time.Second
	clockGrain   = 10 * time.Millisecond // the least variation of a round trip that is allowed for, as clocks and timers are no finer
	fewMessages  = 4                     // while so many messages or fewer are under way, backoff lets their first try time out early
)

// batchFrames is how many messages the writer of a socket takes from a channel at a time, and how many acknowledges. It has
// written both before it takes more, so that neither kind waits behind a long queue of the other.
const batchFrames = 64

// outgoing is one message on its way.
type outgoing struct {
	sequence  int64
	frame     []byte
	firstSent time.Time // zero until it was written to a socket
	lastSent  time.Time // zero until it was written to the socket in use
	tries     int       // how often it was written to a socket
	acked     bool      // acknowledged, but a message before it is not
	lost      bool      // taken to be lost, and queued in sender.again
	shorter   []byte    // of a probe of the message size: the frame that is sent instead if the probe has to be sent again; else nil
	overtaken int       // how often a message that is larger than usual was sent again after smaller ones had been acknowledged
}

// carried reports whether the socket in use was given the message: only then can the message be why that socket was closed.
func (o *outgoing) carried() bool { return !o.lastSent.IsZero() }

// sender is the sending half of a channel: which messages are unacknowledged, when each is sent again, how many bytes may be
// under way. The channel's lock guards it.
type sender struct {
	next     int64       // sequence number of the next message
	unacked  []*outgoing // in sequence order; one that was acknowledged out of order stays until those before it are
	unsent   int         // index in unacked of the first message that was never written to a socket
	again    []*outgoing // the lost ones of unacked, in the order in which they are to be written again
	inFlight int         // bytes of the frames in unacked that are not acknowledged
	paused   bool        // the service says that the agent is away: only feelers are written, see feeler

	window window
	pace   pacer
	sizer  *sizer // nil: all messages have the size of the channel

	smoothed, variation time.Duration // of the round trip; 0 before the first sample
	newest              time.Time     // the latest lastSent among acknowledged messages
	lastAck             time.Time     // when the last acknowledge came
	attached            time.Time     // when the socket was attached
	lookAt              time.Time     // when to look for losses next; zero when nothing is under way
	resent              uint64        // how many messages were written again
}

func (s *sender) hasRoom() bool { return s.inFlight < s.window.size }
func (s *sender) empty() bool   { return len(s.unacked) == 0 }

func (s *sender) queue(batch []*outgoing) {
	for _, o := range batch {
		s.inFlight += len(o.frame)
	}
	s.unacked = append(s.unacked, batch...)
	s.next += int64(len(batch))
}

func (s *sender) oldest() int64 {
	if len(s.unacked) == 0 {
		return s.next
	}
	return s.unacked[0].sequence
}

// timeout is how long a message may stay unacknowledged before it is sent again.
func (s *sender) timeout() time.Duration {
	if s.smoothed == 0 {
		return firstTimeout
	}
	return min(max(s.smoothed+max(clockGrain, 4*s.variation), leastTimeout), mostTimeout)
}

// acknowledge notes the acknowledge of a message. It reports whether the writer should look for losses, as a message after an
// unacknowledged one was acknowledged.
func (s *sender) acknowledge(sequence int64, now time.Time) bool {
	if len(s.unacked) == 0 {
		return false
	}
	i := sequence - s.unacked[0].sequence
	if i < 0 || i >= int64(len(s.unacked)) {
		return false // a second acknowledge, or one for a message that was never sent
	}
	o := s.unacked[i]
	if o.acked || o.tries == 0 {
		return false
	}
	o.acked = true
	s.inFlight -= len(o.frame)
	s.lastAck = now
	if o.tries == 1 { // Karn: a message sent twice does not tell which copy was acknowledged
		s.sample(now.Sub(o.lastSent))
	}
	if o.lastSent.After(s.newest) {
		s.newest = o.lastSent
	}
	s.window.acknowledged(len(o.frame), now, s.smoothed)
	s.sizer.acknowledged(o, now)
	gap := i > 0 && !s.unacked[0].acked
	n := 0
	for n < len(s.unacked) && s.unacked[n].acked {
		frames.give(s.unacked[n].frame)
		s.unacked[n] = nil
		n++
	}
	s.unacked = s.unacked[n:]
	s.unsent = max(0, s.unsent-n)
	if gap {
		if at := now.Add(s.reorderWindow()); s.lookAt.IsZero() || at.Before(s.lookAt) {
			s.lookAt = at
			return true
		}
	}
	return false
}

// sample adds a measured round trip to the smoothed one (RFC 6298, with the gains of AWS's own client).
func (s *sender) sample(d time.Duration) {
	s.window.measured(d)
	if s.smoothed == 0 {
		s.smoothed, s.variation = d, d/2
		return
	}
	s.variation += ((s.smoothed - d).Abs() - s.variation) / 4
	s.smoothed += (d - s.smoothed) / 8
}

// reorderWindow is how much later than a message that was sent after it a message may be acknowledged before it counts as lost.
func (s *sender) reorderWindow() time.Duration { return max(clockGrain, s.smoothed/4) }

// rewind begins with a new socket: what was written to the last one and not acknowledged is to be written again.
func (s *sender) rewind(now time.Time) {
	var oldest *outgoing
	if len(s.unacked) > 0 {
		oldest = s.unacked[0]
	}
	s.sizer.attached(oldest, s.lastAck.After(s.attached), now)
	s.attached, s.lastAck, s.lookAt = now, now, time.Time{}
	s.again = s.again[:0]
	for _, o := range s.unacked[:s.unsent] {
		if !o.acked {
			o.lost, o.lastSent = true, time.Time{}
			s.again = append(s.again, o)
		}
	}
	s.newest = time.Time{}
	s.window.restart()
}

// collect appends up to batchFrames messages that are to be written now, and says when to call it again; zero is not before
// something changes.
func (s *sender) collect(batch [][]byte, now time.Time) ([][]byte, time.Time) {
	if !s.lookAt.IsZero() && !now.Before(s.lookAt) {
		s.findLost(now)
	}
	var held time.Time
	full := len(batch) + batchFrames
	for len(batch) < full {
		o := s.pick()
		if o == nil {
			break
		}
		if at := s.pace.at(now); at.After(now) {
			held = at
			break
		}
		s.take(o, now)
		s.pace.took(len(o.frame), now)
		// The copy lets an acknowledge give the frame back while the writer still holds the bytes.
		batch = append(batch, append(frames.take(), o.frame...))
	}
	if len(batch) >= full && s.pick() != nil {
		return batch, now // there is more
	}
	if s.lookAt.IsZero() || (!held.IsZero() && held.Before(s.lookAt)) {
		return batch, held
	}
	return batch, s.lookAt
}

// pick returns the message that is to be written next, lost ones before new ones, without taking it; nil when there is none.
func (s *sender) pick() *outgoing {
	for len(s.again) > 0 && s.again[0].acked {
		s.again = s.again[1:]
	}
	if s.paused {
		return s.feeler()
	}
	if len(s.again) > 0 {
		return s.again[0]
	}
	if s.unsent < len(s.unacked) {
		return s.unacked[s.unsent]
	}
	return nil
}

// take accounts for a message that pick has returned and that is written now.
func (s *sender) take(o *outgoing, now time.Time) {
	if o.tries > 0 {
		s.again = s.again[1:]
		s.resent++
		s.inFlight -= s.sizer.again(o, s.newest, now)
	} else {
		s.unsent++
		o.firstSent = now
	}
	o.lost, o.lastSent = false, now
	o.tries++
	if at := now.Add(s.backoff(o)); s.lookAt.IsZero() || at.Before(s.lookAt) {
		s.lookAt = at
	}
}

// backoff is the timeout of one message, doubled with every further try. While only a few messages are under way their first
// try times out early: there may be no later message whose acknowledge shows their loss, and sending them twice costs next to
// nothing. It is so whenever a session begins, as an agent drops messages that come before its port handler is started
// (protocol.md 5).
func (s *sender) backoff(o *outgoing) time.Duration {
	d := s.timeout()
	if s.smoothed > 0 && o.tries <= 1 && len(s.unacked) <= fewMessages {
		return min(d, 2*s.smoothed+2*clockGrain)
	}
	most := mostTimeout
	if s.paused {
		most = max(d, feelEvery)
	}
	for range min(o.tries-1, 5) {
		d *= 2
	}
	return min(d, most)
}

// findLost queues in again every message that has timed out or that later ones have overtaken (RACK, RFC 8985), and sets when to
// look next.
func (s *sender) findLost(now time.Time) {
	s.lookAt = time.Time{}
	var lost bool
	late := s.newest.Add(-s.reorderWindow())
	for _, o := range s.unacked[:s.unsent] {
		if o.acked || o.lost {
			continue
		}
		due := o.lastSent.Add(s.backoff(o))
		if !s.newest.IsZero() && o.lastSent.Before(late) {
			due = now
		} else if !s.newest.IsZero() && o.lastSent.Before(s.newest) {
			// Overtaken, but within the reorder window: look again when that is over.
			if at := now.Add(s.reorderWindow()); at.Before(due) {
				due = at
			}
		}
		if !due.After(now) {
			o.lost, lost = true, true
			s.again = append(s.again, o)
			continue
		}
		if s.lookAt.IsZero() || due.Before(s.lookAt) {
			s.lookAt = due
		}
	}
	if lost {
		s.window.lost(now, s.smoothed)
	}
}

// quiet is how long the agent has owed an acknowledge: since the oldest unacknowledged message was first written, the last
// acknowledge came or the socket was attached, whichever was last. 0 when it owes none.
func (s *sender) quiet(now time.Time) time.Duration {
	for _, o := range s.unacked[:s.unsent] {
		if !o.acked {
			since := o.firstSent
			for _, t := range []time.Time{s.lastAck, s.attached} {
				if t.After(since) {
					since = t
				}
			}
			return now.Sub(since)
		}
	}
	return 0
}

// framePool recycles the buffers of encoded messages.
type framePool struct{ pool sync.Pool }

// frames is shared by all channels: it holds buffers, no state.
var frames = framePool{pool: sync.Pool{New: func() any { b := make([]byte, 0, 1280); return &b }}} //nolint:gochecknoglobals // a cache of buffers

func (p *framePool) take() []byte { return (*p.pool.Get().(*[]byte))[:0] } //nolint:forcetypeassert // only *[]byte goes in

func (p *framePool) give(b []byte) {
	if cap(b) <= 1<<17 {
		p.pool.Put(&b)
	}
}
