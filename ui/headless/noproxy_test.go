package headless_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"culvert/tunnel"
	"culvert/tunnel/front"
	"culvert/ui/headless"
)

func TestWhatExemptsAHostIsSaid(t *testing.T) {
	for _, c := range []struct {
		given string
		probe string // empty: none
		want  string // entry that is named; empty: no warning
	}{
		{"web.internal", "http://web.internal/", "web.internal"},
		{"INTERNAL", "http://web.internal/", "INTERNAL"},
		{"*.internal", "https://a.web.internal/", ".internal"},
		{".internal.", "http://web.internal./", ".internal."},
		{"web.internal:80", "http://web.internal/", "web.internal:80"},
		{"web.internal:443", "https://web.internal/", "web.internal:443"},
		{"*", "http://web.example/", "*"},
		{"10.0.0.0/8", "http://10.1.2.3/", "10.0.0.0/8"},
		{"10.1.2.3", "http://10.1.2.3:8080/", "10.1.2.3"},
		{"fd00::/8", "http://[fd00::1]/", "fd00::/8"},
		{"[fd00::1]", "http://[fd00::1]/", "[fd00::1]"},
		{"web.example:443", "http://web.example/", ""},
		{"eb.example", "http://web.example/", ""},
		{"192.0.2.0/24,,  ,x", "http://192.0.3.1/", ""},
		{"", "http://web.internal/", ""},

		{".internal", "", ".internal"},
		{"a.internal", "", "a.internal"},
		{"local", "", "local"},
		{"10.0.0.0/8", "", "10.0.0.0/8"},
		{"172.20.0.0/16", "", "172.20.0.0/16"},
		{"100.64.0.0/10", "", "100.64.0.0/10"},
		{"0.0.0.0/0", "", "0.0.0.0/0"},
		{"10.0.0.1", "", ""},
		{"corp.example,.github.com", "", ""},
		{"localhost,127.0.0.1,169.254.170.2", "", ""},
	} {
		var probed *url.URL
		if c.probe != "" {
			probed, _ = url.Parse(c.probe)
		}
		got := headless.Exempted([]string{"NO_PROXY=" + c.given}, headless.ProxyEnv{}, nil, probed, nil)
		if (got.Problem != "") != (c.want != "") || c.want != "" && !strings.Contains(got.Problem, "NO_PROXY has "+c.want) {
			t.Errorf("%q with %q: got %q, want %q", c.given, c.probe, got.Problem, c.want)
		}
		if got := headless.Exempted([]string{"NO_PROXY=" + c.given}, headless.ProxyEnv{Drop: true}, nil, probed, nil); got.Problem != "" {
			t.Errorf("%q, dropped: got %q", c.given, got.Problem)
		}
	}
}

// Of a tunnel to any host --via says what is behind it: nothing else is missed there, and all of it is.
func TestWhatExemptsAHostOfViaIsSaid(t *testing.T) {
	for _, c := range []struct {
		via, deny, given, probe string
		want                    string // entry that is named; empty: no warning
	}{
		{"*.internal", "", "10.0.0.0/8", "", ""},
		{"*.internal", "", "10.0.0.0/8,.internal", "", ".internal"},
		{"*.internal", "", "a.internal", "", "a.internal"},
		{".corp.example", "", ".local,corp.example", "", "corp.example"},
		{".corp.example", "", "example", "", "example"},
		{".corp.example", "", "git.corp.example", "", "git.corp.example"},
		{".corp.example", "", "acorp.example", "", ""},
		{"db?.example:5432", "", ".example", "", ".example"},
		{"db?.example:5432", "", "db1.example", "", "db1.example"},
		{"db?.example:5432", "", "web.example", "", ""},
		{"10.1.0.0/16", "", "10.0.0.0/8", "", "10.0.0.0/8"},
		{"10.1.0.0/16:443", "", "10.1.2.3", "", "10.1.2.3"},
		{"10.1.0.0/16", "", "10.2.0.0/16,10.internal", "", ""},
		{"[fd00::/8]:443", "", "[fd00::1]", "", "[fd00::1]"},
		{"*.internal", "", "*", "", "*"},
		{"*.internal", "", "localhost,127.0.0.1,169.254.170.2", "", ""},
		{"*", "", "localhost,127.0.0.1,::1", "", ""},
		{"", "", ".internal", "", ".internal"},
		{"", "", "corp.example", "", ""},
		{"*.internal", "", "a.internal", "http://a.internal/", "a.internal"},
		{"*.internal", "", "web.example", "http://web.example/", ""},
		{"", "a.example", "a.example", "http://a.example/", ""},
	} {
		to := &tunnel.Dynamic{}
		for list, form := range map[*[]front.Pattern]string{&to.Via: c.via, &to.Deny: c.deny} {
			if p, err := front.ParsePattern(form); err == nil {
				*list = []front.Pattern{p}
			}
		}
		var probed *url.URL
		if c.probe != "" {
			probed, _ = url.Parse(c.probe)
		}
		got := headless.Exempted([]string{"NO_PROXY=" + c.given}, headless.ProxyEnv{}, nil, probed, to)
		if (got.Problem != "") != (c.want != "") || c.want != "" && !strings.HasPrefix(got.Problem+":", "NO_PROXY has "+c.want+":") && !strings.HasPrefix(got.Problem, "NO_PROXY has "+c.want+",") {
			t.Errorf("--via %q, %q with %q: got %q, want %q", c.via, c.given, c.probe, got.Problem, c.want)
		}
	}
}

