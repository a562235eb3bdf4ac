package bond

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"time"
)

const (
	ackBytes  = 4 << 10
	ackWithin = 8 * time.Millisecond
	// A strand on which nothing at all is acknowledged for this and two round trips is silent: what it carries is sent
	// once more over others. Shorter, a queue that is merely long has everything sent twice, and becomes longer.
	silence   = 500 * time.Millisecond
	pingAfter = 15 * time.Second // without a word
	deadAfter = 20 * time.Second // without an acknowledge that is due
	awayLimit = time.Minute      // that one may be away
)

// state is what a strand may be used for, as a number of the protocol.
type state uint8

const (
	stateUsable   state = 0
	stateAway     state = 1 // its connection is interrupted; what is on its way may come later
	stateDraining state = 2 // it takes nothing more
	stateDrained  state = 3 // and nothing of it is on its way, says the far end
)

// Strand is one of a bundle's connections.
type Strand struct {
	e    *end
	id   uint16
	conn net.Conn
	wake chan struct{}
	done chan struct{}

	state    state
	turn     uint64 // how often the state was changed
	since    time.Time
	silent   bool
	ended    bool
	err      error
	drained  bool // the far end has nothing more on it
	reported bool // that it is drained
	waiting  bool // for something to send
	writing  time.Time
	pinging  bool // it is to be asked whether it is there

	flight   queue[flying]
	inflight uint64
	sent     uint64
	acked    uint64
	ackedAt  time.Time
	pace     pace

	received, confirmed uint64
	receivedAt          time.Time
	heardAt             time.Time
	ackDue              bool
	ackTimer            *time.Timer

	out               []byte
	movedAt           time.Time // when data last went over it
	bytesIn, bytesOut uint64    // of data
	use               use
}

// flying is a frame on its way.
type flying struct {
	frame *frame
	end   uint64 // the strand's count behind it
	sent  sent
}

// join adds a strand on a connection that has said hello.
func (e *end) join(id uint16, conn net.Conn) *Strand {
	now := time.Now()
	var window uint64 // others know already what can be expected
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
	e.bare = time.Time{}
	e.demand.joined(now)
	e.running.Go(s.read)
	e.running.Go(s.write)
	e.kick(now)
	e.rouse()
	return s
}

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

func (s *Strand) rouse() {
	s.waiting = false
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// confirm has an acknowledge sent that waited for more to acknowledge. It takes the lock.
func (s *Strand) confirm() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.received > s.confirmed {
		s.ackDue = true
		s.rouse()
	}
}

// heard counts a frame that has come.
func (s *Strand) heard(h header, now time.Time) {
	s.heardAt = now
	if h.kind == kindData {
		s.movedAt = now
		s.bytesIn += uint64(h.length)
	}
	if !h.counted() {
		return
	}
	if s.received == s.confirmed {
		s.ackTimer.Reset(ackWithin)
	}
	s.received += headerSize + uint64(h.length)
	s.receivedAt = now
	if s.received-s.confirmed >= ackBytes {
		s.ackDue = true
		s.rouse()
	}
}

// acknowledged takes the count of the far end.
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

// settle is called for a frame that has arrived.
func (s *Strand) settle(f *frame) {
	if f.settled {
		return
	}
	f.settled, f.payload = true, nil
	if f.of != nil {
		f.of.delivered(f)
	}
}

// usable reports whether it takes frames; ready, whether it can be expected to carry them.
func (s *Strand) usable() bool { return !s.ended && s.state == stateUsable }
func (s *Strand) ready() bool  { return s.usable() && !s.silent }

// watch looks for silence.
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
	s.silent = true
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

// others counts those besides s that carry something.
func (e *end) others(s *Strand) (n int) {
	for _, other := range e.strands {
		if other != s && other.ready() {
			n++
		}
	}
	return n
}

// abandon gives what is on its way to others.
func (s *Strand) abandon() {
	for _, f := range s.flight.all() {
		if f.frame.copies--; f.frame.copies == 0 {
			s.e.requeue(f.frame)
		}
	}
	s.e.kick(time.Now())
}

// become changes the state, and says whether it was another.
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
			f.frame.queued = false // its connection keeps what it was given
		}
		s.rouse()
	}
	s.e.keepFree(s.since)
	s.e.kick(s.since)
	s.checkDrained()
	return true
}

// told takes what the other end says of the strand.
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

// say changes the state at this end and tells the other.
func (s *Strand) say(next state) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if !s.become(next) {
		return
	}
	s.turn++
	s.e.command(header{kind: kindState, stream: uint32(s.id), offset: s.turn}, byte(next))
}

// checkDrained tells when nothing is on its way any more on a strand that takes nothing.
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

// lose ends the strand.
func (s *Strand) lose(err error) {
	if s.ended {
		return
	}
	e := s.e
	s.ended, s.err = true, err
	delete(e.seats, s.id)
	s.ackTimer.Stop()
	close(s.done)
	e.running.Go(func() { _ = s.conn.Close() }) // it may wait for what its lane has to write
	e.strands = slices.DeleteFunc(e.strands, func(other *Strand) bool { return other == s })
	if len(e.strands) == 0 {
		e.bare = time.Now()
	}
	if s.state != stateAway {
		s.abandon()
	}
	s.flight, s.inflight = queue[flying]{}, 0
	e.keepFree(time.Now())
	e.kick(time.Now())
	e.post(Event{Kind: StrandEnded, Strand: s, Err: err})
}

// ID names the strand in its bundle.
func (s *Strand) ID() int { return int(s.id) }

// Away says that the strand's connection is interrupted, but may go on later where it was. What is on its way goes over
// others, from both ends.
func (s *Strand) Away() { s.say(stateAway) }

// Back says that the strand's connection goes on.
func (s *Strand) Back() { s.say(stateUsable) }

// Drain has the strand take nothing more. StrandDrained follows when nothing is on its way.
func (s *Strand) Drain() { s.say(stateDraining) }

// Close ends the strand and its connection; what is on its way goes over others.
func (s *Strand) Close() error {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.lose(net.ErrClosed)
	return nil
}

// Done is closed when the strand has ended.
func (s *Strand) Done() <-chan struct{} { return s.done }

// Err says why it has ended; io.EOF when the far end has closed it, net.ErrClosed when Close has.
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

// Load is of this moment.
func (s *Strand) Load() Load {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	return Load{Received: s.bytesIn, Sent: s.bytesOut, RoundTrip: s.pace.smooth, Silent: s.silent}
}
