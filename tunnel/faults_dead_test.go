package tunnel_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/internal/say"
	"culvert/tunnel"
)

// A task dies without a word: its exec agent is killed together with the workers, no session is closed, and all that the
// service says is that the agent is away.

// serveWithin is how long it may take from the death to the first new connection that is served, where another task is ready.
const serveWithin = 6 * time.Second

// openTimed is open, and returns as well how long what follows the end of a session takes at the most, which is the machine's matter:
// another one has to be opened, and others beside it.
func (w *faultWorld) openTimed(s tunnel.Spec) (*tunnel.Tunnel, time.Duration) {
	w.Helper()
	began := time.Now()
	tn := w.open(s)
	return tn, 5 * time.Since(began)
}

// Rows: beside another task that is ready, with as many sessions as it takes and with one. A download, of which the agent
// had a part, is reset with the cause; the connection that is made in the moment of the death is served elsewhere.
func TestFaultTaskDiesBesideAReadyOne(t *testing.T) {
	for name, lanes := range map[string]int{"adapting": 0, "one lane": 1} {
		t.Run(name, func(t *testing.T) {
			var (
				w       *faultWorld
				tn      *tunnel.Tunnel
				old     tunnel.Link
				next    net.Conn
				ended   <-chan error
				asked   int
				began   time.Time
				machine time.Duration
				problem error
			)
			// On a busy machine the agent's last words are read late: what was sent by then may have reached it, so that the
			// connection is reset, as it should be. The next world may be lucky.
			t.Parallel()
			for range 3 {
				w = newFaultWorldAt(t, need.Server(t, answer), tunnel.Options{Lanes: lanes}, func(f *emulator.Faults) { f.Pacing = time.Millisecond })
				tn, machine = w.openTimed(tunnel.Spec{})
				old = tn.Link()
				_, ended = w.under(tn, download, 20<<20)
				asked = w.account.Calls("DescribeTasks")
				began = time.Now()
				if err := w.account.KillAgent(old.Target.Task); err != nil {
					t.Fatal(err)
				}
				next = w.dial(tn)
				if problem = echoed(next, 1, 100_000); problem == nil {
					break
				}
			}
			if problem != nil {
				t.Errorf("the connection made when it died: %v", problem)
			}
			if took := time.Since(began); took > serveWithin+machine {
				t.Errorf("it was served after %s", took)
			}
			if err := ends(t, ended, serveWithin); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the download ended with %v, want a reset", err)
			}
			w.silent(tn, 1)
			need.Eventually(t, "the session that died to end", func() bool {
				return !slices.ContainsFunc(w.account.Sessions(), func(one emulator.Session) bool { return one.ID == old.Session })
			})
			if lanes == 1 { // others may have a session at another task already
				trouble := w.events.await(t, tn, tunnel.Resuming)
				if _, ok := errors.AsType[*tunnel.SilentError](trouble.Err); !ok || trouble.At.Sub(began) > 3*time.Second {
					t.Errorf("%s after %s: %v", trouble.State, trouble.At.Sub(began), trouble.Err)
				}
				if n := w.account.Calls("DescribeTasks") - asked; n > 4 { // two for the hint and its repetition, two to find another task
					t.Errorf("%d calls of DescribeTasks", n)
				}
				if n := len(w.account.Sessions()); n != 1 {
					t.Errorf("%d sessions", n)
				}
			}
			// The account knows of the session's end a moment before the tunnel shows it.
			need.Eventually(t, "the tunnel to lead elsewhere", func() bool { return tn.Link().Target.Task != old.Target.Task })
			w.all(tn, 50_000)
		})
	}
}

// silent checks that so many connections have ended because their agent was gone, and no others badly.
func (w *faultWorld) silent(tn *tunnel.Tunnel, want int) {
	w.Helper()
	need.Eventually(w.T, "the ends of connections that are lost", func() bool {
		n := 0
		for _, c := range tn.Connections() {
			silent, ok := errors.AsType[*tunnel.SilentError](c.Err)
			if ok {
				n++
				if silent.Remedy() == "" || silent.Session == "" || !strings.Contains(silent.Error(), silent.Target.Task) {
					w.Errorf("%v says too little", silent)
				}
			} else if c.Err != nil {
				w.Errorf("connection %d ended with %v", c.ID, c.Err)
			}
		}
		return n == want
	})
}

