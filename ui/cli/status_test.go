package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"culvert/ui/control"
)

// The table of culvert status has a column for the relay where any tunnel goes through one or has tried to, and none elsewhere.
func TestStatusSaysWhetherSessionsAreBonded(t *testing.T) {
	t.Parallel()
	tunnels := []control.Tunnel{
		{ID: 1, State: "open", Ready: true, Local: "127.0.0.1:3128", Cluster: "c", Service: "s", Remote: "3128", Relay: "on", Strands: 8},
		{ID: 2, State: "open", Ready: true, Local: "127.0.0.1:3129", Cluster: "c", Service: "s", Remote: "3128", Relay: "on"},
		{ID: 3, State: "open", Ready: true, Local: "127.0.0.1:3130", Cluster: "c", Service: "s", Remote: "3128", Relay: "off", RelayWhy: "no answer\tat\x1b[2J all"},
		{ID: 4, State: "open", Ready: true, Local: "127.0.0.1:5432", Cluster: "c", Service: "s", Remote: "5432"},
	}
	for name, test := range map[string]struct {
		tunnels []control.Tunnel
		want    []string // how the lines end
	}{
		"some": {tunnels, []string{"AGE  RELAY", "  on, 8 sessions", "  on", `  off: no answer at\x1b[2J all`, "  -"}},
		"none": {tunnels[3:], []string{"AGE", "s"}},
	} {
		var out bytes.Buffer
		a := &app{Process: Process{Stdout: &out}}
		if err := a.showSets([]control.Set{{Name: "dev", State: control.Ready, Since: time.Now(), Tunnels: test.tunnels}}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != len(test.want) {
			t.Fatalf("%s: got\n%s", name, out.String())
		}
		for i, want := range test.want {
			if !strings.HasSuffix(lines[i], want) {
				t.Errorf("%s: want %q at the end of %q", name, want, lines[i])
			}
		}
	}
}
