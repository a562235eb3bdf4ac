package tunnel

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"culvert/aws"
	"culvert/internal/need"
)

// What listens at an address after a tunnel is no tunnel: it may be a real proxy, and clients of a dynamic tunnel may want to go
// there. The address is a tunnel's once more when another one listens there.
func TestAnAddressIsOursAsLongAsATunnelListensThere(t *testing.T) {
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), need.Port(t))
	t.Setenv("HTTP_PROXY", "http://"+at.String())
	t.Setenv("NO_PROXY", "")
	connect := func() *aws.Client {
		c, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Keys: aws.Keys{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	client, other := connect(), connect()
	e := New(Options{Client: client, Log: quietLog})
	defer func() { _ = e.Close(t.Context()) }()
	open := func(c *aws.Client, local netip.AddrPort) *Tunnel {
		tn, err := e.Open(Spec{Client: c, Local: local, Remote: Endpoint{Port: 1}, Target: aws.Target{Cluster: "c", Service: "s", Container: "app"}})
		if err != nil {
			t.Fatal(err)
		}
		return tn
	}
	check := func(when string, ours bool) {
		t.Helper()
		for _, c := range []*aws.Client{client, other} {
			through, err := c.Proxy(httptest.NewRequest(http.MethodGet, "http://aws.test/", nil))
			if err != nil || (through == nil) != ours {
				t.Errorf("%s: the proxy is %v, %v; want that it is ours: %t", when, through, err, ours)
			}
		}
		if got := e.listensAt(Endpoint{Host: at.Addr().String(), Port: at.Port()}); got != ours {
			t.Errorf("%s: that a tunnel listens there is %t, want %t", when, got, ours)
		}
	}
	open(other, netip.AddrPortFrom(at.Addr(), need.Port(t)))
	check("another tunnel listens elsewhere", false)
	for range 2 {
		tn := open(client, at)
		check("a tunnel listens", true)
		if err := tn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("the tunnel is closed", false)
	}
}
