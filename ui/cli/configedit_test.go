package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"culvert/ui/screen"
)

// asWritten is a tunnel or group of a file as the interface is shown it.
func asWritten(t *testing.T, body, name string) (screen.SavedTunnel, screen.SavedGroup) {
	t.Helper()
	f, err := parseConfig("f", []byte(body), sharedKeys())
	if err != nil {
		t.Fatal(err)
	}
	var s shared
	s.flags()
	all := s.shown(&f.saved)
	for _, one := range all.Tunnels {
		if one.Name == name {
			return one, screen.SavedGroup{}
		}
	}
	for _, one := range all.Groups {
		if one.Name == name {
			return screen.SavedTunnel{}, one
		}
	}
	return screen.SavedTunnel{}, screen.SavedGroup{}
}

const mine = `# my tunnels
wait:   30s   # patience


tunnels:   # saved
    # the proxy of dev
    squid:    {target: automation/squid, forward: '3128', lanes: 2}   # fast
    db:
      target: shop/web   # the web
      forward: "15432:db.internal:5432"
      role-arn: "arn:aws:iam::111122223333:role/x"

    # the last one
    last: {target: c/s, forward: "1"}
# below
groups:
    dev: [squid, db]   # daily
    all: [squid, last]
keys: {stop: X}
`

func TestAChangeOfTheFileTouchesItsOwnLinesAlone(t *testing.T) {
	for name, test := range map[string]struct {
		of     string // what is changed
		change func(*screen.Change)
		lines  map[string]string // of the file, by what they were; "" is gone
	}{
		"another forward": {"squid", func(c *screen.Change) { c.Is.Forward = toSave(t, "", "c/s", "8080:3128").Forward }, map[string]string{
			"    squid:    {target: automation/squid, forward: '3128', lanes: 2}   # fast": "    squid: {target: automation/squid, forward: '8080:3128', lanes: 2} # fast",
		}},
		"an account": {"squid", func(c *screen.Change) { c.Is.Entry.Profile, c.Is.Entry.Region = "dev", "eu-west-1" }, map[string]string{
			"    squid:    {target: automation/squid, forward: '3128', lanes: 2}   # fast": "    squid: {target: automation/squid, forward: '3128', lanes: 2, profile: dev, region: eu-west-1} # fast",
		}},
		"another name": {"db", func(c *screen.Change) { c.Is.Name = "orders-db" }, map[string]string{
			"    db:": "    orders-db:", "      target: shop/web   # the web": "      target: shop/web # the web",
			"    dev: [squid, db]   # daily": "    dev: [squid, orders-db] # daily",
		}},
		"out of a group, into a new one": {"squid", func(c *screen.Change) { c.Groups = []string{"all", "fresh"} }, map[string]string{
			"    dev: [squid, db]   # daily": "    dev: [db] # daily", "    all: [squid, last]": "    all: [squid, last]\n    fresh: [squid]",
		}},
		"deleted": {"squid", func(c *screen.Change) { c.Is = screen.SavedTunnel{} }, map[string]string{
			"    # the proxy of dev": "", "    squid:    {target: automation/squid, forward: '3128', lanes: 2}   # fast": "",
			"    dev: [squid, db]   # daily": "    dev: [db] # daily", "    all: [squid, last]": "    all: [last]",
		}},
		"a block deleted": {"db", func(c *screen.Change) { c.Is = screen.SavedTunnel{} }, map[string]string{
			"    db:": "", "      target: shop/web   # the web": "", `      forward: "15432:db.internal:5432"`: "", `      role-arn: "arn:aws:iam::111122223333:role/x"`: "",
			"    dev: [squid, db]   # daily": "    dev: [squid] # daily",
		}},
		"a group renamed":   {"dev", func(c *screen.Change) { c.IsGroup.Name = "daily" }, map[string]string{"    dev: [squid, db]   # daily": "    daily: [squid, db] # daily"}},
		"a group deleted":   {"dev", func(c *screen.Change) { c.IsGroup = screen.SavedGroup{} }, map[string]string{"    dev: [squid, db]   # daily": ""}},
		"a group's members": {"all", func(c *screen.Change) { c.IsGroup.Tunnels = []string{"last", "db"} }, map[string]string{"    all: [squid, last]": "    all: [last, db]"}},
	} {
		var c screen.Change
		c.Was, c.WasGroup = asWritten(t, mine, test.of)
		c.Is, c.IsGroup = c.Was, c.WasGroup
		test.change(&c)
		got, err := changed("f", []byte(mine), []screen.Change{c}, sharedKeys())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var want strings.Builder
		for line := range strings.Lines(mine) {
			to, touched := test.lines[strings.TrimSuffix(line, "\n")]
			switch {
			case !touched:
				want.WriteString(line)
			case to != "":
				want.WriteString(to + "\n")
			}
		}
		if string(got) != want.String() {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want.String())
		}
	}
}

