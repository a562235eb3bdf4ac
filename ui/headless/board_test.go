package headless

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"culvert/tunnel"
	"culvert/ui/control"
)

// What went to one host is counted over all connections to it; of hosts beyond the bound only the sum is kept.
func TestWhatWentToEachHostIsCounted(t *testing.T) {
	t.Parallel()
	refused := errors.New("403")
	h := added(control.Host{Host: "a"}, tunnel.Share{Host: "a", Requests: 3, Failed: 1, Sent: 10, Received: 100, Err: refused}, true)
	h = added(h, tunnel.Share{Host: "a", Requests: 4, Failed: 2, Sent: 20, Received: 200}, false)
	if want := (control.Host{Host: "a", Connections: 2, Open: 1, Requests: 7, Failed: 3, Sent: 30, Received: 300, Error: "403"}); h != want {
		t.Errorf("got  %+v\nwant %+v", h, want)
	}
	p := &posted{hosts: map[string]control.Host{}}
	for i := range maxHosts + 10 {
		p.count(&tunnel.Connection{Hosts: []tunnel.Share{{Host: fmt.Sprint("h", i), Requests: 2, Sent: 1, Received: 2}}, Sent: 1, Received: 2})
	}
	p.count(&tunnel.Connection{Hosts: []tunnel.Share{{Host: "h0", Requests: 2, Sent: 1, Received: 2}}, Sent: 1, Received: 2})
	if len(p.hosts) != maxHosts || p.hosts["h0"].Connections != 2 || p.trail.Connections != 10 || p.trail.Sent != 10 || p.trail.Received != 20 {
		t.Errorf("%d hosts, the first %+v, the others %+v", len(p.hosts), p.hosts["h0"], p.trail)
	}
}

// A set that is asked shows where its log is and what it was asked for, which only its record knows.
func TestASetHasWhatItsRecordSays(t *testing.T) {
	t.Parallel()
	r := control.Record{Name: "web", Process: control.Process{PID: 7}, Since: time.Unix(1, 0), Log: "/run/web.log", Request: []string{"-L", "8080"}}
	s := Holding{Record: r}.set(boards{&Board{}})
	if s.Name != r.Name || s.PID != 7 || !s.Since.Equal(r.Since) || s.Log != r.Log || !slices.Equal(s.Request, r.Request) || s.State != control.Starting {
		t.Errorf("got %+v of %+v", s, r)
	}
}
