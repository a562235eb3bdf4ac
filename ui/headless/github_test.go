package headless_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/ui/control"
	"culvert/ui/headless"
)

// runner is the environment of a step, with its files in a directory.
func runner(t *testing.T) (getenv func(string) string, dir string) {
	t.Helper()
	dir = t.TempDir()
	return func(name string) string {
		switch name {
		case "GITHUB_ACTIONS":
			return "true"
		case "GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE", "GITHUB_STEP_SUMMARY":
			return filepath.Join(dir, name)
		}
		return ""
	}, dir
}

func TestNothingIsSaidToARunnerThatIsNotThere(t *testing.T) {
	var log bytes.Buffer
	getenv, dir := runner(t)
	g := headless.NewGitHub(func(name string) string {
		if name == "GITHUB_ACTIONS" {
			return "false"
		}
		return getenv(name)
	}, &log)
	if g != nil {
		t.Fatal("got a runner")
	}
	g.Error("a", "b")
	g.Warn("a", "b")
	g.Mask("secret")
	g.Group(&log, "a")()
	g.Summarize("a")
	for _, err := range []error{g.Check(), g.Outputs(nil), g.Export(nil), g.Keep(nil)} {
		if err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 || log.Len() != 0 {
		t.Errorf("got files %v, %v and log %q, want nothing", entries, err, log.String())
	}
}

func TestNoValueEndsItsOwnHeredoc(t *testing.T) {
	getenv, dir := runner(t)
	g := headless.NewGitHub(getenv, &bytes.Buffer{})
	evil := "a\nEOF\nculvert-\nPATH=/evil\n"
	if err := g.Outputs([]headless.Pair{{Name: "one", Value: evil}, {Name: "two", Value: ""}}); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "GITHUB_OUTPUT"))
	if err != nil {
		t.Fatal(err)
	}
	name, rest, _ := strings.Cut(string(body), "<<")
	delimiter, rest, _ := strings.Cut(rest, "\n")
	value, rest, found := strings.Cut(rest, "\n"+delimiter+"\n")
	if name != "one" || !found || value != evil || !strings.HasPrefix(rest, "two<<") {
		t.Errorf("got %q", body)
	}
	if strings.HasPrefix(rest, "two<<"+delimiter) {
		t.Error("the delimiter is not random")
	}
}

func TestTextFromOutsideCannotBecomeACommand(t *testing.T) {
	var log bytes.Buffer
	getenv, _ := runner(t)
	g := headless.NewGitHub(getenv, &log)
	g.Error("line\n::add-path::/evil\r\n##[error]x 100%", "try::this")
	g.Group(&log, "a\n::stop-commands::x")()
	want := "::error title=culvert::line ::add-path::/evil ##\\x5berror]x 100%25%0Aremedy: try::this\n" +
		"::group::a ::stop-commands::x\n::endgroup::\n"
	if log.String() != want {
		t.Errorf("got  %q\nwant %q", log.String(), want)
	}
}

func TestASummaryIsTextNotMarkup(t *testing.T) {
	s := control.Set{Tunnels: []control.Tunnel{{
		Local: "127.0.0.1:1", Cluster: "a|b", Service: "<img src=x>", Remote: "3128", Ready: true, Took: 812, Sent: 1290, Received: 48_211_000,
		Hosts: []control.Host{{Host: "[x](http://evil)\n# head", Connections: 2, Requests: 7, Failed: 3, Sent: 5, Received: 6, Error: "403 ERR_ACCESS_DENIED|x"}},
	}}}
	got := headless.Summary("culvert", "ended: **lost**", s, true)
	for _, bad := range []string{"<img", "[x](", "\n# head", "**", "a|b"} {
		if strings.Contains(got, bad) {
			t.Errorf("got %q in\n%s", bad, got)
		}
	}
	for _, good := range []string{"| 812ms |", "| 1.3 kB | 48 MB |", "| 2 | 7 | 3: 403 ERR&#95;ACCESS&#95;DENIED&#124;x | 5 B | 6 B |"} {
		if !strings.Contains(got, good) {
			t.Errorf("no %q in\n%s", good, got)
		}
	}
	hosts := control.Set{Tunnels: []control.Tunnel{{Remote: "any host", Destinations: []control.Destination{
		{Destination: "a|b.internal:80", Task: "t1", State: "open", Sent: 5, Received: 6},
		{Destination: "c.example:443", Direct: true, State: "open", Used: time.Now()},
		{Destination: "d.internal:1", State: "failed", Error: "no <b>route</b>"},
	}}}}
	got = headless.Summary("culvert", "", hosts, false)
	for _, good := range []string{"| c.example:443 | directly | open | 0 B | 0 B |\n| a&#124;b.internal:80 | t1 | open | 5 B | 6 B |", "| d.internal:1 | - | failed: no &#60;b&#62;route"} {
		if !strings.Contains(got, good) {
			t.Errorf("no %q in\n%s", good, got)
		}
	}
	hosts.Tunnels[0].Destinations = make([]control.Destination, control.MaxDestinations)
	if long := headless.Summary("culvert", "", hosts, false); len(long) > 64<<10 || !strings.Contains(long, "and 975 more") {
		t.Errorf("a summary of 1000 destinations has %d bytes", len(long))
	}
	many := control.Set{Tunnels: []control.Tunnel{{Hosts: make([]control.Host, 5000)}}}
	if long := headless.Summary("culvert", "", many, true); len(long) > 64<<10 || !strings.Contains(long, "and 4975 more") {
		t.Errorf("a summary of 5000 hosts has %d bytes", len(long))
	}
}