// asks is a Java program that says for each URL whether it goes through a proxy.
const asks = `
import java.net.*;
public class Asks {
	public static void main(String[] urls) throws Exception {
		for (String u : urls) System.out.println(u + " " + ProxySelector.getDefault().select(new URI(u)).get(0).type());
	}
}`

// A JVM asks the proxy for what NO_PROXY does not exempt, and nothing else.
func TestAJVMUnderstandsWhatItIsTold(t *testing.T) {
	program, err := exec.LookPath("java")
	if err != nil {
		t.Skip("no java here")
	}
	source := filepath.Join(t.TempDir(), "Asks.java")
	if err := os.WriteFile(source, []byte(asks), 0o600); err != nil {
		t.Fatal(err)
	}
	given := []string{"NO_PROXY=10.0.0.0/8,192.0.2.0/24,172.16.0.0/12,.corp.example,db.example,foo.bar:8080,203.0.113.7/32,a b,x|y",
		`JAVA_TOOL_OPTIONS=-Xmx64m '-Dhttp.nonProxyHosts=own.example|*.build.example' -Dsocks"NonProxyHosts="own.example`}
	how := headless.ProxyEnv{Java: true}
	told := func(proxy string) string {
		for _, p := range headless.ProxyPairs(given, proxy, how, nil) {
			if p.Name == "JAVA_TOOL_OPTIONS" {
				return p.Value
			}
		}
		return ""
	}
	if options := told("http://alice:secret@127.0.0.1:3128"); strings.Contains(options, "secret") {
		t.Errorf("the password is in %s", options)
	}
	if options := told("http://127.0.0.1:3128"); strings.Count(options, "build.example") != 2 || !strings.HasPrefix(options, "-Xmx64m ") {
		t.Errorf("got %s, want what was there before, and its hosts in ours", options)
	}
	how.Drop = true
	if options := told("http://127.0.0.1:3128"); strings.Count(options, "build.example") != 1 {
		t.Errorf("got %s, want none of the earlier hosts in ours", options)
	}
	how.Drop = false
	if w := headless.Undone(given, how, nil); !strings.Contains(w.Problem, "172.16.0.0/12, foo.bar:8080, a b, x|y") {
		t.Errorf("got %q, want what is dropped", w.Problem)
	}
	want := []string{
		"http://10.1.2.3/ DIRECT", "http://192.0.2.9/ DIRECT", "http://203.0.113.7/ DIRECT", "https://a.corp.example/ DIRECT", "http://db.example/ DIRECT",
		"http://own.example/ DIRECT", "http://a.build.example/ DIRECT", "http://x.db.example/ DIRECT", "http://169.254.170.23/ DIRECT", "http://localhost/ DIRECT",
		"http://web.internal/ HTTP", "https://web.internal/ HTTP", "http://foo.bar:8080/ HTTP", "http://110.1.2.3/ HTTP", "http://172.16.1.1/ HTTP", "http://mydb.example/ HTTP",
	}
	args := []string{source}
	for _, line := range want {
		u, _, _ := strings.Cut(line, " ")
		args = append(args, u)
	}
	for kind, proxy := range map[string]string{"HTTP": "http://alice:secret@127.0.0.1:3128", "SOCKS": "socks5h://127.0.0.1:1080"} {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "JAVA_TOOL_OPTIONS="+told(proxy))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.TrimSpace(string(out)), strings.ReplaceAll(strings.Join(want, "\n"), " HTTP", " "+kind); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}
