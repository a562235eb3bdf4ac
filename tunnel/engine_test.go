package tunnel_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

func TestBytesGoThroughAndBack(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	conn := w.dial(tn)
	mustExchange(t, conn, []byte("hello\n"))
	mustExchange(t, conn, random(3<<20, 1))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	ended := w.events.ended(t)
	if want := uint64(6 + 3<<20); ended.Sent != want || ended.Received != want || ended.Err != nil {
		t.Errorf("the connection ended as %+v, want %d bytes each way and no error", ended, want)
	}
	if s := tn.Stats(); s.Sent != ended.Sent || s.Received != ended.Received || s.Connections != 0 || s.Accepted != 1 || s.RoundTrip <= 0 {
		t.Errorf("stats %+v", s)
	}
	if got := w.events.states(); strings.Join(got, " ") != "starting handshaking open" {
		t.Errorf("states %v", got)
	}
	link := tn.Link()
	if link.Session == "" || link.Target.Service != "s" || link.Target.RuntimeID == "" || link.Agent != "3.3.0.0" {
		t.Errorf("link %+v", link)
	}
}

func TestAConnectionThatComesBeforeTheSessionWaitsForIt(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	mustExchange(t, w.dial(w.start(tunnel.Spec{})), []byte("early"))
}

// protocol.md 9, P3.
func TestWritesOfEveryLengthEndingInLFArrive(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.Delay = 0 })
	conn := w.dial(w.open(tunnel.Spec{}))
	for n := 1; n <= 4200; n++ {
		line := bytes.Repeat([]byte("x"), n)
		line[n-1] = '\n'
		_ = conn.SetDeadline(time.Now().Add(time.Minute)) // for each, as there are many
		mustExchange(t, conn, line)
	}
}

// protocol.md 9, P11: the answer to a half-closed upload arrives.
func TestHalfClosedUploadGetsItsAnswer(t *testing.T) {
	t.Parallel()
	server := need.Server(t, func(c *net.TCPConn) {
		// smux version 1 cannot tell the server that the upload is complete, so it knows its length.
		body := make([]byte, 100_000)
		_, _ = io.ReadFull(c, body)
		time.Sleep(300 * time.Millisecond)
		_, _ = fmt.Fprintf(c, "%x", sha256.Sum256(body))
	})
	w := newWorld(t, server, tunnel.Options{}, nil)
	conn := w.dial(w.open(tunnel.Spec{}))
	body := random(100_000, 2)
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if want := fmt.Sprintf("%x", sha256.Sum256(body)); err != nil || string(answer) != want {
		t.Errorf("got %q, %v; want %q", answer, err, want)
	}
}

func TestAServerThatClosesFirstIsSeenToClose(t *testing.T) {
	w := newWorld(t, need.Server(t, func(c *net.TCPConn) { _, _ = c.Write(random(200_000, 3)) }), tunnel.Options{}, nil)
	conn := w.dial(w.open(tunnel.Spec{}))
	if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, random(200_000, 3)) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

// A client that is gone altogether is not waited for like one that has only finished writing.
func TestAClientThatIsGoneEndsItsConnectionAtOnce(t *testing.T) {
	closed := make(chan struct{})
	server := need.Server(t, func(c *net.TCPConn) {
		_, _ = io.Copy(io.Discard, c)
		close(closed)
	})
	w := newWorld(t, server, tunnel.Options{}, nil)
	conn := w.dial(w.open(tunnel.Spec{}))
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Error("the server still has the connection after 5 s")
	}
	if ended := w.events.ended(t); ended.Sent != 1 || ended.Ended.Sub(ended.Started) > 5*time.Second {
		t.Errorf("the connection ended as %+v", ended)
	}
}

