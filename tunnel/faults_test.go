package tunnel_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// The rows of the fault table (docs/faults.md) run in worlds of their own, watched from the first event to the last.

const (
	// patience is how long a transfer may take without a byte; more is a hang.
	patience = 60 * time.Second
	// lag is how far a state may trail what the account sees, on two busy cores with the race detector.
	lag = 5 * time.Second
)

func skipInShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short")
	}
}

// faultWorld is a world in front of the server of a row, in parallel to those of other rows. Its tunnels' events are
// judged as they come, and at the end no listener may be left.
type faultWorld struct {
	*world
	*witness
}

func newFaultWorld(t *testing.T, o tunnel.Options, faults func(*emulator.Faults)) *faultWorld {
	t.Helper()
	t.Parallel()
	return newFaultWorldAt(t, need.Server(t, answer), o, faults)
}

func newFaultWorldAt(t *testing.T, server string, o tunnel.Options, faults func(*emulator.Faults)) *faultWorld {
	t.Helper()
	s := &witness{t: t, seen: map[tunnel.ID][]tunnel.Event{}}
	t.Cleanup(s.conclude) // the last: after the engine and the account were closed
	w := &faultWorld{world: newWorld(t, server, o, faults), witness: s}
	s.watch(w.engine)
	return w
}

// open is world.open of one lane to the service, with a sampler that compares what is shown with what the account sees.
func (w *faultWorld) open(s tunnel.Spec) *tunnel.Tunnel {
	w.Helper()
	tn := w.launch(s)
	w.events.await(w.T, tn, tunnel.Open)
	return tn
}

// launch is open without waiting.
func (w *faultWorld) launch(s tunnel.Spec) *tunnel.Tunnel {
	w.Helper()
	listeners.Lock()
	defer listeners.Unlock()
	tn := w.startApart(s)
	listeners.held[tn.Addr().String()] = tn
	w.tunnels = append(w.tunnels, tn)
	ctx, stop := context.WithCancel(context.Background())
	var sampling sync.WaitGroup
	sampling.Go(func() { w.sample(ctx, tn, w.account) })
	w.Cleanup(func() { stop(); sampling.Wait() })
	return tn
}

// startApart is start on a port that no other process, nor a test that is no row, takes for its own when the row is over.
func (w *faultWorld) startApart(s tunnel.Spec) *tunnel.Tunnel {
	w.Helper()
	if s.Socket != "" || s.Local.Port() != 0 {
		return w.start(s)
	}
	for {
		free, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			w.Fatal(err)
		}
		s.Local = netip.AddrPortFrom(netip.Addr{}, free.Addr().(*net.TCPAddr).AddrPort().Port())
		_ = free.Close()
		tn, err := w.try(s)
		if err == nil {
			return tn
		}
		if _, taken := errors.AsType[*tunnel.PortTakenError](err); !taken { // else somebody was quicker
			w.Fatal(err)
		}
	}
}

// listeners are the addresses of all tunnels that row tests hold open, so that one test does not take another's listener
// for its own that was left.
var listeners = struct {
	sync.Mutex
	held map[string]*tunnel.Tunnel
}{held: map[string]*tunnel.Tunnel{}}

// witness keeps and judges every event of an engine.
type witness struct {
	t       *testing.T
	tunnels []*tunnel.Tunnel
	watched sync.WaitGroup

	mu   sync.Mutex
	seen map[tunnel.ID][]tunnel.Event // changes of state
}

func (s *witness) watch(e *tunnel.Engine) {
	events := e.Watch(context.Background())
	s.watched.Go(func() {
		for event := range events {
			s.judge(event)
		}
	})
}

// follows are the states that can come after each: the same one again when its reason or its session changes.
var follows = map[tunnel.State][]tunnel.State{
	tunnel.Starting:    {tunnel.Starting, tunnel.Handshaking, tunnel.Open, tunnel.Closed, tunnel.Failed},
	tunnel.Handshaking: {tunnel.Starting, tunnel.Handshaking, tunnel.Open, tunnel.Closed, tunnel.Failed},
	tunnel.Open:        {tunnel.Open, tunnel.Resuming, tunnel.Reopening, tunnel.Asleep, tunnel.Closed, tunnel.Failed},
	tunnel.Resuming:    {tunnel.Resuming, tunnel.Open, tunnel.Reopening, tunnel.Asleep, tunnel.Closed, tunnel.Failed},
	tunnel.Reopening:   {tunnel.Reopening, tunnel.Open, tunnel.Closed, tunnel.Failed},
	tunnel.Asleep:      {tunnel.Reopening, tunnel.Closed, tunnel.Failed},
	tunnel.Closed:      nil,
	tunnel.Failed:      nil,
}

