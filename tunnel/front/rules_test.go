package front_test

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"culvert/internal/need"
	"culvert/tunnel/front"
)

// routed is what becomes of a host under rules. The PAC file is asked the same.
type routed struct {
	host string
	port uint16
	want string // through, direct, denied, local, malformed
}

type ruleset struct {
	name      string
	via, deny []string
	hosts     []routed
}

var rulesets = []ruleset{
	{name: "none", hosts: []routed{
		{"orders.internal", 80, "through"},
		{"example.com", 443, "through"},
		{"10.0.0.7", 22, "through"},
		{"fd00::7", 22, "through"},
		{"localhost", 80, "local"},
		{"LocalHost.", 80, "local"},
		{"db.localhost", 80, "local"},
		{"localhost.localdomain", 80, "local"},
		{"ip6-localhost", 80, "local"},
		{"localhost6", 80, "local"},
		{"localhosts", 80, "through"},
		{"localhost.example", 80, "through"},
		{"127.0.0.1", 80, "local"},
		{"127.8.9.10", 80, "local"},
		{"127.1", 80, "local"},
		{"127.0.0.1.", 80, "local"},
		{"2130706433", 80, "local"},
		{"0x7f000001", 80, "local"},
		{"0x7f.1", 80, "local"},
		{"0X7F.0x0.1", 80, "local"},
		{"017700000001", 80, "local"},
		{"0177.0.0.1", 80, "local"},
		{"0", 80, "local"},
		{"0.0.0.0", 80, "local"},
		{"::1", 80, "local"},
		{"[::1]", 80, "local"},
		{"0:0:0:0:0:0:0:1", 80, "local"},
		{"::", 80, "local"},
		{"::ffff:127.0.0.1", 80, "local"},
		{"[::ffff:7f00:1]", 80, "local"},
		{"64:ff9b::127.0.0.1", 80, "local"},
		{"2002:7f00:1::", 80, "local"},
		{"169.254.169.254", 80, "local"},
		{"169.254.170.2", 80, "local"},
		{"169.254.43522", 80, "local"},
		{"2852039170", 80, "local"},
		{"0xa9feaa02", 80, "local"},
		{"025177525002", 80, "local"},
		{"0xA9.0xFE.0xAA.0x02", 80, "local"},
		{"0251.0376.0252.0002", 80, "local"},
		{"::ffff:169.254.170.2", 80, "local"},
		{"::ffff:a9fe:aa02", 80, "local"},
		{"::a9fe:aa02", 80, "local"},
		{"64:ff9b::a9fe:aa02", 80, "local"},
		{"64:ff9b:1::a9fe:aa02", 80, "local"},
		{"2002:a9fe:aa02::1", 80, "local"},
		{"fe80::1", 80, "local"},
		{"[FE80::1]", 80, "local"},
		{"fe80::1%eth0", 80, "local"},
		{"[fe80::1%25eth0]", 80, "local"},
		{"fd00::7%eth0", 80, "local"},
		{"fd00:ec2::254", 80, "local"},
		{"fd00:ec3::254", 80, "through"},
		{"127.0.0.1.nip.io", 80, "through"}, // only the agent knows where it leads
		{"１２７.0.0.1", 80, "local"},          // in wide digits, which are mapped
		{"127。0。0。1", 80, "local"},
		{"ⓛocalhost", 80, "local"},
		{"10.0.0.256", 80, "malformed"},
		{"4294967296", 80, "malformed"},
		{"6425673729", 80, "malformed"}, // 127.0.0.1 where numbers overflow
		{"1.2.3.4.5", 80, "malformed"},
		{"127.0.0.1%lo", 80, "malformed"},
		{"localhost\x00.internal", 80, "malformed"},
		{"a..internal", 80, "malformed"},
		{"orders.internal..", 80, "malformed"},
		{"", 80, "malformed"},
		{".", 80, "malformed"},
		{"orders internal", 80, "malformed"},
		{"orders.internal\r\nX: y", 80, "malformed"},
		{"*.internal", 80, "malformed"},
		{"orders/internal", 80, "malformed"},
		{"user@orders.internal", 80, "malformed"},
		{"[orders.internal]", 80, "malformed"},
		{"[::1", 80, "malformed"},
		{"::1::", 80, "malformed"},
		{"orders.internal:80", 80, "malformed"},
		{strings.Repeat("a", 64) + ".internal", 80, "malformed"},
		{strings.Repeat("a.", 127) + "internal", 80, "malformed"},
		{strings.Repeat("ä", 100000), 80, "malformed"},
		{"orders.internal", 0, "malformed"},
	}},
	{name: "names", via: []string{"*.Internal", ".corp.example.", "db?.example:5432", "plain", "bücher.example"}, hosts: []routed{
		{"orders.internal", 80, "through"},
		{"ORDERS.INTERNAL", 80, "through"},
		{"orders.internal.", 80, "through"},
		{"a.b.internal", 443, "through"},
		{"internal", 80, "direct"},
		{"orders.internal.example", 80, "direct"},
		{"ordersinternal", 80, "direct"},
		{"corp.example", 80, "through"},
		{"a.corp.example", 80, "through"},
		{"a.b.corp.example", 80, "through"},
		{"acorp.example", 80, "direct"},
		{"db1.example", 5432, "through"},
		{"db1.example", 5433, "direct"},
		{"db.example", 5432, "direct"},
		{"db12.example", 5432, "direct"},
		{"plain", 1, "through"},
		{"plain.example", 1, "direct"},
		{"bücher.example", 80, "through"},
		{"BÜCHER.example", 80, "through"},
		{"xn--bcher-kva.example", 80, "through"},
		{"XN--BCHER-KVA.EXAMPLE.", 80, "through"},
		{"bucher.example", 80, "direct"},
		{"10.0.0.7", 80, "direct"},
		{"localhost", 80, "local"},
		{"127.0.0.1", 80, "local"},
	}},
	{name: "addresses", via: []string{"10.0.0.0/8", "192.168.7.7:22", "fd00::/8", "[2001:db8::1]:443", "[2001:db8:1::/48]:80", "100.64.0.0/10:443", "172.16.0.0/12"}, hosts: []routed{
		{"10.0.0.7", 80, "through"},
		{"10.255.255.255", 80, "through"},
		{"11.0.0.0", 80, "direct"},
		{"9.255.255.255", 80, "direct"},
		{"0x0a000007", 80, "through"},
		{"10.7", 80, "through"},
		{"012.0.0.7", 80, "through"},
		{"::ffff:10.0.0.7", 80, "through"},
		{"[::ffff:a00:7]", 80, "through"},
		{"64:ff9b::10.0.0.7", 80, "through"},
		{"192.168.7.7", 22, "through"},
		{"192.168.7.7", 23, "direct"},
		{"172.31.255.255", 1, "through"},
		{"172.32.0.0", 1, "direct"},
		{"100.127.1.1", 443, "through"},
		{"100.127.1.1", 80, "direct"},
		{"fd12:3456::1", 80, "through"},
		{"fe12:3456::1", 80, "direct"},
		{"2001:db8::1", 443, "through"},
		{"2001:db8:0::1", 80, "direct"},
		{"[2001:db8:1:2::3]", 80, "through"},
		{"[2001:db8:2::3]", 80, "direct"},
		{"10.0.0.7.example", 80, "direct"},
		{"ten.internal", 80, "direct"}, // wherever it leads
		{"169.254.170.2", 80, "local"},
	}},
	{name: "deny before via", via: []string{"*.internal", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "*.localhost"}, deny: []string{"*.secret.internal", "*:25", "10.1.0.0/16", ".ads.example"}, hosts: []routed{
		{"orders.internal", 80, "through"},
		{"a.secret.internal", 80, "denied"},
		{"A.Secret.Internal.", 80, "denied"},
		{"secret.internal", 80, "through"},
		{"orders.internal", 25, "denied"},
		{"example.com", 25, "denied"},
		{"10.9.0.1", 25, "denied"},
		{"fd00::1", 25, "denied"},
		{"10.1.2.3", 80, "denied"},
		{"0x0a010203", 80, "denied"},
		{"64:ff9b::10.1.2.3", 80, "denied"},
		{"10.2.2.3", 80, "through"},
		{"ads.example", 80, "denied"},
		{"x.ads.example", 80, "denied"},
		{"example.com", 80, "direct"},
		{"127.0.0.1", 80, "local"},
		{"127.0.0.1", 25, "local"},
		{"169.254.170.2", 80, "local"},
		{"a.localhost", 80, "local"},
	}},
	{name: "everything", via: []string{"*"}, deny: []string{"0.0.0.0/0:23", "[::/0]:23", "?"}, hosts: []routed{
		{"orders.internal", 80, "through"},
		{"10.0.0.7", 80, "through"},
		{"fd00::7", 80, "through"},
		{"10.0.0.7", 23, "denied"},
		{"fd00::7", 23, "denied"},
		{"x", 80, "denied"},
		{"xy", 80, "through"},
	}},
	{name: "globs", via: []string{"a*b*c", "10.*", "*?x", "**.two", "*-db-*.internal:5432"}, hosts: []routed{
		{"abc", 1, "through"},
		{"aXbYc", 1, "through"},
		{"abcb", 1, "direct"},
		{"abbbcbc", 1, "through"},
		{"10.1.2.3", 1, "through"},
		{"::ffff:10.1.2.3", 1, "through"},
		{"110.1.2.3", 1, "direct"},
		{"x", 1, "direct"},
		{"xx", 1, "through"},
		{"one.two", 1, "through"},
		{"my-db-1.internal", 5432, "through"},
		{"my-db-1.internal", 5433, "direct"},
		{strings.Repeat("a", 60) + "." + strings.Repeat("a", 60), 1, "direct"},
		{"fd00::10", 1, "direct"},
	}},
}

