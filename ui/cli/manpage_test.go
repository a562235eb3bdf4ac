package cli

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"culvert/internal/need"
)

func TestManualPagesAreReadByMan(t *testing.T) {
	groff := need.Command(t, "groff")
	root := (&app{}).root()
	for commands := []*cobra.Command{root}; len(commands) > 0; commands = commands[1:] {
		cmd := commands[0]
		commands = append(commands, documented(cmd)...)
		read := exec.CommandContext(t.Context(), groff, "-man", "-ww", "-Wbreak", "-Tutf8", "-P-c")
		read.Stdin = strings.NewReader(string(manualPage(cmd, time.Unix(0, 0))))
		var complaints strings.Builder
		read.Stderr = &complaints
		out, err := read.Output()
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v\n%s", cmd.CommandPath(), err, complaints.String())
		}
		text := strings.Join(strings.Fields(unstruck(string(out))), " ")
		for _, want := range []string{pageName(cmd) + " - " + strings.Join(strings.Fields(cmd.Short), " "), "Jan 1970", "SYNOPSIS", "--help"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the page does not say %q:\n%s", cmd.CommandPath(), want, text)
			}
		}
	}
}

// unstruck removes what is struck over: bold is a letter twice, underlined is one over a line.
func unstruck(s string) string {
	var b []rune
	for _, r := range s {
		if r == '\b' && len(b) > 0 {
			b = b[:len(b)-1]
			continue
		}
		b = append(b, r)
	}
	return string(b)
}

func TestManualKeepsTextFromBeingRequests(t *testing.T) {
	for text, want := range map[string]string{
		".culvert.yaml": `\&.culvert.yaml`, "'quoted'": `\&'quoted'`, `a\b`: `a\eb`, "--lanes": `\-\-lanes`, "…": `\[u2026]`,
	} {
		if got := escape(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	var p roff
	p.prose("one\n\n  set in\n.two")
	if got, want := p.String(), "one\n.PP\n.nf\n  set in\n.fi\n\\&.two\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestManualsDateIsThatOfTheBuild(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	if at, err := manualDate(); err != nil || at.Unix() != 86400 {
		t.Errorf("got %v, %v", at, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := manualDate(); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("got %v, want an error that names the variable", err)
	}
}