// judge fails the test on an event that cannot be true.
func (s *witness) judge(e tunnel.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	past := s.seen[e.Tunnel]
	s.seen[e.Tunnel] = append(past, e)
	switch {
	case len(past) == 0 && e.State != tunnel.Starting:
		s.t.Errorf("tunnel %d begins as %s", e.Tunnel, e.State)
	case len(past) > 0:
		last := past[len(past)-1]
		if !slices.Contains(follows[last.State], e.State) {
			s.t.Errorf("tunnel %d is %s after %s", e.Tunnel, e.State, last.State)
		}
		if last.State == e.State && last.Link == e.Link && fmt.Sprint(last.Err) == fmt.Sprint(e.Err) {
			s.t.Errorf("tunnel %d says %s twice", e.Tunnel, e.State)
		}
		if e.At.Before(last.At) {
			s.t.Errorf("tunnel %d: %s at %s, %s before it at %s", e.Tunnel, e.State, e.At, last.State, last.At)
		}
	}
	switch e.State {
	case tunnel.Open:
		if e.Err != nil || e.Link.Session == "" || e.Link.Target.RuntimeID == "" {
			s.t.Errorf("tunnel %d is open with error %v and link %+v", e.Tunnel, e.Err, e.Link)
		}
	case tunnel.Asleep, tunnel.Failed:
		if e.Err == nil {
			s.t.Errorf("tunnel %d is %s and does not say why", e.Tunnel, e.State)
		}
	case tunnel.Closed, tunnel.Handshaking:
		if e.Err != nil {
			s.t.Errorf("tunnel %d is %s with error %v", e.Tunnel, e.State, e.Err)
		}
	case tunnel.Starting, tunnel.Resuming, tunnel.Reopening:
	}
}

// sample compares what a tunnel shows with the sessions of the account ten times a second.
func (s *witness) sample(ctx context.Context, tn *tunnel.Tunnel, account *emulator.Emulator) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var wrong time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		state, _ := tn.State()
		link := tn.Link()
		connected := slices.ContainsFunc(account.Sessions(), func(one emulator.Session) bool {
			return one.ID == link.Session && one.Client
		})
		shown := state == tunnel.Open
		if shown == connected || state == tunnel.Handshaking {
			wrong = time.Time{}
			continue
		}
		if wrong.IsZero() {
			wrong = time.Now()
		}
		if time.Since(wrong) > lag {
			s.t.Errorf("tunnel %d has been shown as %s for %s, and its session's client is connected: %t", tn.ID(), state, lag, connected)
			return
		}
	}
}

// count is how often a tunnel has entered a state.
func (s *witness) count(tn *tunnel.Tunnel, state tunnel.State) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last tunnel.State
	for _, e := range s.seen[tn.ID()] {
		if e.State == state && last != state {
			n++
		}
		last = e.State
	}
	return n
}

// path is the states that a tunnel went through, without repetitions.
func (s *witness) path(tn *tunnel.Tunnel) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, e := range s.seen[tn.ID()] {
		if name := e.State.String(); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// conclude checks, when all is closed, that every tunnel said so and no listener is left.
func (s *witness) conclude() {
	s.watched.Wait()
	listeners.Lock()
	defer listeners.Unlock()
	for _, tn := range s.tunnels {
		shown, _ := tn.State()
		if all := s.seen[tn.ID()]; len(all) == 0 || all[len(all)-1].State != shown || !shown.Final() {
			s.t.Errorf("tunnel %d ends as %s, its events as %v", tn.ID(), shown, s.path(tn))
		}
		at := tn.Addr().String()
		if socket := tn.Spec().Socket; socket != "" {
			if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
				s.t.Errorf("the socket %s is left: %v", socket, err)
			}
			continue
		}
		if listeners.held[at] != tn {
			continue // another test listens there by now
		}
		delete(listeners.held, at)
		if conn, err := net.DialTimeout("tcp", at, time.Second); err == nil {
			s.t.Errorf("the listener %s is left", at)
			_ = conn.Close()
		}
	}
	if s.t.Failed() {
		for _, tn := range s.tunnels {
			s.t.Logf("tunnel %d went %s", tn.ID(), s.path(tn))
			for _, e := range tn.History() {
				s.t.Logf("  %s %-12s %s %v", e.At.Format("05.000"), e.State, e.Link.Session, e.Err)
			}
		}
	}
}

