package screen

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"culvert/tunnel"
	"culvert/ui/control"
)

// anyHostSet is the set dev with a tunnel to any host that listens at an address, and two destinations of it.
func anyHostSet(local string) control.Set {
	set := devSet()
	one := &set.Tunnels[0]
	one.Local, one.Remote, one.Dynamic = local, "any host", &control.Dynamic{Destinations: 12}
	one.Destinations = []control.Destination{
		{Destination: "orders.internal:80", State: "open", Connections: 3, Opened: start().Add(-time.Minute)},
		{Destination: "[fd00::7]:443", State: "open", Opened: start().Add(-time.Minute)},
	}
	return set
}

// A destination of a tunnel that another process holds is ended like one of its own.
func TestAHeldDestinationIsEnded(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	connects := make(chan string, 1)
	go func() { // as the tunnel's own proxy
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			connects <- r.Method + " " + r.Host
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		}
	}()
	var told []string
	open := map[string]bool{"orders.internal:80": true, "[fd00::7]:443": true}
	known := true
	up := answers(t, control.Holder{EndDestination: func(id int, to string) (ended, found bool) {
		told = append(told, to)
		ended = open[to]
		delete(open, to)
		return ended && known, id == 1 && known
	}})
	if err := up.Write(control.Record{Name: "dev", Process: control.Self()}); err != nil {
		t.Fatal(err)
	}
	a := newTestApp(t, Options{Up: up}, 160, 40)
	set := anyHostSet(listener.Addr().String())
	a.tunnels.hold([]control.Set{set})
	press(t, a, "t", "enter")
	want(t, a, "[destinations 2]", "▌[fd00::7]:443") // the table begins with it

	a.tunnels.askNext = a.now.Add(time.Hour)
	press(t, a, "x") // there is nothing to ask about
	want(t, a, "ended [fd00::7]:443; who asks for it opens it anew, and u does")
	if !a.tunnels.askNext.IsZero() {
		t.Error("the holder is not asked at once how its tunnels are now")
	}
	press(t, a, "x")
	want(t, a, "[fd00::7]:443 is not open any more")
	if n := len(a.tunnels.undos); n != 1 {
		t.Errorf("got %d ends to undo, want that of what was open", n)
	}
	press(t, a, "u")
	want(t, a, "[fd00::7]:443 is open again")
	if got := <-connects; got != "CONNECT [fd00::7]:443" {
		t.Errorf("the tunnel's proxy was asked for %s", got)
	}

	press(t, a, "j", "enter", "x")
	want(t, a, "end orders.internal:80?", "3 open connections will be cut.")
	press(t, a, "esc")
	if slices.Contains(told, "orders.internal:80") {
		t.Error("it is ended without an answer")
	}
	press(t, a, "x", "enter")
	want(t, a, "ended orders.internal:80; who asks for it")
	set.Tunnels[0].Destinations = set.Tunnels[0].Destinations[1:]
	a.tunnels.hold([]control.Set{set})
	a.Update(tickMsg{a.beat})
	want(t, a, "– not open")
	wellFormed(t, a)

	known = false
	press(t, a, "esc")
	a.Update(tickMsg{a.beat})
	press(t, a, "x")
	want(t, a, "! culvert up dev has no tunnel 1")
	if err := up.Remove("dev"); err != nil {
		t.Fatal(err)
	}
	press(t, a, "x")
	want(t, a, "! nothing is up under the name dev")
	if want := []string{"[fd00::7]:443", "[fd00::7]:443", "orders.internal:80", "[fd00::7]:443"}; !slices.Equal(told, want) {
		t.Errorf("the holder was told to end %q, want %q", told, want)
	}

	a = newTestApp(t, Options{Up: up, ReadOnly: true}, 100, 40)
	a.tunnels.hold([]control.Set{set})
	press(t, a, "t", "enter", "x")
	want(t, a, "--read-only")
	set.Tunnels[0].State = tunnel.Failed.String()
	a.tunnels.readOnly = false
	a.tunnels.hold([]control.Set{set})
	press(t, a, "x")
	want(t, a, "the tunnel is over, and its destinations with it")
}
