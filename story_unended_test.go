//go:build unix

package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
)

// A session that can be ended neither by the API nor by its agent is told of on the user's own screen when the interface is left, in
// the words of culvert --headless. It is a warning, which leaves the exit code as it is.
func TestStoryOfASessionThatTheInterfaceCannotEnd(t *testing.T) {
	t.Parallel()
	account, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	account.Fault(func(f *emulator.Faults) {
		f.AgentStart = time.Hour
		f.API = []emulator.APIFault{{Action: "ssm:TerminateSession", Kind: emulator.Deny}}
	})
	// Without a state directory of its own the interface would try what headless has left.
	d := onDisplay(t, 600, 24, `
culvert --headless -c automation -s squid -L 0:3128 2>headless >events & sleep 0.1; until grep -q handshaking events; do sleep 0.1; done
kill -INT $!; wait $!; echo "headless ended with $?" >>headless
XDG_STATE_HOME=$PWD/other culvert -c automation -s squid -L 0:3128; echo "left with $?"; exec sleep 600`, account.Env()...)
	d.sees(`handshaking`)
	d.keys("q")
	d.sees(`One tunnel is open`)
	d.keys("q")
	d.sees(`left with \d+`)
	if got := d.ask("#{alternate_on}"); got != "0" {
		t.Errorf("the alternate screen is %s, want 0", got)
	}
	warning := regexp.MustCompile(`(?m)^culvert: warning: session demo-.* was not terminated: .*; remedy: run: aws ssm terminate-session .*$`).FindString(d.file("headless"))
	if warning == "" {
		t.Fatalf("culvert --headless does not say what it could not end:\n%s", d.file("headless"))
	}
	id := regexp.MustCompile(`\bdemo-\w+`)
	var said []string
	for line := range strings.Lines(d.screen()) {
		if line = strings.TrimSpace(line); line != "" {
			said = append(said, id.ReplaceAllString(line, "ID"))
		}
	}
	if want := []string{id.ReplaceAllString(warning, "ID"), "left with 0"}; !slices.Equal(said, want) {
		t.Errorf("the user comes back to\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	if stay := len(account.Sessions()); stay != 2 {
		t.Errorf("%d sessions are left, want both", stay)
	}
}
