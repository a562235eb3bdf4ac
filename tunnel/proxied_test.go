package tunnel_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/front"
)

// What clients do with a dynamic tunnel is told as it would be if its proxy were one in the VPC: under its number, once.
func TestClientsOfADynamicTunnelAreTold(t *testing.T) {
	curl := need.Command(t, "curl")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "I am "+r.Host) }))
	t.Cleanup(server.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "I am "+r.Host) }))
	t.Cleanup(secure.Close)
	w := newPoolWorld(t, 2, nil)
	for name, address := range map[string]string{"web.internal:80": server.Listener.Addr().String(), "web.internal:443": secure.Listener.Addr().String()} {
		if err := w.account.MoveHost(name, address); err != nil {
			t.Fatal(err)
		}
	}
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	at := tn.Addr().String()
	for _, c := range []struct {
		flags    []string
		url      string
		protocol tunnel.Protocol
		host     string
		status   int
		fails    front.Cause // CauseUnknown: it does not
	}{
		{[]string{"-x", "http://" + at}, "http://web.internal/", tunnel.ProtocolHTTP, "web.internal", 200, 0},
		{[]string{"-x", "http://" + at}, "https://web.internal/", tunnel.ProtocolHTTPConnect, "web.internal:443", 200, 0},
		{[]string{"--socks5-hostname", at}, "http://web.internal/", tunnel.ProtocolSOCKS, "web.internal:80", 0, 0},
		{[]string{"--socks5-hostname", "u:p@" + at}, "https://web.internal/", tunnel.ProtocolSOCKS, "web.internal:443", 0, 0},
		{[]string{"-x", "socks4a://" + at}, "http://web.internal/", tunnel.ProtocolSOCKS4, "web.internal:80", 0, 0},
		{[]string{"-x", "http://" + at}, "http://web.internal:81/", tunnel.ProtocolHTTP, "web.internal:81", 502, front.CauseRefused},
		{[]string{"-x", "http://" + at}, "https://web.internal:81/", tunnel.ProtocolHTTPConnect, "web.internal:81", 502, front.CauseRefused},
		{[]string{"--socks5-hostname", at}, "http://nowhere.internal/", tunnel.ProtocolSOCKS, "nowhere.internal:80", 0, front.CauseUnresolved},
		{[]string{"-x", "socks4a://" + at}, "http://nowhere.internal/", tunnel.ProtocolSOCKS4, "nowhere.internal:80", 0, front.CauseUnresolved},
	} {
		out, err := exec.CommandContext(t.Context(), curl, append(c.flags, "-sSk", "--noproxy", "", "--max-time", "30", c.url)...).CombinedOutput()
		if c.fails == 0 && (err != nil || !strings.HasPrefix(string(out), "I am web.internal")) {
			t.Errorf("curl %v %s: %v: %s", c.flags, c.url, err, out)
		}
		got := w.events.endedOf(t)
		one := got.Connection
		if got.Tunnel != tn.ID() || one.Protocol != c.protocol || one.Host != c.host || one.Status != c.status {
			t.Errorf("curl %v %s: got %s %q %d of tunnel %d, want %s %q %d", c.flags, c.url, one.Protocol, one.Host, one.Status, got.Tunnel, c.protocol, c.host, c.status)
		}
		var failed *tunnel.DestinationError
		if (c.fails != 0) != errors.As(one.Err, &failed) || c.fails != 0 && failed.Cause() != c.fails || c.fails == 0 && one.Err != nil {
			t.Errorf("curl %v %s: ended with %v, want cause %d", c.flags, c.url, one.Err, c.fails)
		}
		if c.fails != 0 && one.Refused != 1 {
			t.Errorf("curl %v %s: %d are counted as refused", c.flags, c.url, one.Refused)
		}
	}
	select {
	case e := <-w.events.endings:
		t.Errorf("told once more: %+v", e)
	default:
	}
	need.Eventually(t, "the sessions' connections to end", func() bool { return tn.Stats().Connections == 0 })
	if stats := tn.Stats(); stats.Accepted != 9 || stats.Lanes != 2 {
		t.Errorf("got %+v, want nine connections, and a session for each of two destinations", stats)
	}
	inner := tn.DestinationConnections(tunnel.Endpoint{Host: "web.internal", Port: 443})
	if len(inner) != 2 || inner[0].Protocol != tunnel.ProtocolTLS || inner[0].Host != "web.internal" {
		t.Errorf("behind it: %+v", inner)
	}
}

// What the rules do not send through the task goes from this machine, and is told of as well.
func TestWhatGoesDirectlyIsToldOf(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	pattern, err := front.ParsePattern("*.internal")
	if err != nil {
		t.Fatal(err)
	}
	tn := w.dynamic(tunnel.Dynamic{Via: []front.Pattern{pattern}}, nil)
	curl := need.Command(t, "curl")
	// TEST-NET-1 (RFC 5737) leads nowhere, and this machine's own names are not for a proxy.
	for _, url := range []string{"http://nowhere.invalid/", "http://" + tn.Addr().String() + "/"} {
		out, _ := exec.CommandContext(t.Context(), curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "", "-x", "http://"+tn.Addr().String(), "--max-time", "30", url).CombinedOutput()
		if !strings.Contains(string(out), "502") && !strings.Contains(string(out), "403") {
			t.Errorf("%s: %s", url, out)
		}
		w.events.endedOf(t)
	}
	all := tn.Destinations()
	if len(all) != 1 || !all[0].Direct || all[0].Endpoint.Host != "nowhere.invalid" || all[0].Err == nil {
		t.Errorf("got %+v", all)
	}
	if got := w.account.Calls("StartSession"); got != 1 {
		t.Errorf("%d sessions, want the scout's alone", got)
	}
}

// What culvert itself calls of AWS goes from this machine, even where everything goes through the task: the sessions that carry it
// would else be opened through themselves.
func TestEndpointsOfAWSGoDirectly(t *testing.T) {
	curl := need.Command(t, "curl")
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	const own = "ssmmessages-fips.eu-west-1.amazonaws.com" // of the names that are taken for AWS's one that leads nowhere
	out, _ := exec.CommandContext(t.Context(), curl, "-sS", "--noproxy", "", "-x", "http://"+tn.Addr().String(), "--max-time", "30", "https://"+own+"/").CombinedOutput()
	all := tn.Destinations()
	if len(all) != 1 || !all[0].Direct || all[0].Endpoint != (tunnel.Endpoint{Host: own, Port: 443}) {
		t.Errorf("got %+v, want it tried from this machine: %s", all, out)
	}
	if got := w.account.Calls("StartSession"); got != 1 {
		t.Errorf("%d sessions, want the scout's alone", got)
	}
}

// A listener that others reach too is not asked for by itself, by whichever of this machine's addresses: not through the task,
// which may have it as well.
func TestAListenerIsNotReachedThroughItself(t *testing.T) {
	own := ownAddress(t)
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{}, func(s *tunnel.Spec) { s.Local = netip.AddrPortFrom(netip.IPv4Unspecified(), 0) })
	at := tn.Addr().Port()
	if _, err := w.through(tn, own.String(), at); cause(err) != front.CauseOwn {
		t.Errorf("%s: got %v, want that it is culvert itself", own, err)
	}
	if _, err := w.through(tn, own.String(), at-1); cause(err) == front.CauseOwn {
		t.Errorf("another port: got %v", err)
	}
}

// ownAddress is one of this machine's that is not loopback.
func ownAddress(t *testing.T) netip.Addr {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().IsGlobalUnicast() {
			return prefix.Addr()
		}
	}
	t.Skip("no address of its own but loopback")
	return netip.Addr{}
}
