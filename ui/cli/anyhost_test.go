package cli

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/screen"
)

// wantedBy are the tunnels to any host that a command line asks for, in words; saved ones when names are given.
func wantedBy(t *testing.T, args []string, names ...string) ([]string, error) {
	t.Helper()
	a := &app{Process: Process{Stderr: &bytes.Buffer{}}}
	u := &up{}
	flags := a.shared.flags()
	flags.AddFlagSet(u.forwards.flags(&a.shared))
	flags.AddFlagSet(u.aim.flags())
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if err := a.shared.resolve(); err != nil {
		return nil, err
	}
	wanted, _, err := u.wanted(a, names)
	var all []string
	for _, w := range wanted {
		all = append(all, strings.TrimSpace(w.Spec.FarEnd()+wordingOf(w.Spec.Dynamic)))
	}
	return all, err
}

func TestAnyHostIsWhatFlagsEntriesAndFilesSay(t *testing.T) {
	const user = `tunnels:
  all: {target: c/s, dynamic: 1080}
  some:
    target: c/s
    dynamic: "127.0.0.1:1081"
    via: ["*.internal", 10.0.0.0/8]
    deny: [secret.internal]
    destinations: 7
    warm: ["db.internal:5432"]
  one: {target: c/s, dynamic: ./x.sock, via: .corp.example}
  db: {target: c/s, forward: "5432"}
`
	const whole = "any host via *.internal,10.0.0.0/8 without secret.internal warm db.internal:5432 at most 7"
	target := []string{"--target", "c/s"}
	for name, c := range map[string]struct {
		user, env string
		args      []string
		saved     []string
		want      []string
	}{
		"a flag":                {args: append(target, "-D", "1080"), want: []string{"any host"}},
		"several, as written":   {args: append(target, "-L", "1", "--dynamic=[::1]:1080", "-L", "2", "-D", "0"), want: []string{"1", "any host", "2", "any host"}},
		"beside a remote port":  {args: append(target, "--remote-port", "3128", "-D", "1080"), want: []string{"any host", "3128"}},
		"all that can be said":  {args: append(target, "-D", "1080", "--via", "*.internal", "--via", "10.0.0.0/8", "--deny", "secret.internal", "--destinations", "7", "--warm", "db.internal:5432"), want: []string{whole}},
		"with commas":           {args: append(target, "-D", "1080", "--via", "*.internal, 10.0.0.0/8", "--warm", "a.internal:1,10.0.0.1:2"), want: []string{"any host via *.internal,10.0.0.0/8 warm a.internal:1,10.0.0.1:2"}},
		"the environment":       {args: append(target, "-D", "1080"), env: "*.internal,10.0.0.0/8", want: []string{"any host via *.internal,10.0.0.0/8"}},
		"the user's file":       {user: "via: ['*.internal', 10.0.0.0/8]\ndeny: secret.internal\nwarm: [db.internal:5432]\ndestinations: 7\n", args: append(target, "-D", "1080"), want: []string{whole}},
		"a flag above them":     {user: "via: [a.example]\n", env: "b.example", args: append(target, "-D", "1080", "--via", "c.example"), want: []string{"any host via c.example"}},
		"files that others use": {user: "via: [a.example]\ndestinations: 3\n", args: append(target, "-L", "1"), want: []string{"1"}},
		"saved":                 {user: user, saved: []string{"all", "some", "one", "db"}, want: []string{"any host", whole, "any host via .corp.example", "5432"}},
		"saved, and the file": {user: user + "via: [a.example]\ndeny: [x.internal]\ndestinations: 9\n", saved: []string{"all", "some"}, want: []string{
			"any host via a.example without x.internal at most 9",
			"any host via *.internal,10.0.0.0/8 without secret.internal,x.internal warm db.internal:5432 at most 7",
		}},
		"saved, and flags": {user: user, args: []string{"--via", "b.example", "--deny", "y", "--destinations", "2", "--warm", "b.example:1"}, saved: []string{"some"}, want: []string{
			"any host via b.example without secret.internal,y warm b.example:1 at most 2",
		}},
	} {
		inDirectory(t, c.user, "")
		t.Setenv("CULVERT_VIA", c.env)
		got, err := wantedBy(t, c.args, c.saved...)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestWhatIsWrongAboutAnyHostIsSaidWithItsPlace(t *testing.T) {
	target := []string{"--target", "c/s"}
	dynamic := append(slices.Clip(target), "-D", "1080")
	for name, c := range map[string]struct {
		args     []string
		want     string
		remedies string
	}{
		"no port":              {append(target, "-D", "socks"), `--dynamic: forward "socks": "socks" is neither`, "write PORT, ADDRESS:PORT"},
		"a remote end":         {append(target, "-D", "1080:3128"), "--dynamic: ", "-L forwards to one host"},
		"everybody":            {append(target, "-D", "*:1080"), `"0.0.0.0:1080" listens on an address other than loopback`, "--bind 0.0.0.0"},
		"via alone":            {append(target, "-L", "1", "--via", "*.internal"), "--via says something of a tunnel to any host, and there is none", "-D 1080"},
		"deny alone":           {append(target, "--deny", "x"), "--deny says something", "-D 1080"},
		"destinations alone":   {append(target, "-L", "1", "--destinations", "3"), "--destinations says something", "-D 1080"},
		"warm alone":           {append(target, "-L", "1", "--warm", "a:1"), "--warm says something", "-D 1080"},
		"an empty pattern":     {append(dynamic, "--via", "a.example,"), `"--via" flag: pattern "": it is empty`, "*.internal"},
		"none":                 {append(dynamic, "--destinations", "0"), `"--destinations" flag: "0" is not a number from 1 to 1000`, ""},
		"too many":             {append(dynamic, "--destinations", "1001"), `"1001" is not a number from 1 to 1000`, ""},
		"no number":            {append(dynamic, "--destinations", "many"), `"--destinations" flag: "many" is not`, ""},
		"no port to warm":      {append(dynamic, "--warm", "db.internal"), `"--warm" flag: "db.internal": it is no host and port`, "db.internal:5432"},
		"no host to warm":      {append(dynamic, "--warm", "5432"), `"5432": it is no host and port`, "db.internal:5432"},
		"no word to warm":      {append(dynamic, "--warm", "a b:1"), `"a b:1": it is no host and port`, "db.internal:5432"},
		"the task's metadata":  {append(dynamic, "--warm", "169.254.170.2:80"), "--warm 169.254.170.2:80 leads nowhere: 169.254.170.2:80 is link-local", "another host"},
		"spelled otherwise":    {append(dynamic, "--warm", "a:1,0xa9fea9fe:80"), "is link-local", ""},
		"whatever allows it":   {append(dynamic, "--allow-link-local", "--warm", "169.254.169.254:80"), "is link-local", ""},
		"warm and denied":      {append(dynamic, "--warm", "a.internal:80", "--deny", "*.internal:80"), "--warm a.internal:80 leads nowhere: a.internal:80 is refused: --deny *.internal:80", "--deny"},
		"warm and direct":      {append(dynamic, "--warm", "a.internal:80", "--via", "b.internal"), "--warm a.internal:80 does not go through the task", "--via"},
		"probed and denied":    {append(dynamic, "--probe", "https://a.internal/", "--deny", "a.internal:443"), "--probe a.internal:443 leads nowhere", "--deny"},
		"probed and direct":    {append(dynamic, "--probe", "http://a.internal/", "--via", ".corp.example"), "--probe a.internal:80 does not go through the task", "--via"},
		"the task itself":      {append(dynamic, "--warm", "[::1]:80"), "is the task itself", ""},
		"the task by its name": {append(dynamic, "--warm", "LocalHost.:80"), "is the task itself", ""},
		"one server's probe":   {append(dynamic, "--probe", "postgres"), "--probe postgres asks one server", "--probe URL"},
	} {
		inDirectory(t, "", "")
		_, err := wantedBy(t, c.args)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(say.Remedy(err), c.remedies) {
			t.Errorf("%s: got %v (%s), want %q (%s)", name, err, say.Remedy(err), c.want, c.remedies)
		}
	}
	for _, fine := range [][]string{append(dynamic, "-L", "5432", "--probe", "postgres"), append(dynamic, "--probe", "socks5"), append(dynamic, "--probe", "https://a.internal/")} {
		if _, err := wantedBy(t, fine); err != nil {
			t.Errorf("%q: %v", fine, err)
		}
	}
	inDirectory(t, "", "")
	t.Setenv("CULVERT_DESTINATIONS", "0")
	if _, err := wantedBy(t, dynamic); err == nil || !strings.Contains(err.Error(), "CULVERT_DESTINATIONS: ") {
		t.Errorf("a variable: got %v", err)
	}
}

func TestWhatIsWrongAboutASavedTunnelToAnyHostNamesItsKey(t *testing.T) {
	for entry, says := range map[string][]string{
		`dynamic: 1080, forward: "1"`:          {"tunnel a has both forward and dynamic", "keep one"},
		`probe: tcp`:                           {"tunnel a has no forward", "dynamic: 1080"},
		`forward: "1", via: ["*.internal"]`:    {"tunnel a has via, which is for dynamic", "leave it out"},
		`forward: "1", destinations: 3`:        {"tunnel a has destinations, which is for dynamic"},
		`dynamic: socks`:                       {`"socks" is neither a local port`, "write PORT, ADDRESS:PORT"},
		`dynamic: [1080]`:                      {"dynamic has no single value"},
		`dynamic: 1080, via: []`:               {"via is an empty list"},
		`dynamic: 1080, via: [""]`:             {`via: pattern "": it is empty`, "*.internal"},
		`dynamic: 1080, deny: ["10.0.0.0/40"]`: {`deny: pattern "10.0.0.0/40": the length "40"`, "10.0.0.0/8"},
		`dynamic: 1080, deny: ["a", ["b"]]`:    {"deny has no single value"},
		`dynamic: 1080, destinations: 0`:       {`destinations: "0" is not a number from 1 to 1000`, "correct the value of destinations"},
		`dynamic: 1080, warm: [db]`:            {`warm: "db": it is no host and port`},
		`dynamic: 1080, probe: postgres`:       {"tunnel a has probe: postgres", "a URL"},
		`dynamic: 1080, warm: ["[::1]:80"]`:    {"warm: ", "is the task itself"},
		`dynamic: 1080, lanes: [2]`:            {"lanes has no single value"},
		`dynamic: 1080, dynamics: 3`:           {`"dynamics"`, `dynamic`},
	} {
		body := "tunnels:\n  a: {target: c/s, " + entry + "}\n"
		inDirectory(t, body, "")
		_, err := resolved(t)
		mustRefuse(t, err, append([]string{"config.yaml, line 2: "}, says...)...)
		inDirectory(t, "", body)
		_, err = resolved(t)
		mustRefuse(t, err, append([]string{".culvert.yaml, line 2: "}, says...)...)
	}
	inDirectory(t, "", "tunnels:\n  a: {target: c/s, dynamic: /tmp/x.sock}\n  b: {target: c/s, dynamic: 0.0.0.0:1080}\n")
	_, err := resolved(t)
	mustRefuse(t, err, "neither in the directory of the project file nor in your runtime directory")
	inDirectory(t, "", "tunnels:\n  b: {target: c/s, dynamic: 0.0.0.0:1080, via: ['*.internal']}\n")
	if _, err = wantedBy(t, nil, "b"); err == nil || !strings.Contains(err.Error(), "tunnel b of ") || !strings.Contains(err.Error(), "other than loopback") {
		t.Errorf("a project's tunnel for everybody: got %v", err)
	}
	inDirectory(t, "", "tunnels:\n  w: {target: c/s, dynamic: 0, warm: ['169.254.169.254:80']}\n  b: {target: c/s, dynamic: 0.0.0.0:1080}\n")
	if _, err = wantedBy(t, nil, "w"); err == nil || !strings.Contains(err.Error(), "link-local") {
		t.Errorf("a project's tunnel to the task's metadata: got %v", err)
	}
	if _, err = wantedBy(t, []string{"--bind", "0.0.0.0"}, "b"); err != nil {
		t.Errorf("with --bind: %v", err)
	}
}

// anyHostToSave is a tunnel to any host as the interface saves it.
func anyHostToSave(t *testing.T, form string, via, deny []string, destinations int, warm ...tunnel.Endpoint) screen.SavedTunnel {
	t.Helper()
	f, err := tunnel.ParseDynamic(form)
	if err != nil {
		t.Fatal(err)
	}
	var h anyHost
	for list, forms := range map[*patternsValue][]string{&h.via: via, &h.deny: deny} {
		for _, p := range forms {
			if err := list.Set(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.Dynamic = &tunnel.Dynamic{Via: h.via, Deny: h.deny, Destinations: destinations, Warm: warm, Wait: 1}
	return screen.SavedTunnel{Name: "any", Target: aws.Target{Cluster: "c", Service: "s"}, Forward: f}
}

func TestTunnelsToAnyHostAreWrittenBack(t *testing.T) {
	plain := anyHostToSave(t, "1080", nil, nil, 0)
	whole := anyHostToSave(t, "127.0.0.1:1080", []string{"*.internal", "10.0.0.0/8"}, []string{"x.internal"}, 7, tunnel.Endpoint{Host: "db.internal", Port: 5432})
	const (
		plainLine = "  any: {target: c/s, dynamic: 1080}\n"
		wholeLine = `  any: {target: c/s, dynamic: "127.0.0.1:1080", via: ["*.internal", "10.0.0.0/8"], deny: ["x.internal"], destinations: 7, warm: ["db.internal:5432"]}` + "\n"
		oneHost   = "  any: {target: c/s, forward: \"3128\"}\n"
	)
	was := func(body string) screen.SavedTunnel {
		one, _ := asWritten(t, "tunnels:\n"+body, "any")
		return one
	}
	for name, c := range map[string]struct {
		before string
		is     screen.SavedTunnel
		want   string
	}{
		"a new one":             {"", plain, plainLine},
		"all of it":             {"", whole, wholeLine},
		"an IPv6 address":       {"", anyHostToSave(t, "1080", nil, nil, 0, tunnel.Endpoint{Host: "fd00::1", Port: 443}), "  any: {target: c/s, dynamic: 1080, warm: [\"[fd00::1]:443\"]}\n"},
		"more about it":         {plainLine, whole, wholeLine},
		"less about it":         {wholeLine, plain, plainLine},
		"in place of a forward": {oneHost, plain, plainLine},
		"a forward in place":    {wholeLine, toSave(t, "any", "c/s", "3128"), oneHost},
		"a list for a word":     {"  any: {target: c/s, dynamic: 1080, via: a.example}\n", anyHostToSave(t, "1080", []string{"b.example", "c.example"}, nil, 0), "  any: {target: c/s, dynamic: 1080, via: [\"b.example\", \"c.example\"]}\n"},
		"a word is left alone":  {"  any: {target: c/s, dynamic: 1080, via: a.example}\n", anyHostToSave(t, "1081", []string{"a.example"}, nil, 0), "  any: {target: c/s, dynamic: 1081, via: a.example}\n"},
		"a block, with a comment": {
			"  any:\n    target: c/s\n    dynamic: 1080 # mine\n    via: # private ones\n      - \"*.internal\" # all\n",
			anyHostToSave(t, "1081", []string{"*.internal"}, nil, 0),
			"  any:\n    target: c/s\n    dynamic: 1081 # mine\n    via: # private ones\n      - \"*.internal\" # all\n",
		},
	} {
		change := screen.Change{Is: c.is}
		var old string
		if c.before != "" {
			old, change.Was = "tunnels:\n"+c.before, was(c.before)
		}
		got, err := changed("f", []byte(old), []screen.Change{change}, sharedKeys())
		if err != nil || string(got) != "tunnels:\n"+c.want {
			t.Errorf("%s: got %v\n%s\nwant\n%s", name, err, got, "tunnels:\n"+c.want)
		}
	}
	other := whole
	other.Forward = anyHostToSave(t, "127.0.0.1:1080", []string{"*.internal"}, nil, 7).Forward
	_, err := changed("f", []byte("tunnels:\n"+wholeLine), []screen.Change{{Was: other, Is: plain}}, sharedKeys())
	if _, meanwhile := errors.AsType[*ChangedError](err); !meanwhile {
		t.Errorf("a tunnel with other patterns than were seen is changed: %v", err)
	}
}
