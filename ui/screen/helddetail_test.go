package screen

import (
	"bufio"
	"context"
	"net"
	"os"
	"testing"

	"culvert/ui/control"
)

// holds lets this process answer for the set dev.
func holds(t *testing.T, detail func(id int) (control.Detail, bool)) control.Dir {
	t.Helper()
	return answers(t, control.Holder{Detail: detail})
}

func answers(t *testing.T, h control.Holder) control.Dir {
	t.Helper()
	root, err := os.MkdirTemp("", "held") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	d := control.Dir{Runtime: root, State: root}
	server, err := control.Serve(context.Background(), d.Socket("dev"), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return d
}

func TestAHeldTunnelIsShownLikeOnesOwn(t *testing.T) {
	at := start()
	told := control.Detail{
		ID: 1, Omitted: 1844,
		Connections: []control.Connection{
			{ID: 1, Started: at, Ended: at, Protocol: "http", Host: "blocked.internal", Sent: 130, Error: "403 from\x1b[2J the proxy", Remedy: "ask its owner"},
			{ID: 2, Started: at, Protocol: "http-connect\x1b[2J", Host: "orders.internal:443", Hosts: 3, Sent: 12_000, Received: 48_000_000},
		},
		Hosts: []control.Host{{Host: "orders.internal:443", Connections: 9, Open: 2, Requests: 31, Failed: 4, Error: "reset", Received: 48_000_000}},
		Steps: []control.Step{
			{At: at, State: "open", Session: "demo-000000000000000000000001"},
			{At: at, State: "reopening", Error: "the session is over"},
		},
	}
	a := newTestApp(t, Options{Up: holds(t, func(id int) (control.Detail, bool) { return told, id == 1 })}, 160, 40)
	a.tunnels.hold([]control.Set{devSet()})
	press(t, a, "t", "enter")
	want(t, a, "asking culvert up dev")
	d := a.page().(*detail)
	settle(t, a, a.grant(d.ask()))
	want(t, a, "[connections 2 +1,844 older]", "orders.internal:443 +2", "48 MB", "failed", "403 from", "hosts 1", "history 2")
	press(t, a, "j")
	want(t, a, "› ask its owner")
	press(t, a, "v")
	want(t, a, "[hosts 1]", "reset", "31")
	press(t, a, "v")
	want(t, a, "[history 2]", "reopening", "the session is over")
	wellFormed(t, a)

	a.now = a.now.Add(2 * askDetail)
	told.Connections[1].Received += 2_000_000
	settle(t, a, a.grant(d.ask()))
	press(t, a, "v")
	want(t, a, "50 MB", "1.0 MB/s")
	if d.ask() != nil {
		t.Error("the holder is asked again at once")
	}
	a.now = a.now.Add(askDetail)
	a.tunnels.up.Runtime += "gone"
	settle(t, a, a.grant(d.ask()))
	want(t, a, "50 MB") // what it said last
}

// holdsOld answers for the set old as the first versions did, which hung up on what they did not know.
func holdsOld(t *testing.T) control.Dir {
	t.Helper()
	d := holds(t, nil)
	if err := d.Write(control.Record{Name: "old", Process: control.Self()}); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", d.Socket("old"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(conn).ReadBytes('\n')
			_ = conn.Close()
		}
	}()
	return d
}

func TestAnOlderHolderTellsTotalsAlone(t *testing.T) {
	a := newTestApp(t, Options{Up: holdsOld(t)}, 120, 30)
	set := devSet()
	set.Name = "old"
	a.tunnels.hold([]control.Set{set})
	press(t, a, "t", "enter")
	settle(t, a, a.grant(a.page().(*detail).ask()))
	want(t, a, "culvert up old is held by an older culvert, which tells totals alone", "48 kB in all")
	press(t, a, "v")
	want(t, a, "[hosts 1]", "api.internal:443", "48 kB")
}
