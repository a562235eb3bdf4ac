package doctor_test

import (
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
)

// What takes a network of its own: DNS servers on port 53, hosts that swallow packets, hosts without a route.
func TestNetworkBehindSquid(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("short: waits for timeouts of Squid")
	}
	ip := need.Command(t, "ip")
	need.Command(t, "squid")
	if !need.Namespace(t) {
		return
	}
	for _, line := range []string{
		"link set lo up",
		"route add 10.99.0.0/24 dev lo", // where nobody answers to these addresses
		"route add unreachable 198.51.100.0/24",
	} {
		if out, err := exec.CommandContext(t.Context(), ip, strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", line, err, out)
		}
	}
	nobody, dead := nameserver(t, "127.0.0.53:53", true), nameserver(t, "127.0.0.54:53", false)
	for name, c := range map[string]struct {
		nameserver string
		rules      []string
		patience   time.Duration
		probe      string
		cause      string
		words      []string
	}{
		"no such name, CONNECT": {nobody, nil, 6 * time.Second, "https://nope.internal/", "F6", []string{"cannot resolve nope.internal", "CONNECT answered 50", "private hosted zone"}},
		"no such name, GET":     {nobody, nil, 6 * time.Second, "http://nope.internal/", "F6", []string{"cannot resolve nope.internal", "GET answered 50", "private hosted zone"}},
		"dead DNS server":       {dead, nil, 8 * time.Second, "https://nope.internal/", "F6", []string{"no answer from its DNS server", "DHCP options"}},
		"dropped, by Squid":     {nobody, []string{"connect_timeout 2 seconds"}, 8 * time.Second, "https://dropped.internal/", "F8", []string{"packets are dropped", "ERR_CONNECT_FAIL 110", "security group"}},
		"dropped, by patience":  {nobody, nil, 2 * time.Second, "http://dropped.internal/", "F8", []string{"packets are dropped", "no answer to GET", "security group"}},
		"unreachable":           {nobody, nil, 6 * time.Second, "https://unreachable.internal/", "F9", []string{"has no route to", "ERR_CONNECT_FAIL 113"}},
		"no route":              {nobody, nil, 6 * time.Second, "http://noroute.internal/", "F9", []string{"has no route to", "ERR_CONNECT_FAIL 101"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := need.Squid(t, need.SquidConfig{
				Rules: append([]string{"dns_nameservers " + c.nameserver}, c.rules...),
				Hosts: map[string]netip.Addr{
					"dropped.internal":     netip.MustParseAddr("10.99.0.9"),
					"unreachable.internal": netip.MustParseAddr("198.51.100.9"),
					"noroute.internal":     netip.MustParseAddr("203.0.113.9"),
				},
			})
			clinic := newClinic(t, behind(proxy.Addr.String()), c.probe)
			clinic.options.Patience = c.patience
			clinic.finds("probe-1", c.cause, c.words...)
		})
	}
}

// nameserver is a DNS server that knows no name, or does not answer at all.
func nameserver(t *testing.T, address string, answers bool) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		message := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(message)
			if err != nil {
				return
			}
			if answers && n > 3 {
				message[2] |= 0x80                     // a response
				message[3] = message[3]&0xf0 | 3       // NXDOMAIN
				_, _ = conn.WriteTo(message[:n], from) // whoever asked asks again
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	host, _, _ := net.SplitHostPort(address)
	return host
}