func TestNothingListensThereReachesTheRightConnection(t *testing.T) {
	w := newWorld(t, refusing(t), tunnel.Options{}, nil)
	conn := w.dial(w.open(tunnel.Spec{}))
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client saw %v, want a reset", err)
	}
	var refused *tunnel.RefusedError
	if ended := w.events.ended(t); !errors.As(ended.Err, &refused) || refused.Remote.Port != port || !strings.Contains(refused.Remedy(), "7000") {
		t.Errorf("the connection ended as %+v", ended)
	}
}

func TestRemoteHostIsReachedThroughTheTask(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{Remote: tunnel.Endpoint{Host: "db.internal", Port: 5432}})
	mustExchange(t, w.dial(tn), []byte("through"))
	if s := w.account.Sessions(); len(s) != 1 || !strings.HasSuffix(s[0].Document, "ToRemoteHost") {
		t.Errorf("sessions %+v", s)
	}
}

func TestRemoteHostThatDoesNotResolveIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.start(tunnel.Spec{Remote: tunnel.Endpoint{Host: "nowhere.internal", Port: 5432}})
	event := w.events.next(t, "the agent's word", func(e tunnel.Event) bool { return e.Tunnel == tn.ID() && e.Err != nil })
	if !strings.Contains(event.Err.Error(), "nowhere.internal") {
		t.Errorf("got %v", event.Err)
	}
	time.Sleep(3 * time.Second) // a name does not come up within milliseconds
	if tries := tn.Stats().Retries; tries > 1 {
		t.Errorf("%d sessions were opened for it in three seconds", tries)
	}
}

func TestAHostThatTheAgentForbidsIsNotTriedAgain(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{AllowLinkLocal: true}, nil)
	tn := w.start(tunnel.Spec{Remote: tunnel.Endpoint{Host: "169.254.169.254", Port: 80}})
	failed := w.events.await(t, tn, tunnel.Failed)
	closed, ok := errors.AsType[*tunnel.ClosedError](failed.Err)
	if !ok || !strings.Contains(closed.Error(), "forbidden") || !strings.Contains(closed.Remedy(), "169.254.169.254") {
		t.Errorf("got %v, want the agent's words and what is on its list", failed.Err)
	}
	if tries := tn.Stats().Retries; tries > 1 {
		t.Errorf("it was tried %d times more", tries)
	}
}

func TestUnixSocketIsPrivateAndRemovedAtTheEnd(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	path := filepath.Join(t.TempDir(), "s")
	tn := w.open(tunnel.Spec{Socket: path})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("stat: %v, %v", info, err)
	}
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	mustExchange(t, conn, random(100_000, 4))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if ended := w.events.ended(t); ended.Ended.Sub(ended.Started) > 5*time.Second {
		t.Errorf("a unix client that is gone was waited for: %+v", ended)
	}
	if err := tn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestStaleSocketIsReplacedAndALivingOneIsNot(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(tunnel.Spec{Socket: path})
	var taken *tunnel.PortTakenError
	if _, err := w.engine.Open(tunnel.Spec{Target: aws.Target{Cluster: "c"}, Remote: tunnel.Endpoint{Port: 1}, Socket: path}); !errors.As(err, &taken) {
		t.Errorf("got %v, want a PortTakenError", err)
	}
}

func TestBothLoopbackAddressesListenOnOnePort(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	for _, host := range []string{"127.0.0.1", "::1"} {
		var d net.Dialer
		conn, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, fmt.Sprint(tn.Addr().Port())))
		if err != nil {
			t.Fatal(err)
		}
		mustExchange(t, conn, []byte(host))
		_ = conn.Close()
	}
}

func TestAPortThatIsTakenIsNamedWithItsHolder(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	taken, err := netip.ParseAddrPort(need.Server(t, need.Echo))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.engine.Open(tunnel.Spec{Remote: tunnel.Endpoint{Port: 1}, Local: netip.AddrPortFrom(netip.Addr{}, taken.Port())})
	var problem *tunnel.PortTakenError
	if !errors.As(err, &problem) || !strings.Contains(problem.Holder, fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("got %v, want this process named", err)
	}
}

