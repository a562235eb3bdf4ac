package tunnel_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/tunnel"
)

func TestParseForwardReadsEveryForm(t *testing.T) {
	local := func(addr string, port uint16) netip.AddrPort {
		if addr == "" {
			return netip.AddrPortFrom(netip.Addr{}, port)
		}
		return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
	}
	for form, want := range map[string]tunnel.Forward{
		"3128":                             {Remote: tunnel.Endpoint{Port: 3128}},
		"0:3128":                           {Remote: tunnel.Endpoint{Port: 3128}, Local: local("", 0), Any: true},
		"8080:3128":                        {Remote: tunnel.Endpoint{Port: 3128}, Local: local("", 8080)},
		"localhost:8080:3128":              {Remote: tunnel.Endpoint{Port: 3128}, Local: local("", 8080)},
		"127.0.0.1:8080:3128":              {Remote: tunnel.Endpoint{Port: 3128}, Local: local("127.0.0.1", 8080)},
		"[::1]:8080:3128":                  {Remote: tunnel.Endpoint{Port: 3128}, Local: local("::1", 8080)},
		"*:8080:3128":                      {Remote: tunnel.Endpoint{Port: 3128}, Local: local("0.0.0.0", 8080)},
		"0.0.0.0:8080:3128":                {Remote: tunnel.Endpoint{Port: 3128}, Local: local("0.0.0.0", 8080)},
		"15432:db.internal:5432":           {Remote: tunnel.Endpoint{Host: "db.internal", Port: 5432}, Local: local("", 15432)},
		"15432:10.0.3.7:5432":              {Remote: tunnel.Endpoint{Host: "10.0.3.7", Port: 5432}, Local: local("", 15432)},
		"127.0.0.2:15432:db.internal:5432": {Remote: tunnel.Endpoint{Host: "db.internal", Port: 5432}, Local: local("127.0.0.2", 15432)},
		"[::1]:15432:[fd00::7]:5432":       {Remote: tunnel.Endpoint{Host: "fd00::7", Port: 5432}, Local: local("::1", 15432)},
		"/run/x.sock:5432":                 {Remote: tunnel.Endpoint{Port: 5432}, Socket: "/run/x.sock"},
		"./x.sock:db.internal:5432":        {Remote: tunnel.Endpoint{Host: "db.internal", Port: 5432}, Socket: "./x.sock"},
		`C:\tmp\x.sock:5432`:               {Remote: tunnel.Endpoint{Port: 5432}, Socket: `C:\tmp\x.sock`},
		"65535:65535":                      {Remote: tunnel.Endpoint{Port: 65535}, Local: local("", 65535)},
	} {
		got, err := tunnel.ParseForward(form)
		if err != nil {
			t.Errorf("%q: %v", form, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%q (-want +got):\n%s", form, diff)
		}
		again, err := tunnel.ParseForward(got.String())
		if err != nil || !again.Same(got) {
			t.Errorf("%q: String() = %q reads back as %+v, %v", form, got.String(), again, err)
		}
	}
}

func TestParseForwardSaysWhatIsWrong(t *testing.T) {
	for form, want := range map[string]string{
		"":                                    "it is empty",
		"http":                                `the remote port "http" is not a number`,
		"0":                                   "the remote port 0 is not in 1–65535",
		"65536":                               "the remote port 65536 is not in 1–65535",
		"8080:0":                              "the remote port 0 is not in 1–65535",
		"70000:3128":                          "the local port 70000 is not in 0–65535",
		"8080:":                               "the remote port is missing",
		":3128":                               `"" is neither a local port nor an IP address`,
		"-1:3128":                             `"-1" is neither a local port nor an IP address`,
		"db.internal:5432":                    `"db.internal" is neither a local port nor an IP address`,
		"127.0.0.1:3128":                      "an address needs two ports",
		"127.0.0.1:8080:a:3128:1":             "too many parts",
		"8080:db internal:1":                  "a blank or a control character",
		"8080:db\n:1":                         "a blank or a control character",
		"8080:-db:1":                          "begins or ends with a hyphen",
		"8080:db..internal:1":                 "an empty label",
		"8080::1":                             "is empty",
		"8080:d$b:1":                          `contains '$'`,
		"[::1:8080:3128":                      "a bracket is not closed",
		"[::1]8080:3128":                      "must be followed by a colon",
		"[::1]":                               "the remote port is missing",
		"[::1%eth0]:8080:3128":                "with a zone",
		"8080:[10.0.0.x]:1":                   "is not an IPv6 address",
		"/run/x.sock":                         "no remote port behind the socket path",
		"/run/:5432":                          "is a directory",
		"/run/x.sock:a:b:1":                   "more behind the socket path",
		"/" + strings.Repeat("x", 120) + ":1": "the socket path has 121 bytes",
	} {
		_, err := tunnel.ParseForward(form)
		formErr, ok := errors.AsType[*tunnel.FormError](err)
		if !ok {
			t.Errorf("%q: got %v, want a *FormError", form, err)
			continue
		}
		if formErr.Form != form || !strings.Contains(formErr.Problem, want) {
			t.Errorf("%q: got %q, want %q in it", form, formErr.Problem, want)
		}
	}
}

func FuzzParseForward(f *testing.F) {
	for _, seed := range []string{"3128", "8080:3128", "127.0.0.1:8080:3128", "[::1]:8080:3128", "15432:db.internal:5432", "/run/x.sock:5432", "[::ffff:127.0.0.1]:1:[::]:2", `c:\x:1`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		got, err := tunnel.ParseForward(form)
		if err != nil {
			if _, ok := errors.AsType[*tunnel.FormError](err); !ok {
				t.Fatalf("%q: %T is not a *FormError", form, err)
			}
			return
		}
		if got.Remote.Port == 0 {
			t.Fatalf("%q: accepted without a remote port", form)
		}
		again, err := tunnel.ParseForward(got.String())
		if err != nil || !again.Same(got) {
			t.Fatalf("%q: %q reads back as %+v, %v; want %+v", form, got.String(), again, err, got)
		}
	})
}
