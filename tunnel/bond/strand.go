package bond

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

const (
	ackBytes  = 4 << 10              // an acknowledge is sent when so many bytes have come since the last one
	ackWithin = 8 * time.Millisecond // how long an acknowledge waits for that at the most
	// silence and two round trips is how long nothing at all has to be acknowledged on a strand for it to be silent. Then what is
	// on its way there is sent once more over other strands. With a shorter time everything in a queue that is merely long would
	// be sent twice, which makes the queue longer.
	silence   = 500 * time.Millisecond
	pingAfter = 15 * time.Second // how long nothing must have come over an idle strand for it to be asked by a ping
	deadAfter = 20 * time.Second // how long an acknowledge may be due before the strand is given up
	awayLimit = time.Minute      // how long a strand may be away before it is given up
)

// state is what a strand may be used for, as a number of the protocol.
type state uint8

const (
	stateUsable   state = 0
	stateAway     state = 1 // the connection is interrupted; what is on its way may come later
	stateDraining state = 2 // the strand takes nothing more
	stateDrained  state = 3 // only told by the far end: the strand is draining, and nothing that the far end has sent is on its way any more
)

// Strand is one of a bundle's connections.
type Strand struct {
	e    *end
	id   uint16
	conn net.Conn
	wake chan struct{} // wakes write; capacity 1
	done chan struct{} // closed when the strand has ended

	state    state
	turn     uint64    // how often the state was changed
	since    time.Time // when the state last changed
	silent   bool      // nothing is acknowledged, see silence
	ended    bool
	err      error     // why the strand has ended
	drained  bool      // the far end has said that nothing that it has sent is on its way any more
	reported bool      // that the strand is drained was told
	waiting  bool      // write waits for something to send
	writing  time.Time // when the write under way began; zero without one
	pinging  bool      // a ping is to be sent

	flight   queue[flying] // frames that were sent and are not acknowledged
	inflight uint64        // bytes of these
	sent     uint64        // bytes of all frames that were sent, acknowledges aside
	acked    uint64        // how many of these bytes are acknowledged
	ackedAt  time.Time     // when an acknowledge last came
	pace     pace

	received, confirmed uint64      // bytes of all frames that have come, acknowledges aside, and how many of them are acknowledged
	receivedAt          time.Time   // when the last of them came
	heardAt             time.Time   // when anything last came
	ackDue              bool        // an acknowledge is to be sent even without other frames
	ackTimer            *time.Timer // calls confirm

	out               []byte    // the memory for what write writes
	movedAt           time.Time // when data last went over the strand, in either direction
	bytesIn, bytesOut uint64    // bytes of data that went over the strand
	use               use
}

// flying is a frame on its way.
type flying struct {
	frame *frame
	end   uint64 // the strand's sent right behind the frame: an acknowledge of so many bytes acknowledges the frame
	sent  sent
}

// join adds a strand on a connection on which hello and answer were exchanged.
func (e *end) join(id uint16, conn net.Conn) *Strand {
	now := time.Now()
	var window uint64 // half of the other strands' mean: they know already what can be expected
	for _, s := range e.strands {
		window += s.pace.window() / uint64(2*len(e.strands))
	}
	s := &Strand{
		e: e, id: id, conn: conn, wake: make(chan struct{}, 1), done: make(chan struct{}), since: now,
		ackedAt: now, heardAt: now, movedAt: now, pace: newPace(window, now), waiting: true,
		out: make([]byte, 0, headerSize+commandBytes+headerSize+frameSize),
	}
	s.ackTimer = time.AfterFunc(time.Hour, s.confirm)
	s.ackTimer.Stop()
	e.strands = append(e.strands, s)
	e.seats[id] = struct{}{}
	e.bare, e.deaf = time.Time{}, false
	e.demand.joined(now)
	e.running.Go(s.read)
	e.running.Go(s.write)
	e.kick(now)
	e.rouse()
	return s
}

// read reads frames until the strand ends. It takes the end's lock.
func (s *Strand) read() {
	r := bufio.NewReaderSize(s.conn, 4<<10)
	for {
		h, payload, err := readFrame(r, s.conn)
		s.e.mu.Lock()
		if err == nil && !s.ended {
			err = s.e.take(s, h, payload, time.Now())
		}
		if _, wrong := err.(*protocolError); wrong { //nolint:errorlint // as it was made
			s.e.fail(err)
		} else if err != nil {
			s.lose(err)
		}
		over := s.ended
		s.e.mu.Unlock()
		if over {
			return
		}
	}
}

