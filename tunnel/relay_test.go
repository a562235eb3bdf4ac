package tunnel_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/tunnel/bond"
)

func TestADownloadGoesOverAllSessions(t *testing.T) {
	t.Parallel()
	const size = 6 << 20
	server := need.Server(t, pours(size))
	r := newRelay(t, server)
	w := relayWorld(t, server, r.address(), paced)
	tn := w.bonded()
	took, _, err := w.fetch(tn, size, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := tn.Stats()
	if s.Received != size || s.Accepted != 1 || len(tn.Connections()) != 1 {
		t.Errorf("counted %+v of one connection with %d bytes", s, size)
	}
	// How much faster that is, is for make bench: on a machine that is busy, or with the race detector, it is what the processor gives.
	if most := w.account.MostSessions(); most < 4 {
		t.Errorf("%d sessions at the most for a long download, want one for the tunnel and several for the relay", most)
	}
	t.Logf("%s over %d strands", took, s.Strands)
}

// What was lost with a session, or with all of them, goes over others: the connection outlives them.
func TestAConnectionOutlivesItsSessions(t *testing.T) {
	t.Parallel()
	const size = 5 << 20
	for name, fault := range map[string]func(*world){
		"one terminated":     func(w *world) { w.relaySessions(func(id string) { w.account.KillSession(id, "") }, 1) },
		"all terminated":     func(w *world) { w.relaySessions(func(id string) { w.account.KillSession(id, "") }, 100) },
		"one socket cut":     func(w *world) { w.relaySessions(func(id string) { w.account.CutClientLeg(id) }, 1) },
		"all sockets closed": func(w *world) { w.relaySessions(func(id string) { w.account.CloseClientLeg(1000, id) }, 100) },
		"an agent's socket":  func(w *world) { w.relaySessions(func(id string) { w.account.CutAgentLeg(id) }, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := need.Server(t, pours(size))
			r := newRelay(t, server)
			w := relayWorld(t, server, r.address(), paced)
			tn := w.bonded()
			took, silent, err := w.fetch(tn, size, func() { fault(w) })
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s, nothing for %s", took, silent)
			if silent > 10*time.Second {
				t.Errorf("nothing came for %s", silent)
			}
			if c := w.events.ended(t); c.Err != nil || c.Received != size {
				t.Errorf("the connection ended with %d bytes and %v", c.Received, c.Err)
			}
		})
	}
}

// A relay that is gone takes its streams along at once, and nobody waits for it: the next connection goes without.
func TestARelayThatDies(t *testing.T) {
	t.Parallel()
	server := need.Server(t, need.Echo)
	r := newRelay(t, server)
	w := relayWorld(t, server, r.address(), nil)
	tn := w.bonded()
	conn := w.dial(tn)
	mustExchange(t, conn, random(100_000, 1))
	began := time.Now()
	r.kill()
	_, err := conn.Read(make([]byte, 1))
	if took := time.Since(began); err == nil || errors.Is(err, io.EOF) || took > 5*time.Second {
		t.Errorf("the connection ended after %s with %v, want a reset within a second", took, err)
	}
	mustExchange(t, w.dial(tn), random(100_000, 2))
	w.events.next(t, "word of its end", func(e tunnel.Event) bool { return e.Link.Relay.Why != "" && !e.Link.Relay.On && e.State == tunnel.Open })
	if c := w.events.ended(t); !errors.Is(c.Err, bond.ErrGone) {
		t.Errorf("the connection ended with %v, want the end of the relay", c.Err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", r.address())
	if err != nil {
		t.Skip(err)
	}
	r.serve(l)
	need.Eventually(t, "connections to go through the new relay", func() bool {
		mustExchange(t, w.dial(tn), random(1000, 3))
		return tn.Link().Relay.On
	})
	mustExchange(t, w.dial(tn), random(100_000, 4))
	if s := tn.Stats(); s.Strands == 0 {
		t.Error("nothing goes through the new relay")
	}
}

// Whatever answers where the relay should be, connections go without it, and what is wrong is said once.
func TestWhatIsNoRelayIsInNobodysWay(t *testing.T) {
	t.Parallel()
	server := need.Server(t, need.Echo)
	later := append([]byte("cvrelay!\x00\x63\x00\x12"), append(make([]byte, 17), 'x')...)
	for name, c := range map[string]struct{ at, says string }{
		"absent":        {at: refusing(t), says: "the relay is gone"},
		"silent":        {at: need.Server(t, mute(nil)), says: "no answer"},
		"another":       {at: need.Server(t, mute([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))), says: "no relay of culvert's"},
		"wrong version": {at: need.Server(t, mute(later)), says: "version 99"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := relayWorld(t, server, c.at, nil)
			tn := w.open(tunnel.Spec{Relay: &tunnel.Relay{Port: relayPort}})
			w.ceiling++
			began := time.Now()
			conn := w.dial(tn)
			mustExchange(t, conn, random(100_000, 1))
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the first connection took %s", took)
			}
			e := w.events.next(t, "word of the relay", func(e tunnel.Event) bool { return e.Link.Relay != tunnel.Relaying{} })
			if e.State != tunnel.Open || e.Link.Relay.On || !strings.Contains(e.Link.Relay.Why, c.says) {
				t.Errorf("said %+v, want %q", e.Link.Relay, c.says)
			}
			mustExchange(t, w.dial(tn), random(100_000, 2))
			need.Eventually(t, "the session to it to end", func() bool {
				for _, s := range w.account.Sessions() {
					if s.Port == relayPort {
						return false
					}
				}
				return true
			})

			strict := w.start(tunnel.Spec{Relay: &tunnel.Relay{Port: relayPort, Required: true}, AnyPort: true})
			w.ceiling++
			w.events.await(t, strict, tunnel.Open)
			if _, err := strict.Prove(t.Context()); err != nil {
				t.Errorf("the far end is not proved: %v", err)
			}
			refused := w.dial(strict)
			if _, err := refused.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("the connection that must go through a relay ended with %v", err)
			}
			need.Eventually(t, "the connection to be recorded", func() bool { return len(strict.Connections()) == 1 && !strict.Connections()[0].Ended.IsZero() })
			if err := strict.Connections()[0].Err; !strings.Contains(fmt.Sprint(err), c.says) || say.Remedy(err) == "" {
				t.Errorf("it ended with %v, remedy %q, want %q", err, say.Remedy(err), c.says)
			}
		})
	}
}