func TestTwoHundredConnectionsAtOnce(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	var all sync.WaitGroup
	failed := make(chan error, 200)
	for i := range 200 {
		conn := w.dial(tn)
		all.Go(func() {
			if err := exchange(conn, random(20_000, uint64(i))); err != nil {
				failed <- fmt.Errorf("connection %d: %w", i, err)
			}
			_ = conn.Close()
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
}

// protocol.md 7 and 9, P2: the hourly close, on either leg and in the middle of a transfer both ways.
func TestConnectionsOutliveTheirSockets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for name, lose := range map[string]func(*emulator.Emulator){
		"close 1000":       func(e *emulator.Emulator) { e.CloseClientLeg(1000) },
		"cut":              func(e *emulator.Emulator) { e.CutClientLeg() },
		"agent close 1000": func(e *emulator.Emulator) { e.CloseAgentLeg() },
		"agent cut":        func(e *emulator.Emulator) { e.CutAgentLeg() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// What an agent lost it repairs one message in 100 ms (protocol.md 9, A1), so it must not lose much: with its
			// real pacing it does not.
			const rounds, size = uint64(10), 50_000
			w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.Pacing, f.TakesTwice = time.Millisecond, false })
			tn := w.open(tunnel.Spec{})
			session := tn.Link().Session
			conn := w.dial(tn)
			done := make(chan error, 1)
			go func() {
				for i := range rounds {
					if err := exchange(conn, random(size, i)); err != nil {
						done <- fmt.Errorf("round %d: %w", i, err)
						return
					}
				}
				done <- nil
			}()
			for range 3 {
				time.Sleep(150 * time.Millisecond)
				lose(w.account)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := tn.Link().Session; got != session {
				t.Errorf("the session is now %s, want %s resumed", got, session)
			}
		})
	}
}

func TestANewSessionFollowsOnTheSameListener(t *testing.T) {
	for name, end := range map[string]func(*world, *tunnel.Tunnel){
		"resume refused": func(w *world, _ *tunnel.Tunnel) {
			w.account.Fault(func(f *emulator.Faults) { f.ResumeWith = emulator.ResumeDenied })
			w.account.CutClientLeg()
		},
		"resume without a token": func(w *world, _ *tunnel.Tunnel) {
			w.account.Fault(func(f *emulator.Faults) { f.ResumeWith = emulator.ResumeWithoutToken })
			w.account.CutClientLeg()
		},
		"session unknown": func(w *world, _ *tunnel.Tunnel) {
			w.account.Fault(func(f *emulator.Faults) { f.ResumeWith = emulator.ResumeUnknown })
			w.account.CutClientLeg()
		},
		"terminated by somebody": func(w *world, tn *tunnel.Tunnel) { w.account.KillSession(tn.Link().Session, "") },
		"reconnect":              func(_ *world, tn *tunnel.Tunnel) { tn.Reconnect() },
		"task stopped": func(w *world, tn *tunnel.Tunnel) {
			if err := w.account.StopTask(tn.Link().Target.Task, "test"); err != nil {
				w.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
			tn := w.open(tunnel.Spec{})
			first := tn.Link()
			conn := w.dial(tn)
			mustExchange(t, conn, []byte("before"))
			end(w, tn)
			if _, err := io.ReadAll(conn); err == nil {
				t.Error("a connection that could not be saved ended like a clean one")
			}
			w.events.await(t, tn, tunnel.Reopening)
			w.account.Fault(func(f *emulator.Faults) { f.ResumeWith = emulator.ResumeWorks })
			mustExchange(t, w.dial(tn), []byte("after"))
			need.Eventually(t, "the tunnel to lead elsewhere", func() bool { // a connection can be served a moment before that is shown
				got := tn.Link()
				return got.Session != first.Session && (name != "task stopped" || got.Target.Task != first.Target.Task)
			})
		})
	}
}

