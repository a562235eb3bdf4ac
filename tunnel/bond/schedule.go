package bond

import "time"

const (
	commandBytes = 4 << 10               // of frames without data that go out at once
	lively       = time.Second           // after its last byte, an interactive stream is one still
	sluggish     = 20 * time.Millisecond // a connection that takes longer to take a frame is behind
	alike        = 4 * time.Millisecond  // differences below are none: the first strand is used, the others may become quiet
	probeEvery   = 7 * time.Second       // shorter than rttMemory
	probeLeast   = 60 * time.Millisecond // that windows are at their least
	probeMost    = time.Second
	backlogAfter = 50 * time.Millisecond // that something waits while no strand would take it
)

// next is what a strand is to write now: an acknowledge, frames without data, a frame of data; nothing when it is to wait.
func (s *Strand) next(now time.Time) []byte {
	if s.ended || s.state == stateAway {
		return nil
	}
	e := s.e
	out := s.out[:headerSize] // the place of the acknowledge
	took := false
	if s.usable() {
		if s.pinging {
			s.pinging = false
			out = s.send(&frame{header: header{kind: kindPing}}, out, now)
		}
		out = e.nextControl(s, out, now)
		if f := e.pick(s, now); f != nil {
			out = s.send(f, out, now)
		}
		took = len(out) > headerSize
	}
	s.waiting = !took
	if !took && s.ready() && s.room(now) && s != e.free {
		e.backlogged = time.Time{} // it could have carried more
	}
	if took {
		e.kick(now)
	}
	if s.received == s.confirmed || !took && !s.ackDue {
		return out[headerSize:]
	}
	held := min(now.Sub(s.receivedAt), time.Second)
	header{kind: kindAck, flags: e.flags(now), stream: uint32(held.Microseconds()), offset: s.received}.put(out) //nolint:gosec // no more than a second
	s.confirmed, s.ackDue = s.received, false
	s.ackTimer.Stop()
	return out
}

// nextControl adds frames without data, which go over whichever strand is the quickest.
func (e *end) nextControl(s *Strand, out []byte, now time.Time) []byte {
	if e.control.len() == 0 || e.best(now, false) != s {
		return out
	}
	for e.control.len() > 0 && len(out) < commandBytes {
		if f := e.control.pop(); f.queued && !f.moot() {
			f.queued = false
			out = s.send(f, out, now)
		}
	}
	return out
}

// pick is the next frame of data that is for a strand; nil when there is none, or its window is full.
func (e *end) pick(s *Strand, now time.Time) *frame {
	if s.silent {
		return nil
	}
	room := s.room(now)
	for room && e.resend.len() > 0 {
		if f := e.resend.pop(); f.queued && !f.moot() {
			f.queued = false
			e.resentBytes += uint64(f.length)
			return f
		}
	}
	for e.interactive.len() > 0 {
		st := *e.interactive.first()
		switch {
		case st.sending.unsent() == 0 && !st.finDue():
			e.interactive.pop()
			st.queued = false
		case st.isBulk(now):
			e.bulk.push(e.interactive.pop())
		case e.best(now, true) == s:
			e.interactive.pop()
			return st.cutFrame(&e.interactive)
		default:
			return e.pickBulk(s, room)
		}
	}
	return e.pickBulk(s, room)
}

func (e *end) pickBulk(s *Strand, room bool) *frame {
	for room && s != e.free && e.bulk.len() > 0 {
		st := e.bulk.pop()
		if st.sending.unsent() > 0 || st.finDue() {
			return st.cutFrame(&e.bulk)
		}
		st.queued = false
	}
	return nil
}

