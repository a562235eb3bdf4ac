package deploy_test

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"culvert/internal/need"
)

const proxyVariables = `
  vpc_id          = "vpc-0abc"
  subnet_ids      = ["subnet-0a"]
  allowed_domains = ["orders.internal", "nowhere.internal", ".corp.example"]
  allowed_cidrs   = ["10.77.1.0/24", "169.254.0.0/16", "127.0.0.0/8"]
  allowed_ports   = [80, 443, 8080]
`

// The proxy as the module's task definition starts it, in real Squid, behind culvert and the embedded account: it lets
// through what is allowed and nothing else, and its health check tells up from down.
func TestTheProxyInTheTask(t *testing.T) {
	handed := os.Getenv("CULVERT_TASK_DEFINITION")
	if handed == "" {
		_, resources := rendered(t, proxyVariables)
		text, _ := resources["aws_ecs_task_definition.this[0]"].Values["container_definitions"].(string)
		t.Setenv("CULVERT_TASK_DEFINITION", text)
	}
	if !need.Namespace(t) {
		return
	}
	var definitions []container
	if err := json.Unmarshal([]byte(handed), &definitions); err != nil || len(definitions) != 1 {
		t.Fatalf("got %d container definitions, %v", len(definitions), err)
	}
	n := newNetwork(t)
	squid := &task{T: t, container: definitions[0]}

	if code := squid.health(); code == 0 {
		t.Error("the health check says up before there is a Squid")
	}
	squid.start()
	squid.parses()
	if code := squid.health(); code != 0 {
		t.Errorf("the health check ends with %d while Squid runs", code)
	}
	through := tunnelTo(t, "127.0.0.1:3128")
	t.Run("allowed", func(t *testing.T) { allowed(t, through, n) })
	t.Run("refused", func(t *testing.T) { refused(t, through, n) })
	t.Run("unresolved", func(t *testing.T) { unresolved(t, through) })
	t.Run("curl", func(t *testing.T) { curls(t, through, n) })
	t.Run("load", func(t *testing.T) { load(t, squid.squid.Process.Pid) })

	squid.stop()
	if code := squid.health(); code == 0 {
		t.Error("the health check says up when Squid is gone")
	}
	for _, want := range []string{"TCP_DENIED/403", "TCP_TUNNEL/200", "orders.internal"} {
		if !strings.Contains(squid.output(), want) {
			t.Errorf("the log that CloudWatch gets has no %s:\n%s", want, squid.output())
		}
	}
	if said := squid.output(); strings.Contains(said, "WARNING") || strings.Contains(said, "ERROR") {
		t.Errorf("Squid complains:\n%s", said)
	}
}

// allowed asks for what the proxy is there for, by both methods and both schemes.
func allowed(t *testing.T, proxy netip.AddrPort, n *network) {
	t.Helper()
	for _, host := range []string{
		"orders.internal:80", "orders.internal:443", "orders.internal:8080", "ORDERS.internal:80",
		"corp.example:80", "a.b.corp.example:8080", byAddress + ":80",
	} {
		if !strings.HasSuffix(host, ":443") {
			if got := get(t, proxy, host); got != http.StatusOK {
				t.Errorf("GET http://%s/: got %d, want 200", host, got)
			}
		}
		if got := connect(t, proxy, host); got != http.StatusOK {
			t.Errorf("CONNECT %s: got %d, want 200", host, got)
		}
	}
	if n.hits(orders) == 0 || n.hits(byAddress) == 0 {
		t.Error("no request arrived")
	}
}

// refused asks for what must not be reached, and looks whether it was, and whether anybody was asked for the name.
func refused(t *testing.T, proxy netip.AddrPort, n *network) {
	t.Helper()
	for _, host := range []string{
		"evil.example:80", "notcorp.example:80", "orders.internal.evil:80", // not on the list
		"orders.internal:8081", "orders.internal:22", // not the port
		orders + ":80", disguised + ":80", "[" + hostMeta6 + "]:80", // addresses that are in no range
		taskMeta + ":80", hostMeta + ":80", "127.0.0.1:80", // in a range, and refused all the same
		"[::ffff:" + taskMeta + "]:80", "[::ffff:127.0.0.1]:80", "[::1]:80", "0.0.0.0:80", "localhost:80", "2852039166:80", "0xa9fea9fe:80",
		"meta.corp.example:80", "host.corp.example:80", "meta6.corp.example:80", "mapped.corp.example:80", // allowed names of it
		"both.corp.example:80", "self.corp.example:80", "self6.corp.example:80", "zero.corp.example:80",
		"127.0.0.1:3128", // itself
	} {
		if got := get(t, proxy, host); got != http.StatusForbidden {
			t.Errorf("GET http://%s/: got %d, want 403", host, got)
		}
		if got := connect(t, proxy, host); got != http.StatusForbidden {
			t.Errorf("CONNECT %s: got %d, want 403", host, got)
		}
	}
	for _, forbidden := range []string{taskMeta, hostMeta, hostMeta6, "127.0.0.1", disguised} {
		if hits := n.hits(forbidden); hits > 0 {
			t.Errorf("%d requests arrived at %s", hits, forbidden)
		}
	}
	for _, name := range n.asked() {
		if strings.HasSuffix(name, "evil.example.") || strings.HasSuffix(name, ".evil.") || strings.HasSuffix(name, ".arpa.") {
			t.Errorf("DNS was asked for %s, which is not on the list", name)
		}
	}
	for _, page := range []string{"cache_object://127.0.0.1/info", "http://culvert.invalid:3128/squid-internal-mgr/info"} {
		if got := request(t, proxy, "GET "+page+" HTTP/1.1\r\nHost: x\r\n\r\n"); got == http.StatusOK {
			t.Errorf("the cache manager answers %s", page)
		}
	}
}

// unresolved asks for an allowed name that DNS does not know: the answer must not be that of a refusal.
func unresolved(t *testing.T, proxy netip.AddrPort) {
	t.Helper()
	if got := connect(t, proxy, "nowhere.internal:443"); got < 500 {
		t.Errorf("got %d for a name that does not resolve, want one of 5xx", got)
	}
}

// curls judges with a client that nobody here wrote.
func curls(t *testing.T, proxy netip.AddrPort, n *network) {
	t.Helper()
	curl := func(args ...string) (string, error) {
		args = append([]string{"-sS", "--fail", "--noproxy", "", "--max-time", "20", "-x", "http://" + proxy.String(), "--cacert", n.ca}, args...)
		out, err := exec.CommandContext(t.Context(), need.Command(t, "curl"), args...).CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{
		{"http://orders.internal/"},
		{"--proxytunnel", "http://orders.internal/"}, // as Node's fetch and Playwright's requests do it
		{"--connect-to", "example.com:443:orders.internal:443", "https://example.com/"},
	} {
		if said, err := curl(args...); err != nil || said != "hello\n" {
			t.Errorf("curl %s: got %q, %v", strings.Join(args, " "), said, err)
		}
	}
	if said, err := curl("https://evil.example/"); err == nil || !strings.Contains(said, "403") {
		t.Errorf("curl of what is not allowed: got %q, %v", said, err)
	}
}
