package front_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
	"culvert/tunnel/front"
)

// shop is a world of hosts that only the proxy knows, for programs of others.
type shop struct {
	*world

	ca string // the certificate of https://example.com, which is not the one on the internet
}

func openShop(t *testing.T) *shop {
	t.Helper()
	w := open(t, func(o *front.Options) {
		o.Rules = front.NewRules(patterns(t, "*.internal", "example.com"), patterns(t, "denied.internal"))
	})
	s := &shop{world: w}
	for _, name := range []string{"orders.internal", "billing.internal"} {
		w.site(name, func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			rw.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprintf(rw, "<p>%s says %s to %s%s</p>", name, r.Method, r.Host, body)
		})
	}
	secure := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "<p>secure</p>") }))
	t.Cleanup(secure.Close)
	w.through.at["example.com:443"] = secure.Listener.Addr().String()
	public := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "<p>public</p>") }))
	t.Cleanup(public.Close)
	w.direct.at["public.example:80"] = public.Listener.Addr().String()
	w.through.fails["forbidden.internal:443"] = &unreached{front.CauseForbidden, "AWS denies ssm:StartSession", "allow it"}
	s.ca = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(s.ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a program with no proxy of ours in its environment, and returns what it prints.
func (s *shop) run(environment []string, name string, args ...string) (string, error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 50*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	for _, v := range os.Environ() {
		if !strings.Contains(strings.ToLower(v[:strings.IndexByte(v, '=')]), "proxy") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, environment...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return said.String(), err
}

func TestCurl(t *testing.T) {
	curl := need.Command(t, "curl")
	s := openShop(t)
	all := map[string][]string{
		"-x":                {"-x", "http://" + s.addr},
		"-p":                {"-p", "-x", "http://" + s.addr},
		"1.0":               {"--proxy1.0", s.addr},
		"--socks5-hostname": {"--socks5-hostname", s.addr},
		"--socks4a":         {"--socks4a", s.addr},
	}
	for name, way := range all {
		common := append([]string{"-sS", "--max-time", "30", "--cacert", s.ca}, way...)
		for _, test := range []struct {
			args []string
			want string
		}{
			{[]string{"http://orders.internal/a", "http://billing.internal/b"}, "<p>orders.internal says GET to orders.internal</p><p>billing.internal says GET to billing.internal</p>"},
			{[]string{"-d", " a=b", "http://orders.internal/"}, "<p>orders.internal says POST to orders.internal a=b</p>"},
			{[]string{"-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "-d", " a=b", "http://Orders.Internal./"}, "<p>orders.internal says POST to Orders.Internal. a=b</p>"},
			{[]string{"https://example.com/"}, "<p>secure</p>"},
			{[]string{"http://public.example/"}, "<p>public</p>"},
		} {
			if got, err := s.run(nil, curl, append(common, test.args...)...); err != nil || got != test.want {
				t.Errorf("curl %s %q: got %q, %v", name, test.args, got, err)
			}
		}
	}
	// What curl makes of a refusal.
	for way, want := range map[string]string{"-x": "502", "--socks5-hostname": "(2)", "--socks4a": "91"} {
		got, err := s.run(nil, curl, append(append([]string{"-sS", "-v"}, all[way]...), "https://forbidden.internal/")...)
		if err == nil || !strings.Contains(got, want) || way == "-x" && !strings.Contains(got, "AWS denies ssm:StartSession") {
			t.Errorf("curl %s: got %v\n%s", way, err, got)
		}
	}
	if got, err := s.run(nil, curl, "-sS", "--http2", "-x", "http://"+s.addr, "http://orders.internal/"); err != nil || !strings.Contains(got, "says GET") {
		t.Errorf("curl --http2: got %q, %v", got, err)
	}
	if got, err := s.run(nil, curl, "-sS", "--proxy-insecure", "-x", "https://"+s.addr, "http://orders.internal/"); err == nil || !strings.Contains(strings.ToLower(got), "version") {
		t.Errorf("curl with https:// for the proxy: got %q, %v", got, err)
	}
}

func TestWget(t *testing.T) {
	wget := need.Command(t, "wget")
	s := openShop(t)
	environment := []string{"http_proxy=http://" + s.addr, "https_proxy=http://" + s.addr}
	got, err := s.run(environment, wget, "-qO-", "--tries=1", "--ca-certificate="+s.ca, "http://orders.internal/", "https://example.com/", "http://billing.internal/")
	if want := "<p>orders.internal says GET to orders.internal</p><p>secure</p><p>billing.internal says GET to billing.internal</p>"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPythonRequests(t *testing.T) {
	python := need.Command(t, "python3")
	s := openShop(t)
	if out, err := s.run(nil, python, "-c", "import requests"); err != nil {
		t.Skipf("python has no requests: %s", out)
	}
	const script = `
import requests, sys
s = requests.Session()
for url in ("http://orders.internal/", "http://billing.internal/", "https://example.com/", "http://orders.internal/"):
    sys.stdout.write(s.get(url, timeout=30).text)
sys.stdout.write(s.post("http://orders.internal/", data=iter([b" in ", b"chunks"]), timeout=30).text)
r = s.get("http://denied.internal/", timeout=30)
print(r.status_code, r.headers["Proxy-Status"].split(";")[1])
`
	got, err := s.run([]string{"http_proxy=http://" + s.addr, "https_proxy=http://" + s.addr, "REQUESTS_CA_BUNDLE=" + s.ca}, python, "-c", script)
	want := "<p>orders.internal says GET to orders.internal</p><p>billing.internal says GET to billing.internal</p><p>secure</p><p>orders.internal says GET to orders.internal</p>" +
		"<p>orders.internal says POST to orders.internal in chunks</p>403  error=http_request_denied\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNodesFetch(t *testing.T) {
	node := need.Node(t)
	s := openShop(t)
	const script = `
(async () => {
  for (const url of ["http://orders.internal/", "https://example.com/", "http://billing.internal/"]) {
    process.stdout.write(await (await fetch(url)).text());
  }
})().catch((e) => { console.log(e, e.cause); process.exitCode = 1; });`
	got, err := s.run([]string{"NODE_USE_ENV_PROXY=1", "HTTP_PROXY=http://" + s.addr, "HTTPS_PROXY=http://" + s.addr, "NODE_EXTRA_CA_CERTS=" + s.ca}, node, "-e", script)
	if want := "<p>orders.internal says GET to orders.internal</p><p>secure</p><p>billing.internal says GET to billing.internal</p>"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestGitOverHTTP(t *testing.T) {
	git := need.Command(t, "git")
	s := openShop(t)
	dir := t.TempDir()
	here := []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "HOME=" + dir}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", dir + "/made"},
		{"-C", dir + "/made", "commit", "-q", "--allow-empty", "-m", "first"},
		{"clone", "-q", "--bare", dir + "/made", dir + "/served/repo.git"},
		{"-C", dir + "/served/repo.git", "update-server-info"},
	} {
		if out, err := s.run(here, git, args...); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	s.site("git.internal", http.FileServer(http.Dir(dir+"/served")).ServeHTTP)
	for i, proxy := range []string{"http://" + s.addr, "socks5h://" + s.addr, "socks4a://" + s.addr} {
		to := fmt.Sprintf("%s/got%d", dir, i)
		out, err := s.run(here, git, "-c", "http.proxy="+proxy, "clone", "-q", "http://git.internal/repo.git", to)
		if err != nil {
			t.Errorf("%s: %v\n%s", proxy, err, out)
			continue
		}
		if log, err := s.run(here, git, "-C", to, "log", "--format=%s"); log != "first\n" {
			t.Errorf("%s: got %q, %v", proxy, log, err)
		}
	}
}

// Chromium takes the PAC file from the listener, and finds with it what goes through and what goes directly. A page that it shows
// does not learn what is in that file.
func TestChromium(t *testing.T) {
	chromium := need.Command(t, "chromium")
	s := openShop(t)
	done := make(chan struct{})
	s.site("curious.internal", func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/done":
			close(done)
			return
		case "/picture": // the browser has loaded the page no earlier than the page is done
			select {
			case <-done:
			case <-r.Context().Done():
			}
			return
		}
		rw.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(rw, `<p id=p>loading</p><img src=/picture><script src="http://%[1]s/proxy.pac"></script><script>
fetch("http://%[1]s/proxy.pac").then((r) => r.text()).catch(() => "no fetch").then((t) => { p.textContent = typeof FindProxyForURL + ", " + t; fetch("/done"); });
</script>`, s.addr)
	})
	pac := "--proxy-pac-url=http://" + s.addr + "/proxy.pac"
	for _, test := range []struct{ proxy, url, want string }{
		{pac, "http://orders.internal/", "orders.internal says GET to orders.internal"},
		{pac, "https://example.com/", "secure"},
		{pac, "http://public.example/", "public"},
		{pac, "http://curious.internal/", "undefined, no fetch"},
		{"--proxy-server=http://" + s.addr, "https://example.com/", "secure"},
		{"--proxy-server=socks5://" + s.addr, "https://example.com/", "secure"},
	} {
		got, err := s.run(nil, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--ignore-certificate-errors", "--user-data-dir="+t.TempDir(),
			"--host-resolver-rules=MAP public.example "+s.direct.at["public.example:80"], // for the browser alone
			test.proxy, "--timeout=20000", "--dump-dom", test.url)
		if err != nil || !strings.Contains(got, ">"+test.want+"</p>") {
			t.Errorf("%s, %s: %v\n%.2000s", test.proxy, test.url, err, got)
		}
	}
	if slices.Contains(s.direct.calls(), "public.example:80") { // its own ones it asks for as well
		t.Error("the proxy was asked for what the PAC file sends elsewhere")
	}
}
