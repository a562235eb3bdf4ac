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
	for name, plant := range map[string]func(t *testing.T, dir, victim string){
		"a live link": func(t *testing.T, dir, victim string) {
			link(t, filepath.Join(victim, "file"), filepath.Join(dir, "sub", "a"))
		},
		"a dangling link": func(t *testing.T, dir, victim string) {
			link(t, filepath.Join(victim, "new"), filepath.Join(dir, "sub", "a"))
		},
		"a link inside": func(t *testing.T, dir, _ string) { link(t, "../other", filepath.Join(dir, "sub", "a")) },
		"a directory":   func(t *testing.T, dir, victim string) { link(t, victim, filepath.Join(dir, "sub")) },
		"no directory": func(t *testing.T, dir, victim string) {
			link(t, filepath.Join(victim, "new"), filepath.Join(dir, "sub"))
		},
		"the top":          func(t *testing.T, dir, victim string) { link(t, victim, dir) },
		"a way to the top": func(t *testing.T, dir, victim string) { link(t, victim, filepath.Dir(dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			work := t.TempDir()
			t.Chdir(work)
			victim := filepath.Join(work, "victim")
			write(t, filepath.Join(victim, "file"), "mine")
			plant(t, filepath.Join("infra", "proxy"), victim)
			isLink := func(err error) bool {
				e, ok := errors.AsType[*tree.LinkError](err)
				return ok && strings.HasPrefix(e.Path, "infra") && strings.Contains(e.Remedy(), e.Path)
			}
			to, err := tree.Open("infra/proxy/")
			if err == nil {
				if _, err := to.Holds("sub/a", []byte("mine")); !isLink(err) {
					t.Errorf("looked at: %v, want a *LinkError", err)
				}
				err = to.Put("sub/a", []byte("theirs"))
				_ = to.Close()
			}
			if !isLink(err) {
				t.Errorf("got %v, want a *LinkError that names the link", err)
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

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
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