// write writes what next returns until the strand ends. It takes the end's lock.
func (s *Strand) write() {
	for {
		s.e.mu.Lock()
		s.writing = time.Time{}
		out, over := s.next(time.Now()), s.ended
		if len(out) > 0 {
			s.writing = time.Now()
		}
		s.e.mu.Unlock()
		switch {
		case over:
			return
		case len(out) > 0:
			if _, err := s.conn.Write(out); err != nil {
				s.e.mu.Lock()
				s.lose(err)
				s.e.mu.Unlock()
				return
			}
		default:
			select {
			case <-s.wake:
			case <-s.done:
			}
		}
	}
}

// rouse wakes write.
func (s *Strand) rouse() {
	s.waiting = false
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// confirm has an acknowledge be sent that waited for more bytes to come. It takes the end's lock.
func (s *Strand) confirm() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.received > s.confirmed {
		s.ackDue = true
		s.rouse()
	}
}

// heard counts a frame that has come over the strand.
func (s *Strand) heard(h header, now time.Time) {
	s.heardAt = now
	if h.kind == kindData {
		s.movedAt = now
		s.bytesIn += uint64(h.length)
	}
	if !h.counted() {
		return
	}
	first := s.received == s.confirmed
	s.received += headerSize + uint64(h.length)
	s.receivedAt = now
	switch {
	case s.received-s.confirmed >= ackBytes:
		s.ackDue = true
		s.rouse()
	case first:
		s.ackTimer.Reset(ackWithin)
	}
}

// acknowledged takes an acknowledge: count is how many bytes of this strand's frames have come at the other end, and held is for
// how long that has held the acknowledge back.
func (s *Strand) acknowledged(count uint64, held time.Duration, now time.Time) error {
	if count > s.sent {
		return &protocolError{fmt.Sprintf("an acknowledge of %d bytes of %d", count, s.sent)}
	}
	s.ackedAt, s.silent = now, false
	if count <= s.acked {
		return nil
	}
	bytes := count - s.acked
	s.acked = count
	var newest flying
	for s.flight.len() > 0 && s.flight.first().end <= count {
		newest = s.flight.pop()
		s.inflight -= newest.frame.size()
		s.settle(newest.frame)
	}
	if newest.frame != nil {
		s.pace.acknowledged(now, bytes, newest.sent, held)
	}
	s.checkDrained()
	s.e.kick(now)
	if s.ready() {
		s.rouse()
	}
	return nil
}

// settle notes that a frame has arrived.
func (s *Strand) settle(f *frame) {
	if f.settled {
		return
	}
	f.settled = true
	if f.of != nil {
		givePayload(f.payload)
		f.of.delivered(f)
	}
	f.payload = nil
}

// usable reports whether the strand takes frames; ready, whether it can be expected to carry them as well.
func (s *Strand) usable() bool { return !s.ended && s.state == stateUsable }
func (s *Strand) ready() bool  { return s.usable() && !s.silent }

// watch looks whether the strand is silent, dead or idle, and acts on it.
func (s *Strand) watch(now time.Time) {
	switch {
	case s.state == stateAway:
		if now.Sub(s.since) > awayLimit {
			s.lose(ErrSilent)
		}
		return
	case s.flight.len() == 0:
		if now.Sub(s.heardAt) >= pingAfter && s.state == stateUsable {
			s.pinging = true
			s.rouse()
		}
		return
	}
	quiet := now.Sub(s.ackedAt)
	if since := now.Sub(s.flight.first().sent.at); since < quiet {
		quiet = since
	}
	if quiet > deadAfter {
		s.lose(ErrSilent)
		return
	}
	if quiet < silence+2*s.pace.smooth {
		return
	}
	if !s.silent {
		s.silent = true
		s.e.question()
	}
	if s.e.others(s) == 0 {
		return
	}
	for _, f := range s.flight.all() {
		if !f.frame.hedged && f.frame.copies == 1 && !f.frame.moot() {
			f.frame.hedged = true
			s.e.requeue(f.frame)
		}
	}
}

// question pings the strands that have nothing on their way: if one of the others is silent as the whole relay is, nothing else would
// tell of these before something new is sent over them.
func (e *end) question() {
	for _, s := range e.strands {
		if s.ready() && s.flight.len() == 0 {
			s.pinging = true
			s.rouse()
		}
	}
}

// others counts the strands besides s that are ready.
func (e *end) others(s *Strand) (n int) {
	for _, other := range e.strands {
		if other != s && other.ready() {
			n++
		}
	}
	return n
}

