package recent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/internal/say"
	"culvert/ui/control"
)

func at(minute int) time.Time {
	return time.Date(2026, 11, 26, 12, minute, 0, 0, time.UTC)
}

func squid(n int) Tunnel {
	return Tunnel{Account: "111122223333", Profile: "dev", Region: "eu-west-1", Target: fmt.Sprintf("automation/squid-%d", n), Forward: "3128"}
}

// gone is a process that has ended.
func gone() control.Process { return control.Process{PID: os.Getpid(), Started: "another time"} }

func note(t *testing.T, f File, minute int, by control.Process, changes ...Change) []Tunnel {
	t.Helper()
	all, err := f.Note(at(minute), by, changes...)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheMostUsedComesFirst(t *testing.T) {
	f := File(filepath.Join(t.TempDir(), "state", "recent.json"))
	if all, err := f.Read(); err != nil || len(all) > 0 {
		t.Fatalf("got %v, %v where there is no file, want nothing", all, err)
	}
	note(t, f, 1, control.Self(), Change{Tunnel: squid(1)}, Change{Tunnel: squid(2)})
	note(t, f, 2, control.Self(), Change{Tunnel: squid(2)})
	note(t, f, 3, control.Self(), Change{Tunnel: squid(3)})
	all, err := f.Read()
	if err != nil || len(all) != 3 {
		t.Fatalf("got %v, %v; want three", all, err)
	}
	for i, want := range []struct {
		n, times int
	}{{2, 2}, {3, 1}, {1, 1}} {
		if got := all[i]; got.Target != squid(want.n).Target || got.Times != want.times {
			t.Errorf("place %d has %s, used %d times; want squid-%d, %d times", i, got.Target, got.Times, want.n, want.times)
		}
	}
	other := squid(1)
	other.Region = "us-east-1"
	if all = note(t, f, 4, control.Self(), Change{Tunnel: other}); len(all) != 4 {
		t.Errorf("the same name in another region is the same tunnel: %v", all)
	}
	info, err := os.Stat(string(f))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Errorf("the file has mode %o, want 600", mode)
	}
	if all, err := File("").Note(at(1), control.Self(), Change{Tunnel: squid(1)}); err != nil || all != nil {
		t.Errorf("nowhere: got %v, %v", all, err)
	}
}

func TestWhatWasOpenIsLeftWhenItsProcessIsGone(t *testing.T) {
	f := File(filepath.Join(t.TempDir(), "recent.json"))
	left := func(all []Tunnel) (names []string) {
		for _, t := range all {
			if t.Left() {
				names = append(names, t.Target)
			}
		}
		return names
	}
	all := note(t, f, 1, gone(), Change{Tunnel: squid(1)}, Change{Tunnel: squid(2)}, Change{Tunnel: squid(2), Over: true})
	if got := left(all); len(got) != 1 || got[0] != squid(1).Target {
		t.Errorf("got %v left by a process that is gone, want squid-1: squid-2 was stopped", got)
	}
	if all = note(t, f, 2, control.Self(), Change{Tunnel: squid(1)}); len(left(all)) > 0 {
		t.Errorf("got %v left, want none: this process has it", left(all))
	}
	if all = note(t, f, 3, gone(), Change{Tunnel: squid(1), Over: true}); all[0].Open == nil {
		t.Error("another interface has ended what this one has open")
	}
	if all = note(t, f, 3, control.Self(), Change{Tunnel: squid(1), Over: true}, Change{Tunnel: squid(7), Over: true}); all[0].Open != nil || len(all) != 2 {
		t.Errorf("after a stop: %v", all)
	}
}

func TestTheFileIsBounded(t *testing.T) {
	f := File(filepath.Join(t.TempDir(), "recent.json"))
	for n := range 3 * keep {
		note(t, f, n, gone(), Change{Tunnel: squid(n)})
	}
	all, err := f.Read()
	if err != nil || len(all) != keep || all[0].Target != squid(3*keep-1).Target || all[keep-1].Target != squid(2*keep).Target {
		t.Errorf("got %d tunnels, %v; want the last %d", len(all), err, keep)
	}
	if files, _ := filepath.Glob(filepath.Join(filepath.Dir(string(f)), ".recent-*")); len(files) > 0 {
		t.Errorf("left beside the file: %v", files)
	}
}

func TestInterfacesShareTheFile(t *testing.T) {
	f := File(filepath.Join(t.TempDir(), "recent.json"))
	var work sync.WaitGroup
	for n := range 8 {
		work.Go(func() {
			for range 5 {
				if _, err := f.Note(at(n), control.Self(), Change{Tunnel: squid(n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	all, err := f.Read()
	if err != nil || len(all) != 8 {
		t.Fatalf("got %d, %v; want 8", len(all), err)
	}
	for _, one := range all {
		if one.Times != 5 {
			t.Errorf("%s was noted %d times, want 5", one.Target, one.Times)
		}
	}
}

// What cannot be read is told, and not written over.
func TestAFileOfSomethingElseIsLeftAlone(t *testing.T) {
	for name, body := range map[string]string{
		"text": "my notes", "another form": `{"tunnels": 3}`, "cut": `[{"target":"a/b"`, "huge": "[" + strings.Repeat(" ", most) + "]",
	} {
		t.Run(name, func(t *testing.T) {
			f := File(filepath.Join(t.TempDir(), "recent.json"))
			if err := os.WriteFile(string(f), []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, do := range []func() error{
				func() error { _, err := f.Read(); return err },
				func() error { _, err := f.Note(at(1), control.Self(), Change{Tunnel: squid(1)}); return err },
			} {
				err := do()
				if bad, ok := errors.AsType[*FileError](err); !ok || bad.Path != string(f) || say.Remedy(err) == "" {
					t.Errorf("got %v, want a *FileError with a remedy", err)
				}
			}
			if got, _ := os.ReadFile(string(f)); string(got) != body {
				t.Error("the file was written over")
			}
		})
	}
	f := File(filepath.Join(t.TempDir(), "recent.json"))
	if err := os.WriteFile(string(f), []byte(`[{},{"target":"a/b"},{"target":"a/b","forward":"1","region":"r","later":1}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := f.Read(); err != nil || len(all) != 1 {
		t.Errorf("got %v, %v; want the one that names a target and a forward", all, err)
	}
}
