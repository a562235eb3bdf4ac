package cli

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/screen"
)

// addToConfig adds tunnels to a config file.
func addToConfig(path string, fresh []screen.SavedTunnel, known []string) error {
	return rewrite(context.Background(), path, func(old []byte) ([]byte, error) { return changed(path, old, adding(fresh...), known) })
}

// adding are tunnels that are new.
func adding(fresh ...screen.SavedTunnel) []screen.Change {
	var changes []screen.Change
	for _, one := range fresh {
		changes = append(changes, screen.Change{Is: one})
	}
	return changes
}

// toSave is a tunnel to be saved.
func toSave(t *testing.T, name, target, form string) screen.SavedTunnel {
	t.Helper()
	at, err := aws.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	f, err := tunnel.ParseForward(form)
	if err != nil {
		t.Fatal(err)
	}
	return screen.SavedTunnel{Name: name, Target: at, Forward: f}
}

func TestSavingLeavesEverythingElseAsItIs(t *testing.T) {
	const added = `  db: {target: shop/web, forward: "15432:db.internal:5432"}`
	for name, c := range map[string]struct{ before, after string }{
		"no file":    {"", "tunnels:\n" + added + "\n"},
		"no tunnels": {"# mine\nregion:   eu-west-1 # Ireland\n\n\nwait: 30s\n", "# mine\nregion:   eu-west-1 # Ireland\n\n\nwait: 30s\ntunnels:\n" + added + "\n"},
		"no newline": {"region: x", "region: x\ntunnels:\n" + added + "\n"},
		"some tunnels, and more below": {
			"# top\ntunnels:   # saved\n    squid:    {target: automation/squid, forward: '3128'}   # the proxy\n\n# below\ngroups:\n    dev: [squid]\n",
			"# top\ntunnels:   # saved\n    squid:    {target: automation/squid, forward: '3128'}   # the proxy\n  " + added + "\n\n# below\ngroups:\n    dev: [squid]\n",
		},
		"tunnels of several lines": {
			"tunnels:\n  squid:\n    target: automation/squid\n    forward: \"3128\"\n    # a note\nmouse: no\n",
			"tunnels:\n  squid:\n    target: automation/squid\n    forward: \"3128\"\n" + added + "\n    # a note\nmouse: no\n",
		},
		"in one line":      {"tunnels: {squid: {target: a/b, forward: '1'}} # flow\n", "tunnels: {squid: {target: a/b, forward: '1'}, db: {target: shop/web, forward: \"15432:db.internal:5432\"}} # flow\n"},
		"broken in braces": {"tunnels:\n  squid: {target: a/b,\n    forward: '1'\n  }\nwait: 1s\n", "tunnels:\n  squid: {target: a/b, forward: '1'}\n" + added + "\nwait: 1s\n"},
		"carriage returns": {"wait: 1s\r\n", "wait: 1s\r\ntunnels:\n" + added + "\n"},
	} {
		path := filepath.Join(t.TempDir(), "deep", "config.yaml")
		if c.before != "" {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(c.before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := addToConfig(path, []screen.SavedTunnel{toSave(t, "db", "shop/web", "15432:db.internal:5432")}, sharedKeys()); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != c.after {
			t.Errorf("%s: got %q, %v\nwant %q", name, got, err, c.after)
		}
		info, err := os.Stat(path)
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v, %v; want 0600", name, info.Mode(), err)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
}

func TestSavingTwiceKeepsTheOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	for _, tunnels := range [][]screen.SavedTunnel{
		{toSave(t, "squid", "automation/squid", "3128"), toSave(t, "b", "c/s", "[::1]:8080:80")},
		{toSave(t, "yes", "c/s", "/run/x.sock:host.internal:5432")}, // a name that YAML would take for a boolean
	} {
		if err := addToConfig(path, tunnels, sharedKeys()); err != nil {
			t.Fatal(err)
		}
	}
	f, err := readConfig(path, true, sharedKeys())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range f.saved.tunnels {
		names = append(names, s.name+" "+s.forward.String())
	}
	if got, want := strings.Join(names, ", "), "squid 3128, b [::1]:8080:80, yes /run/x.sock:host.internal:5432"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSavingFollowsASymbolicLink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "dotfiles.yaml"), filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte("wait: 1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := addToConfig(link, []screen.SavedTunnel{toSave(t, "a", "c/s", "1")}, sharedKeys()); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != file {
		t.Errorf("the link leads to %q, %v; want %q", to, err, file)
	}
	if body, _ := os.ReadFile(file); !strings.Contains(string(body), "a: {target: c/s") {
		t.Errorf("got %q, want the tunnel in it", body)
	}
}

func TestSavingDoesNotTouchAFileItCannotRead(t *testing.T) {
	for name, body := range map[string]string{"broken": "a: b: c\n", "unknown key": "regoin: x\n", "a list": "- a\n"} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		s := shared{config: path}
		s.set = s.flags()
		s.config = path
		_, err := (&keeper{shared: &s, ctx: t.Context()}).save(adding(toSave(t, "a", "c/s", "1")))
		if err == nil || advice(err, "") == "" || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error with the path and a remedy", name, err)
		}
		if after, _ := os.ReadFile(path); string(after) != body {
			t.Errorf("%s: the file was changed to %q", name, after)
		}
	}
}