// Half of a connection can end by itself, and a far end that refuses is told from a relay that does not work.
func TestAStreamIsAConnection(t *testing.T) {
	t.Parallel()
	late := need.Server(t, func(c *net.TCPConn) {
		all, _ := io.ReadAll(c)
		_, _ = fmt.Fprintf(c, "%d bytes", len(all))
	})
	r := newRelay(t, late)
	w := relayWorld(t, late, r.address(), nil)
	tn := w.bonded()
	conn := w.dial(tn)
	if _, err := conn.Write(random(100_000, 1)); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseWrite()
	if answer, err := io.ReadAll(conn); string(answer) != "100000 bytes" || err != nil {
		t.Errorf("the answer after the end of the question: %q, %v", answer, err)
	}
	if c := w.events.ended(t); c.Err != nil || c.Sent != 100_000 || c.Received != 12 {
		t.Errorf("counted %+v", c)
	}
	gone := w.dial(tn)
	mustWrite(t, gone)
	_ = gone.SetLinger(0)
	_ = gone.Close()
	w.events.ended(t)
	need.Eventually(t, "no stream to be left", func() bool { return r.relay.Counts().Streams == 0 })

	r.mu.Lock()
	r.serves = refusing(t)
	r.mu.Unlock()
	if answer, err := io.ReadAll(w.dial(tn)); err == nil {
		t.Errorf("a far end that refuses answered %q", answer)
	}
	c := w.events.ended(t)
	if _, refused := errors.AsType[*tunnel.RefusedError](c.Err); !refused {
		t.Errorf("it ended with %v, want a refusal", c.Err)
	}
}

