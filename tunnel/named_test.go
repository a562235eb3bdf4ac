package tunnel_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/tunnel"
)

func TestParseNamedTellsTheLocalEndFromTheName(t *testing.T) {
	at := netip.AddrPortFrom
	for form, want := range map[string]tunnel.Forward{
		"orders-db":                    {To: "orders-db"},
		"orders/reader":                {To: "orders/reader"},
		"orders-db:5432":               {To: "orders-db:5432"},
		"orders-db.internal.:5432":     {To: "orders-db.internal.:5432"},
		"5432":                         {To: "5432"},
		"15432:orders-db":              {To: "orders-db", Local: at(netip.Addr{}, 15432)},
		"15432:orders-db:5432":         {To: "orders-db:5432", Local: at(netip.Addr{}, 15432)},
		"15432:5432":                   {To: "5432", Local: at(netip.Addr{}, 15432)},
		"0:orders-db":                  {To: "orders-db", Any: true},
		"localhost:15432:orders-db":    {To: "orders-db", Local: at(netip.Addr{}, 15432)},
		"127.0.0.2:15432:orders-db":    {To: "orders-db", Local: at(netip.MustParseAddr("127.0.0.2"), 15432)},
		"127.0.0.2:0:orders-db:5432":   {To: "orders-db:5432", Local: at(netip.MustParseAddr("127.0.0.2"), 0), Any: true},
		"*:15432:orders-db":            {To: "orders-db", Local: at(netip.IPv4Unspecified(), 15432)},
		"[::1]:15432:orders-db":        {To: "orders-db", Local: at(netip.IPv6Loopback(), 15432)},
		"[::1]:15432:[fd00::7]:5432":   {To: "[fd00::7]:5432", Local: at(netip.IPv6Loopback(), 15432)},
		"10.0.3.7:5432":                {To: "10.0.3.7:5432"},
		"15432:10.0.3.7:5432":          {To: "10.0.3.7:5432", Local: at(netip.Addr{}, 15432)},
		"2001:db8::7":                  {To: "2001:db8::7"}, // and not at 2001
		"[2001:db8::7]":                {To: "2001:db8::7"},
		"[2001:db8::7]:5432":           {To: "[2001:db8::7]:5432"},
		"/run/x.sock:orders-db":        {To: "orders-db", Socket: "/run/x.sock"},
		"./x.sock:orders-db:5432":      {To: "orders-db:5432", Socket: "./x.sock"},
		`C:\tmp\x.sock:orders-db`:      {To: "orders-db", Socket: `C:\tmp\x.sock`},
		"arn:aws:rds:eu:1:db:orders":   {To: "arn:aws:rds:eu:1:db:orders"},
		"1:arn:aws:rds:eu:1:db:orders": {To: "arn:aws:rds:eu:1:db:orders", Local: at(netip.Addr{}, 1)},
	} {
		got, err := tunnel.ParseNamed(form)
		if err != nil {
			t.Errorf("%q: %v", form, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool {
			return a == b || !a.Addr().IsValid() && !b.Addr().IsValid() && a.Port() == b.Port()
		})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", form, diff)
		}
		again, err := tunnel.ParseNamed(got.String())
		if err != nil || !again.Same(got) {
			t.Errorf("%q: String() = %q reads back as %+v, %v", form, got.String(), again, err)
		}
	}
}

func TestParseNamedSaysWhatIsWrong(t *testing.T) {
	for form, want := range map[string]string{
		"":                             "it is empty",
		"orders db":                    "it contains a blank",
		"orders\x1b[31m":               "a control character",
		"15432:":                       "the name is missing",
		":orders-db":                   `the port "orders-db" of "" is not in 1–65535`,
		":5432":                        "the name is missing",
		"orders-db:":                   `the port "" of "orders-db" is not in 1–65535`,
		"orders-db:0":                  `the port "0" of "orders-db" is not in 1–65535`,
		"orders-db:65536":              `the port "65536" of "orders-db" is not in 1–65535`,
		"orders-db:http":               `the port "http" of "orders-db" is not in 1–65535`,
		"65536:orders-db":              "the local port 65536 is not in 0–65535",
		"localhost":                    `"localhost" is this machine`,
		"localhost:5432":               `"localhost" is this machine`,
		"localhost:5432:":              "the name is missing",
		"127.0.0.1:orders-db":          `the port "orders-db" of "127.0.0.1" is not in 1–65535`,
		"db.internal:1:orders-db":      `"db.internal:1:orders-db" is no name, nor a name and a port`,
		"[::1:15432:orders-db":         `is no name, nor a name and a port`,
		"[fe80::1%eth0]:1:orders":      "an address with a zone",
		"/run/x.sock":                  "the name is missing",
		"/run/:orders-db":              "is a directory",
		strings.Repeat("a", 2_049):     "more than 2048 characters",
		"1:" + strings.Repeat("a:", 2): "is no name",
	} {
		_, err := tunnel.ParseNamed(form)
		refused, ok := errors.AsType[*tunnel.FormError](err)
		if !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: got %.200v, want %q", form, err, want)
			continue
		}
		if !strings.Contains(refused.Remedy(), "15432:orders-db") {
			t.Errorf("%q: the remedy is %q", form, refused.Remedy())
		}
	}
}
