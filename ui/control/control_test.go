package control_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"culvert/ui/control"
)

// TestMain lets the test's own program stand in for a process that holds a set: it waits until it is killed.
func TestMain(m *testing.M) {
	if os.Getenv("HOLD") == "1" {
		fmt.Println("held") //nolint:forbidigo // the parent waits for it
		time.Sleep(time.Minute)
		return
	}
	goleak.VerifyTestMain(m)
}

func dirs(t *testing.T) control.Dir {
	t.Helper()
	root := t.TempDir()
	d := control.Dir{Runtime: filepath.Join(root, "run"), State: filepath.Join(root, "state")}
	if err := d.Prepare(); err != nil {
		t.Fatal(err)
	}
	return d
}

// held starts another process, and returns it when it runs.
func held(t *testing.T) (control.Process, *exec.Cmd) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), "HOLD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	p, alive := control.Of(cmd.Process.Pid)
	if !alive {
		t.Fatal("the process does not run")
	}
	return p, cmd
}

func TestAHolderIsAskedAndEndedOverItsSocket(t *testing.T) {
	d := dirs(t)
	p, cmd := held(t) // answered for by this process
	record := control.Record{Name: "dev", Process: p, Request: []string{"a"}, Log: d.Log("dev")}
	if err := d.Write(record); err != nil {
		t.Fatal(err)
	}
	var stopped atomic.Bool
	stop := make(chan struct{})
	server, err := control.Serve(t.Context(), d.Socket("dev"), control.Holder{
		Status: func() control.Set {
			if stopped.Load() {
				return control.Set{Name: "dev", State: control.Ending}
			}
			return control.Set{Name: "dev", State: control.Ready, Tunnels: []control.Tunnel{{ID: 1, Sent: 7}}}
		},
		Detail: func(id int) (control.Detail, bool) {
			return control.Detail{ID: id, Connections: []control.Connection{{ID: 3, Host: "orders.internal"}}}, id == 1
		},
		Destination: func(id int, destination string) (control.Detail, bool) {
			return control.Detail{ID: id, Omitted: 2, Connections: []control.Connection{{ID: 4, Host: destination}}}, id == 1
		},
		Stop: func() { stopped.Store(true); close(stop) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.Socket("dev")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got socket %v, %v, want mode 0600", info, err)
	}
	sets, err := d.Sets(t.Context())
	if err != nil || len(sets) != 1 || sets[0].State != control.Ready || sets[0].Tunnels[0].Sent != 7 {
		t.Fatalf("got %+v, %v, want one set that is ready", sets, err)
	}

	if detail, err := d.Detail(t.Context(), "dev", 1); err != nil || len(detail.Connections) != 1 || detail.Connections[0].ID != 3 {
		t.Errorf("got %+v, %v, want the connection of tunnel 1", detail, err)
	}
	if _, err := d.Detail(t.Context(), "dev", 2); !as[*control.NoTunnelError](err) {
		t.Errorf("got %v, want a *NoTunnelError", err)
	}

	if detail, err := d.DestinationDetail(t.Context(), "dev", 1, "[fd00::7]:443"); err != nil || len(detail.Connections) != 1 || detail.Connections[0].Host != "[fd00::7]:443" || detail.Omitted != 2 {
		t.Errorf("got %+v, %v, want the connection to the destination", detail, err)
	}
	if _, err := d.DestinationDetail(t.Context(), "dev", 2, "orders.internal:80"); !as[*control.NoTunnelError](err) {
		t.Errorf("got %v, want a *NoTunnelError", err)
	}

	// A request that is none gets no answer and does no harm.
	conn, err := net.Dial("unix", d.Socket("dev"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(strings.Repeat("x", 8<<10) + "\n")); err != nil {
		t.Fatal(err)
	}
	if n, _ := conn.Read(make([]byte, 1)); n != 0 {
		t.Error("garbage was answered")
	}
	_ = conn.Close()

	// Down returns what the holder says when it is over, once the process is gone.
	type outcome struct {
		last control.Set
		err  error
	}
	down := make(chan outcome)
	go func() {
		last, err := d.Down(t.Context(), "dev")
		down <- outcome{last, err}
	}()
	<-stop
	select {
	case o := <-down:
		t.Errorf("got %+v while the process still runs", o)
	default:
	}
	server.Close()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if o := <-down; o.err != nil || o.last.State != control.Ending {
		t.Errorf("got %+v, want the set as it ended", o)
	}
	if names, err := d.Names(); err != nil || len(names) != 0 {
		t.Errorf("got %q, %v, want the record to be gone", names, err)
	}
}

func TestARecordOutlivesItsProcess(t *testing.T) {
	d := dirs(t)
	p, cmd := held(t)
	if err := d.Write(control.Record{Name: "dev", Process: p, Since: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Set(t.Context(), "dev"); err != nil || s.State != control.Starting {
		t.Errorf("got %+v, %v: a process without an ear is starting", s, err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	s, err := d.Set(t.Context(), "dev")
	if err != nil || s.State != control.Crashed || s.PID != p.PID || s.Remedy == "" {
		t.Errorf("got %+v, %v, want it crashed", s, err)
	}
	if err := d.End("dev", control.Set{}, &control.SetError{Problem: "lost", Advice: "do this", Code: 125}); err != nil {
		t.Fatal(err)
	}
	if s, err = d.Set(t.Context(), "dev"); err != nil || s.State != control.Failed || s.Error != "lost" || s.Remedy != "do this" || s.Tunnels == nil {
		t.Errorf("got %+v, %v, want its failure", s, err)
	}
	if last, err := d.Down(t.Context(), "dev"); err != nil || last.State != control.Failed {
		t.Errorf("got %+v, %v, want the last of it", last, err)
	}
	if _, err := d.Set(t.Context(), "dev"); !isAbsent(err) {
		t.Errorf("got %v, want it forgotten", err)
	}
}

func TestADownThatIsNotHeardIsASignal(t *testing.T) {
	d := dirs(t)
	p, cmd := held(t)
	go func() { _ = cmd.Wait() }()
	if err := d.Write(control.Record{Name: "dev", Process: p}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Down(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("the process still runs")
	}
	if names, err := d.Names(); err != nil || len(names) != 0 {
		t.Errorf("got %q, %v, want no records", names, err)
	}
}

func TestAProcessIsNotTakenForALaterOneWithItsNumber(t *testing.T) {
	self := control.Self()
	if !self.Alive() {
		t.Fatal("this process does not run")
	}
	later := self
	later.Started += "1"
	if later.Alive() {
		t.Error("another start is taken for this one")
	}
	if err := later.Kill(); err != nil {
		t.Errorf("got %v: killing what is gone is nothing", err)
	}
}

func TestABrokenRecordCountsAsACrash(t *testing.T) {
	d := dirs(t)
	for _, body := range []string{"", "{", `{"name":"other","process":{"pid":1,"started":"x"}}`} {
		if err := os.WriteFile(filepath.Join(d.Runtime, "dev.json"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := d.Set(t.Context(), "dev"); err != nil || s.State != control.Crashed || s.Name != "dev" {
			t.Errorf("%q: got %+v, %v, want it crashed", body, s, err)
		}
	}
}

func TestNamesStayInsideTheDirectory(t *testing.T) {
	d := dirs(t)
	for _, name := range []string{"", "..", "../x", "a/b", ".hidden", "a\x1b[31m", strings.Repeat("x", 33)} {
		_, err := d.Set(t.Context(), name)
		if _, ok := errors.AsType[*control.NameError](err); !ok {
			t.Errorf("%q: got %v, want a *NameError", name, err)
		}
	}
}

func TestOneAtATimeHasTheLock(t *testing.T) {
	d := dirs(t)
	first, err := d.Lock(t.Context(), "dev", func() { t.Error("waits for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := d.Lock(ctx, "dev", cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want to wait until it is called off", err)
	}
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		second, err := d.Lock(t.Context(), "dev", func() { first.Unlock() })
		if err != nil {
			t.Error(err)
			return
		}
		second.Unlock()
	}()
	<-waited
}

func TestTheRuntimeDirectoryIsForItsOwnerAlone(t *testing.T) {
	root := t.TempDir()
	d := control.Dir{Runtime: filepath.Join(root, "run"), State: root}
	if err := os.Mkdir(d.Runtime, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := d.Prepare(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.Runtime); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v, want mode 0700", info, err)
	}
	linked := control.Dir{Runtime: filepath.Join(root, "link"), State: root}
	if err := os.Symlink(d.Runtime, linked.Runtime); err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*control.UnsafeError](linked.Prepare()); !ok {
		t.Error("a link is taken for a directory of our own")
	}
}

func TestWhatIsNotThereIsAbsent(t *testing.T) {
	d := control.Dir{Runtime: filepath.Join(t.TempDir(), "never"), State: t.TempDir()}
	if sets, err := d.Sets(t.Context()); err != nil || len(sets) != 0 {
		t.Errorf("got %v, %v, want nothing", sets, err)
	}
	if _, err := d.Down(t.Context(), "dev"); !isAbsent(err) {
		t.Errorf("got %v, want an *AbsentError", err)
	}
	if _, err := d.Read("dev"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

// What an older holder does with a question that it does not know, and what this one does with a younger's.
func TestAQuestionThatIsNotKnown(t *testing.T) {
	d := dirs(t)
	for name, answer := range map[string]string{"hangs up": "", "says so": `{"error":"unknown request"}` + "\n"} {
		listener, err := net.Listen("unix", d.Socket("old"))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Write(control.Record{Name: "old", Process: control.Self()}); err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			for range 3 {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = bufio.NewReader(conn).ReadBytes('\n')
				_, _ = conn.Write([]byte(answer))
				_ = conn.Close()
			}
		}()
		_, err = d.Detail(t.Context(), "old", 1)
		if !as[*control.OldHolderError](err) || !strings.Contains(err.Error(), "old") {
			t.Errorf("%s: got %v, want an *OldHolderError", name, err)
		}
		if _, err = d.DestinationDetail(t.Context(), "old", 1, "orders.internal:80"); !as[*control.OldHolderError](err) {
			t.Errorf("%s: got %v, want an *OldHolderError for a destination", name, err)
		}
		if ended, err := d.EndDestination(t.Context(), "old", 1, "orders.internal:80"); ended || !as[*control.OldHolderError](err) {
			t.Errorf("%s: got %t, %v, want an *OldHolderError for the end of a destination", name, ended, err)
		}
		_ = listener.Close()
		<-served
	}

	server, err := control.Serve(t.Context(), d.Socket("dev"), control.Holder{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	conn, err := net.Dial("unix", d.Socket("dev"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(`{"do":"dance","id":1}` + "\n"))
	if got, _ := bufio.NewReader(conn).ReadString('\n'); !strings.Contains(got, `"error":"unknown request"`) {
		t.Errorf("got %q, want to be told that the request is unknown", got)
	}
}

func as[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}

func isAbsent(err error) bool { return as[*control.AbsentError](err) }
