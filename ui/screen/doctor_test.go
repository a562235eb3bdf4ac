package screen

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel/doctor"
	"culvert/ui/draw"
)

func TestTheDoctorIsCalledFromTheBrowserAndAgain(t *testing.T) {
	l, account := newWorld(t, Options{})
	l.until("as of")
	l.press("d")
	l.until("choose a service or a task")
	l.press("enter", "d", "enter")
	l.until("Doctor  ", "c/web → 7000", "nothing fails", "all is well")
	l.press("v")
	l.until("● pass", "the session's websocket opens")

	for _, id := range account.Tasks("c", "web") {
		if err := account.MapPort(id, 7000, ""); err != nil {
			t.Fatal(err)
		}
	}
	l.press("ctrl+r")
	l.until("fails at port E6", "nothing listens on port 7000", "the agent dials localhost inside the task")
	l.press("y")
	l.until("sent the remedy to the terminal (OSC 52)", "select it")
	l.press("esc", "esc")
	l.until("web")
}

func TestOneFailedCheckIsRunAgain(t *testing.T) {
	l, account := newWorld(t, Options{})
	for _, id := range account.Tasks("c", "web") {
		if err := account.MapPort(id, 7000, ""); err != nil {
			t.Fatal(err)
		}
	}
	l.until("as of")
	l.press("enter", "d", "enter")
	l.until("fails at port E6", "enter this again")

	listed := account.Calls("DescribeSessions") // of checks that the port's does not need
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	for _, id := range account.Tasks("c", "web") {
		if err := account.MapPort(id, 7000, server.Listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
	l.press("enter")
	l.until("nothing fails", "all is well")
	if got := account.Calls("DescribeSessions"); got != listed {
		t.Errorf("%d calls of checks that need not be run again", got-listed)
	}
	l.press("v")
	l.until("port", "answer", "leftovers", "ended")
	l.press("enter")
	l.until("only a check that has not passed", "ctrl+r runs all of them")
}

func TestAFailedTunnelPointsToTheDoctor(t *testing.T) {
	l, account := newWorld(t, Options{Saved: Saved{
		Tunnels: []SavedTunnel{{Name: "site", Target: aws.Target{Cluster: "c", Service: "web"}, Forward: forward(fmt.Sprintf("%d:7000", need.Port(t)))}},
	}})
	account.Fault(func(f *emulator.Faults) { f.API = []emulator.APIFault{{Action: "ssm:StartSession"}} })
	l.until("as of")
	l.press("S", "enter")
	l.until("✕ failed: not allowed (t d)")
	l.press("t")
	l.until("not allowed: ssm:StartSession", "d doctor: why?")
	l.press("d")
	l.until("fails at session D1", `"ssm:StartSession"`)
}

// Words from elsewhere do not reach the terminal as they are.
func TestTheDoctorsPageHoldsNoControlCharacters(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	d := &doctorPage{look: a.look, about: "x", order: []string{"answer"}, arrived: &arrivals{}}
	d.table = draw.NewTable(a.theme, a.keys.table(), func(r doctor.Result) string { return r.Check }, draw.Column[doctor.Result]{Text: line, Least: 20, Grow: true})
	d.arrived.add(doctor.Result{Check: "answer", Finding: doctor.Finding{
		Verdict: doctor.Fail, Err: &doctor.AdviceError{Problem: "evil\x1b[2J", Advice: "worse\x07"}, Evidence: []string{"\x1b]0;title\x07"},
	}})
	d.tick()
	a.grant(show(d))
	wantNot(t, a, "\x1b[2J", "\x07", "\x1b]0")
	want(t, a, `evil\x1b[2J`)
}

// Whoever moved the cursor while the doctor was looking is led to the first failure all the same.
func TestTheDoctorsCursorGoesToTheFirstFailure(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	d := newDoctor(a.look, examination{ctx: t.Context(), place: a.here})
	broken := doctor.Finding{Verdict: doctor.Fail, Err: &doctor.AdviceError{Problem: "broken"}}
	d.results = []doctor.Result{{Check: "region"}, {Check: "port", Finding: broken}, {Check: "answer", Finding: broken}}
	d.all = true
	d.fill()
	d.table.Move(2)
	d.done(&doctor.Report{Results: d.results})
	if got := d.table.At(); got != "port" {
		t.Errorf("the cursor is on %q, want port", got)
	}
}
