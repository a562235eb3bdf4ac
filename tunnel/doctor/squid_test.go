package doctor_test

import (
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
	"culvert/tunnel/doctor"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// squid is a clinic whose proxy is a real Squid with these rules, which alone resolves *.internal to loopback.
func squid(t *testing.T, rules []string, probes ...string) *clinic {
	t.Helper()
	proxy := need.Squid(t, need.SquidConfig{
		Hosts: map[string]netip.Addr{"web.internal": loopback, "orders.internal": loopback, "billing.internal": loopback},
		Rules: rules,
	})
	return newClinic(t, behind(proxy.Addr.String()), probes...)
}

// stockRules are the access rules of the squid.conf that Debian installs.
func stockRules(t *testing.T) []string {
	t.Helper()
	need.Command(t, "squid")
	config, err := os.ReadFile("/etc/squid/squid.conf")
	if err != nil {
		t.Fatalf("read the stock configuration: %v", err)
	}
	var rules []string
	for line := range strings.Lines(string(config)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "acl ") || strings.HasPrefix(line, "http_access ") {
			rules = append(rules, line)
		}
	}
	if len(rules) < 10 {
		t.Fatalf("the stock configuration has only these rules: %q", rules)
	}
	return rules
}

func TestSquidHealthy(t *testing.T) {
	t.Parallel()
	web := page(t, 200)
	tls, authority := secure(t, time.Now().Add(time.Hour), "billing.internal")
	c := squid(t, nil, "http://web.internal:"+portOf(t, web)+"/", "https://billing.internal:"+portOf(t, tls)+"/")
	c.options.Roots = authority
	report := c.examine()
	if first := report.First(); first != nil {
		t.Fatalf("%s fails: %v", first.Check, first.Finding.Err)
	}
	if others := others(report, ""); len(others) > 0 {
		t.Errorf("it warns of %v\n%s", others, summary(report))
	}
	for check, want := range map[string]string{"answer": "squid/", "probe-2": "CONNECT "} {
		if got := strings.Join(resultOf(t, report, check).Finding.Evidence, "; "); !strings.Contains(got, want) {
			t.Errorf("%s saw %q, want %q", check, got, want)
		}
	}
}

func TestF3HostIsNotAllowed(t *testing.T) {
	t.Parallel()
	rules := []string{"acl ours dstdomain .ok.internal", "http_access deny !ours"}
	for _, probe := range []string{"http://web.internal/", "https://web.internal/", "https://web.internal:8443/"} {
		t.Run(probe, func(t *testing.T) {
			t.Parallel()
			squid(t, rules, probe).finds("probe-1", "F3", "does not let this client to web.internal", "403 ERR_ACCESS_DENIED", "dstdomain web.internal")
		})
	}
}

func TestF4PortIsNotAllowedByTheStockConfiguration(t *testing.T) {
	t.Parallel()
	rules := stockRules(t)
	for probe, words := range map[string][]string{
		"https://web.internal:8443/": {"port 8443", "by CONNECT", "acl SSL_ports port 8443", "stock configuration"},
		"http://web.internal:25/":    {"port 25", "by GET", "acl Safe_ports port 25"},
	} {
		t.Run(probe, func(t *testing.T) {
			t.Parallel()
			squid(t, rules, probe).finds("probe-1", "F4", words...)
		})
	}
	t.Run("but what it allows passes", func(t *testing.T) {
		t.Parallel()
		c := squid(t, rules, "http://web.internal:"+portOf(t, page(t, 200))+"/")
		if first := c.examine().First(); first != nil {
			t.Errorf("%s fails: %v", first.Check, first.Finding.Err)
		}
	})
}

func TestF5ProxyWantsAUser(t *testing.T) {
	t.Parallel()
	rules := []string{"auth_param basic program /usr/lib/squid/basic_fake_auth", "acl known proxy_auth REQUIRED", "http_access deny !known"}
	for _, probe := range []string{"http://web.internal/", "https://web.internal/"} {
		t.Run(probe, func(t *testing.T) {
			t.Parallel()
			squid(t, rules, probe).finds("probe-1", "F5", "wants a user and password", "407", "USER:PASSWORD")
		})
	}
}

