//go:build unix

package trust

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/internal/need"
)

// made makes a file, or a directory where body is empty, and gives it a mode whatever the umask.
func made(t *testing.T, path, body string, mode os.FileMode) string {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	switch {
	case err == nil && body == "":
		err = os.Mkdir(path, 0o700)
	case err == nil:
		err = os.WriteFile(path, []byte(body), 0o600)
	}
	if err = errors.Join(err, os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

// given gives a file to somebody.
func given(t *testing.T, path string, user, group int) string {
	t.Helper()
	if err := os.Lchown(path, user, group); err != nil {
		t.Fatal(err)
	}
	return path
}

func problemOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return Problem(info)
}

func TestWhatOthersMayWriteIsNotTrusted(t *testing.T) {
	dir := t.TempDir()
	for mode, want := range map[os.FileMode]string{0o700: "", 0o755: "", 0o644: "", 0o757: "by everybody (mode 0757)", 0o777 | os.ModeSticky: "by everybody (mode 0777)", 0o702: "by everybody"} {
		if got := problemOf(t, made(t, filepath.Join(dir, "d"+mode.String()), "", mode)); got != want && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("%s: got %q, want %q", mode, got, want)
		}
	}
}

func TestWhatBelongsToOthersIsNotTrusted(t *testing.T) {
	other := need.OtherUser(t)
	dir := t.TempDir()
	if got := problemOf(t, given(t, made(t, filepath.Join(dir, "theirs"), "x", 0o600), other, other)); !strings.HasPrefix(got, "belongs to user 54321, not to ") {
		t.Errorf("got %q", got)
	}
	if got := problemOf(t, given(t, made(t, filepath.Join(dir, "group"), "x", 0o660), os.Getuid(), other)); !strings.Contains(got, "by its group (mode 0660)") {
		t.Errorf("got %q", got)
	}
	if got := problemOf(t, given(t, made(t, filepath.Join(dir, "read"), "x", 0o640), os.Getuid(), other)); got != "" {
		t.Errorf("got %q of a file that a group may read", got)
	}
}

func TestAUsersOwnGroupIsNobodyElse(t *testing.T) {
	const users = "root:x:0:0:root:/root:/bin/sh\nkim:x:1000:1000:,,,:/home/kim:/bin/sh\nlee:x:1001:1001::/:/bin/sh\n"
	for name, test := range map[string]struct {
		groups, users, id string
		private           bool
	}{
		"kim's own":              {"root:x:0:\nkim:x:1000:\n", users, "1000", true},
		"kim's own, listed":      {"kim:x:1000:kim\n", users, "1000", true},
		"somebody is in it":      {"kim:x:1000:kim,lee\n", users, "1000", false},
		"somebody else's":        {"lee:x:1001:kim\n", users, "1001", false},
		"of another name":        {"staff:x:1000:\n", users, "1000", false},
		"somebody's first group": {"kim:x:1000:\n", users + "max:x:1002:1000::/:/bin/sh\n", "1000", false},
		"twice":                  {"kim:x:1000:\nall:x:1000:lee\n", users, "1000", false},
		"unknown":                {"root:x:0:\n", users, "1000", false},
		"broken":                 {"kim\n::\n", users, "1000", false},
	} {
		if got := isPrivate(test.groups, test.users, "kim", test.id); got != test.private {
			t.Errorf("%s: got %t, want %t", name, got, test.private)
		}
	}
}

