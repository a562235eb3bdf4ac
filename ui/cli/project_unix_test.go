//go:build unix

package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"culvert/internal/need"
)

func TestAProjectFileThatOthersCouldHaveWrittenIsNotRead(t *testing.T) {
	for name, test := range map[string]struct {
		dir, file os.FileMode
		says      string
	}{
		"shared directory":         {0o777 | os.ModeSticky, 0o600, "the directory may be written by everybody (mode 0777)"},
		"directory of everybody":   {0o777, 0o600, "the directory may be written by everybody"},
		"file of everybody":        {0o755, 0o666, "it may be written by everybody (mode 0666)"},
		"only written by others":   {0o755, 0o602, "it may be written by everybody"},
		"as they usually are":      {0o755, 0o644, ""},
		"for the owner and no-one": {0o700, 0o600, ""},
	} {
		dir := filepath.Join(t.TempDir(), "src")
		lay(t, dir, map[string]string{".culvert.yaml": "tunnels: {}\n", "sub/": "", ".git/": ""})
		if err := errors.Join(os.Chmod(filepath.Join(dir, ".culvert.yaml"), test.file), os.Chmod(dir, test.dir)); err != nil {
			t.Fatal(err)
		}
		for _, at := range []string{dir, filepath.Join(dir, "sub")} {
			file, err := openProject(at)
			if (err == nil) != (test.says == "") || (file == nil) != (err != nil) {
				t.Errorf("%s: got %v, want %q", name, err, test.says)
			}
			if err != nil {
				mustRefuse(t, err, "not read, as "+test.says, "--config "+filepath.Join(dir, ".culvert.yaml")+" (or set CULVERT_CONFIG)")
				continue
			}
			_ = file.Close()
		}
		if err := os.Remove(filepath.Join(dir, ".culvert.yaml")); err != nil {
			t.Fatal(err)
		}
		if file, err := openProject(dir); file != nil || err != nil {
			t.Errorf("%s: got %v without a project file", name, err)
		}
	}
}

func TestAPipeIsNoProjectFile(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, ".culvert.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openProject(dir) // opening it would wait for a writer
	mustRefuse(t, err, "it is a link or no file at all")
}

func TestAnotherUsersProjectFileIsNotRead(t *testing.T) {
	other := need.OtherUser(t)
	for name, test := range map[string]struct {
		theirs []string // what belongs to the other user
		at     string
		says   string // "" is: none is found
	}{
		"their file in our directory":       {[]string{"src/.culvert.yaml"}, "src", "it belongs to user 54321, not to "},
		"our file in their directory":       {[]string{"src"}, "src", "the directory belongs to user 54321, not to "},
		"their file in their directory":     {[]string{"src", "src/.culvert.yaml"}, "src", "the directory belongs to user 54321"},
		"a directory of theirs all the way": {[]string{"src", "src/sub", "src/.culvert.yaml"}, "src/sub", "the directory belongs to user 54321"},
		"above ours, their directory":       {[]string{"src", "src/.culvert.yaml"}, "src/sub", ""},
		"above theirs, our directory":       {[]string{"src/sub"}, "src/sub", ""},
	} {
		dir := t.TempDir()
		lay(t, dir, map[string]string{"src/.culvert.yaml": "tunnels: {}\n", "src/sub/": "", ".git/": ""})
		for _, path := range test.theirs {
			if err := os.Lchown(filepath.Join(dir, path), other, other); err != nil {
				t.Fatal(err)
			}
		}
		file, err := openProject(filepath.Join(dir, test.at))
		switch {
		case file != nil:
			t.Errorf("%s: it is read", name)
			_ = file.Close()
		case test.says == "" && err != nil:
			t.Errorf("%s: got %v, want none", name, err)
		case test.says != "":
			mustRefuse(t, err, test.says)
		}
		if err != nil && strings.Contains(err.Error(), "54321, not to 54321") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
