package headless_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/ui/headless"
)

// An agent that dies without a word is told within two seconds or so, with the cause and what to do about it, and so are the
// connection that it takes along and the session that follows.
func TestADeadAgentIsTold(t *testing.T) {
	t.Parallel()
	e, client := service(t, need.Server(t, need.Echo))
	if err := e.Scale("c", "s", 2); err != nil {
		t.Fatal(err)
	}
	out := &output{}
	o := options(client, 5432, out)
	o.Probe = headless.Probe{Kind: headless.ProbeTCP}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	opened, over := make(chan *tunnel.Tunnel, 1), make(chan error, 1)
	o.Ready = func(all []*tunnel.Tunnel) { opened <- all[0] }
	go func() { over <- headless.Run(ctx, o) }()
	tn := <-opened
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", tn.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	task := tn.Link().Target.Task
	if err := e.KillAgent(task); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	said := func(event string, words ...string) bool {
		for line := range strings.Lines(out.String()) {
			found := strings.Contains(line, `"event":"`+event+`"`)
			for _, word := range words {
				found = found && strings.Contains(line, word)
			}
			if found {
				return true
			}
		}
		return false
	}
	need.Eventually(t, "word of it", func() bool {
		return said("state", `"state":"resuming"`, task, "does not answer", `"remedy":"nothing to do where another task is ready`)
	})
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("told after %s", took)
	}
	need.Eventually(t, "another session", func() bool { return tn.Link().Target.Task != task && said("proof", `"proved":true`) })
	need.Eventually(t, "the end of the connection", func() bool { return said("connection", "does not answer", `"remedy"`) })
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
	if left := e.Sessions(); len(left) != 0 {
		t.Errorf("%d sessions are left", len(left))
	}
}