// The task is replaced: what is open serves as long as it does, and what is new goes through the relay of the next one.
func TestTheTaskOfARelayIsReplaced(t *testing.T) {
	t.Parallel()
	server := need.Server(t, need.Echo)
	r := newRelay(t, server)
	w := relayWorld(t, server, r.address(), nil)
	w.engine.Patrol(200 * time.Millisecond)
	tn := w.bonded()
	old := tn.Link().Target.Task
	conn := w.dial(tn)
	mustExchange(t, conn, random(100_000, 1))
	if err := w.account.StopTask(old, "replaced"); err != nil {
		t.Fatal(err)
	}
	w.events.next(t, "another task and its relay", func(e tunnel.Event) bool {
		return e.Link.Target.Task != old && e.State == tunnel.Open && e.Link.Relay.On
	})
	mustExchange(t, w.dial(tn), random(100_000, 2))
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the connection of the task that is gone ended with %v, want a reset", err)
	}
}

// A tunnel that leads to another task uses that one's relay for what is new, even while the relay of the former task works.
func TestTheRelayIsThatOfTheTunnelsTask(t *testing.T) {
	t.Parallel()
	server := need.Server(t, need.Echo)
	w := relayWorld(t, server, newRelay(t, server).address(), nil)
	tn := w.bonded()
	first := tn.Link()
	conn := w.dial(tn)
	mustExchange(t, conn, random(100_000, 1))
	w.account.KillSession(first.Session, "") // the next session goes to the task on which none was lost
	w.events.next(t, "another task and its relay", func(e tunnel.Event) bool {
		return e.Link.Target.Task != first.Target.Task && e.State == tunnel.Open && e.Link.Relay.On
	})
	later := w.dial(tn)
	mustExchange(t, later, random(100_000, 2))
	mustExchange(t, conn, random(100_000, 3))
	if err := w.account.StopTask(first.Target.Task, "replaced"); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the connection of the task that is gone ended with %v, want a reset", err)
	}
	mustExchange(t, later, random(100_000, 4))
}

// A relay that is required is waited for, and before that the session that says which task is meant.
func TestARequiredRelayIsWaitedFor(t *testing.T) {
	t.Parallel()
	server := need.Server(t, need.Echo)
	r := newRelay(t, server)
	w := relayWorld(t, server, r.address(), func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:StartSession", Kind: emulator.Throttle, Times: 1}}
	})
	tn := w.start(tunnel.Spec{Relay: &tunnel.Relay{Port: relayPort, Required: true}})
	w.ceiling += maxLanes + 1
	mustExchange(t, w.dial(tn), random(100_000, 1))
	if r.relay.Counts().Opened == 0 {
		t.Error("the connection went without the relay")
	}
}

// A connection does not wait for a relay that has become silent, which takes 20 s to be given up.
func TestASilentRelayHoldsUpNoNewConnection(t *testing.T) {
	t.Parallel()
	server := need.Server(t, need.Echo)
	r := newRelay(t, server)
	w := relayWorld(t, server, r.address(), nil)
	tn := w.bonded()
	conn := w.dial(tn)
	mustExchange(t, conn, random(100_000, 1))
	r.hung.Store(true)
	mustWrite(t, conn)
	began := time.Now()
	for time.Since(began) < 15*time.Second {
		next := w.dial(tn)
		_ = next.SetDeadline(time.Now().Add(3 * time.Second))
		mustWrite(t, next)
		if _, err := io.ReadFull(next, make([]byte, len("hello"))); err == nil {
			return
		}
	}
	t.Errorf("no connection goes without the relay for %s", time.Since(began))
}

// Sessions that nothing goes through end, and the next connection has them again.
func TestQuietStrandsAreGivenUp(t *testing.T) {
	t.Parallel()
	server := need.Server(t, need.Echo)
	r := newRelay(t, server)
	w := relayWorld(t, server, r.address(), func(f *emulator.Faults) { f.Idle = 3 * time.Second })
	w.engine.Keep(0)
	w.engine.Quiet(time.Second)
	tn := w.bonded()
	conn := w.dial(tn)
	mustExchange(t, conn, random(100_000, 1))
	_ = conn.Close()
	need.Eventually(t, "the strands to be given up", func() bool { return tn.Stats().Strands == 0 && r.relay.Counts().Strands == 0 })
	need.Eventually(t, "the account to end the sessions", func() bool { return len(w.account.Sessions()) == 0 })
	mustExchange(t, w.dial(tn), random(100_000, 2))
}