func TestTheDemoSavesNothingInTheUsersFile(t *testing.T) {
	inDirectory(t, "", "")
	fresh := adding(toSave(t, "a", "c/s", "1"))
	var s shared
	s.set = s.flags()
	s.demo = true
	k := &keeper{shared: &s, ctx: t.Context()}
	if kept, err := k.save(fresh); err != nil || kept.Path != "this demo alone" || len(kept.Saved.Tunnels) != 1 {
		t.Errorf("got %+v, %v; want it kept in the process", kept, err)
	}
	if kept, err := k.save([]screen.Change{{Was: fresh[0].Is, Is: toSave(t, "b", "c/s", "1")}}); err != nil || len(kept.Saved.Tunnels) != 1 || kept.Saved.Tunnels[0].Name != "b" {
		t.Errorf("renamed: got %+v, %v", kept, err)
	}
	if body, _ := os.ReadFile(findPaths().Config); len(body) > 0 {
		t.Errorf("the user's file became %q", body)
	}
	s.demo = false
	kept, err := k.save(fresh)
	if body, _ := os.ReadFile(findPaths().Config); err != nil || kept.Path != findPaths().Config || !strings.Contains(string(body), "a: {target: c/s") {
		t.Errorf("got %q, %v and %q; want it in the user's file", kept.Path, err, body)
	}
}

func TestSavedTunnelsReachTheScreen(t *testing.T) {
	f, err := parseConfig("f.yaml", []byte("tunnels:\n  squid: {target: automation/squid/0123, forward: '3128', probe: 'https://api.internal/health'}\n  b: {target: c/s, forward: '1'}\ngroups: {dev: [b, squid]}\n"), sharedKeys())
	if err != nil {
		t.Fatal(err)
	}
	var s shared
	s.flags()
	s.saved.merge(f.saved)
	s.saved.merge(saved{tunnels: []savedTunnel{{name: "b", file: "another"}, {name: "c"}}}) // the first file wins
	got := s.shown(&s.saved)
	if len(got.Tunnels) != 3 || got.Tunnels[0].Probe != "https://api.internal/health" || got.Tunnels[0].Target.Task != "0123" || got.Tunnels[1].Target.Cluster != "c" || got.Tunnels[1].Probe != "" {
		t.Errorf("got %+v", got.Tunnels)
	}
	if len(got.Groups) != 1 || strings.Join(got.Groups[0].Tunnels, " ") != "b squid" {
		t.Errorf("got %+v", got.Groups)
	}
}

func FuzzSaving(f *testing.F) {
	for _, seed := range []string{"", "wait: 1s\n", "tunnels:\n  a: {target: c/s, forward: '1'}\n", "tunnels: {}\n", "tunnels:\n", "# c\n---\nregion: x\n...\n", "tunnels: &t\n  a: &a {target: c/s, forward: '1'}\n", "? region\n: x\n", "\tx", "region: |\n  a\n  b\n", "region: |\n 0", "tunnels:\n a:\n  target: c/s\n  forward: >-\n   1\n"} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, body []byte) {
		path := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := parseConfig(path, body, sharedKeys())
		if err != nil {
			return
		}
		saving := addToConfig(path, []screen.SavedTunnel{toSave(t, "fresh one", "c/s", "8080:80")}, sharedKeys())
		after, err := readConfig(path, true, sharedKeys())
		if err != nil {
			t.Fatalf("%q became a file that cannot be read: %v", body, err)
		}
		if saving != nil {
			if left, _ := os.ReadFile(path); string(left) != string(body) {
				t.Fatalf("%q was changed although it was refused: %v", body, saving)
			}
			return
		}
		for key, set := range before.settings {
			if after.settings[key].value != set.value {
				t.Fatalf("%q: %s became %q", body, key, after.settings[key].value)
			}
		}
	})
}
