//go:build unix

package browser

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"culvert/internal/need"
)

// fakes puts programs into a PATH of their own.
func fakes(t *testing.T, programs map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	return dir
}

func TestTheAddressReachesTheSystemsProgramAsOneWord(t *testing.T) {
	script := `printf '%s\n' "$0" "$@" >"$(dirname "$0")/told.part" && mv "$(dirname "$0")/told.part" "$(dirname "$0")/told"`
	dir := fakes(t, map[string]string{"xdg-open": script, "open": script, "rundll32": script, "rundll32.exe": script})
	const address = "https://x/?a=$(touch evil)&b='c d';`id`"
	for _, test := range []struct {
		goos string
		env  map[string]string
		want string
	}{
		{"linux", map[string]string{"DISPLAY": ":0"}, "/xdg-open\n"}, {"linux", map[string]string{"WAYLAND_DISPLAY": "w"}, "/xdg-open\n"}, {"darwin", nil, "/open\n"},
		{"windows", nil, "/rundll32\nurl.dll,FileProtocolHandler\n"}, {"linux", map[string]string{"WSL_DISTRO_NAME": "u"}, "/rundll32.exe\nurl.dll,FileProtocolHandler\n"},
	} {
		open := Find(test.goos, func(name string) string { return test.env[name] })
		if open == nil {
			t.Errorf("%s %v: there is no browser", test.goos, test.env)
			continue
		}
		if err := open(address); err != nil {
			t.Errorf("%s: %v", test.goos, err)
		}
		var told []byte
		need.Eventually(t, "what the program was told", func() bool { // it runs on when nobody waits for it any more
			var err error
			told, err = os.ReadFile(filepath.Join(dir, "told"))
			return err == nil
		})
		if string(told) != dir+test.want+address+"\n" {
			t.Errorf("%s: got %q", test.goos, told)
		}
		if err := os.Remove(filepath.Join(dir, "told")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat("evil"); err == nil {
		t.Error("a shell has read the address")
	}
}

func TestWithoutADesktopThereIsNoBrowser(t *testing.T) {
	fakes(t, map[string]string{"xdg-open": "", "open": ""})
	for name, env := range map[string]map[string]string{
		"over ssh": {"DISPLAY": ":0", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, "without a display": nil,
	} {
		if Find("linux", func(name string) string { return env[name] }) != nil {
			t.Errorf("%s: got a browser, want none", name)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if Find("darwin", func(string) string { return "" }) != nil {
		t.Error("without the program: got a browser, want none")
	}
}

func TestAProgramThatCannotOpenAnythingSaysSo(t *testing.T) {
	fakes(t, map[string]string{"xdg-open": "exit 3", "open": "sleep 4"})
	if err := Find("linux", func(name string) string { return map[string]string{"DISPLAY": ":0"}[name] })("https://x/"); err == nil {
		t.Error("got no error")
	}
	began := time.Now()
	if err := Find("darwin", func(string) string { return "" })("https://x/"); err != nil || time.Since(began) > 2*patience {
		t.Errorf("one that stays with its browser: got %v after %s", err, time.Since(began))
	}
}
