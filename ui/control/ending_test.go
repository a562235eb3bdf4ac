package control_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"culvert/ui/control"
)

// asked are the destinations that a holder was told to end, in turn.
type asked struct {
	mu  sync.Mutex
	all []string
}

func (a *asked) end(_ int, destination string) (ended, found bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, destination)
	return true, true
}

func TestADestinationIsEndedOverTheSocket(t *testing.T) {
	d := dirs(t)
	if err := d.Write(control.Record{Name: "dev", Process: control.Self()}); err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{"[fd00::7]:443": true}
	server, err := control.Serve(t.Context(), d.Socket("dev"), control.Holder{EndDestination: func(id int, destination string) (ended, found bool) {
		ended = id == 1 && open[destination]
		delete(open, destination)
		return ended, id == 1
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, want := range []bool{true, false} {
		if ended, err := d.EndDestination(t.Context(), "dev", 1, "[fd00::7]:443"); ended != want || err != nil {
			t.Errorf("got %t, %v, want %t: it is ended once", ended, err, want)
		}
	}
	if ended, err := d.EndDestination(t.Context(), "dev", 2, "[fd00::7]:443"); ended || !as[*control.NoTunnelError](err) {
		t.Errorf("got %t, %v, want a *NoTunnelError", ended, err)
	}
	if ended, err := d.EndDestination(t.Context(), "../dev", 1, "[fd00::7]:443"); ended || !as[*control.NameError](err) {
		t.Errorf("got %t, %v, want a *NameError", ended, err)
	}
	ended, err := d.EndDestination(t.Context(), "other", 1, "[fd00::7]:443")
	if absent, ok := errors.AsType[*control.AbsentError](err); ended || !ok || !slices.Equal(absent.Known, []string{"dev"}) {
		t.Errorf("got %t, %v, want an *AbsentError that knows what is up", ended, err)
	}
	if info, err := os.Stat(d.Socket("dev")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got socket %v, %v, want mode 0600", info, err)
	}
}

// Whatever comes over the socket, nothing is ended but what a whole request names.
func TestAHolderEndsOnlyWhatIsNamed(t *testing.T) {
	d := dirs(t)
	var told asked
	server, err := control.Serve(t.Context(), d.Socket("dev"), control.Holder{EndDestination: told.end})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ request, want string }{
		{`{"do":"end-destination","id":1,"destination":"a:1"}` + "\n", `{"ended":true}` + "\n"},
		{`{"do":"end-destination","id":1,"destination":"a:1"`, ""},
		{`{"do":"end-destination","id":1,"destination":"a:1"}`, ""}, // there may be more to come
		{`{"do":"end-destination","id":"1","destination":"a:1"}` + "\n", ""},
		{`{"do":"end-destination","id":99999999999999999999,"destination":"a:1"}` + "\n", ""},
		{`{"do":"end-destination","id":1,"destination":["a:1"]}` + "\n", ""},
		{`{"do":"end-destination","id":1,"destination":"` + strings.Repeat("a", 8<<10) + `:1"}` + "\n", ""},
		{`{"do":"end-destination\u0000","id":1,"destination":"a:1"}` + "\n", "unknown request"},
		{`[{"do":"end-destination","id":1,"destination":"a:1"}]` + "\n", ""},
	} {
		conn, err := net.Dial("unix", d.Socket("dev"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, c.request) // one that is too long is not heard to its end
		_ = conn.(*net.UnixConn).CloseWrite()
		got, _ := io.ReadAll(conn)
		_ = conn.Close()
		if !strings.Contains(string(got), c.want) || c.want == "" && len(got) > 0 {
			t.Errorf("%.80s: got %q, want %q", c.request, got, c.want)
		}
	}
	server.Close()
	if len(told.all) != 1 {
		t.Errorf("got %.80q to end, want what the first request names alone", told.all)
	}
}

// What a holder answers is believed only where it says so plainly.
func TestAnswersToTheEndOfADestination(t *testing.T) {
	d := dirs(t)
	self := control.Self()
	gone := self
	gone.Started += "1"
	for _, c := range []struct {
		name, answer string
		process      *control.Process // nil: there is no record
		wrong        func(error) bool
	}{
		{"was open", `{"ended":true}`, &self, nil},
		{"was not", `{"ended":false}`, &self, nil},
		{"says nothing", `{}`, &self, nil},
		{"another tunnel's", `{"ended":true,"error":"no such tunnel"}`, &self, as[*control.NoTunnelError]},
		{"older", `{"ended":true,"error":"unknown request"}`, &self, as[*control.OldHolderError]},
		{"oldest", ``, &self, as[*control.OldHolderError]},
		{"gone meanwhile", ``, &gone, isAbsent},
		{"gone with its record", ``, nil, isAbsent},
		{"words", `{"ended":"yes"}`, &self, func(err error) bool { return err != nil && !as[*control.OldHolderError](err) }},
		{"noise", "\x00\xff\x1b[2J", &self, func(err error) bool { return err != nil && !strings.Contains(err.Error(), "\x1b") }},
		{"half", `{"ended":true`, &self, func(err error) bool { return err != nil && !as[*control.OldHolderError](err) }},
	} {
		if err := d.Remove("dev"); err != nil {
			t.Fatal(err)
		}
		if c.process != nil {
			if err := d.Write(control.Record{Name: "dev", Process: *c.process}); err != nil {
				t.Fatal(err)
			}
		}
		served := answersOnce(t, d.Socket("dev"), c.answer)
		ended, err := d.EndDestination(t.Context(), "dev", 1, "a:1")
		<-served
		switch {
		case ended != (c.name == "was open"):
			t.Errorf("%s: got %t", c.name, ended)
		case c.wrong == nil && err != nil, c.wrong != nil && !c.wrong(err):
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// answersOnce answers whatever is asked first on a socket, and hangs up; what it returns is closed then.
func answersOnce(t *testing.T, socket, answer string) <-chan struct{} {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer listener.Close()
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = bufio.NewReader(conn).ReadBytes('\n')
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
	}()
	return served
}
