package aws

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
)

var errTest = errors.New("test")

// culvert's child gets HTTP_PROXY; so may the shell that culvert itself is started from.
func TestOwnListenerIsNeverTheProxy(t *testing.T) {
	for _, test := range []struct {
		own, proxy string
		used       bool
	}{
		{"127.0.0.1:3128", "http://127.0.0.1:3128", false},
		{"127.0.0.1:3128", "127.0.0.1:3128", false},
		{"127.0.0.1:3128", "http://localhost:3128", false},
		{"127.0.0.1:3128", "http://LOCALHOST.:3128", false},
		{"127.0.0.1:3128", "http://[::1]:3128", false},
		{"127.0.0.1:3128", "http://user:secret@127.0.0.1:3128/", false},
		{"127.0.0.1:3128", "http://0.0.0.0:3128", false},
		{"127.0.0.1:3128", "http://[::ffff:127.0.0.1]:3128", false},
		{"[::1]:3128", "http://127.0.0.1:3128", false},
		{"0.0.0.0:3128", "http://127.0.0.2:3128", false},
		{"[::]:3128", "http://localhost:3128", false},
		{"192.0.2.7:3128", "http://192.0.2.7:3128", false},
		{"127.0.0.1:80", "http://localhost", false},
		{"127.0.0.1:3128", "http://127.0.0.1:3129", true},
		{"127.0.0.1:3128", "http://proxy.corp.example:3128", true},
		{"127.0.0.1:3128", "http://192.0.2.7:3128", true},
		{"192.0.2.7:3128", "http://127.0.0.1:3128", true},
		{"0.0.0.0:3128", "http://192.0.2.200:3128", true},
	} {
		t.Run(test.own+" "+test.proxy, func(t *testing.T) {
			isolate(t)
			t.Setenv("HTTPS_PROXY", test.proxy)
			c, err := Connect(t.Context(), Options{Region: "eu-west-1", Keys: Keys{ID: "a", Secret: "b"}})
			if err != nil {
				t.Fatal(err)
			}
			c.Own([]netip.AddrPort{netip.MustParseAddrPort(test.own)})
			for _, target := range []string{"https://ecs.eu-west-1.amazonaws.com/", "wss://ssmmessages.eu-west-1.amazonaws.com/v1"} {
				request := &http.Request{URL: must(url.Parse(target))}
				got, err := c.Proxy(request)
				if err != nil {
					t.Fatal(err)
				}
				if (got != nil) != test.used {
					t.Errorf("%s: got proxy %v, want used %v", target, got, test.used)
				}
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestNoProxyIsHonoured(t *testing.T) {
	isolate(t)
	t.Setenv("HTTPS_PROXY", "http://proxy.corp.example:3128")
	t.Setenv("NO_PROXY", ".amazonaws.com")
	c := must(Connect(t.Context(), Options{Region: "eu-west-1", Keys: Keys{ID: "a", Secret: "b"}}))
	got, err := c.Proxy(&http.Request{URL: must(url.Parse("wss://ssmmessages.eu-west-1.amazonaws.com/v1"))})
	if got != nil || err != nil {
		t.Errorf("got %v, %v; want none", got, err)
	}
}

// A port on which culvert listened once may be that of a real proxy later.
func TestAListenerThatIsClosedMayBeTheProxy(t *testing.T) {
	isolate(t)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
	c := must(Connect(t.Context(), Options{Region: "eu-west-1", Keys: Keys{ID: "a", Secret: "b"}}))
	request := &http.Request{URL: must(url.Parse("https://example.com/"))}
	for _, step := range []struct {
		own  []netip.AddrPort
		used bool
	}{
		{nil, true},
		{[]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:3127"), netip.MustParseAddrPort("127.0.0.1:3128")}, false},
		{[]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:3127")}, true},
	} {
		c.Own(step.own)
		if got, err := c.Proxy(request); err != nil || (got != nil) != step.used {
			t.Errorf("with listeners %v: got proxy %v, %v; want used %v", step.own, got, err, step.used)
		}
	}
}