// protocol.md 7: a peer that is gone without a close is found by a ping that nobody answers.
func TestADeadPeerIsFoundAndTheSessionResumed(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	conn := w.dial(tn)
	mustExchange(t, conn, []byte("before"))
	session := tn.Link().Session
	w.account.FreezeClientLeg()
	start := time.Now()
	mustExchange(t, conn, random(300_000, 5))
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("found and repaired after %s", took)
	}
	if w.account.Sessions()[0].ID != session {
		t.Error("the session was replaced, not resumed")
	}
}

func TestIdleClosedTunnelSleepsAndTheNextConnectionWakesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.Idle = time.Second })
	tn := w.open(tunnel.Spec{})
	mustExchange(t, w.dial(tn), []byte("before"))
	w.events.await(t, tn, tunnel.Asleep)
	if left := w.account.Sessions(); len(left) != 0 {
		t.Errorf("asleep with sessions %+v", left)
	}
	mustExchange(t, w.dial(tn), []byte("after"))
	w.events.await(t, tn, tunnel.Open)
}

func TestKeepAliveOverridesTheIdleTimeout(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.Idle = 2500 * time.Millisecond })
	tn := w.open(tunnel.Spec{KeepAlive: time.Second})
	time.Sleep(5 * time.Second)
	if state, err := tn.State(); state != tunnel.Open {
		t.Errorf("after five idle seconds the tunnel is %s: %v", state, err)
	}
}

func TestServiceScaledToZeroAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	if err := w.account.Scale("c", "s", 0); err != nil {
		t.Fatal(err)
	}
	w.events.await(t, tn, tunnel.Reopening)
	w.events.next(t, "the reason", func(e tunnel.Event) bool { return e.State == tunnel.Reopening && e.Err != nil })
	if err := w.account.Scale("c", "s", 1); err != nil {
		t.Fatal(err)
	}
	w.events.await(t, tn, tunnel.Open)
	mustExchange(t, w.dial(tn), []byte("back"))
}

func TestAnAgentWithoutMuxCarriesOneConnectionAfterTheOther(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.AgentVersion = "3.0.196.0" })
	tn := w.open(tunnel.Spec{})
	for i := range 3 {
		conn := w.dial(tn)
		mustExchange(t, conn, random(100_000, uint64(i)))
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSeveralConnectionsToAnAgentWithoutMuxGetSeveralSessions(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.AgentVersion = "3.0.196.0" })
	tn := w.open(tunnel.Spec{})
	first, second := w.dial(tn), w.dial(tn)
	mustExchange(t, first, []byte("first"))
	mustExchange(t, second, []byte("second"))
	mustExchange(t, first, []byte("first again"))
}

func TestEncryptedSession(t *testing.T) {
	for _, version := range []string{"3.3.0.0", "3.0.196.0"} {
		t.Run(version, func(t *testing.T) {
			w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.KMS, f.AgentVersion = true, version })
			mustExchange(t, w.dial(w.open(tunnel.Spec{})), random(200_000, 6))
		})
	}
}

// protocol.md 9, P8: odd messages around HandshakeComplete leave AWS's client deaf.
func TestOddMessagesAroundTheHandshakeAreHarmless(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.Around = 5 })
	mustExchange(t, w.dial(w.open(tunnel.Spec{})), random(100_000, 7))
}

func TestLossDuplicatesAndReorderingLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) {
		loss := emulator.Loss{Drop: 0.01, Duplicate: 0.01, Reorder: 0.01}
		f.Up, f.Down = emulator.Path{Data: loss, Acks: loss}, emulator.Path{Data: loss, Acks: loss}
	})
	tn := w.open(tunnel.Spec{})
	mustExchange(t, w.dial(tn), random(500_000, 8))
	if tn.Stats().Resent == 0 {
		t.Error("nothing was resent on a path that loses messages")
	}
}

func TestHostileFramesAreRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for name, as := range map[string]emulator.Mangling{
		"digest": emulator.BadDigest, "short": emulator.ShortFrame, "header": emulator.WrongHeader, "oversized": emulator.Oversized,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
			conn := w.dial(w.open(tunnel.Spec{}))
			w.account.Fault(func(f *emulator.Faults) { f.Down.Data.MangleAs, f.Down.Data.MangleNext = as, 3 })
			mustExchange(t, conn, random(50_000, 9))
		})
	}
}

func TestStreamURLThatLeadsElsewhereIsRefused(t *testing.T) {
	// With an overridden endpoint every host is accepted; that AWS's own is checked is a test of package aws.
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.StreamHost = "user:pw@127.0.0.1:1" })
	tn := w.start(tunnel.Spec{})
	event := w.events.await(t, tn, tunnel.Failed)
	if _, refused := errors.AsType[*aws.StreamURLError](event.Err); !refused {
		t.Errorf("got %v, want a StreamURLError", event.Err)
	}
}

func TestDeniedActionFailsForGoodWithItsRemedy(t *testing.T) {
	for _, action := range []string{"ssm:StartSession", "ssmmessages:OpenDataChannel"} {
		t.Run(action, func(t *testing.T) {
			w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) {
				f.API = []emulator.APIFault{{Action: action}}
			})
			event := w.events.await(t, w.start(tunnel.Spec{}), tunnel.Failed)
			remedy, ok := errors.AsType[interface {
				error
				Remedy() string
			}](event.Err)
			if !ok || !strings.Contains(remedy.Remedy(), action) {
				t.Errorf("got %v, want a remedy that names %s", event.Err, action)
			}
		})
	}
}

func TestThrottledStartIsTriedAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:StartSession", Kind: emulator.ServerError, Times: 6}}
	})
	mustExchange(t, w.dial(w.open(tunnel.Spec{})), []byte("at last"))
}

// protocol.md 6 and 9, A6: one destination that does not read stops a whole session; another one takes over.
func TestStalledDestinationDoesNotStopOtherConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	stalled := w.dial(tn)
	mustExchange(t, stalled, []byte("before"))
	w.account.Fault(func(f *emulator.Faults) { f.Stalled = []uint16{port} })
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		_, _ = stalled.Write(random(40<<20, 10))
	}()
	need.Eventually(t, "a second session", func() bool { return len(w.account.Sessions()) > 1 })
	w.account.Fault(func(f *emulator.Faults) { f.Stalled = nil })
	mustExchange(t, w.dial(tn), random(100_000, 11))
	_ = stalled.Close()
	<-writing
}