func TestNoCommentIsLostNorSaidTwice(t *testing.T) {
	const body = "tunnels:\n  a:\n    target: c/s\n    forward: '1'\n    # below a\n\n  # above b\n  b: {target: c/s,\n    forward: '2' # two\n  }\n# below b\n\ngroups:\n  g:\n    - a # one\n    # above b in g\n    - b\n"
	for name, test := range map[string]struct {
		of   string
		to   func(*screen.Change)
		gone []string
	}{
		"a edited": {"a", func(c *screen.Change) { c.Is.Probe = "none" }, nil}, "b renamed": {"b", func(c *screen.Change) { c.Is.Name = "z" }, nil},
		"b deleted": {"b", func(c *screen.Change) { c.Is = screen.SavedTunnel{} }, []string{"# above b", "# two", "# above b in g"}},
		"a deleted": {"a", func(c *screen.Change) { c.Is = screen.SavedTunnel{} }, []string{"# below a", "# one"}},
		"g deleted": {"g", func(c *screen.Change) { c.IsGroup = screen.SavedGroup{} }, []string{"# one", "# above b in g"}},
	} {
		var c screen.Change
		c.Was, c.WasGroup = asWritten(t, body, test.of)
		c.Is, c.IsGroup = c.Was, c.WasGroup
		test.to(&c)
		got, err := changed("f", []byte(body), []screen.Change{c}, sharedKeys())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, comment := range []string{"# below a", "# above b", "# two", "# below b", "# one", "# above b in g"} {
			n := strings.Count(string(got)+"\n", comment+"\n")
			if gone := slices.Contains(test.gone, comment); gone && n > 1 || !gone && n != 1 {
				t.Errorf("%s: %q stands there %d times:\n%s", name, comment, n, got)
			}
		}
	}
}

func TestTheLastTunnelAndGroupCanBeDeleted(t *testing.T) {
	body := "wait: 1s # c\n\n\ntunnels: # mine\n  a: {target: c/s, forward: '1'}\ngroups:\n  g: [a]\nmouse: no\n"
	was, _ := asWritten(t, body, "a")
	got, err := changed("f", []byte(body), []screen.Change{{Was: was}}, sharedKeys())
	if want := "wait: 1s # c\n\n\ntunnels: {} # mine\ngroups: {}\nmouse: no\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
	again, err := changed("f", got, adding(toSave(t, "b", "c/s", "2")), sharedKeys())
	if err != nil || !strings.Contains(string(again), "b: {target: c/s") {
		t.Errorf("got %q, %v", again, err)
	}
}

func TestAChangeOfSomethingElseThanWasSeenIsRefused(t *testing.T) {
	squid, _ := asWritten(t, mine, "squid")
	_, dev := asWritten(t, mine, "dev")
	for name, test := range map[string]struct {
		file string
		c    screen.Change
	}{
		"edited meanwhile":         {strings.Replace(mine, "'3128'", "'9999'", 1), screen.Change{Was: squid, Is: screen.SavedTunnel{Name: "squid", Target: squid.Target, Forward: squid.Forward, Probe: "none"}}},
		"deleted meanwhile":        {strings.ReplaceAll(mine, "squid", "other"), screen.Change{Was: squid, Is: squid}},
		"deleting what was edited": {strings.Replace(mine, "'3128'", "'9999'", 1), screen.Change{Was: squid}},
		"a name taken meanwhile":   {mine, screen.Change{Is: toSave(t, "db", "c/s", "1")}},
		"a group's name":           {mine, screen.Change{Is: toSave(t, "dev", "c/s", "1")}},
		"a group edited meanwhile": {strings.Replace(mine, "[squid, db]", "[squid, db, last]", 1), screen.Change{WasGroup: dev}},
	} {
		_, err := changed("f", []byte(test.file), []screen.Change{test.c}, sharedKeys())
		if _, ok := errors.AsType[*ChangedError](err); !ok || advice(err, "") == "" {
			t.Errorf("%s: got %v, want a *ChangedError with a remedy", name, err)
		}
	}
}