// A row: the service has no other task, and ECS starts one in its place only later, when it has noticed. The connection that
// is made meanwhile waits for it.
func TestFaultTaskDiesAndIsReplacedLater(t *testing.T) {
	skipInShort(t)
	w := newFaultWorld(t, tunnel.Options{}, nil)
	w.shrink()
	tn := w.open(tunnel.Spec{})
	old := tn.Link()
	if err := w.account.KillAgent(old.Target.Task); err != nil {
		t.Fatal(err)
	}
	next := w.dial(tn)
	ended := make(chan error, 1)
	go func() { ended <- echoed(next, 1, 100_000) }()
	w.events.next(t, "the loss of the session", func(e tunnel.Event) bool {
		_, silent := errors.AsType[*tunnel.SilentError](e.Err)
		return e.State == tunnel.Reopening && silent
	})
	time.Sleep(2 * time.Second)
	if err := w.account.StopTask(old.Target.Task, "its health check failed"); err != nil {
		t.Fatal(err)
	}
	if err := ends(t, ended, 10*time.Second); err != nil {
		t.Error(err)
	}
	need.Eventually(t, "the tunnel to lead elsewhere", func() bool { return tn.Link().Target.Task != old.Target.Task })
	w.silent(tn, 0)
}

// shrink leaves the service one task.
func (w *faultWorld) shrink() {
	w.Helper()
	if err := w.account.Scale("c", "s", 1); err != nil {
		w.Fatal(err)
	}
	need.Eventually(w.T, "one task", func() bool { return len(w.account.Tasks("c", "s")) == 1 })
}

// A row: nothing takes its place. The tunnel says so, and so does the end of a connection that has waited; once there is a
// task, connections flow.
func TestFaultTaskDiesAndNothingTakesItsPlace(t *testing.T) {
	skipInShort(t)
	w := newFaultWorld(t, tunnel.Options{}, nil)
	w.shrink()
	tn := w.open(tunnel.Spec{})
	began := time.Now()
	if err := w.account.KillAgent(tn.Link().Target.Task); err != nil {
		t.Fatal(err)
	}
	if err := echoed(w.dial(tn), 1, 1000); err == nil {
		t.Error("a connection flows through no task")
	} else if took := time.Since(began); took > 25*time.Second {
		t.Errorf("a connection was left hanging for %s", took)
	}
	if err := lastEnd(w, tn); say.Remedy(err) == "" {
		t.Errorf("the connection ended with %v", err)
	}
	if state, err := tn.State(); state != tunnel.Reopening || err == nil {
		t.Errorf("the tunnel is %s: %v", state, err)
	}
	if err := w.account.Scale("c", "s", 2); err != nil {
		t.Fatal(err)
	}
	w.events.await(t, tn, tunnel.Open)
	w.all(tn, 50_000)
}

// A row: a tunnel to a named task does not leave it, nor for this.
func TestFaultNamedTaskDies(t *testing.T) {
	skipInShort(t)
	w := newFaultWorld(t, tunnel.Options{}, nil)
	task := w.account.Tasks("c", "s")[0]
	tn := w.open(tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "s", Task: task, Container: "app"}, Pinned: true})
	if err := w.account.KillAgent(task); err != nil {
		t.Fatal(err)
	}
	w.events.next(t, "the loss of the session", func(e tunnel.Event) bool {
		_, silent := errors.AsType[*tunnel.SilentError](e.Err)
		return e.State == tunnel.Reopening && silent
	})
	if err := w.account.StopTask(task, ""); err != nil {
		t.Fatal(err)
	}
	gone := w.events.await(t, tn, tunnel.Failed)
	if _, ok := errors.AsType[*aws.TaskGoneError](gone.Err); !ok {
		t.Errorf("failed with %v", gone.Err)
	}
}

