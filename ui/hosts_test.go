package ui

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"culvert/tunnel"
)

func TestHostTotalsOutliveTheConnections(t *testing.T) {
	var hosts tally
	done := func(host string, sent uint64, err error) tunnel.Connection {
		return tunnel.Connection{Host: host, Protocol: tunnel.ProtocolHTTPConnect, Started: start(), Ended: start().Add(time.Second), Sent: sent, Received: 10 * sent, Err: err}
	}
	hosts.end(done("a.internal:443", 1, nil))
	hosts.end(done("a.internal:443", 2, errors.New("reset")))
	hosts.end(done("", 500, nil))
	open := []tunnel.Connection{
		done("a.internal:443", 2, nil), // still listed by the engine: counted when it ended
		{Host: "a.internal:443", Sent: 4},
		{Host: "b.internal:443", Sent: 7},
	}
	got := hosts.totals(open)
	want := []hostTotal{
		{Host: "(http-connect)", Connections: 1, Sent: 500, Received: 5000},
		{Host: "a.internal:443", Connections: 3, Open: 1, Failed: 1, Sent: 7, Received: 30},
		{Host: "b.internal:443", Connections: 1, Open: 1, Sent: 7},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestHostsAreBounded(t *testing.T) {
	var hosts tally
	for i := range 3 * keepHosts {
		hosts.end(tunnel.Connection{Host: fmt.Sprintf("h%d", i), Sent: 1, Ended: start()})
	}
	var sent uint64
	got := hosts.totals([]tunnel.Connection{{Host: "one more", Sent: 1}})
	for _, h := range got {
		sent += h.Sent
	}
	if len(got) > keepHosts+1 || sent != 3*keepHosts+1 {
		t.Errorf("got %d hosts with %d bytes, want at most %d with %d", len(got), sent, keepHosts+1, 3*keepHosts+1)
	}
}
