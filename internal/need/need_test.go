package need

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestSquidForwardsToHostsOnlyItKnows(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "hello from %s via %s", r.Host, r.Header.Get("Via"))
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}

	proxy := Squid(t, SquidConfig{
		Hosts: map[string]netip.Addr{
			"orders.internal":  netip.MustParseAddr("127.0.0.1"),
			"blocked.internal": netip.MustParseAddr("127.0.0.1"),
		},
		Rules: []string{"acl blocked dstdomain blocked.internal", "http_access deny blocked"},
	})
	client := &http.Client{Transport: &http.Transport{
		Proxy:             http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.Addr.String()}),
		DisableKeepAlives: true,
	}}
	get := func(host string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}

	if status, body := get("orders.internal"); status != http.StatusOK || !strings.Contains(body, "squid") {
		t.Errorf("got %d %q, want 200 and Squid's Via", status, body)
	}
	if status, _ := get("blocked.internal"); status != http.StatusForbidden {
		t.Errorf("got %d for a denied host, want 403", status)
	}
	if log := proxy.AccessLog(t); !strings.Contains(log, "orders.internal") {
		t.Errorf("got access log %q, want a line with orders.internal", log)
	}
}

func TestPluginIsBuiltOnceAndTellsItsVersion(t *testing.T) {
	path := Plugin(t)
	if again := Plugin(t); again != path {
		t.Errorf("got %s the second time, want %s", again, path)
	}
	if name := filepath.Base(path); !strings.HasPrefix(name, "session-manager-plugin") {
		t.Errorf("got a program called %s, want the name that the aws CLI looks for", name)
	}
	out, err := exec.CommandContext(t.Context(), path, "--version").Output()
	if err != nil {
		t.Fatalf("ask the plugin for its version: %v", err)
	}
	if got := strings.TrimSpace(string(out)); strings.Count(got, ".") != 3 {
		t.Errorf("got version %q, want one of four parts", got)
	}
}

// recorder stands in for the test that misses something: it ends as a test does, and remembers how.
type recorder struct {
	testing.TB

	skipped, failed string
}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	panic(r)
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	panic(r)
}

func (r *recorder) run(f func()) {
	defer func() {
		if e := recover(); e != nil && e != any(r) {
			panic(e)
		}
	}()
	f()
}

func TestAMissingPartIsListedAsNotRun(t *testing.T) {
	list := filepath.Join(t.TempDir(), "not-run")
	t.Setenv("CI", "")
	t.Setenv(NotRunFile, list)
	r := &recorder{TB: t}
	r.run(func() { Command(r, "no-such-program") })
	if !strings.Contains(r.skipped, "no-such-program") || r.failed != "" {
		t.Errorf("got skipped %q and failed %q, want a skip that names the program", r.skipped, r.failed)
	}
	got, err := os.ReadFile(filepath.Clean(list))
	if err != nil {
		t.Fatal(err)
	}
	if want := t.Name() + ": needs no-such-program\n"; string(got) != want {
		t.Errorf("got list %q, want %q", got, want)
	}
}

func TestAMissingPartFailsInCI(t *testing.T) {
	t.Setenv("CI", "true")
	r := &recorder{TB: t}
	r.run(func() { Command(r, "no-such-program") })
	if r.failed == "" || r.skipped != "" {
		t.Errorf("got skipped %q and failed %q, want a failure", r.skipped, r.failed)
	}
}

// What make test leaves to make check is said, and is no reason to fail: nothing is missing on the machine.
func TestWhatIsLeftToMakeCheckIsListedAndFailsNowhere(t *testing.T) {
	list := filepath.Join(t.TempDir(), "not-run")
	t.Setenv(NotRunFile, list)
	t.Setenv("CI", "true")
	t.Setenv(CheckMode, "")
	for part, use := range map[string]func(*recorder){
		"tofu":           func(r *recorder) { Terraforms(r) },
		"no-such-tool":   func(r *recorder) { Tool(r, "no-such-tool@v1") },
		"no-such-linter": func(r *recorder) { CheckOnly(r, "no-such-linter") },
	} {
		r := &recorder{TB: t}
		r.run(func() { use(r) })
		if !strings.Contains(r.skipped, part) || !strings.Contains(r.skipped, "make check") || r.failed != "" {
			t.Errorf("%s: got skipped %q and failed %q, want a skip that names it and make check", part, r.skipped, r.failed)
		}
		if got, err := os.ReadFile(filepath.Clean(list)); err != nil || !strings.Contains(string(got), "make check: "+t.Name()+", with "+part+"\n") {
			t.Errorf("%s: got list %q, %v", part, got, err)
		}
	}
}

func TestMakeCheckLeavesNothingOut(t *testing.T) {
	t.Setenv(NotRunFile, "")
	t.Setenv("CI", "true")
	t.Setenv(CheckMode, "1")
	r := &recorder{TB: t}
	r.run(func() { CheckOnly(r, "tofu") })
	if r.skipped != "" || r.failed != "" {
		t.Errorf("got skipped %q and failed %q, want the test to go on", r.skipped, r.failed)
	}
	r.run(func() { Tool(r, "no-such-tool@v1") })
	if r.failed == "" || r.skipped != "" {
		t.Errorf("got skipped %q and failed %q, want a failure for a tool that cannot be built", r.skipped, r.failed)
	}
	t.Setenv("CI", "")
	r = &recorder{TB: t}
	r.run(func() { Tool(r, "no-such-tool@v1") })
	if r.skipped == "" || r.failed != "" {
		t.Errorf("got skipped %q and failed %q, want a skip where not in CI", r.skipped, r.failed)
	}
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}