// A row: the agent loses its socket and is away for some seconds, again and again, and all of the API is out meanwhile.
// Nothing is lost, and no session is given up.
func TestFaultAgentIsAwayForSeconds(t *testing.T) {
	skipInShort(t)
	const away = 3500 * time.Millisecond
	w := newFaultWorld(t, tunnel.Options{Lanes: 1, UploadRate: 1_000_000}, func(f *emulator.Faults) {
		f.Pacing, f.AgentAway = 5*time.Millisecond, away // what it loses it repairs one message in 100 ms (A1)
	})
	tn := w.open(tunnel.Spec{})
	session := tn.Link().Session
	w.account.Fault(func(f *emulator.Faults) { f.API = []emulator.APIFault{{Action: "ecs:*", Kind: emulator.Unreachable}} })
	enough := make(chan struct{})
	var working sync.WaitGroup
	sizes := map[string]int{"download": 60_000, "upload": 500_000, "echo": 3000}
	for name, one := range map[string]trade{"download": download, "upload": upload, "echo": echoed} {
		conn := w.dial(tn)
		working.Go(func() {
			if rounds, err := keep(conn, one, sizes[name], enough); err != nil || rounds == 0 {
				t.Errorf("%s: %d rounds, %v", name, rounds, err)
			}
		})
	}
	for range 3 {
		time.Sleep(time.Second)
		w.account.CloseAgentLeg()
		w.events.await(t, tn, tunnel.Resuming)
		w.events.await(t, tn, tunnel.Open)
		late := w.dial(tn)
		working.Go(func() {
			if err := echoed(late, 1, 3000); err != nil {
				t.Errorf("a new connection: %v", err)
			}
		})
	}
	close(enough)
	working.Wait()
	if got := tn.Link().Session; got != session {
		t.Errorf("the session is now %s, want %s", got, session)
	}
	w.silent(tn, 0)
}

// A row: a destination that does not read makes its agent as silent as a dead one. However ECS answers, nothing is given up
// for it, and when it reads again every byte arrives.
func TestFaultBlockedAgentIsNotTakenForADeadOne(t *testing.T) {
	skipInShort(t)
	for name, fault := range map[string][]emulator.APIFault{
		"ECS answers": nil, "all of the API is out": {{Action: "*", Kind: emulator.Unreachable}}, "ECS denies": {{Action: "ecs:DescribeTasks", Kind: emulator.Deny}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFaultWorld(t, tunnel.Options{Lanes: 1}, nil)
			tn := w.open(tunnel.Spec{})
			session := tn.Link().Session
			_, ended := w.under(tn, upload, 8<<20)
			w.account.Fault(func(f *emulator.Faults) { f.Stalled, f.API = []uint16{port}, fault })
			asked := w.account.Calls("DescribeTasks")
			time.Sleep(2 * serveWithin)
			select {
			case err := <-ended:
				t.Fatalf("the upload ended with %v", err)
			default:
			}
			if n := w.account.Calls("DescribeTasks") - asked; fault == nil && (n < 1 || n > 4) {
				t.Errorf("%d calls of DescribeTasks", n)
			}
			w.account.Fault(func(f *emulator.Faults) { f.Stalled, f.API = nil, nil })
			if err := ends(t, ended, patience); err != nil {
				t.Error(err)
			}
			if got := tn.Link().Session; got != session {
				t.Errorf("the session is now %s, want %s", got, session)
			}
			if got := w.path(tn); got != "starting handshaking open" {
				t.Errorf("went %q", got)
			}
		})
	}
}

// recorder is a server that takes pieces, remembers how often it has seen each, and answers it with its digest. To a client
// that says nothing it speaks first.
type recorder struct {
	conns atomic.Int64 // accepted
	bytes atomic.Int64 // read

	mu   sync.Mutex
	seen map[[sha256.Size]byte]int
}

const (
	greeting = "hello"
	greets   = 500 * time.Millisecond
)

func newRecorder(t *testing.T) (r *recorder, address string) {
	t.Helper()
	r = &recorder{seen: map[[sha256.Size]byte]int{}}
	return r, need.Server(t, r.serve)
}

