package screen

import (
	"bytes"
	"image/color"
	"os"
	"path/filepath"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"culvert/internal/film"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// Five screens with their colours, for people to look at: docs/screens. They are compared like the other golden screens.
func TestStills(t *testing.T) {
	for _, c := range []struct {
		name, label string
		set         func(*app)
	}{
		{"services", "the services of a cluster", func(a *app) { press(t, a, "enter", "G", "k") }},
		{"forward", "the dialog that opens a forward", func(a *app) {
			press(t, a, "enter", "G", "k", "F")
			d := a.dialog.(*connect)
			d.local.Set("3128") // whatever is free on this machine
			d.local.About = "free"
		}},
		{"tunnel", "a tunnel, its traffic and its connections", func(a *app) { onPage(t, a) }},
		{"hosts", "the hosts of a tunnel to a proxy, which refuses some", func(a *app) {
			r := refusing(t, a)
			d := newDetail(a.look, a.tunnels, r)
			a.grant(show(d))
			d.fill(busyConnections(), oldHistory())
			press(t, a, "v")
		}},
		{"doctor", "the doctor's report on a port where nothing listens", func(a *app) { failing(t, a) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			const w, h = 100, 30
			a := visiting(t, sampleAccount(), w, h)
			a.Update(tea.ColorProfileMsg{Profile: colorprofile.TrueColor})
			a.Update(tea.BackgroundColorMsg{Color: color.Black})
			c.set(a)
			still(t, c.name, film.Still(film.Show(w, h, a.View().Content), "culvert: "+c.label))
		})
	}
}

// still compares a picture with the one in the documentation.
func still(t *testing.T, name string, svg []byte) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", "screens", name+".svg")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, svg, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./ui/screen -run TestStills -update writes it)", err)
	}
	if !bytes.Equal(svg, want) {
		t.Errorf("%s is another screen than before; if it is meant to be: go test ./ui/screen -run TestStills -update", path)
	}
}

// refusing is a tunnel to a proxy that has refused two of its hosts.
func refusing(t *testing.T, a *app) *row {
	t.Helper()
	r := addRow(a, somewhere("127.0.0.1:3128"))
	flow(r, 120)
	end := func(host string, sent, received, requests, failed uint64, err error) {
		r.hosts.end(tunnel.Connection{
			Protocol: tunnel.ProtocolHTTPConnect, Host: host, Started: start().Add(-time.Minute), Ended: start(), Sent: sent, Received: received, Requests: requests, Refused: failed, Err: err,
		})
	}
	denied := func(host string) error {
		return &tunnel.AnswerError{Protocol: tunnel.ProtocolHTTPConnect, Status: 403, Code: "ERR_ACCESS_DENIED", Host: host}
	}
	end("orders.internal:443", 12_000, 48_000_000, 40, 0, nil)
	end("billing.internal:443", 900, 42_000, 3, 0, nil)
	for range 3 {
		end("pypi.org:443", 210, 560, 1, 1, denied("pypi.org:443"))
	}
	end("telemetry.example.com:443", 230, 560, 1, 1, denied("telemetry.example.com:443"))
	return r
}

// failing is the doctor's page when it is done with a task that does not listen.
func failing(t *testing.T, a *app) {
	t.Helper()
	remote := tunnel.Endpoint{Port: 3128}
	target := somewhere("127.0.0.1:3128").Link.Target
	d := newDoctor(a.look, examination{ctx: t.Context(), under: &a.examining, place: a.here, query: target.Query(), remote: remote})
	a.grant(show(d)) // it does not examine: that differs every time
	for _, c := range doctor.Checks(d.options) {
		r := doctor.Result{Check: c.ID, Name: c.Name, Finding: doctor.Finding{Verdict: doctor.Pass}}
		switch c.ID {
		case "port":
			r.Cause = "E6"
			r.Finding = doctor.Finding{Verdict: doctor.Fail, Err: &tunnel.RefusedError{Target: target, Remote: remote}, Evidence: []string{"the agent dials localhost inside the task"}}
		case "answer":
			r.HiddenBy = "port"
			r.Finding = doctor.Finding{Verdict: doctor.Skipped, Why: "the check port has failed"}
		}
		d.results = append(d.results, r)
	}
	d.all = true
	d.done(&doctor.Report{At: start(), FarEnd: remote.String(), Results: d.results})
}
