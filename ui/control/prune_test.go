package control_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/ui/control"
)

func TestWhatOldSetsHaveLeftIsRemoved(t *testing.T) {
	d := dirs(t)
	living, cmd := held(t)
	defer end(cmd)
	for name, r := range map[string]*control.Record{
		"ended": nil, "crashed": {Process: control.Process{PID: 1, Started: "before"}}, "alive": {Process: living}, "fresh": nil, "screen": nil,
	} {
		lock, err := d.Lock(t.Context(), name, func() {})
		if err != nil {
			t.Fatal(err)
		}
		lock.Unlock()
		if err := os.WriteFile(d.Log(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if r != nil {
			r.Name = name
			if err := d.Write(*r); err != nil {
				t.Fatal(err)
			}
		}
	}
	paths, _ := filepath.Glob(filepath.Join(d.Runtime, "*"))
	logs, _ := filepath.Glob(filepath.Join(d.State, "*"))
	for _, path := range append(paths, logs...) {
		if at := time.Now().Add(-8 * 24 * time.Hour); !strings.HasPrefix(filepath.Base(path), "fresh") {
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	starting, err := d.Lock(t.Context(), "starting", func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer starting.Unlock()
	d.Prune(7*24*time.Hour, "screen")
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(d.State), "*", "*"))
	for i, path := range left {
		left[i] = filepath.Base(path)
	}
	want := "alive.json alive.lock fresh.lock screen.lock starting.lock alive.log fresh.log screen.log"
	if got := strings.Join(left, " "); got != want {
		t.Errorf("left %q, want %q", got, want)
	}
}

// A process that is stopped takes the connection and says nothing: it is not one that is starting.
func TestAHolderThatHangsIsSaidTo(t *testing.T) {
	d := dirs(t)
	holder, cmd := held(t)
	defer end(cmd)
	if err := d.Write(control.Record{Name: "x", Process: holder}); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Set(t.Context(), "x"); err != nil || s.State != control.Starting {
		t.Errorf("got %s, %v before it listens, want %s", s.State, err, control.Starting)
	}
	listenSilently(t, d.Socket("x"))
	told := make(chan error)
	go func() {
		_, err := d.EndDestination(t.Context(), "x", 1, "orders.internal:80")
		told <- err
	}()
	s, err := d.Set(t.Context(), "x")
	if err != nil || s.State != control.Silent || s.Error == "" || s.Remedy == "" || !s.Alive() {
		t.Errorf("got %+v, %v; want it to be %s", s, err, control.Silent)
	}
	if err := <-told; !as[*control.SilentError](err) || !strings.Contains(err.Error(), "it may still do what it was told") {
		t.Errorf("got %v, want a *SilentError: what it was told to end may end yet", err)
	}
}

// listenSilently takes connections and never answers.
func listenSilently(t *testing.T, path string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
}

// end is the end of a process that held started.
func end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}
