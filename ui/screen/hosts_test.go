package screen

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
		{Host: "(http-connect)", Protocol: tunnel.ProtocolHTTPConnect, Connections: 1, Sent: 500, Received: 5000},
		{Host: "a.internal:443", Protocol: "", Connections: 3, Open: 1, Failed: 1, Sent: 7, Received: 30, Why: errors.New("reset")},
		{Host: "b.internal:443", Connections: 1, Open: 1, Sent: 7},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A connection that is kept for requests to several hosts counts for each of them, and what the proxy refuses has failed.
func TestHostsShareAConnection(t *testing.T) {
	refusal := &tunnel.AnswerError{Status: 403, Code: "ERR_ACCESS_DENIED", Host: "b.internal"}
	shares := []tunnel.Share{
		{Host: "a.internal", Requests: 5, Sent: 50, Received: 500},
		{Host: "b.internal", Requests: 2, Failed: 2, Sent: 20, Received: 200, Err: refusal},
	}
	kept := tunnel.Connection{Host: "a.internal", Requests: 7, Refused: 2, Sent: 70, Received: 700, Hosts: shares, Started: start()}
	ended := kept
	ended.Ended, ended.Err = start().Add(time.Second), refusal
	var hosts tally
	hosts.end(ended)
	got := hosts.totals([]tunnel.Connection{kept})
	want := []hostTotal{
		{Host: "a.internal", Connections: 2, Open: 1, Requests: 10, Sent: 100, Received: 1000},
		{Host: "b.internal", Connections: 2, Open: 1, Requests: 4, Failed: 4, Sent: 40, Received: 400, Why: refusal},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if line := (connectionRow{Connection: ended}); line.host("") != "a.internal +1" || line.why() != "" || line.status() != "403 ERR_ACCESS_DENIED x2" {
		t.Errorf("the connection is shown as %q, %q, %q", line.host(""), line.status(), line.why())
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