// The server of the rows answers orders: a letter, a seed and a length.
const (
	orderUpload   = 'u' // length bytes follow; the answer is their SHA-256
	orderDownload = 'd' // the answer is length bytes that the seed determines
	orderEcho     = 'e' // length bytes follow and are the answer
	orderFlood    = 'f' // the answer never ends
	orderStall    = 's' // what follows is never read, and the connection stays open until the test is over
)

const orderSize = 10

func order(what byte, seed uint8, length int) []byte {
	return binary.BigEndian.AppendUint64([]byte{what, seed}, uint64(length))
}

// answer serves orders until the client is gone.
func answer(c *net.TCPConn) {
	head := make([]byte, orderSize)
	for {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		if !fulfil(c, head[0], head[1], int(binary.BigEndian.Uint64(head[2:]))) {
			return
		}
	}
}

func fulfil(c *net.TCPConn, what, seed byte, length int) bool {
	var err error
	switch what {
	case orderUpload:
		sum := sha256.New()
		if _, err = io.CopyN(sum, c, int64(length)); err == nil {
			_, err = c.Write(sum.Sum(nil))
		}
	case orderDownload:
		_, err = io.CopyN(c, endless(uint64(seed)), int64(length))
	case orderEcho:
		_, err = io.CopyN(c, c, int64(length))
	case orderFlood:
		for block := random(64<<10, uint64(seed)); err == nil; {
			_, err = c.Write(block)
		}
	case orderStall:
		// It ends when the agent lets go of the connection, which an error on write shows: nothing is ever read.
		for err == nil {
			time.Sleep(50 * time.Millisecond)
			_, err = c.Write([]byte{0})
		}
	default:
		return false
	}
	return err == nil
}

// trade is one order over a connection, verified by SHA-256.
type trade func(conn net.Conn, seed uint8, size int) error

func upload(conn net.Conn, seed uint8, size int) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	body := random(size, uint64(seed))
	if _, err := conn.Write(append(order(orderUpload, seed, size), body...)); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	var got [sha256.Size]byte
	if _, err := io.ReadFull(conn, got[:]); err != nil {
		return fmt.Errorf("upload: read the digest: %w", err)
	}
	if got != sha256.Sum256(body) {
		return errors.New("upload: the far end's SHA-256 differs")
	}
	return nil
}

func download(conn net.Conn, seed uint8, size int) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(order(orderDownload, seed, size)); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	got, want := sha256.New(), sha256.New()
	if n, err := io.CopyN(got, conn, int64(size)); err != nil {
		return fmt.Errorf("download: after %d of %d bytes: %w", n, size, err)
	}
	if _, err := io.CopyN(want, endless(uint64(seed)), int64(size)); err != nil || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		return errors.New("download: the SHA-256 differs from the far end's")
	}
	return nil
}

func echoed(conn net.Conn, seed uint8, size int) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(order(orderEcho, seed, size)); err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	if err := exchange(conn, random(size, uint64(seed))); err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	return nil
}

// all runs every trade once on a connection of its own, one after the other.
func (w *faultWorld) all(tn *tunnel.Tunnel, size int) {
	w.Helper()
	for i, one := range []trade{upload, download, echoed} {
		conn := w.dial(tn)
		if err := one(conn, uint8(10+i), size); err != nil {
			w.Fatal(err)
		}
		_ = conn.Close()
	}
}

// keep repeats a trade on one connection until enough is closed, and returns how often it was done.
func keep(conn net.Conn, one trade, size int, enough <-chan struct{}) (rounds int, err error) {
	for seed := uint8(0); ; seed++ {
		select {
		case <-enough:
			return rounds, nil
		default:
		}
		if err := one(conn, seed, size); err != nil {
			return rounds, fmt.Errorf("round %d: %w", rounds, err)
		}
		rounds++
	}
}