func (r ruleset) rules(t testing.TB) front.Rules {
	t.Helper()
	return front.NewRules(patterns(t, r.via...), patterns(t, r.deny...))
}

func TestRules(t *testing.T) {
	for _, set := range rulesets {
		rules := set.rules(t)
		for _, h := range set.hosts {
			way, err := rules.Way(h.host, h.port)
			got := map[front.Way]string{front.Through: "through", front.Directly: "direct"}[way]
			if err != nil {
				got = map[front.Cause]string{front.CauseDenied: "denied", front.CauseLocal: "local", front.CauseMalformed: "malformed"}[front.CauseOf(err)]
				if _, ok := errors.AsType[*front.RefusalError](err); !ok || strings.ContainsAny(err.Error(), "\r\n\x00") || len(err.Error()) > 1000 {
					t.Errorf("%s: %.80q: the error is %.1000q", set.name, h.host, err)
				}
			}
			if got != h.want {
				t.Errorf("%s: %.80q port %d: got %s (%v), want %s", set.name, h.host, h.port, got, err, h.want)
			}
		}
	}
}

// The PAC file says the same, in a real engine that is given what a browser gives it.
func TestThePACFileSaysTheSame(t *testing.T) {
	node := need.Command(t, "node")
	type question struct {
		URL  string `json:"url"`
		Want string `json:"want"`
	}
	dir := t.TempDir()
	for _, set := range rulesets {
		var asked []question
		for _, h := range set.hosts {
			want := map[string]string{"through": "PROXY 127.0.0.1:1080", "denied": "PROXY 127.0.0.1:1080", "direct": "DIRECT", "local": "DIRECT"}[h.want]
			if want == "" || strings.Contains(h.host, "%") { // no URL has such a host
				continue
			}
			at := net.JoinHostPort(strings.Trim(h.host, "[]"), strconv.Itoa(int(h.port)))
			asked = append(asked, question{URL: "https://" + at + "/path?q=https://other.example:1/", Want: want})
		}
		pac := filepath.Join(dir, "proxy.pac")
		if err := os.WriteFile(pac, []byte(set.rules(t).PAC("127.0.0.1:1080")), 0o600); err != nil {
			t.Fatal(err)
		}
		questions, err := json.Marshal(asked)
		if err != nil {
			t.Fatal(err)
		}
		// Whoever looks a name up in it fails: the functions of PAC engines are not there.
		const script = `
const vm = require("vm"), fs = require("fs");
const context = vm.createContext({});
vm.runInContext(fs.readFileSync(process.argv[1], "utf8"), context);
for (const q of JSON.parse(process.argv[2])) {
  const u = new URL(q.url);
  for (const host of new Set([u.hostname, u.hostname.replace(/[\[\]]/g, "")])) {
    for (const url of [u.href, u.href.replace(u.pathname + u.search, "/")]) { // browsers leave the path of https out
      const got = vm.runInContext("FindProxyForURL(" + JSON.stringify(url) + "," + JSON.stringify(host) + ")", context);
      if (got !== q.want) console.log(url, host, "got", got, "want", q.want);
    }
  }
}`
		out, err := exec.CommandContext(t.Context(), node, "-e", script, pac, string(questions)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", set.name, err, out)
		}
	}
}

