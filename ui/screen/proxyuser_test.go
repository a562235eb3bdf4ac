package screen

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"culvert/aws"
	"culvert/internal/need"
	"culvert/tunnel"
)

// Whom a proxy is asked as is said by each saved tunnel for itself, nobody included; what is opened by hand has the common user.
func TestEachTunnelIsProvedAsItsOwnUser(t *testing.T) {
	var mu sync.Mutex
	asked := map[uint16]string{}
	ports := [4]uint16{need.Port(t), need.Port(t), need.Port(t), need.Port(t)}
	web := aws.Target{Cluster: "c", Service: "web"}
	one := func(i int, user string) SavedTunnel {
		return SavedTunnel{Name: fmt.Sprint("t", i), Target: web, Forward: forward(fmt.Sprintf("%d:7000", ports[i])), ProxyUser: user}
	}
	l, _ := newWorld(t, Options{
		ProxyUser: "kim",
		Prove: func(_ context.Context, tn *tunnel.Tunnel, _, user string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			asked[tn.Addr().Port()] = user
			return "http-proxy", nil
		},
		Saved: Saved{
			Tunnels: []SavedTunnel{one(0, "alice"), one(1, ""), one(2, "kim")},
			Groups:  []SavedGroup{{Name: "all", Tunnels: []string{"t0", "t1", "t2"}}},
		},
	})
	l.until("as of")
	l.press("S", "enter")
	l.until("Tunnels 3")
	byHand := forward(fmt.Sprintf("%d:7000", ports[3]))
	l.run(l.a.grant(l.a.tunnels.launch(0, SavedTunnel{Target: web, Forward: byHand})))
	l.until("Tunnels 4", "● open")
	known := func() int { mu.Lock(); defer mu.Unlock(); return len(asked) }
	for known() < 4 {
		l.step()
	}
	for i, want := range []string{"alice", "", "kim", "kim"} {
		if got := asked[ports[i]]; got != want {
			t.Errorf("tunnel %d is proved as %q, want %q", i, got, want)
		}
	}
	for _, r := range l.a.tunnels.rows {
		if r.tunnel == nil {
			continue
		}
		if kept := (&keeper{tunnels: l.a.tunnels, demo: true}).of(r); kept.User != asked[r.Local.Port()] {
			t.Errorf("%s goes on as %q, want %q", r.local(), kept.User, asked[r.Local.Port()])
		}
		if again := r.again(); again.user != r.user {
			t.Errorf("%s is opened again as %q, was as %q", r.local(), again.user, r.user)
		}
	}
}