func TestStalledReaderDoesNotStopOtherConnections(t *testing.T) {
	t.Parallel()
	server := need.Server(t, func(c *net.TCPConn) {
		first := make([]byte, 1)
		if _, err := io.ReadFull(c, first); err != nil || first[0] == 'e' {
			_, _ = io.Copy(c, c)
			return
		}
		for block := random(1<<20, 12); ; {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	})
	w := newWorld(t, server, tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	stalled, live := w.dial(tn), w.dial(tn)
	if _, err := stalled.Write([]byte("s")); err != nil {
		t.Fatal(err)
	}
	if _, err := live.Write([]byte("e")); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(50) {
		mustExchange(t, live, random(10_000, i))
	}
	if ended := w.events.ended(t); ended.Err == nil || !strings.Contains(ended.Err.Error(), "reads too slowly") {
		t.Errorf("the stalled connection ended as %+v", ended)
	}
	mustExchange(t, live, random(10_000, 99))
}

func TestFixedNumberOfLanesSharesTheConnections(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{Lanes: 3}, nil)
	tn := w.open(tunnel.Spec{})
	need.Eventually(t, "three sessions", func() bool { return tn.Stats().Lanes == 3 })
	for i := range uint64(6) {
		mustExchange(t, w.dial(tn), random(10_000, i))
	}
	for _, s := range w.account.Sessions() {
		if s.Up < 20_000 {
			t.Errorf("session %s carried %d bytes up, want a third of the connections", s.ID, s.Up)
		}
	}
}

// Whoever names a task wants its answers and no other's, under load as well.
func TestANamedTaskIsThatTask(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{Lanes: 4}, nil)
	named, err := w.client.Lookup(t.Context(), aws.Query{Cluster: "c", Service: "s", Port: port})
	if err != nil {
		t.Fatal(err)
	}
	tn := w.open(tunnel.Spec{Target: named, Pinned: true})
	need.Eventually(t, "four sessions", func() bool { return tn.Stats().Lanes == 4 })
	for _, s := range w.account.Sessions() {
		if s.Target != named.ID() {
			t.Errorf("a session leads to %s, want %s alone", s.Target, named.ID())
		}
	}
	for _, s := range w.account.Sessions() {
		w.account.KillSession(s.ID, "")
	}
	need.Eventually(t, "four sessions again", func() bool { return tn.Stats().Lanes == 4 })
	if got := tn.Link().Target; got != named {
		t.Errorf("after its sessions were ended it leads to %v, want %v", got, named)
	}
	if err := w.account.StopTask(named.Task, "test"); err != nil {
		t.Fatal(err)
	}
	failed := w.events.await(t, tn, tunnel.Failed)
	gone, ok := errors.AsType[*aws.TaskGoneError](failed.Err)
	if !ok || !strings.Contains(gone.Remedy(), "c/s") {
		t.Errorf("got %v, want a *TaskGoneError that names the service", failed.Err)
	}
}

// An agent whose task is gone says nothing: the patrol finds it.
func TestTaskThatWentSilentlyIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.SilentStop = true })
	w.engine.Patrol(time.Second)
	tn := w.open(tunnel.Spec{})
	first := tn.Link().Target.Task
	conn := w.dial(tn)
	mustExchange(t, conn, []byte("before"))
	if err := w.account.StopTask(first, "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err == nil {
		t.Error("a connection of a task that is gone ended like a clean one")
	}
	mustExchange(t, w.dial(tn), []byte("after"))
	if got := tn.Link().Target.Task; got == first {
		t.Errorf("the task is still %s", got)
	}
}

// A local side that reads slowly, but reads, keeps its connection, however much the far side has to say.
func TestSlowReaderGetsEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	t.Parallel()
	all := random(40<<20, 13)
	w := newWorld(t, need.Server(t, func(c *net.TCPConn) { _, _ = c.Write(all) }), tunnel.Options{}, nil)
	conn := w.dial(w.open(tunnel.Spec{}))
	digest, buffer := sha256.New(), make([]byte, 200_000)
	for {
		n, err := conn.Read(buffer)
		_, _ = digest.Write(buffer[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if want := sha256.Sum256(all); !bytes.Equal(digest.Sum(nil), want[:]) {
		t.Error("the bytes differ")
	}
}

func TestMessageSizeAndUploadRateAreSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{MessageSize: 16 << 10, UploadRate: 1 << 20}, nil)
	conn := w.dial(w.open(tunnel.Spec{}))
	start := time.Now()
	mustExchange(t, conn, random(1<<20, 14))
	if took := time.Since(start); took < 900*time.Millisecond {
		t.Errorf("1 MiB went up in %s, the ceiling is 1 MiB/s", took)
	}
}

func TestCloseAtEveryMomentLeavesNothing(t *testing.T) {
	t.Parallel()
	for i := range 12 {
		w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
		tn := w.start(tunnel.Spec{})
		time.Sleep(time.Duration(i) * 7 * time.Millisecond)
		conn := w.dial(tn)
		_, _ = conn.Write([]byte("x"))
		if err := tn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if state, err := tn.State(); state != tunnel.Closed || err != nil {
			t.Errorf("the tunnel is %s, %v", state, err)
		}
		if left := w.account.Sessions(); len(left) != 0 {
			t.Errorf("closed after %d ms: sessions %+v are left", 7*i, left)
		}
	}
}