// From the task definition to the page: the relay is found by its port mapping, and the proxy is behind it as without.
func TestARelayIsFoundByTheTaskDefinition(t *testing.T) {
	t.Parallel()
	task := roomy
	task.Containers = []emulator.Container{
		{Name: "app", Ports: map[uint16]string{3128: emulator.Proxy}},
		{Name: "culvert-relay", Ports: map[uint16]string{relayPort: emulator.Relay}, PortNames: map[uint16]string{relayPort: aws.RelayName}, NonEssential: true},
	}
	w := newWorldIn(t, emulator.Fleet{VPC: true, Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 2, Task: task}}}}}, tunnel.Options{}, nil)
	spec := tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "s", Container: "app"}, Remote: tunnel.Endpoint{Port: 3128}, AnyPort: true}
	if err := w.engine.SeekRelay(t.Context(), &spec); err != nil || spec.Relay == nil || spec.Relay.Port != relayPort {
		t.Fatalf("found %+v, %v", spec.Relay, err)
	}
	tn := w.start(spec)
	w.events.next(t, "word of the relay", func(e tunnel.Event) bool { return e.Link.Relay.On })
	for _, c := range []struct {
		url    string
		status int
	}{{"http://orders.internal/", 200}, {"http://blocked.internal/", 403}} {
		client := &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: tn.Addr().String()}), DisableKeepAlives: true,
		}}
		r, err := client.Get(c.url)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != c.status {
			t.Errorf("%s: %s, want %d", c.url, r.Status, c.status)
		}
		if ended := w.events.ended(t); ended.Status != c.status || ended.Protocol != tunnel.ProtocolHTTP {
			t.Errorf("%s is counted as %+v", c.url, ended)
		}
	}
}

// A relay that does not open a stream takes nothing of what its client has written by then, or is about to write: all of it goes the
// other way.
func TestARelayThatOpensNothingTakesNothing(t *testing.T) {
	for name, r := range map[string]*relay{"forbidden": {forbids: true}, "busy": {limits: bond.Limits{Streams: 1}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := need.Server(t, need.Echo)
			r.T, r.serves = t, server
			w := relayWorld(t, server, r.begin().address(), nil)
			tn := w.bonded()
			if !r.forbids {
				first := w.dial(tn) // has the relay's one place
				if _, err := first.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(first, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			want := random(150_000, 3)
			conn := w.dial(tn)
			var writing sync.WaitGroup
			writing.Go(func() {
				for rest := want; len(rest) > 0; rest = rest[min(len(rest), 3000):] {
					if _, err := conn.Write(rest[:min(len(rest), 3000)]); err != nil {
						t.Errorf("write: %v", err)
						return
					}
				}
				_ = conn.CloseWrite()
			})
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			got := make([]byte, len(want))
			n, err := io.ReadFull(conn, got)
			writing.Wait()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d came back, %v", n, len(want), err)
			}
		})
	}
}

// When the last session is gone and a policy allows no other, nobody can bring the connection back: it is reset at once, with the
// permission that is missing.
func TestAConnectionWithoutSessionsEndsWithTheDenialOfAnother(t *testing.T) {
	t.Parallel()
	const size = 5 << 20
	server := need.Server(t, pours(size))
	w := relayWorld(t, server, newRelay(t, server).address(), paced)
	tn := w.bonded()
	var killed time.Time
	_, _, err := w.fetch(tn, size, func() {
		w.account.Fault(func(f *emulator.Faults) {
			f.API = []emulator.APIFault{{Action: "ssm:StartSession", Kind: emulator.DenyByPolicy}}
		})
		killed = time.Now()
		w.relaySessions(func(id string) { w.account.KillSession(id, "") }, 100)
	})
	if err == nil || time.Since(killed) > 10*time.Second {
		t.Errorf("after %s the connection ended with %v", time.Since(killed), err)
	}
	var denied *aws.DeniedError
	if got := w.events.ended(t).Err; !errors.As(got, &denied) || denied.Action != "ssm:StartSession" {
		t.Errorf("the tunnel says that it ended with %v, want the permission that is missing", got)
	}
}
