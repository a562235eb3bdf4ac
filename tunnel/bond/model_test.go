package bond

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// session is a model of one of Session Manager's: the agent passes on 1,024 bytes of what comes from the task with each
// millisecond, for all of its connections together. What goes to the task is passed on as it comes.
type session struct {
	mu    sync.Mutex
	every time.Duration // for 1,024 bytes
	busy  time.Time
}

// pass says when so many bytes are through.
func (s *session) pass(n int) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.busy.Before(now) {
		s.busy = now
	}
	s.busy = s.busy.Add(s.every * time.Duration(n) / 1024) // the agent cuts a stream of bytes, not what was written
	return s.busy
}

// line is one direction of a connection through a session.
type line struct {
	session *session // nil: as fast as can be
	latency func() time.Duration

	mu      sync.Mutex
	pieces  queue[piece]
	stalled time.Time // nothing arrives before
	ended   error     // by the writer
	dead    error
	last    time.Time
	changed chan struct{}
	by      time.Time
}

type piece struct {
	at    time.Time
	bytes []byte
}

var errCut = errors.New("cut")

// modelConn is one end of a connection through a session.
type modelConn struct{ in, out *line }

// connection makes one with this latency each way.
func (s *session) connection(latency func() time.Duration) (near, far *modelConn) {
	down := &line{session: s, latency: latency, changed: make(chan struct{}, 1)}
	up := &line{latency: latency, changed: make(chan struct{}, 1)}
	return &modelConn{in: down, out: up}, &modelConn{in: up, out: down}
}

func (c *modelConn) Write(p []byte) (int, error) {
	l := c.out
	l.mu.Lock()
	if l.dead != nil || l.ended != nil {
		l.mu.Unlock()
		return 0, errCut
	}
	at := time.Now()
	if l.session != nil {
		at = l.session.pass(len(p))
	}
	through := at
	if at = at.Add(l.latency()); at.Before(l.last) {
		at = l.last
	}
	l.last = at
	l.pieces.push(piece{at, append([]byte(nil), p...)})
	l.mu.Unlock()
	signal(l.changed)
	if wait := time.Until(through) - 400*time.Millisecond; wait > 0 { // the agent's buffers are full
		time.Sleep(wait)
	}
	return len(p), nil
}

func (c *modelConn) Read(p []byte) (int, error) {
	l := c.in
	for {
		l.mu.Lock()
		dead, ended := l.dead, l.ended
		now := time.Now()
		wait := time.Duration(-1)
		switch {
		case l.dead != nil:
			l.mu.Unlock()
			return 0, dead
		case !l.by.IsZero() && !now.Before(l.by):
			l.mu.Unlock()
			return 0, errDeadline
		case l.pieces.len() > 0:
			first := l.pieces.first()
			if first.at.Before(l.stalled) {
				first.at = l.stalled
			}
			if wait = first.at.Sub(now); wait <= 0 {
				n := copy(p, first.bytes)
				if first.bytes = first.bytes[n:]; len(first.bytes) == 0 {
					l.pieces.pop()
				}
				l.mu.Unlock()
				return n, nil
			}
		case l.ended != nil:
			l.mu.Unlock()
			return 0, ended
		}
		if !l.by.IsZero() && (wait < 0 || l.by.Sub(now) < wait) {
			wait = l.by.Sub(now)
		}
		l.mu.Unlock()
		if wait < 0 {
			<-l.changed
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.changed:
		}
		timer.Stop()
	}
}

// cut ends the connection: what is on its way is lost.
func (c *modelConn) cut(err error) {
	for _, l := range []*line{c.in, c.out} {
		l.mu.Lock()
		if l.dead == nil {
			l.dead = err
		}
		l.pieces = queue[piece]{}
		l.mu.Unlock()
		signal(l.changed)
	}
}

// stall has nothing arrive for a while, in either direction, and all of it then.
func (c *modelConn) stall(d time.Duration) {
	for _, l := range []*line{c.in, c.out} {
		l.mu.Lock()
		l.stalled = time.Now().Add(d)
		l.mu.Unlock()
		signal(l.changed)
	}
}

func (c *modelConn) Close() error {
	c.out.mu.Lock()
	c.out.ended = io.EOF
	c.out.mu.Unlock()
	c.in.mu.Lock()
	c.in.dead = net.ErrClosed
	c.in.mu.Unlock()
	signal(c.in.changed)
	signal(c.out.changed)
	return nil
}

func (c *modelConn) SetReadDeadline(t time.Time) error {
	c.in.mu.Lock()
	c.in.by = t
	c.in.mu.Unlock()
	signal(c.in.changed)
	return nil
}

func (c *modelConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *modelConn) SetWriteDeadline(time.Time) error { return nil }
func (c *modelConn) LocalAddr() net.Addr              { return address("model") }
func (c *modelConn) RemoteAddr() net.Addr             { return address("model") }

