package tunnel_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"culvert/tunnel"
	"culvert/tunnel/front"
)

func TestParseDynamicReadsEveryForm(t *testing.T) {
	for form, want := range map[string]tunnel.Forward{
		"1080":                {Local: netip.AddrPortFrom(netip.Addr{}, 1080)},
		"65535":               {Local: netip.AddrPortFrom(netip.Addr{}, 65535)},
		"0":                   {Any: true},
		"localhost:1080":      {Local: netip.AddrPortFrom(netip.Addr{}, 1080)},
		"localhost:0":         {Any: true},
		"127.0.0.1:1080":      {Local: netip.MustParseAddrPort("127.0.0.1:1080")},
		"127.0.0.1:0":         {Local: netip.MustParseAddrPort("127.0.0.1:0"), Any: true},
		"[::1]:1080":          {Local: netip.MustParseAddrPort("[::1]:1080")},
		"[::ffff:10.0.0.1]:1": {Local: netip.MustParseAddrPort("10.0.0.1:1")},
		"0.0.0.0:1080":        {Local: netip.MustParseAddrPort("0.0.0.0:1080")},
		"*:1080":              {Local: netip.MustParseAddrPort("0.0.0.0:1080")},
		"[::]:1080":           {Local: netip.MustParseAddrPort("[::]:1080")},
		"/run/x.sock":         {Socket: "/run/x.sock"},
		"./x.sock":            {Socket: "./x.sock"},
		`C:\tmp\x.sock`:       {Socket: `C:\tmp\x.sock`},
	} {
		want.Dynamic = &tunnel.Dynamic{}
		got, err := tunnel.ParseDynamic(form)
		if err != nil {
			t.Errorf("%q: %v", form, err)
			continue
		}
		if !got.Same(want) {
			t.Errorf("%q: got %+v, want %+v", form, got, want)
		}
		again, err := tunnel.ParseDynamic(got.String())
		if err != nil || !again.Same(got) {
			t.Errorf("%q: String() = %q reads back as %+v, %v", form, got.String(), again, err)
		}
	}
}

func TestParseDynamicSaysWhatIsWrong(t *testing.T) {
	for form, want := range map[string]string{
		"":                               "it is empty",
		"socks":                          `"socks" is neither a local port nor an IP address`,
		"65536":                          "the local port 65536 is not in 0–65535",
		"-1":                             `"-1" is neither a local port nor an IP address`,
		"127.0.0.1":                      "the local port is missing",
		"127.0.0.1:":                     "the local port is missing",
		"localhost":                      "the local port is missing",
		"*":                              "the local port is missing",
		"[::1]":                          "the local port is missing",
		":1080":                          `"" is neither a local port nor an IP address`,
		"db.internal:1080":               `"db.internal" is neither a local port nor an IP address`,
		"1080:3128":                      "too many parts",
		"127.0.0.1:1080:3128":            "too many parts",
		"1080:db.internal:5432":          "too many parts",
		"::1:1080":                       `"" is neither a local port nor an IP address`,
		"[::1:1080":                      "a bracket is not closed",
		"[::1]1080":                      "must be followed by a colon",
		"[::1%eth0]:1080":                "with a zone",
		"10 80":                          "a blank or a control character",
		"1080\n":                         "a blank or a control character",
		"/run/":                          "is a directory",
		"/run/x.sock:5432":               `":5432" stands behind the socket path`,
		"/" + strings.Repeat("x", 120):   "the socket path has 121 bytes",
		"1080/" + strings.Repeat("x", 9): "is neither a local port nor an IP address",
	} {
		_, err := tunnel.ParseDynamic(form)
		wrong, ok := errors.AsType[*tunnel.FormError](err)
		if !ok {
			t.Errorf("%q: got %v, want a *FormError", form, err)
			continue
		}
		if wrong.Form != form || !strings.Contains(wrong.Problem, want) {
			t.Errorf("%q: got %q, want %q in it", form, wrong.Problem, want)
		}
		if !strings.HasPrefix(wrong.Remedy(), "write PORT, ADDRESS:PORT or /path.sock") {
			t.Errorf("%q: the remedy %q is about another flag", form, wrong.Remedy())
		}
	}
}

func TestDynamicForwardsAreTheSameWhenTheySayTheSame(t *testing.T) {
	patterns := func(forms ...string) (all []front.Pattern) {
		for _, form := range forms {
			p, err := front.ParsePattern(form)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
		return all
	}
	whole := func() tunnel.Dynamic {
		return tunnel.Dynamic{Via: patterns("*.internal"), Deny: patterns("x.internal"), Destinations: 3, Wait: time.Second, Warm: []tunnel.Endpoint{{Host: "a", Port: 1}}}
	}
	one, other := whole(), whole()
	if !one.Same(&other) || one.Same(nil) || (*tunnel.Dynamic)(nil).Same(&one) || !(*tunnel.Dynamic)(nil).Same(nil) {
		t.Error("what says the same is not the same, or nil is something")
	}
	for name, change := range map[string]func(*tunnel.Dynamic){
		"via":          func(d *tunnel.Dynamic) { d.Via = patterns("*.corp.example") },
		"no via":       func(d *tunnel.Dynamic) { d.Via = nil },
		"deny":         func(d *tunnel.Dynamic) { d.Deny = patterns("x.internal", "y.internal") },
		"destinations": func(d *tunnel.Dynamic) { d.Destinations = 4 },
		"wait":         func(d *tunnel.Dynamic) { d.Wait = 0 },
		"warm":         func(d *tunnel.Dynamic) { d.Warm = []tunnel.Endpoint{{Host: "a", Port: 2}} },
	} {
		other := whole()
		if change(&other); one.Same(&other) {
			t.Errorf("another %s is the same", name)
		}
	}
}

func FuzzParseDynamic(f *testing.F) {
	for _, seed := range []string{"1080", "0", "127.0.0.1:1080", "[::1]:1080", "*:1080", "localhost:0", "/run/x.sock", "[::ffff:127.0.0.1]:1", `c:\x`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		got, err := tunnel.ParseDynamic(form)
		if err != nil {
			if _, ok := errors.AsType[*tunnel.FormError](err); !ok {
				t.Fatalf("%q: %T is not a *FormError", form, err)
			}
			return
		}
		if got.Dynamic == nil || got.Remote != (tunnel.Endpoint{}) || got.Any != (got.Socket == "" && got.Local.Port() == 0) {
			t.Fatalf("%q: %+v is no dynamic forward", form, got)
		}
		again, err := tunnel.ParseDynamic(got.String())
		if err != nil || !again.Same(got) {
			t.Fatalf("%q: %q reads back as %+v, %v; want %+v", form, got.String(), again, err, got)
		}
	})
}