// Processes that save at the same time, and an editor that asks nobody, must not undo one another's work.
func TestNothingIsLostWhenSeveralWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 5 {
				if err := addToConfig(path, []screen.SavedTunnel{toSave(t, fmt.Sprintf("t%d-%d", i, j), "c/s", "1")}, sharedKeys()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	f, err := readConfig(path, true, sharedKeys())
	if err != nil || len(f.saved.tunnels) != 40 {
		t.Fatalf("got %d tunnels, %v, want 40", len(f.saved.tunnels), err)
	}
	edits := 0
	err = rewrite(t.Context(), path, func(old []byte) ([]byte, error) {
		if edits++; edits == 1 { // an editor saves just now
			if err := os.WriteFile(path, append(bytes.Clone(old), "wait: 7s\n"...), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return changed(path, old, adding(toSave(t, "mine", "c/s", "2")), sharedKeys())
	})
	body, _ := os.ReadFile(path)
	if err != nil || !strings.Contains(string(body), "wait: 7s") || !strings.Contains(string(body), "mine: {") || edits != 2 {
		t.Errorf("after %d edits: %v\n%s", edits, err, body)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestAChangeIsTakenBackUnlessTheFileWasChangedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	var s shared
	s.set = s.flags()
	s.config = path
	k := &keeper{shared: &s, ctx: t.Context()}
	squid, _ := asWritten(t, mine, "squid")
	kept, err := k.save([]screen.Change{{Was: squid}})
	if err != nil || len(kept.Saved.Tunnels) != 2 {
		t.Fatalf("got %+v, %v", kept, err)
	}
	back, err := kept.Undo()
	if body, _ := os.ReadFile(path); err != nil || string(body) != mine || len(back.Saved.Tunnels) != 3 {
		t.Errorf("taken back: got %v and\n%s", err, body)
	}
	if kept, err = k.save([]screen.Change{{Was: squid}}); err != nil {
		t.Fatal(err)
	}
	if err := addToConfig(path, []screen.SavedTunnel{toSave(t, "theirs", "c/s", "9")}, sharedKeys()); err != nil {
		t.Fatal(err)
	}
	back, err = kept.Undo()
	if _, ok := errors.AsType[*ChangedError](err); !ok || len(back.Saved.Tunnels) != 3 {
		t.Errorf("changed since: got %+v, %v", back, err)
	}
}

func TestAProjectsTunnelIsNotChangedButOutdone(t *testing.T) {
	project := "tunnels:\n  squid: {target: theirs/squid, forward: '1'}\n"
	inDirectory(t, "", project)
	var s shared
	s.set = s.flags()
	if err := s.resolve(); err != nil {
		t.Fatal(err)
	}
	shown := s.shown(&s.saved)
	if len(shown.Tunnels) != 1 || filepath.Base(shown.Tunnels[0].Project) != projectName {
		t.Fatalf("got %+v", shown)
	}
	k := &keeper{shared: &s, ctx: t.Context()}
	kept, err := k.save(adding(toSave(t, "squid", "mine/squid", "2")))
	if err != nil || len(kept.Saved.Tunnels) != 1 || kept.Saved.Tunnels[0].Project != "" || kept.Saved.Tunnels[0].Target.Cluster != "mine" {
		t.Errorf("got %+v, %v; want one's own to win", kept, err)
	}
	if body, _ := os.ReadFile(shown.Tunnels[0].Project); string(body) != project {
		t.Errorf("the project file became %q", body)
	}
	kept, err = k.save([]screen.Change{{Was: kept.Saved.Tunnels[0]}})
	if err != nil || len(kept.Saved.Tunnels) != 1 || kept.Saved.Tunnels[0].Project == "" {
		t.Errorf("deleted: got %+v, %v; want the project's again", kept, err)
	}
}

// What flags say in place of an entry must not be written into it.
func TestFlagsAreNotWrittenIntoTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("tunnels:\n  a: {target: c/s, forward: '1', profile: dev, region: eu-west-1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var s shared
	s.set = s.flags()
	for flag, value := range map[string]string{"config": path, "profile": "prod", "region": "us-east-1"} {
		if err := s.set.Set(flag, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.resolve(); err != nil {
		t.Fatal(err)
	}
	was := s.shown(&s.saved).Tunnels[0]
	if was.Profile != "" || was.Entry.Profile != "dev" {
		t.Errorf("got %+v, want the flags to win, and what the entry says besides", was)
	}
	is := was
	is.Probe = "none"
	if _, err := (&keeper{shared: &s, ctx: t.Context()}).save([]screen.Change{{Was: was, Is: is}}); err != nil {
		t.Fatal(err)
	}
	if body, _ := os.ReadFile(path); !strings.Contains(string(body), `{target: c/s, forward: '1', profile: dev, region: eu-west-1, probe: "none"}`) {
		t.Errorf("got %s", body)
	}
}

func FuzzChanging(f *testing.F) {
	for _, seed := range []string{mine, "tunnels: {a: {target: c/s, forward: '1'}}\n", "tunnels:\n  a: &x {target: c/s, forward: '1'}\n  b: *x\ngroups: {g: [a, b]}\n", "# c\ntunnels:\n- a\n", "tunnels:\r\n  a:\r\n    target: c/s\r\n    forward: '1'\r\n", "tunnels:\n  a: {target: c/s,\n   forward: '1' # x\n  }\n"} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(2))
	}
	f.Fuzz(func(t *testing.T, body []byte, what uint8) {
		before, err := parseConfig("f", body, sharedKeys())
		if err != nil || len(before.saved.tunnels) == 0 {
			return
		}
		was := before.saved.tunnels[int(what)%len(before.saved.tunnels)].shown()
		c := screen.Change{Was: was, Is: was}
		switch what % 3 {
		case 0:
			c.Is.Name = "fresh"
		case 1:
			c.Is.Entry.Profile, c.Groups = "p", []string{"new group"}
		case 2:
			c.Is = screen.SavedTunnel{}
		}
		got, err := changed("f", body, []screen.Change{c}, sharedKeys())
		if err != nil {
			return
		}
		after, err := parseConfig("f", got, sharedKeys())
		if err != nil || !sameSettings(before, after) {
			t.Fatalf("%q became %q: %v", body, got, err)
		}
	})
}