// Write counts what a connection has read.
func (r *recorder) Write(p []byte) (int, error) {
	r.bytes.Add(int64(len(p)))
	return len(p), nil
}

func (r *recorder) serve(c *net.TCPConn) {
	r.conns.Add(1)
	in := io.TeeReader(c, r)
	head := make([]byte, 8)
	_ = c.SetReadDeadline(time.Now().Add(greets))
	n, err := io.ReadFull(in, head)
	if errors.Is(err, os.ErrDeadlineExceeded) && n == 0 {
		_, _ = c.Write([]byte(greeting))
		n, err = 0, nil
	}
	_ = c.SetReadDeadline(time.Time{})
	for ; err == nil; n = 0 {
		if _, err = io.ReadFull(in, head[n:]); err != nil {
			return
		}
		piece := make([]byte, binary.BigEndian.Uint64(head))
		if _, err = io.ReadFull(in, piece); err != nil {
			return
		}
		sum := sha256.Sum256(piece)
		r.mu.Lock()
		r.seen[sum]++
		r.mu.Unlock()
		_, err = c.Write(sum[:])
	}
}

// times is how often a piece has arrived.
func (r *recorder) times(piece []byte) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[sha256.Sum256(piece)]
}

func framed(piece []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(len(piece))), piece...)
}

// delivered reads the digest of a piece.
func delivered(c net.Conn, piece []byte) error {
	var got [sha256.Size]byte
	if _, err := io.ReadFull(c, got[:]); err != nil {
		return err
	}
	if got != sha256.Sum256(piece) {
		return errors.New("the far end has got something else")
	}
	return nil
}

// Rows: which connections of a session whose agent is gone are opened anew. The service says nothing here, so that they are
// placed on that session: only ECS tells, later. Every byte arrives, once.
func TestFaultConnectionsThatNothingHeardAreOpenedAnew(t *testing.T) {
	skipInShort(t)
	r, address := newRecorder(t)
	t.Parallel()
	w := newFaultWorldAt(t, address, tunnel.Options{Lanes: 1}, func(f *emulator.Faults) { f.PauseClient = false })
	tn, machine := w.openTimed(tunnel.Spec{})
	task := tn.Link().Target.Task

	whole := random(8<<20, 1) // makes the session's window as wide as it gets
	first := w.dial(tn)
	if _, err := first.Write(framed(whole)); err != nil {
		t.Fatal(err)
	}
	if err := delivered(first, whole); err != nil {
		t.Fatal(err)
	}
	half, before := random(3000, 2), r.bytes.Load()
	torn := w.dial(tn)
	if _, err := torn.Write(framed(half)[:1500]); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "the half of a piece", func() bool { return r.bytes.Load() == before+1500 })
	conns := r.conns.Load()
	silent := w.dial(tn) // it has its beginning before
	need.Eventually(t, "a connection that says nothing", func() bool { return r.conns.Load() > conns })
	if err := w.account.KillAgent(task); err != nil {
		t.Fatal(err)
	}
	if err := w.account.SetAgent(task, "STOPPED", "killed"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	need.Eventually(t, "a moment from which on nothing can have reached the agent", tn.Deaf)
	var working sync.WaitGroup
	check := func(name string, do func(net.Conn) error) {
		conn := w.dial(tn)
		working.Go(func() {
			if err := do(conn); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if took := time.Since(began); took > serveWithin+time.Second+machine {
				t.Errorf("%s: served after %s", name, took)
			}
		})
	}
	greeted := func(conn net.Conn) error {
		_, err := io.ReadFull(conn, make([]byte, len(greeting)))
		return err
	}
	working.Go(func() {
		if err := greeted(silent); err != nil {
			t.Errorf("one that has said nothing so far: %v", err)
		}
	})
	check("one that says nothing", greeted)
	pieces := [][]byte{random(1, 3), random(100_000, 4), random(5000, 5)}
	for i, piece := range pieces {
		check("one that says all at once", func(conn net.Conn) error {
			if i == len(pieces)-1 { // in parts, some of them when the session is known to be lost
				all := framed(piece)
				for ; len(all) > 500; all = all[500:] {
					if _, err := conn.Write(all[:500]); err != nil {
						return err
					}
					time.Sleep(550 * time.Millisecond)
				}
				if _, err := conn.Write(all); err != nil {
					return err
				}
			} else if _, err := conn.Write(framed(piece)); err != nil {
				return err
			}
			return delivered(conn, piece)
		})
	}
	check("one that has half-closed", func(conn net.Conn) error {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			return err
		}
		return greeted(conn)
	})
	large, huge := w.dial(tn), random(4<<20, 6)
	lost := 3
	working.Go(func() {
		_, err := large.Write(framed(huge))
		if err == nil { // else it was that which met the reset
			err = delivered(large, huge)
		}
		switch {
		case errors.Is(err, io.EOF):
			t.Error("one of which not all is kept ended well")
		case err == nil: // the window of a slow machine is so small that all that was read is kept
			lost = 2
			pieces = append(pieces, huge)
		}
	})
	if _, err := io.ReadAll(torn); err == nil {
		t.Error("one of which half had arrived ended well")
	}
	if _, err := io.ReadAll(first); err == nil {
		t.Error("one that had got something ended well")
	}
	working.Wait()
	w.silent(tn, lost)
	for i, piece := range append(slices.Clone(pieces), whole) {
		if n := r.times(piece); n != 1 {
			t.Errorf("piece %d has arrived %d times", i, n)
		}
	}
	if r.times(half) != 0 {
		t.Error("the piece that was torn has arrived")
	}
	var sent uint64
	for _, c := range tn.Connections() {
		sent += c.Sent
	}
	if got := tn.Stats().Sent; got != sent {
		t.Errorf("%d bytes in all, %d by the connections", got, sent)
	}
}

