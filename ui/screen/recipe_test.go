package screen

import (
	"errors"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/tunnel"
)

// The line that opens a saved tunnel without the screen names the user whom its proxy wants, and the step where its password is.
func TestARecipeNamesTheProxyUserOfASavedTunnel(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	arrives(a, sampleAccount())
	target := aws.Target{Cluster: "automation", Service: "squid"}
	a.tunnels.unopened(wanted{place: a.here, spec: tunnel.Spec{Target: target, Remote: tunnel.Endpoint{Port: 3128}}, user: "alice"}, errors.New("no"))
	r := a.tunnels.rows[len(a.tunnels.rows)-1]
	if again := r.again(); again.user != "alice" {
		t.Errorf("opened anew it is for %q", again.user)
	}
	d := newConnect(a.look, a.tunnels, r.place, entryOf(r.place.catalog, r.Spec), proposals{})
	d.change(r)
	f, _ := d.forward()
	if got := d.recipe(f).command(); !strings.Contains(got, " --proxy-user alice") {
		t.Errorf("got %s", got)
	}
	if got := d.recipe(f).step(); !strings.Contains(got, "    proxy-user: alice\n    proxy-password: \"${{ secrets.CULVERT_PROXY_PASSWORD }}\"\n") {
		t.Errorf("got\n%s", got)
	}
	f.Dynamic = &tunnel.Dynamic{}
	if got := d.recipe(f).command(); strings.Contains(got, "--proxy-user") {
		t.Errorf("a tunnel to any host has no proxy behind it: %s", got)
	}
}
