package headless_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/ui/headless"
)

// web serves a page at an address of its own until it is ended; address "" takes any.
func web(t *testing.T, address string) (at string, end func()) {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(l) }()
	end = func() { _ = server.Close() }
	t.Cleanup(end)
	return l.Addr().String(), end
}

// replace stops the service's task and waits until the tunnel is open in another one.
func replace(t *testing.T, e *emulator.Emulator, tn *tunnel.Tunnel) {
	t.Helper()
	before := tn.Link().Target.Task
	if err := e.StopTask(before, "replaced"); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "another task", func() bool {
		state, _ := tn.State()
		return state == tunnel.Open && tn.Link().Target.Task != before
	})
}

// A successor in which nothing answers is never taken for a proved one: an event says so, status does, and so does the end.
func TestASuccessorIsProvedAnew(t *testing.T) {
	for name, alive := range map[string]bool{"alive": true, "dead": false, "dead for a while": false} {
		t.Run(name, func(t *testing.T) {
			server, end := web(t, "")
			e, client := service(t, server)
			out, board := &output{}, &headless.Board{}
			o := options(client, 8080, out)
			o.Board = board
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			opened := make(chan *tunnel.Tunnel, 1)
			o.Ready = func(all []*tunnel.Tunnel) { opened <- all[0] }
			over := make(chan error, 1)
			go func() { over <- headless.Run(ctx, o) }()
			tn := <-opened
			if !alive {
				end()
			}
			replace(t, e, tn)
			need.Eventually(t, "a proof of the successor", func() bool { return strings.Contains(out.String(), `"event":"proof"`) })
			if shown := board.Set().Tunnels[0]; shown.Ready != alive || (shown.Error == "") != alive {
				t.Errorf("status shows ready %t with error %q", shown.Ready, shown.Error)
			}
			if name == "dead for a while" {
				web(t, server)
				need.Eventually(t, "another proof", func() bool { return strings.Contains(out.String(), `"proved":true`) })
				if shown := board.Set().Tunnels[0]; !shown.Ready || shown.Error != "" {
					t.Errorf("status shows ready %t with error %q", shown.Ready, shown.Error)
				}
				alive = true
			} else if got := strings.Contains(out.String(), `"proved":true`); got != alive {
				t.Errorf("proved is %t: %s", got, out)
			}
			stop()
			err := <-over
			var lost *headless.LostError
			if alive && err != nil || !alive && (!errors.As(err, &lost) || !strings.Contains(err.Error(), "8080")) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}