// Ports of the model's task.
const (
	portSource  = 1 // reads a length and a seed, sends as many bytes
	portEcho    = 2
	portDigest  = 3 // reads to the end, sends the checksum of what came
	portRefused = 4
)

// lab is a relay, a bundle, and what is between them.
type lab struct {
	*testing.T

	relay   *Relay
	bundle  *Bundle
	latency atomic.Int64 // in ns, each way
	events  []Event
	mu      sync.Mutex
	tell    func(Event)
	conns   map[*Strand]*modelConn
}

// newLab is to be called within a bubble; leave ends it.
func newLab(t *testing.T, config Config) (l *lab, leave func()) {
	t.Helper()
	l = &lab{T: t, conns: map[*Strand]*modelConn{}}
	l.each(10 * time.Millisecond)
	l.relay = &Relay{Targets: []uint16{portSource, portEcho, portDigest, portRefused}, Dial: dialModel}
	config.Tell = l.heed
	l.bundle = New(config)
	return l, func() {
		_ = l.bundle.Close()
		_ = l.relay.Close()
	}
}

func (l *lab) heed(e Event) {
	l.mu.Lock()
	l.events = append(l.events, e)
	tell := l.tell
	l.mu.Unlock()
	if tell != nil {
		tell(e)
	}
}

// heard counts the events of a kind so far.
func (l *lab) heard(kind EventKind) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// each sets the latency of each way, which wait returns.
func (l *lab) each(latency time.Duration) { l.latency.Store(int64(latency)) }
func (l *lab) wait() time.Duration        { return time.Duration(l.latency.Load()) }

func newSession() *session { return &session{every: time.Millisecond} }

// strand adds one through a session.
func (l *lab) strand(through *session) *Strand {
	l.Helper()
	near, far := through.connection(l.wait)
	l.relay.Take(far)
	s, err := l.bundle.Join(context.Background(), near)
	if err != nil {
		l.Fatal(err)
	}
	l.mu.Lock()
	l.conns[s] = near
	l.mu.Unlock()
	return s
}

// strands adds n, each through a session of its own.
func (l *lab) strands(n int) (all []*Strand) {
	l.Helper()
	for range n {
		all = append(all, l.strand(newSession()))
	}
	return all
}

// source asks for bytes.
func (l *lab) source(n int, seed uint64) *Stream {
	l.Helper()
	s, err := l.bundle.Begin(portSource)
	if err != nil {
		l.Fatal(err)
	}
	if _, err := s.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(n)), seed)); err != nil {
		l.Fatal(err)
	}
	return s
}

// download fetches and checks, and says how long that took and the longest time without a byte.
func (l *lab) download(n int) (took, silence time.Duration) {
	l.Helper()
	began := time.Now()
	s := l.source(n, 7)
	defer s.Close()
	last := began
	want, expected := newNoise(7), make([]byte, 32<<10)
	buf, got := make([]byte, 32<<10), 0
	for {
		k, err := s.Read(buf)
		if k > 0 {
			if got > 0 {
				silence = max(silence, time.Since(last))
			}
			last = time.Now()
			got += k
			if _, _ = io.ReadFull(want, expected[:k]); !bytes.Equal(buf[:k], expected[:k]) {
				l.Fatalf("other bytes within %d before %d", k, got)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			l.Fatalf("after %d bytes: %v", got, err)
		}
	}
	if got != n {
		l.Fatalf("got %d bytes, want %d", got, n)
	}
	return last.Sub(began), silence
}

var table = crc64.MakeTable(crc64.ISO)

// noise are bytes that depend on the seed alone, and repeat after a prime number of them.
type noise struct {
	block []byte
	at    int
}

func newNoise(seed uint64) *noise {
	n := &noise{block: make([]byte, 16381)}
	from := rand.NewPCG(seed, seed)
	for i := 0; i+8 <= len(n.block); i += 8 {
		binary.LittleEndian.PutUint64(n.block[i:], from.Uint64())
	}
	return n
}

func (n *noise) Read(p []byte) (int, error) {
	k := copy(p, n.block[n.at:])
	n.at = (n.at + k) % len(n.block)
	return k, nil
}

func dialModel(_ context.Context, port uint16) (net.Conn, error) {
	if port == portRefused {
		return nil, errors.New("refused")
	}
	near, far := halves()
	go func() {
		defer far.Close()
		switch port {
		case portSource:
			var ask [16]byte
			if _, err := io.ReadFull(far, ask[:]); err != nil {
				return
			}
			seed := binary.BigEndian.Uint64(ask[8:])
			_, _ = io.CopyN(struct{ io.Writer }{far}, newNoise(seed), int64(binary.BigEndian.Uint64(ask[:])))
		case portEcho:
			_, _ = io.Copy(struct{ io.Writer }{far}, struct{ io.Reader }{far})
		case portDigest:
			sum := crc64.New(table)
			if _, err := io.Copy(sum, struct{ io.Reader }{far}); err == nil {
				_, _ = far.Write(sum.Sum(nil))
			}
		}
	}()
	return near, nil
}