func TestNoLinkOfOthersIsWrittenThrough(t *testing.T) {
	dir := t.TempDir()
	victim := made(t, filepath.Join(dir, "home", "bashrc"), "mine\n", 0o600)
	shared := made(t, filepath.Join(dir, "shared"), "", 0o777|os.ModeSticky)
	own := made(t, filepath.Join(dir, "own"), "", 0o755)
	link := func(to, at string) {
		t.Helper()
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
	}
	link(victim, filepath.Join(shared, "log"))
	link(filepath.Join(dir, "home"), filepath.Join(shared, "dir"))
	link(filepath.Join(dir, "nothing"), filepath.Join(shared, "dangling"))
	link(filepath.Join(shared, "log"), filepath.Join(own, "by-way-of-ours"))
	link(shared, filepath.Join(own, "shared"))
	link("log", filepath.Join(shared, "again"))
	if err := os.Link(victim, filepath.Join(shared, "second-name")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		shared + "/log", shared + "/dir/bashrc", shared + "/dir/new", shared + "/dangling", own + "/by-way-of-ours", own + "/shared/log", shared + "/again",
		own + "/../shared/log", shared + "/second-name",
	} {
		for how, open := range map[string]func(string) (*os.File, error){"append": Append, "create": Create} {
			file, err := open(path)
			if err == nil {
				_, _ = file.WriteString("theirs\n")
				_ = file.Close()
			}
			if refused, ok := errors.AsType[*UnsafeError](err); !ok || refused.Remedy() == "" {
				t.Errorf("%s %s: got %v, want a *UnsafeError", how, path, err)
			}
		}
	}
	if body, err := os.ReadFile(victim); err != nil || string(body) != "mine\n" {
		t.Errorf("the victim has %q, %v", body, err)
	}
	if names, _ := os.ReadDir(filepath.Join(dir, "home")); len(names) != 1 {
		t.Errorf("got %v beside the victim", names)
	}
}

func TestOwnFilesAndLinksAreWritten(t *testing.T) {
	dir := t.TempDir()
	shared := made(t, filepath.Join(dir, "shared"), "", 0o777|os.ModeSticky)
	made(t, filepath.Join(shared, "mine"), "before\n", 0o600)
	made(t, filepath.Join(dir, "real", "log"), "before\n", 0o600)
	if err := errors.Join(os.Symlink("real", filepath.Join(dir, "link")), os.Symlink("log", filepath.Join(dir, "real", "alias")), os.Symlink(shared, filepath.Join(dir, "to-shared"))); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"shared/mine", "shared/new", "link/log", "link/alias", "real/new", "to-shared/newer"} {
		path = filepath.Join(dir, path)
		before, _ := os.ReadFile(path)
		for _, open := range []func(string) (*os.File, error){Append, Append} {
			file, err := open(path)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			_, err = file.WriteString("x")
			if err = errors.Join(err, file.Close()); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		if body, _ := os.ReadFile(path); string(body) != string(before)+"xx" {
			t.Errorf("%s: got %q", path, body)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v, want mode 0600", path, info.Mode(), err)
		}
		file, err := Create(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		_ = file.Close()
		if body, _ := os.ReadFile(path); len(body) > 0 {
			t.Errorf("%s: got %q after it was made anew", path, body)
		}
	}
	for _, device := range []string{"/dev/null", "/dev/stderr"} { // a link into /proc on Linux
		file, err := Append(device)
		if err != nil {
			t.Errorf("%s: %v", device, err)
			continue
		}
		_ = file.Close()
	}
}

func TestFilesOfOthersAreNotWrittenInTheirPlaces(t *testing.T) {
	other := need.OtherUser(t)
	dir := t.TempDir()
	shared := made(t, filepath.Join(dir, "shared"), "", 0o777|os.ModeSticky)
	given(t, made(t, filepath.Join(shared, "log"), "theirs\n", 0o666), other, other)
	theirs := given(t, made(t, filepath.Join(dir, "theirs"), "", 0o755), other, other)
	if err := os.Symlink("/etc/passwd", filepath.Join(theirs, "link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(shared, "log"), filepath.Join(theirs, "link")} {
		file, err := Append(path)
		if err == nil {
			_ = file.Close()
			t.Errorf("%s: got no error", path) // whether of ours or, where fs.protected_regular is on, of the kernel
		}
	}
}
