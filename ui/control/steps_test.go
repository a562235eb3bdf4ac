package control_test

import (
	"testing"
	"time"

	"culvert/ui/control"
)

func TestOnlyWhatCostsConnectionsIsAnInterruption(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	step := func(after time.Duration, state, err string) control.Step {
		return control.Step{At: begin.Add(after), State: state, Error: err, Remedy: err}
	}
	const s = time.Second
	for name, c := range map[string]struct {
		steps []control.Step
		want  string
	}{
		"nothing happened":     {},
		"moved":                {steps: []control.Step{step(0, "open", "")}},
		"the hourly close":     {steps: []control.Step{step(0, "resuming", "closed"), step(s, "open", "")}},
		"asleep and awake":     {steps: []control.Step{step(0, "asleep", "idle"), step(s, "starting", ""), step(2*s, "open", "")}},
		"asleep at the end":    {steps: []control.Step{step(0, "asleep", "idle")}},
		"a long resume":        {steps: []control.Step{step(0, "resuming", "dead"), step(6*s, "open", "")}, want: "x: tunnel 1 (l) was interrupted once, for 6s in all: dead"},
		"another session":      {steps: []control.Step{step(0, "reopening", "gone"), step(s, "handshaking", ""), step(2*s, "open", "")}, want: "x: tunnel 1 (l) was interrupted once, for 2s in all: gone"},
		"twice":                {steps: []control.Step{step(0, "reopening", "a"), step(s, "open", ""), step(2*s, "reopening", "b"), step(4*s, "open", "")}, want: "x: tunnel 1 (l) was interrupted 2 times, for 3s in all: b"},
		"not open at the end":  {steps: []control.Step{step(0, "reopening", "none"), step(s, "reopening", "still none")}, want: "x: tunnel 1 (l) did not work at the end: it was reopening, since 03:04:05: still none"},
		"lost for good":        {steps: []control.Step{step(0, "open", ""), step(s, "failed", "lost")}, want: "x: tunnel 1 (l) did not work at the end: it was failed, since 03:04:06: lost"},
		"resuming at the end":  {steps: []control.Step{step(0, "resuming", "dead")}, want: "x: tunnel 1 (l) did not work at the end: it was resuming, since 03:04:05: dead"},
		"resumed, then reopen": {steps: []control.Step{step(0, "resuming", "a"), step(s, "reopening", "b"), step(2*s, "open", "")}, want: "x: tunnel 1 (l) was interrupted once, for 2s in all: b"},
	} {
		t.Run(name, func(t *testing.T) {
			got := control.Set{Name: "x", Tunnels: []control.Tunnel{{ID: 1, Local: "l", Steps: c.steps}}}.Troubles()
			switch {
			case c.want == "" && len(got) > 0:
				t.Errorf("got %q, want nothing", got[0].Problem)
			case c.want != "" && (len(got) != 1 || got[0].Problem != c.want || got[0].Advice == ""):
				t.Errorf("got %v, want %q with a remedy", got, c.want)
			}
		})
	}
}
