package bond

import "time"

const (
	commandBytes = 4 << 10               // about how many bytes of frames without data go out in one write
	lively       = time.Second           // how long after its last byte an interactive stream counts as active
	sluggish     = 20 * time.Millisecond // a connection that takes longer than that for one write is behind
	alike        = 4 * time.Millisecond  // the grain of delays: of strands that differ by less the first is used, so that the others may become quiet
	probeEvery   = 7 * time.Second       // from one probe to the next; shorter than rttMemory
	probeLeast   = 60 * time.Millisecond // how long a probe lasts at the least
	probeMost    = time.Second           // how long it lasts at the most
	backlogAfter = 50 * time.Millisecond // how long something has to wait for which no strand has room, for it to be a backlog
)

// next returns what a strand is to write now: an acknowledge, frames without data, one frame of data; empty when it is to wait.
// The end's lock is held, as for all functions in this file.
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
		e.backlogged = time.Time{} // the strand could have carried more, so there is no backlog
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

// nextControl appends frames without data to what a strand writes, if the strand is the quickest one.
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

// pick returns the next frame of data for a strand; nil when there is none for it, or its window is full.
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

// pickBulk is pick for the streams that carry much.
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

// send appends a frame to what a strand writes, and notes that it is on its way.
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

// flags returns the flags that any frame which is sent now has.
func (e *end) flags(now time.Time) uint8 {
	if !e.backlogged.IsZero() && now.Sub(e.backlogged) >= backlogAfter {
		return flagBacklog
	}
	return 0
}

// window is how many bytes the strand may have on their way, 1 during a probe.
func (s *Strand) window(now time.Time) uint64 {
	if now.Before(s.e.probing) {
		return 1 // so that the strand carries one frame at a time
	}
	return s.pace.window()
}

// room reports whether the window has space for another frame.
func (s *Strand) room(now time.Time) bool { return s.inflight < s.window(now) }

// best returns the strand that delivers a small frame the soonest; nil when none takes it. data says that it is a frame of data,
// for which a strand's window counts.
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
	if best == nil && !data { // a silent strand is better than none
		for _, s := range e.strands {
			if s.usable() {
				return s
			}
		}
	}
	return best
}

// delay is how long a frame that is sent now is expected to take.
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

// kick wakes a strand that has something to send. A strand that takes something wakes the next one by it.
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

// probe has all strands carry one frame at a time for a moment, every probeEvery: else no strand would ever see a round trip
// without its own queue in it, and the windows would double with each rttMemory. All strands do so at the same time, as they may
// share a queue.
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