// send puts a frame on a strand.
func (s *Strand) send(f *frame, out []byte, now time.Time) []byte {
	f.flags = f.flags&flagFin | s.e.flags(now)
	at := len(out)
	out = append(out, make([]byte, headerSize)...)
	f.put(out[at:])
	out = append(out, f.payload...)
	unfilled := s.inflight+f.size() < s.window(now) && s.e.bulk.len() == 0
	note := s.pace.note(now, s.flight.len() == 0, unfilled)
	s.sent += f.size()
	s.inflight += f.size()
	s.flight.push(flying{frame: f, end: s.sent, sent: note})
	f.copies++
	f.flown = true
	if f.of != nil {
		s.movedAt = now
		s.bytesOut += uint64(f.length)
		s.e.sentBytes += uint64(f.length)
	}
	s.e.rouse()
	return out
}

// flags are those of any frame that is sent now.
func (e *end) flags(now time.Time) uint8 {
	if !e.backlogged.IsZero() && now.Sub(e.backlogged) >= backlogAfter {
		return flagBacklog
	}
	return 0
}

func (s *Strand) window(now time.Time) uint64 {
	if now.Before(s.e.probing) {
		return 1 // a frame at a time
	}
	return s.pace.window()
}

// room reports whether the window has space for another frame.
func (s *Strand) room(now time.Time) bool { return s.inflight < s.window(now) }

// best is the strand that carries a small frame the soonest; nil when there is none that takes it.
func (e *end) best(now time.Time, data bool) (best *Strand) {
	var least time.Duration
	for _, s := range e.strands {
		if !s.ready() || data && s.inflight >= s.window(now)+beyond {
			continue
		}
		if wait := s.delay(now) / alike; best == nil || wait < least {
			best, least = s, wait
		}
	}
	if best == nil && !data { // one that is silent is better than none
		for _, s := range e.strands {
			if s.usable() {
				return s
			}
		}
	}
	return best
}

// delay is how long a frame takes that is sent now, as far as can be known.
func (s *Strand) delay(now time.Time) time.Duration {
	wait := time.Duration(float64(s.inflight)/s.pace.rate()*float64(time.Second)) + s.pace.smooth
	if s.flight.len() > 0 {
		wait += max(now.Sub(s.flight.first().sent.at)-s.pace.smooth, 0)
	}
	if !s.writing.IsZero() && now.Sub(s.writing) > sluggish {
		wait += now.Sub(s.writing)
	}
	return wait
}

// kick wakes a strand that has something to do. Each that takes something wakes the next one.
func (e *end) kick(now time.Time) {
	if e.control.len() > 0 {
		if s := e.best(now, false); s != nil {
			s.rouse()
		}
	}
	if e.interactive.len() > 0 {
		if s := e.best(now, true); s != nil && s.waiting {
			s.rouse()
		}
	}
	if e.resend.len() == 0 && e.bulk.len() == 0 && e.interactive.len() == 0 {
		e.backlogged = time.Time{}
		return
	}
	if e.backlogged.IsZero() {
		e.backlogged = now
	}
	for _, s := range e.strands {
		if s.waiting && s.ready() && s.room(now) && (e.resend.len() > 0 || e.bulk.len() > 0 && s != e.free) {
			s.rouse()
			return
		}
	}
}

// keepFree chooses the strand that carries no bulk while an interactive stream is active.
func (e *end) keepFree(now time.Time) {
	usable, active := 0, false
	for _, s := range e.strands {
		if s.ready() {
			usable++
		}
	}
	if usable > 1 {
		for _, st := range e.streams {
			if !st.sending.over && now.Sub(st.wroteAt) < lively && !st.isBulk(now) {
				active = true
				break
			}
		}
	}
	switch {
	case !active:
		e.free = nil
	case e.free == nil || !e.free.ready():
		e.free = e.best(now, false)
	}
}

// probe has all strands carry a frame at a time for a moment now and then: else no strand would ever see a round trip without its own
// queue in it, and the windows would double with each rttMemory. All at once, as they may share what they wait for.
func (e *end) probe(now time.Time) {
	if now.Before(e.probing) || now.Sub(e.probed) < probeEvery {
		return
	}
	longest := probeLeast
	for _, s := range e.strands {
		longest = max(longest, s.pace.smooth+s.pace.smooth/2)
	}
	e.probed, e.probing = now, now.Add(min(longest, probeMost))
}
