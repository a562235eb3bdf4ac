package bond

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Relay is the far end of any number of bundles: it takes their strands, and connects their streams to the ports that it was
// given, and to no others. Its zero value has no ports. Its methods are safe for concurrent use.
type Relay struct {
	Targets []uint16                                                 // the ports to which streams may be connected
	Dial    func(ctx context.Context, port uint16) (net.Conn, error) // connects to one of them; nil dials it on 127.0.0.1
	Limits  Limits
	Build   string // how this program calls itself in an answer

	once         sync.Once // done by begin
	bounds       Limits    // Limits with the defaults put in
	credit, hold *budget   // shared by all bundles
	instance     id        // the name of this relay from its start to its end

	mu      sync.Mutex
	bundles map[id]*end
	callers map[net.Conn]struct{} // connections that have not said hello yet
	closed  bool
	running sync.WaitGroup

	counts Counts
}

// Counts say how much a relay does and has done, but nothing of who and where.
type Counts struct {
	Bundles, Strands, Streams int    // that there are at the moment
	Opened, Refused           uint64 // streams that were connected, and that could not be
	Turned                    uint64 // connections that said no hello, or were refused
}

const (
	callersLimit = 64               // connections that may not have said hello yet; further ones are closed
	dialWithin   = 10 * time.Second // how long connecting to a target may take
	// answerWithin is how long the word that a stream is connected waits for what the target answers, so that the agent sends both
	// in one message: it rests a millisecond behind each.
	answerWithin = 2 * time.Millisecond
)

// begin sets up what the zero value has not.
func (r *Relay) begin() {
	r.once.Do(func() {
		r.bounds = r.Limits.or(Limits{Streams: 1024, Bundles: 16, Strands: 32, Stream: 1 << 20, Credit: 8 << 20, Hold: 8 << 20})
		r.credit, r.hold = newBudget(r.bounds.Credit), newBudget(r.bounds.Hold)
		r.bundles, r.callers = map[id]*end{}, map[net.Conn]struct{}{}
		_, _ = rand.Read(r.instance[:]) // never fails
	})
}

// Serve takes connections until the listener is closed or fails, and returns why.
func (r *Relay) Serve(l net.Listener) error {
	r.begin()
	for {
		conn, err := l.Accept()
		if err != nil {
			if timeout, is := errors.AsType[net.Error](err); is && timeout.Timeout() || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				time.Sleep(50 * time.Millisecond) // out of file descriptors, until other connections end
				continue
			}
			return err
		}
		r.Take(conn)
	}
}

// Take serves one connection, and returns at once.
func (r *Relay) Take(conn net.Conn) {
	r.begin()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.callers) >= callersLimit {
		_ = conn.Close()
		return
	}
	r.callers[conn] = struct{}{}
	r.running.Go(func() { r.meet(conn) })
}

// meet reads the hello of a connection and has it answered.
func (r *Relay) meet(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(helloWithin))
	h, err := readHello(conn)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.callers, conn)
	a := answer{version: Version, instance: r.instance, build: r.Build}
	var e *end
	switch {
	case err != nil || r.closed:
		r.counts.Turned++
		_ = conn.Close()
		return
	case h.version != Version:
		a.verdict = verdictVersion
	case h.purpose == purposeCheck:
	default:
		e, a.verdict = r.seat(h)
	}
	_ = conn.SetDeadline(time.Now().Add(helloWithin))
	if a.verdict != verdictWelcome || e == nil {
		if a.verdict != verdictWelcome {
			r.counts.Turned++
		}
		r.running.Go(func() {
			_, _ = conn.Write(a.bytes())
			_ = conn.Close()
		})
		return
	}
	r.running.Go(func() { r.admit(e, h.strand, conn, a) })
}

// admit answers a hello and makes the connection a strand.
func (r *Relay) admit(e *end, strand uint16, conn net.Conn, a answer) {
	_, err := conn.Write(a.bytes())
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil || e.err != nil {
		delete(e.seats, strand)
		_ = conn.Close()
		return
	}
	e.join(strand, conn)
}

