package headless

import (
	"testing"
	"time"

	"culvert/tunnel"
	"culvert/ui/control"
)

// Of thousands of connections the youngest are told, and how many are not; those that have ended are never in their way.
func TestWhatIsToldOfConnectionsIsBounded(t *testing.T) {
	var all []tunnel.Connection
	for id := range uint64(3100) {
		c := tunnel.Connection{ID: id + 1, Host: "a\x1b[2J.internal"}
		if id < 100 {
			c.Ended = time.Unix(1, 0)
		}
		all = append(all, c)
	}
	told, omitted := connections(all)
	if len(told) != control.MaxConnections || omitted != 2600 {
		t.Fatalf("got %d connections and %d that are not told", len(told), omitted)
	}
	if told[0].ID != 1 || told[99].ID != 100 || told[100].ID != 2701 || told[len(told)-1].ID != 3100 {
		t.Errorf("got %d … %d, %d … %d", told[0].ID, told[99].ID, told[100].ID, told[len(told)-1].ID)
	}
	if told[0].Host != `a\x1b[2J.internal` {
		t.Errorf("got host %q", told[0].Host)
	}
	if few, omitted := connections(all[:7]); len(few) != 7 || omitted != 0 {
		t.Errorf("got %d connections and %d that are not told, want all", len(few), omitted)
	}
}
