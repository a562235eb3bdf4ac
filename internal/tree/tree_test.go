//go:build unix

package tree_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/internal/tree"
)

// Every place of a link is one that a hostile repository can choose.
func TestNothingIsWrittenThroughALink(t *testing.T) {
	for name, link := range map[string]struct{ at, to string }{
		"a live link":      {"infra/proxy/sub/a", "victim/file"},
		"a dangling link":  {"infra/proxy/sub/a", "victim/new"},
		"a link inside":    {"infra/proxy/sub/a", "infra/proxy/other"},
		"a directory":      {"infra/proxy/sub", "victim"},
		"no directory":     {"infra/proxy/sub", "victim/new"},
		"the top":          {"infra/proxy", "victim"},
		"a way to the top": {"infra", "victim"},
	} {
		t.Run(name, func(t *testing.T) {
			work := t.TempDir()
			t.Chdir(work)
			victim := filepath.Join(work, "victim")
			write(t, filepath.Join(victim, "file"), "mine")
			if err := os.MkdirAll(filepath.Dir(link.at), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(work, link.to), link.at); err != nil {
				t.Fatal(err)
			}
			isLink := func(err error) bool {
				e, ok := errors.AsType[*tree.LinkError](err)
				return ok && strings.HasSuffix(e.Path, link.at) && strings.Contains(e.Remedy(), e.Path)
			}
			for _, dir := range []string{"infra/proxy/", "./infra/../infra/proxy", filepath.Join(work, "infra", "proxy")} {
				to, err := tree.Open(dir)
				if err == nil {
					if _, err := to.Holds("sub/a", []byte("mine")); !isLink(err) {
						t.Errorf("%s: looked at: %v, want a *LinkError", dir, err)
					}
					err = to.Put("sub/a", []byte("theirs"))
					_ = to.Close()
				}
				if !isLink(err) {
					t.Errorf("%s: got %v, want a *LinkError that names the link", dir, err)
				}
			}
			entries, _ := os.ReadDir(victim)
			if text, err := os.ReadFile(filepath.Join(victim, "file")); len(entries) != 1 || string(text) != "mine" {
				t.Errorf("the victim's directory has %v, its file %q, %v", entries, text, err)
			}
			if _, err := os.Stat("infra/proxy/other"); err == nil {
				t.Error("written through a link that leads to elsewhere in the directory")
			}
		})
	}
}

// A hard link cannot be told from a file; what it shares its content with must not change.
func TestAFileOfTwoNamesChangesInOne(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	write(t, victim, "mine")
	write(t, filepath.Join(dir, "infra", "keep"), "")
	if err := os.Link(victim, filepath.Join(dir, "infra", "a")); err != nil {
		t.Fatal(err)
	}
	to, err := tree.Open(filepath.Join(dir, "infra"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if err := to.Put("a", []byte("theirs")); err != nil {
		t.Fatal(err)
	}
	if same, err := to.Holds("a", []byte("theirs")); !same || err != nil {
		t.Errorf("the new content is not there: %v", err)
	}
	if text, err := os.ReadFile(victim); string(text) != "mine" {
		t.Errorf("the other name has %q, %v", text, err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "infra")); len(entries) != 2 {
		t.Errorf("got %v, %v: something temporary is left", entries, err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