// seat finds the bundle to which a hello belongs, or makes it, and takes the strand's number there. r.mu is held.
func (r *Relay) seat(h hello) (*end, verdict) {
	e := r.bundles[h.bundle]
	switch {
	case h.purpose == purposeNew && e != nil, h.purpose == purposeJoin && (e == nil || h.instance != r.instance):
		return nil, verdictStranger
	case h.purpose == purposeNew && len(r.bundles) >= r.bounds.Bundles:
		return nil, verdictFull
	case h.purpose == purposeNew:
		e = newEnd(r.bounds, purse{of: r.credit, most: r.bounds.Credit / 2}, purse{of: r.hold, most: r.bounds.Hold / 2}, nil)
		e.accept = func(s *Stream) { r.running.Go(func() { r.carry(s) }) }
		e.seats[h.strand] = struct{}{}
		r.bundles[h.bundle] = e
		r.running.Go(func() {
			e.run()
			r.mu.Lock()
			delete(r.bundles, h.bundle)
			r.mu.Unlock()
			e.running.Wait()
		})
		return e, verdictWelcome
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, taken := e.seats[h.strand]; taken || len(e.seats) >= r.bounds.Strands {
		return nil, verdictFull
	}
	e.seats[h.strand] = struct{}{}
	return e, verdictWelcome
}

// carry connects a stream to its target and copies in both directions until both have ended.
func (r *Relay) carry(s *Stream) {
	conn, err := r.dial(s.port)
	if err != nil {
		r.count(func(c *Counts) { c.Refused++ })
		s.e.mu.Lock()
		defer s.e.mu.Unlock()
		why := reasonFor(err)
		if errors.Is(err, ErrForbidden) {
			why = reasonForbidden
		}
		s.breakOff(why)
		return
	}
	defer func() { _ = conn.Close() }()
	r.count(func(c *Counts) { c.Opened++ })
	// A target may take nothing any more: what is written to it is given up with the stream.
	if !s.welcome(func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }, func() { _ = conn.Close() }) {
		return
	}
	var up sync.WaitGroup
	up.Go(func() {
		if _, err := s.WriteTo(conn); err != nil {
			_ = conn.Close()
			return
		}
		if half, is := conn.(interface{ CloseWrite() error }); is {
			_ = half.CloseWrite()
		}
	})
	err = fetch(s, conn)
	switch {
	case err == nil:
		_ = s.CloseWrite()
	case !errors.Is(err, errStopped) && !s.isStopped():
		s.Reset()
	}
	up.Wait()
	_ = s.Close()
}

// fetch copies what a target sends to a stream until its end. It has a small buffer, as most targets send nothing most of the
// time, and a larger one for a target that fills that.
func fetch(s *Stream, from io.Reader) error {
	buf := make([]byte, 1<<10)
	for {
		n, err := from.Read(buf)
		if _, wrong := s.Write(buf[:n]); wrong != nil {
			return wrong
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == len(buf) && n < frameSize:
			buf = make([]byte, frameSize)
		}
	}
}

// dial connects to one of the targets.
func (r *Relay) dial(port uint16) (net.Conn, error) {
	if !slices.Contains(r.Targets, port) {
		return nil, ErrForbidden
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialWithin)
	defer cancel()
	if r.Dial != nil {
		return r.Dial(ctx, port)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
}

// welcome tells the near end that the stream is connected; stop will be called when the near end reads the stream no more, cut when
// the stream is aborted. It reports false when the stream is over already. It takes the end's lock.
func (s *Stream) welcome(stop, cut func()) bool {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.gone() {
		return false
	}
	if more := s.e.credit.share(relayCredit - earlyCredit); s.granted == earlyCredit {
		s.granted, s.reserved = s.granted+more, s.reserved+more
	} else {
		s.e.credit.give(more)
	}
	s.unsaid = true
	if s.in.next == 0 {
		s.announce()
	} else {
		time.AfterFunc(answerWithin, func() {
			s.e.mu.Lock()
			defer s.e.mu.Unlock()
			s.announce()
		})
	}
	s.onAbort = cut
	if s.onStop = stop; s.sending.over {
		go stop()
	}
	return true
}

// announce says that the stream is connected, unless that has been said. The end's lock is held.
func (s *Stream) announce() {
	if s.unsaid && !s.gone() {
		s.e.command(header{kind: kindOpened, stream: s.id, offset: s.granted})
	}
	s.unsaid = false
}

// isStopped reports whether nothing can be sent on the stream any more. It takes the end's lock.
func (s *Stream) isStopped() bool {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	return s.sending.over
}

func (r *Relay) count(change func(*Counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.counts)
}

// Counts returns the counts of this moment.
func (r *Relay) Counts() Counts {
	r.mu.Lock()
	c, all := r.counts, make([]*end, 0, len(r.bundles))
	for _, e := range r.bundles {
		all = append(all, e)
	}
	r.mu.Unlock()
	c.Bundles = len(all)
	for _, e := range all {
		e.mu.Lock()
		c.Strands += len(e.strands)
		c.Streams += len(e.streams)
		e.mu.Unlock()
	}
	return c
}

// Close ends all bundles and waits until nothing of the relay runs.
func (r *Relay) Close() error {
	r.begin()
	r.mu.Lock()
	r.closed = true
	for conn := range r.callers {
		_ = conn.Close()
	}
	all := make([]*end, 0, len(r.bundles))
	for _, e := range r.bundles {
		all = append(all, e)
	}
	r.mu.Unlock()
	for _, e := range all {
		e.mu.Lock()
		e.fail(ErrClosed)
		e.mu.Unlock()
	}
	r.running.Wait()
	return nil
}