// abandon has what is on its way over the strand be sent over others, unless it is on its way there already.
func (s *Strand) abandon() {
	for _, f := range s.flight.all() {
		if f.frame.copies--; f.frame.copies == 0 {
			s.e.requeue(f.frame)
		}
	}
	s.e.kick(time.Now())
}

// become changes the state, and reports whether that was a change. A draining strand does not become usable or away again.
func (s *Strand) become(next state) bool {
	was := s.state
	if s.ended || was == next || was >= stateDraining && next < was {
		return false
	}
	s.state, s.since = next, time.Now()
	switch {
	case next == stateAway:
		s.abandon()
	case was == stateAway:
		s.ackedAt, s.heardAt = s.since, s.since
		for _, f := range s.flight.all() {
			f.frame.copies++
			f.frame.queued = false // the connection still delivers what it was given, so nothing is to be sent again
		}
		s.rouse()
	}
	s.e.keepFree(s.since)
	s.e.kick(s.since)
	s.checkDrained()
	return true
}

// told takes what the other end says about the strand: its state, and for how many changes that is (turn).
func (s *Strand) told(next state, turn uint64) {
	if next == stateDrained {
		s.drained = true
		s.checkDrained()
		return
	}
	if turn <= s.turn || next > stateDrained {
		return
	}
	s.turn = turn
	s.become(next)
}

// say changes the state and tells the other end. It takes the end's lock.
func (s *Strand) say(next state) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if !s.become(next) {
		return
	}
	s.turn++
	s.e.command(header{kind: kindState, stream: uint32(s.id), offset: s.turn}, byte(next))
}

// checkDrained tells when nothing is on its way any more over a draining strand: the far end tells the near end, and the near end
// its owner, once both have nothing on its way.
func (s *Strand) checkDrained() {
	if s.state != stateDraining || s.flight.len() > 0 || s.reported || s.ended {
		return
	}
	switch {
	case s.e.accept != nil:
		s.reported = true
		s.e.command(header{kind: kindState, stream: uint32(s.id), offset: s.turn}, byte(stateDrained))
	case s.drained:
		s.reported = true
		s.e.post(Event{Kind: StrandDrained, Strand: s})
	}
}

// lose ends the strand and its connection. The first call wins.
func (s *Strand) lose(err error) {
	if s.ended {
		return
	}
	e := s.e
	s.ended, s.err = true, err
	delete(e.seats, s.id)
	s.ackTimer.Stop()
	close(s.done)
	e.running.Go(func() { _ = s.conn.Close() }) // Close may have to wait, until the connection has written what it has to
	e.strands = slices.DeleteFunc(e.strands, func(other *Strand) bool { return other == s })
	if len(e.strands) == 0 {
		e.bare, e.deaf = time.Now(), errors.Is(err, ErrSilent)
	}
	if s.state != stateAway {
		s.abandon()
	}
	s.flight, s.inflight = queue[flying]{}, 0
	e.keepFree(time.Now())
	e.kick(time.Now())
	e.post(Event{Kind: StrandEnded, Strand: s, Err: err})
}

// ID is the strand's number in its bundle.
func (s *Strand) ID() int { return int(s.id) }

// Away says that the strand's connection is interrupted, but may go on later where it was. Both ends send what is on its way over
// other strands.
func (s *Strand) Away() { s.say(stateAway) }

// Back says that the strand's connection goes on.
func (s *Strand) Back() { s.say(stateUsable) }

// Drain has the strand take nothing more. StrandDrained is told when nothing is on its way any more.
func (s *Strand) Drain() { s.say(stateDraining) }

// Close ends the strand and its connection; what is on its way is sent over others.
func (s *Strand) Close() error {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.lose(net.ErrClosed)
	return nil
}

// Done is closed when the strand has ended.
func (s *Strand) Done() <-chan struct{} { return s.done }

// Err says why the strand has ended: io.EOF when the far end has closed the connection, net.ErrClosed after Close; nil while it
// has not.
func (s *Strand) Err() error {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	return s.err
}

// Load is what a strand has done so far.
type Load struct {
	Received, Sent uint64 // bytes of streams
	RoundTrip      time.Duration
	Silent         bool // nothing is acknowledged, for half a second and more
}

// Load returns what the strand has done up to now.
func (s *Strand) Load() Load {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	return Load{Received: s.bytesIn, Sent: s.bytesOut, RoundTrip: s.pace.smooth, Silent: s.silent}
}
