package headless_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/ui/headless"
)

// stdio connects two streams to a server behind the task.
func stdio(t *testing.T, client *aws.Client, in io.Reader, out io.Writer) headless.StdioOptions {
	t.Helper()
	target, err := client.Lookup(t.Context(), aws.Query{Cluster: "c", Service: "s", Port: 5432})
	if err != nil {
		t.Fatal(err)
	}
	return headless.StdioOptions{
		Engine: tunnel.New(tunnel.Options{Client: client, Lanes: 1}),
		Spec:   tunnel.Spec{Target: target, Remote: tunnel.Endpoint{Port: 5432}, Unlistened: true},
		Wait:   20 * time.Second, In: in, Out: out, Err: &output{}, Silence: 300 * time.Millisecond,
	}
}

func TestTheEndOfTheInputIsNotTheEndOfTheAnswer(t *testing.T) {
	t.Parallel()
	late := need.Server(t, func(c *net.TCPConn) {
		line := make([]byte, 6)
		_, _ = io.ReadFull(c, line)
		time.Sleep(100 * time.Millisecond) // the input is over by then
		_, _ = c.Write(append([]byte("late "), line...))
		_ = c.Close()
	})
	talks := need.Server(t, func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	silent := need.Server(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	for name, test := range map[string]struct {
		server, want string
		silent       bool
	}{
		"the far end answers and ends":  {late, "late hello\n", false},
		"it answers and ends never":     {talks, "hello\n", false},
		"it says nothing after the end": {silent, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, client := service(t, test.server)
			out := &output{}
			err := headless.Stdio(t.Context(), stdio(t, client, strings.NewReader("hello\n"), out))
			if _, silent := errors.AsType[*tunnel.HalfCloseError](err); silent != test.silent || err != nil && !silent {
				t.Errorf("got %v, want the end for silence: %t", err, test.silent)
			}
			if out.String() != test.want {
				t.Errorf("got %q, want %q", out, test.want)
			}
			if left := e.Sessions(); len(left) != 0 {
				t.Errorf("%d sessions are left", len(left))
			}
		})
	}
}

func TestSilenceIsNoEndWhileThereMayBeInput(t *testing.T) {
	t.Parallel()
	e, client := service(t, need.Server(t, func(c *net.TCPConn) { _, _ = io.Copy(c, c) }))
	in, typed := io.Pipe()
	out := &output{}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	o := stdio(t, client, in, out)
	go func() { done <- headless.Stdio(ctx, o) }()
	_, _ = io.WriteString(typed, "one ")
	time.Sleep(3 * o.Silence)
	_, _ = io.WriteString(typed, "two")
	need.Eventually(t, "both words", func() bool { return out.String() == "one two" })
	stop()
	if err := <-done; err == nil {
		t.Error("whoever is told to stop has not come to the end")
	}
	if left := e.Sessions(); len(left) != 0 {
		t.Errorf("%d sessions are left", len(left))
	}
	_ = typed.Close()
}