// The first three rows: a socket is lost every three seconds, on either leg or on both, politely (close 1000) or with
// TCP cut, while a download, an upload and an echo run, each on its own connection. protocol.md 9, P2 (writes into a
// socket that is gone), P4 (resumed for as long as it takes) and A9 (the agent's own socket replaced: with AWS's client a
// download stalls for good).
func TestFaultTransfersOutliveLostSockets(t *testing.T) {
	skipInShort(t)
	t.Parallel()
	for _, leg := range []string{"client", "agent", "both"} {
		for _, how := range []string{"close 1000", "cut"} {
			t.Run(leg+" "+how, func(t *testing.T) {
				const every = 3 * time.Second
				w := newFaultWorld(t, tunnel.Options{Lanes: 1, UploadRate: 1_000_000}, func(f *emulator.Faults) {
					f.Pacing = time.Millisecond // what an agent lost it repairs one message in 100 ms (A1)
					f.TakesTwice = false        // it is seldom in the midst of one here, and then TestFaultAgentTakesAMessageTwice holds
					closing := emulator.Closing{Every: every, Cut: how == "cut"}
					if leg != "agent" {
						f.ClientLeg = closing
					}
					if leg != "client" {
						f.AgentLeg = closing
					}
				})
				tn := w.open(tunnel.Spec{})
				session := tn.Link().Session
				enough := make(chan struct{})
				var working sync.WaitGroup
				sizes := map[string]int{"download": 200_000, "upload": 500_000, "echo": 3000}
				for name, one := range map[string]trade{"download": download, "upload": upload, "echo": echoed} {
					conn := w.dial(tn)
					working.Go(func() {
						if rounds, err := keep(conn, one, sizes[name], enough); err != nil || rounds == 0 {
							t.Errorf("%s: %d rounds, %v", name, rounds, err)
						}
					})
				}
				if leg == "agent" {
					time.Sleep(3*every + every/2) // the agent's losses are not seen from here
				} else {
					need.Eventually(t, "three resumes", func() bool { return w.count(tn, tunnel.Resuming) >= 3 })
				}
				close(enough)
				working.Wait()
				if got := tn.Link().Session; got != session {
					t.Errorf("the session is now %s, want %s resumed", got, session)
				}
				if leg == "agent" && w.count(tn, tunnel.Resuming) > 0 {
					t.Error("the client's socket was lost when the agent's was")
				}
			})
		}
	}
}

// A row: data and acknowledges lost on all four ways, 1 % and then 5 % with duplicates and reordering. protocol.md 9, P1
// (one lost acknowledge and one lost message stall AWS's client for good) and A1 (the agent repairs ten a second).
func TestFaultLossyPathKeepsEveryByte(t *testing.T) {
	skipInShort(t)
	t.Parallel()
	for name, loss := range map[string]emulator.Loss{
		"1 percent": {Drop: 0.01},
		"5 percent with duplicates and reordering": {Drop: 0.05, Duplicate: 0.05, Reorder: 0.05},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFaultWorld(t, tunnel.Options{}, func(f *emulator.Faults) {
				f.Up, f.Down = emulator.Path{Data: loss, Acks: loss}, emulator.Path{Data: loss, Acks: loss}
			})
			tn := w.open(tunnel.Spec{})
			up, down, echo := w.dial(tn), w.dial(tn), w.dial(tn)
			var working sync.WaitGroup
			working.Go(func() {
				if err := upload(up, 1, 2<<20); err != nil {
					t.Error(err)
				}
			})
			working.Go(func() {
				if err := download(down, 2, 150_000); err != nil {
					t.Error(err)
				}
			})
			working.Go(func() {
				for seed := range uint8(10) {
					if err := echoed(echo, seed, 2000); err != nil {
						t.Error(err)
						return
					}
				}
			})
			working.Wait()
			if tn.Stats().Resent == 0 {
				t.Error("nothing was resent on a path that loses messages")
			}
			if got := w.path(tn); got != "starting handshaking open" {
				t.Errorf("lost messages are shown as %q", got)
			}
		})
	}
}