func TestF19ProxyWantsAUserWhateverIsAskedFor(t *testing.T) {
	t.Parallel()
	users := need.SquidConfig{Users: map[string]string{"alice": "s3cret"}}
	proxy := need.Squid(t, users)
	login := func(password string) *doctor.Login {
		l, err := doctor.NewLogin("alice", password)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	nobody := newClinic(t, behind(proxy.Addr.String()))
	nobody.warns("answer", "F19", "wants a user and password", "--proxy-user USER")
	wrong := newClinic(t, behind(proxy.Addr.String()))
	wrong.options.Login = login("guess")
	wrong.warns("answer", "F19", "does not take the user alice", "CULVERT_PROXY_PASSWORD")
	right := newClinic(t, behind(proxy.Addr.String()))
	right.options.Login = login("s3cret")
	if got := resultOf(t, right.examine(), "answer"); got.Finding.Verdict != doctor.Pass {
		t.Errorf("got %v %v, want a pass", got.Finding.Verdict, got.Finding.Err)
	}
}

func TestF7DestinationRefuses(t *testing.T) {
	t.Parallel()
	port := portOf(t, refusing)
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			squid(t, nil, scheme+"://web.internal:"+port+"/").finds("probe-1", "F7", "is refused by web.internal:"+port, "503 ERR_CONNECT_FAIL 111", "nothing listens on")
		})
	}
}

func TestF10DestinationSaysNothing(t *testing.T) {
	t.Parallel()
	mute := portOf(t, need.Server(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }))
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			c := squid(t, nil, scheme+"://web.internal:"+mute+"/")
			c.options.Patience = time.Second
			c.finds("probe-1", "F10", "says nothing", "ask its own log")
		})
	}
}

func TestF11DestinationHangsUp(t *testing.T) {
	t.Parallel()
	port := portOf(t, need.Server(t, func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 4096)) }))
	squid(t, nil, "http://web.internal:"+port+"/").finds("probe-1", "F11", "502 ERR_ZERO_SIZE_OBJECT", "https://")
}

func TestF12WrongScheme(t *testing.T) {
	t.Parallel()
	t.Run("TLS to a plain port", func(t *testing.T) {
		t.Parallel()
		port := portOf(t, page(t, 200))
		squid(t, nil, "https://web.internal:"+port+"/").finds("probe-1", "F12", "speaks plain HTTP", "use http://web.internal:"+port)
	})
	t.Run("HTTP to a TLS port", func(t *testing.T) {
		t.Parallel()
		address, _ := secure(t, time.Now().Add(time.Hour), "billing.internal")
		port := portOf(t, address)
		squid(t, nil, "http://billing.internal:"+port+"/").finds("probe-1", "F12", "wants TLS", "use https://billing.internal:"+port)
	})
}

func TestF13SomethingCutsTheTLSHandshake(t *testing.T) {
	t.Parallel()
	port := portOf(t, need.Server(t, func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 4096)) }))
	squid(t, nil, "https://web.internal:"+port+"/").finds("probe-1", "F13", "hangs up in the TLS handshake", "firewall")
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		until   time.Duration
		named   string
		trusted bool
		cause   string
		words   []string
	}{
		"unknown authority": {time.Hour, "billing.internal", false, "F14", []string{"Acme internal CA", "not trusted", "NODE_EXTRA_CA_CERTS"}},
		"another name":      {time.Hour, "other.internal", true, "F15", []string{"is for other.internal", "billing.internal"}},
		"expired":           {-time.Hour, "billing.internal", true, "F16", []string{"it ends", "renew"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, authority := secure(t, time.Now().Add(c.until), c.named)
			clinic := squid(t, nil, "https://billing.internal:"+portOf(t, address)+"/")
			if clinic.options.Roots = x509.NewCertPool(); c.trusted {
				clinic.options.Roots = authority
			}
			clinic.finds("probe-1", c.cause, c.words...)
		})
	}
}

func TestF17ServersOwnStatusIsNoFailureOfThePath(t *testing.T) {
	t.Parallel()
	squid(t, nil, "http://web.internal:"+portOf(t, page(t, 503))+"/").warns("probe-1", "F17", "answers 503", "the path works")
}
