package screen

import (
	"context"
	"fmt"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/ui/headless"
)

// What a newcomer wants of the demo, in keys from where they are.
func TestANewcomersTasksTakeFewKeys(t *testing.T) {
	local := need.Port(t)
	l, _ := worldOf(t, Options{
		Prove: func(ctx context.Context, t *tunnel.Tunnel, _, _ string) (string, error) {
			return headless.Prove(ctx, t, headless.Probe{}, nil, nil)
		},
		Demo: true, Begin: aws.Target{Cluster: "automation", Service: "squid"},
		Saved: Saved{Tunnels: []SavedTunnel{{Name: "orders-db", Target: aws.Target{Cluster: "automation", Service: "squid"}, Forward: forward(fmt.Sprintf("%d:orders-db.internal:5432", local))}}},
	}, emulator.Demo())
	l.until("automation", "data", "shop", "as of")
	inKeys := func(task string, most int, keys ...string) {
		t.Helper()
		if len(keys) > most {
			t.Errorf("%s takes %d keys: %v; want %d at the most", task, len(keys), keys, most)
		}
		for _, key := range keys {
			if _, form := l.a.dialog.(*connect); form && key == "enter" {
				l.submit() // the port that it proposes may be another test's by then
			} else {
				l.press(key)
			}
		}
	}

	inKeys("to forward to squid", 4, "enter", "G", "F", "enter")
	l.until("squid:3128", "● open")
	squid := l.a.tunnels.rows[0]

	l.press("esc")
	inKeys("to a known database", 5, ":", "o", "r", "enter")
	l.until("Tunnels 2", fmt.Sprintf("127.0.0.1:%d", local), "squid › order")
	for l.a.tunnels.rows[1].State != tunnel.Open {
		l.step()
	}
	l.press("esc") // the saved tunnels

	for l.a.tunnels.proofs[squid.tunnel].state != proved {
		l.step()
	}
	l.press("t", "g")
	inKeys("to get the exports", 2, "y", "1")
	l.until("export HTTP_PROXY=")

	l.press("esc", "esc", "esc", ":", "s", "q", "u", "enter") // somewhere else first
	l.press("esc", "esc")
	l.a.pane.table.MoveTo(l.a.tunnels.rows[1].id())
	l.run(l.a.grant(l.a.browse.seek(aws.Target{Cluster: "automation", Service: "squid"})))
	inKeys("to stop the right tunnel", 2, "f", "x")
	for squid.State != tunnel.Closed {
		l.step()
	}
	if other := l.a.tunnels.rows[1]; other.State.Final() {
		t.Errorf("the tunnel %s was stopped as well", other.local())
	}
}