// Without a port in a URL its scheme has one.
func TestThePACFileKnowsThePortsOfSchemes(t *testing.T) {
	node := need.Command(t, "node")
	pac := front.NewRules(patterns(t, "a.example:443", "b.example:80", "c.example:21"), nil).PAC("[::1]:1080")
	const script = `
require("vm").runInThisContext(process.argv[1]);
console.log(["https://a.example/", "wss://a.example/x:80", "http://a.example/", "http://b.example", "ws://b.example/", "https://b.example/", "ftp://c.example/",
 "gopher://c.example/", "http://a.example:443/", "http://u:p@a.example:443/", "https://a.example:8443/"].map((u) => FindProxyForURL(u, new URL(u).hostname) === "DIRECT" ? 0 : 1).join(""));
console.log(FindProxyForURL("https://a.example/", "a.example"), FindProxyForURL("", ""), FindProxyForURL("https://a.example/", "A.EXAMPLE."));`
	out, err := exec.CommandContext(t.Context(), node, "-e", script, pac).CombinedOutput()
	if want := "11011010110\nPROXY [::1]:1080 DIRECT PROXY [::1]:1080\n"; err != nil || string(out) != want {
		t.Errorf("got %s%v, want %s", out, err, want)
	}
}

func TestPatternsAreReadBack(t *testing.T) {
	for form, want := range map[string]string{
		"*.internal": "*.internal", "*.Internal.": "*.internal", ".corp.example": ".corp.example", "DB?.example:5432": "db?.example:5432",
		"10.0.0.0/8": "10.0.0.0/8", "10.1.2.3/8": "10.0.0.0/8", "10.1.2.3": "10.1.2.3", "10.1.2.3/32": "10.1.2.3", "10.0.0.0/8:443": "10.0.0.0/8:443", "10.1.2.3:80": "10.1.2.3:80",
		"fd00::/8": "fd00::/8", "[fd00::/8]": "fd00::/8", "[fd00::/8]:443": "[fd00::/8]:443", "[fd00::]/8:443": "[fd00::/8]:443", "fd00::/8:443": "[fd00::/8]:443",
		"::1": "::1", "[::1]": "::1", "[::1]:80": "[::1]:80", "FD00::7": "fd00::7", "::ffff:10.0.0.0/104": "10.0.0.0/8", "::ffff:10.0.0.7": "10.0.0.7",
		"*": "*", "*:25": "*:25", "**.x": "*.x", "a_b.internal": "a_b.internal", "xn--bcher-kva.example": "xn--bcher-kva.example", "Bücher.example": "xn--bcher-kva.example",
		"bücher.*": "xn--bcher-kva.*", "0.0.0.0/0": "0.0.0.0/0", "db:1": "db:1", "db:65535": "db:65535", "10.*": "10.*",
	} {
		p, err := front.ParsePattern(form)
		if err != nil || p.String() != want {
			t.Errorf("%s: got %s, %v, want %s", form, p, err, want)
			continue
		}
		if again, err := front.ParsePattern(p.String()); again != p || err != nil {
			t.Errorf("%s: read back as %v, %v", form, again, err)
		}
	}
}

