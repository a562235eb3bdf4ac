package tunnel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/aws/wire"
	"culvert/internal/need"
	"culvert/tunnel"
)

// paper keeps what a command prints.
type paper struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *paper) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// running is a command of a test.
type running struct {
	t              *testing.T
	output, errors paper
	keys           chan []byte
	sizes          chan tunnel.Size
	cancel         context.CancelCauseFunc
	ended          chan struct{}
	exit           tunnel.Exit
	err            error
}

// command starts a command in the world's service, on a terminal of 90×30.
func (w *world) command(words ...string) *running {
	w.Helper()
	target, err := w.client.Lookup(w.Context(), aws.Query{Cluster: "c", Service: "s"})
	if err != nil {
		w.Fatal(err)
	}
	line, err := aws.CommandLine(words)
	if err != nil {
		w.Fatal(err)
	}
	r := &running{t: w.T, keys: make(chan []byte), sizes: make(chan tunnel.Size), ended: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		r.exit, r.err = w.engine.Exec(ctx, tunnel.Exec{
			Target: target, Command: line, Input: r.keys, Size: tunnel.Size{Columns: 90, Rows: 30}, Sizes: r.sizes, Output: &r.output, Errors: &r.errors,
		})
	}()
	w.Cleanup(func() {
		cancel(nil)
		<-r.ended
	})
	return r
}

func (r *running) types(text string) {
	r.t.Helper()
	select {
	case r.keys <- []byte(text):
	case <-r.ended:
		r.t.Fatalf("the command has ended before %q was typed: %v, %v; it printed %q", text, r.exit, r.err, r.output.String())
	case <-time.After(30 * time.Second):
		r.t.Fatalf("nobody takes %q", text)
	}
}

func (r *running) sees(text string) {
	r.t.Helper()
	for late := time.Now().Add(30 * time.Second); !strings.Contains(r.output.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			r.t.Fatalf("%q is not printed: %.2000q", text, r.output.String())
		}
	}
}

func (r *running) ends() (tunnel.Exit, error) {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(30 * time.Second):
		r.t.Fatalf("the command still runs; it printed %q", r.output.String())
	}
	return r.exit, r.err
}

// at makes commands print at once.
func at(more func(*emulator.Faults)) func(*emulator.Faults) {
	return func(f *emulator.Faults) {
		f.TerminalStart = 0
		if more != nil {
			more(f)
		}
	}
}

func TestExecCarriesATerminal(t *testing.T) {
	for name, faults := range map[string]func(*emulator.Faults){
		"plain":     nil,
		"encrypted": func(f *emulator.Faults) { f.KMS = true },
		"far away":  func(f *emulator.Faults) { f.Delay = 80 * time.Millisecond },
		"losing messages": func(f *emulator.Faults) {
			loss := emulator.Loss{Drop: 0.2, Duplicate: 0.1, Reorder: 0.2}
			f.Up, f.Down = emulator.Path{Data: loss, Acks: loss}, emulator.Path{Data: loss, Acks: loss}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(faults))
			r := w.command("/bin/sh")
			r.sees("# ")
			r.types("stty size\r")
			r.sees("\n30 90\r\n")
			r.sizes <- tunnel.Size{Columns: 133, Rows: 41}
			need.Eventually(t, "the new size", func() bool {
				r.types("stty size\r")
				return strings.Contains(r.output.String(), "\n41 133\r\n")
			})
			r.types("echo ''ready\r")
			r.sees("ready\r\n# ")
			for _, part := range []string{"echo G\xc3", "\xbc\xe4", "\xb8\x96\xe7\x95", "\x8c\r"} { // cut within characters
				r.types(part)
			}
			r.sees("Gü世界\r\n# ")
			r.types("sleep 600\r")
			r.sees("sleep 600\r\n")
			r.types("\x03")
			r.types("echo left with $?\r")
			r.sees("left with 130")
			r.types("exit 7\r")
			if exit, err := r.ends(); err != nil || exit.Told {
				t.Errorf("got %+v and %v, want no code and no error: agents of ECS Exec tell none", exit, err)
			}
		})
	}
}