// A row: connections that come and go while the agent dies, which loses the last acknowledges as well. What is sent anew has
// not been there before.
func TestFaultNothingArrivesTwice(t *testing.T) {
	skipInShort(t)
	for name, pauses := range map[string]bool{"the service says so": true, "only ECS does": false} {
		t.Run(name, func(t *testing.T) {
			r, address := newRecorder(t)
			t.Parallel()
			w := newFaultWorldAt(t, address, tunnel.Options{}, func(f *emulator.Faults) { f.PauseClient, f.Delay = pauses, 10*time.Millisecond })
			tn := w.open(tunnel.Spec{})
			task := tn.Link().Target.Task
			enough := make(chan struct{})
			var working sync.WaitGroup
			var mu sync.Mutex
			well, lost := 0, 0
			const workers = 12
			for worker := range uint64(workers) {
				working.Go(func() {
					for n := uint64(0); ; n++ {
						select {
						case <-enough:
							return
						case <-time.After(rand.N(20 * time.Millisecond)): // out of step with the others
						}
						piece := fmt.Appendf(nil, "piece %d of %d", n, worker)
						conn, err := net.Dial("tcp", tn.Addr().String())
						if err != nil {
							t.Error(err)
							return
						}
						_ = conn.SetDeadline(time.Now().Add(patience))
						_, err = conn.Write(framed(piece))
						if err == nil {
							err = delivered(conn, piece)
						}
						_ = conn.Close()
						times := r.times(piece)
						mu.Lock()
						if err == nil {
							well++
						} else {
							lost++
						}
						mu.Unlock()
						if times > 1 || err == nil && times != 1 {
							t.Errorf("%q has arrived %d times, its client says %v", piece, times, err)
						}
					}
				})
			}
			time.Sleep(500 * time.Millisecond)
			if err := w.account.KillAgent(task); err != nil {
				t.Fatal(err)
			}
			if err := w.account.SetAgent(task, "STOPPED", ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(serveWithin + time.Second)
			close(enough)
			working.Wait()
			t.Logf("%d went well, %d were lost", well, lost)
			if lost > workers || well < 100 {
				t.Errorf("%d went well, %d were lost", well, lost)
			}
		})
	}
}