func TestABadPatternSaysWhichPart(t *testing.T) {
	for form, want := range map[string]string{
		"":                               "it is empty",
		".":                              "there is no host",
		"a b":                            "neither blanks nor commas",
		"*.internal,*.corp":              "neither blanks nor commas",
		"https://a.internal":             "not a URL",
		"a.internal/path":                `"a.internal" before the slash is no address`,
		"me@a.internal":                  "has no user",
		"a..internal":                    "an empty label",
		"..internal":                     "an empty label",
		"a.internal..":                   "an empty label",
		"a.internal:":                    `the port "" is no number`,
		"a.internal:0":                   `the port "0" is no number from 1 to 65535`,
		"a.internal:65536":               `the port "65536"`,
		"a.internal:http":                `the port "http"`,
		"a.internal:+1":                  `the port "+1"`,
		":80":                            "no host before the port",
		"10.0.0.0/33":                    `the length "33" is no number from 0 to 32`,
		"10.0.0.0/":                      `the length ""`,
		"10.0.0.0/-1":                    `the length "-1"`,
		"fd00::/129":                     `the length "129" is no number from 0 to 128`,
		"10.0.0/8":                       `"10.0.0" before the slash is no address`,
		"10.1":                           "write 10.0.0.1, or the block that is meant",
		"2130706433":                     "is no address in full",
		"0x7f.1":                         "is no address in full",
		"10.0.0.256":                     "ends in a number",
		"1.2.3.4.5":                      "ends in a number",
		"fe80::1%eth0":                   `the zone "eth0"`,
		"fe80::%eth0/64":                 "is no address",
		"[::1":                           "the bracket is not closed",
		"[::1]80":                        `after the bracket comes a port or nothing, not "80"`,
		"[a.internal]:80":                "in brackets is no IPv6 address",
		"[::g]":                          "is no IPv6 address",
		"::1::2":                         "is no IPv6 address",
		"a.[bc].internal":                "brackets",
		"ü*.example":                     "a wildcard and letters that the DNS writes as punycode",
		"a;b":                            "neither",
		"a!b.internal":                   `the label "a!b" has a character that no name has: '!'`,
		"a\x00b":                         `has a character that no name has: '\x00'`,
		strings.Repeat("a", 64) + ".x":   "longer than 63",
		strings.Repeat("ab.", 100) + "x": "at most 253",
		strings.Repeat("*", 1000):        "512 are enough",
	} {
		_, err := front.ParsePattern(form)
		bad, ok := errors.AsType[*front.PatternError](err)
		if !ok || !strings.Contains(bad.Error(), want) || bad.Form != form || bad.Remedy() == "" || len(bad.Error()) > 1500 {
			t.Errorf("%q: got %v, want %s", form, err, want)
		}
	}
}