// Whole quotes, and what a shell would act on, reach the program as they are.
func TestExecPassesArgumentsUnchanged(t *testing.T) {
	w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(nil))
	words := []string{"a b", "it's", `"`, `\`, "", "$HOME", "`id`", "#no comment", "*", "a;b", "ü世", "~", "--"}
	r := w.command(append([]string{"printf", `<%s>\n`}, words...)...)
	if _, err := r.ends(); err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, word := range words {
		want += "<" + word + ">\r\n"
	}
	if got := r.output.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A command that says nothing by itself is typed to all the same, and nothing of that is lost: not what would come while
// the agent throws away what it acknowledges, and not what comes while it has no terminal yet.
func TestExecTypesToASilentCommand(t *testing.T) {
	twice := strings.Repeat("one\r\n", 2) // the echo and what cat prints
	for name, c := range map[string]struct {
		faults     func(*emulator.Faults)
		text, want string
	}{
		"a line":         {nil, "one\n", twice},
		"half a line":    {nil, "half", "halfhalf"},
		"nothing":        {nil, "", ""},
		"late to note":   {func(f *emulator.Faults) { f.LateComplete = 800 * time.Millisecond }, "one\n", twice},
		"late terminal":  {func(f *emulator.Faults) { f.PortStart = 1500 * time.Millisecond }, "one\n", twice},
		"late agent":     {func(f *emulator.Faults) { f.AgentStart = 1500 * time.Millisecond }, "one\n", twice},
		"with handshake": {func(f *emulator.Faults) { f.KMS, f.AgentStart = true, 1200*time.Millisecond }, "one\n", twice},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(c.faults))
			r := w.command("cat")
			if c.text != "" {
				r.types(c.text)
			}
			close(r.keys)
			exit, err := r.ends()
			if err != nil || exit != (tunnel.Exit{}) {
				t.Fatalf("got %+v and %v, want a normal end", exit, err)
			}
			if got := r.output.String(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A command that does not read holds back what is typed, and gets all of it later.
func TestExecWaitsForACommandThatDoesNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(nil))
	r := w.command("sh", "-c", "stty -echo; echo ready; sleep 1; wc")
	r.sees("ready")
	line := strings.Repeat("x", 999) + "\n"
	for range 300 {
		r.types(line)
	}
	close(r.keys)
	if _, err := r.ends(); err != nil {
		t.Fatal(err)
	}
	if got := r.output.String(); !strings.HasSuffix(got, "\n300000\r\n") {
		t.Errorf("got %q, want 300,000 bytes counted", got)
	}
}

func TestExecOutlivesLostSockets(t *testing.T) {
	for name, faults := range map[string]func(*emulator.Faults){"plain": nil, "encrypted": func(f *emulator.Faults) { f.KMS = true }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(faults))
			// What is lost with a socket the agent repeats one by one, so it should not be much.
			w.account.Fault(func(f *emulator.Faults) { f.Pacing = 5 * time.Millisecond })
			const last = 60_000
			var want strings.Builder
			for i := 1; i <= last; i++ {
				_, _ = fmt.Fprintf(&want, "%d\r\n", i)
			}
			r := w.command("sh", "-c", fmt.Sprintf("seq %d; cat", last))
			for i := range 4 {
				seen := len(r.output.String())
				need.Eventually(t, "more", func() bool { return len(r.output.String()) > seen+40_000 })
				if i%2 == 0 {
					w.account.CloseClientLeg(1000)
				} else {
					w.account.CutClientLeg()
				}
			}
			need.Eventually(t, "all of it", func() bool { return len(r.output.String()) >= want.Len() })
			close(r.keys)
			if _, err := r.ends(); err != nil {
				t.Fatal(err)
			}
			if got := r.output.String(); got != want.String() {
				t.Errorf("got %d bytes that are other than the %d that the command has printed", len(got), want.Len())
			}
			if n := w.account.Calls("ResumeSession"); n < 4 {
				t.Errorf("%d resumes, want 4: the sockets were lost too late", n)
			}
		})
	}
}

func TestExecKnowsTheExitCodeWhereTheAgentTellsIt(t *testing.T) {
	for name, kms := range map[string]bool{"plain": false, "encrypted": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(func(f *emulator.Faults) { f.TellExit, f.KMS = true, kms }))
			r := w.command("sh", "-c", "echo printed; echo complained >&2; exit 42")
			exit, err := r.ends()
			if err != nil || exit != (tunnel.Exit{Code: 42, Told: true}) {
				t.Errorf("got %+v and %v, want the code 42", exit, err)
			}
			if out, complaint := r.output.String(), r.errors.String(); out != "printed\r\n" || complaint != "complained\n" {
				t.Errorf("got %q and %q, want the two apart", out, complaint)
			}
		})
	}
}

func TestExecSaysWhyThereIsNoCommand(t *testing.T) {
	t.Run("not in the image", func(t *testing.T) {
		t.Parallel()
		r := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(nil)).command("bash")
		_, err := r.ends()
		if e, ok := errors.AsType[*tunnel.CommandError](err); !ok || e.Found() || !strings.Contains(e.Error(), `"bash": executable file not found`) || !strings.Contains(e.Remedy(), "no bash") {
			t.Errorf("got %v, want that it is not found", err)
		}
	})
	for name, end := range map[string]struct {
		do           func(w *world, id string)
		says, remedy string
	}{
		"idle": {func(w *world, id string) { w.account.KillSession(id, "Your session timed out due to inactivity.") }, "inactivity", "idle timeout"},
		"over": {func(w *world, _ string) {
			w.account.Fault(func(f *emulator.Faults) { f.ResumeWith = emulator.ResumeWithoutToken })
			w.account.CloseClientLeg(1000)
		}, "is over", "run it again"},
		"refused": {func(w *world, _ string) {
			w.account.Fault(func(f *emulator.Faults) { f.ResumeWith = emulator.ResumeDenied })
			w.account.CloseClientLeg(1000)
		}, "ssm:ResumeSession", "ssm:ResumeSession"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(nil))
			r := w.command("sh")
			r.sees("# ")
			end.do(w, w.account.Sessions()[0].ID)
			_, err := r.ends()
			e, ok := errors.AsType[*tunnel.ExecError](err)
			if !ok || !strings.Contains(e.Error(), end.says) || !strings.Contains(e.Remedy(), end.remedy) {
				t.Errorf("got %v, want an *ExecError that says %q", err, end.says)
			}
		})
	}
}

// An agent waits two seconds for its last messages to arrive. When some are missing then, the command has not just ended.
func TestExecTellsThatTheEndOfTheOutputIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(nil))
	r := w.command("sh", "-c", "echo begun; cat; seq 2000")
	r.sees("begun")
	w.account.Fault(func(f *emulator.Faults) { f.Down.Data.Drop = 0.7 })
	close(r.keys)
	_, err := r.ends()
	if e, ok := errors.AsType[*tunnel.ExecError](err); !ok || !strings.Contains(e.Error(), "missing") {
		t.Errorf("got %v, want that output is missing", err)
	}
}

// The session ends with its context, whatever the command does, and whatever takes its output.
func TestExecEndsWithItsContext(t *testing.T) {
	for name, words := range map[string][]string{"asleep": {"sleep", "600"}, "printing": {"yes"}, "reading": {"cat"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(nil))
			r := w.command(words...)
			need.Eventually(t, "a session", func() bool { return len(w.account.Sessions()) == 1 })
			stop := errors.New("stop")
			r.cancel(stop)
			if _, err := r.ends(); !errors.Is(err, stop) {
				t.Errorf("got %v, want the context's cause", err)
			}
			if left := w.account.Sessions(); len(left) > 0 {
				t.Errorf("%d sessions are left", len(left))
			}
		})
	}
}

// What comes from the session is a stranger's: it can spoil its own session and nothing else.
func TestExecSurvivesAHostileAgent(t *testing.T) {
	frame := func(kind wire.PayloadType, sequence int64, body []byte) []byte {
		m := wire.Message{Type: wire.OutputStream, Schema: 1, Created: wire.Millis(time.Now()), Sequence: sequence, Payload: kind, Body: body}
		text, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, c := range map[string]struct {
		frames [][]byte
		ends   string // what the error says; empty: the shell goes on
	}{
		"an early handshake":  {[][]byte{frame(wire.HandshakeRequestType, 1, []byte(`{"AgentVersion":"3.3.0.0"}`))}, "in the midst"},
		"a false completion":  {[][]byte{frame(wire.HandshakeCompleteType, 1, []byte(`{}`))}, "never asked for"},
		"a challenge":         {[][]byte{frame(wire.EncryptionRequestType, 1, []byte(`{}`))}, "in the midst"},
		"an exit code":        {[][]byte{frame(wire.ExitCode, 1, bytes.Repeat([]byte("9"), 70_000))}, ""},
		"an odd exit code":    {[][]byte{frame(wire.ExitCode, 1, []byte("EXIT_CODE: many"))}, ""},
		"a size":              {[][]byte{frame(wire.Size, 1, []byte("{"))}, ""},
		"a flag":              {[][]byte{frame(wire.FlagType, 1, []byte{1})}, ""},
		"an unknown payload":  {[][]byte{frame(4711, 1, []byte("?"))}, ""},
		"a huge message":      {[][]byte{frame(wire.Output, 1, bytes.Repeat([]byte("h"), 900_000))}, ""},
		"one that is too big": {[][]byte{bytes.Repeat([]byte("x"), wire.MaxFrame+1)}, ""}, // the socket is lost, and resumed
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(nil))
			r := w.command("sh")
			r.sees("# ")
			id := w.account.Sessions()[0].ID
			for _, f := range c.frames {
				w.account.Inject(id, f)
			}
			if c.ends != "" {
				if _, err := r.ends(); err == nil || !strings.Contains(err.Error(), c.ends) {
					t.Errorf("got %v, want it to say %q", err, c.ends)
				}
				return
			}
			// Message 1 of the shell itself is taken for one that has come already; what follows it arrives.
			need.Eventually(t, "the shell", func() bool {
				r.types("echo go''es on\r")
				return strings.Contains(r.output.String(), "goes on")
			})
			r.types("exit\r")
			if exit, err := r.ends(); err != nil || exit.Told {
				t.Errorf("got %+v and %v, want a normal end", exit, err)
			}
		})
	}
}

// stuck is a terminal that takes nothing.
type stuck struct{ free chan struct{} }

func (s *stuck) Write([]byte) (int, error) {
	<-s.free
	return 0, io.ErrClosedPipe
}

// A terminal that takes nothing does not keep the session from being resumed or ended, nor fill the memory.
func TestExecIsNotHeldUpByItsReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(nil))
	target, err := w.client.Lookup(t.Context(), aws.Query{Cluster: "c", Service: "s"})
	if err != nil {
		t.Fatal(err)
	}
	s := &stuck{free: make(chan struct{})}
	defer close(s.free)
	word := strings.Repeat("z", 900)
	_, err = w.engine.Exec(t.Context(), tunnel.Exec{Target: target, Command: "yes " + word, Output: s, Errors: s})
	if e, ok := errors.AsType[*tunnel.UnprintedError](err); !ok || e.Bytes > 33<<20 {
		t.Errorf("got %v, want that too much waits to be read", err)
	}
	if left := w.account.Sessions(); len(left) > 0 {
		t.Errorf("%d sessions are left", len(left))
	}
}

func TestExecNamesAWriterThatFails(t *testing.T) {
	w := newWorld(t, "127.0.0.1:1", tunnel.Options{}, at(nil))
	target, err := w.client.Lookup(t.Context(), aws.Query{Cluster: "c", Service: "s"})
	if err != nil {
		t.Fatal(err)
	}
	from, to := io.Pipe()
	_ = from.Close()
	if _, err := w.engine.Exec(t.Context(), tunnel.Exec{Target: target, Command: "yes", Output: to, Errors: to}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want the writer's own error", err)
	}
}
