package bond

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A target that takes nothing any more is let go with its stream, and does not keep the relay from ending.
func TestATargetThatTakesNothingIsLetGo(t *testing.T) {
	for name, end := range map[string]func(b *Bundle, s *Stream){
		"reset":                 func(_ *Bundle, s *Stream) { s.Reset() },
		"the end of the bundle": func(b *Bundle, _ *Stream) { _ = b.Close() },
	} {
		for _, ended := range []bool{false, true} { // the target has ended its own half
			synctest.Test(t, func(t *testing.T) {
				var far *half
				relay := &Relay{Targets: []uint16{3128}, Dial: func(context.Context, uint16) (net.Conn, error) {
					near, other := halves()
					far = other
					return near, nil
				}}
				b := New(Config{})
				defer b.Close()
				pipes(t, b, relay, 2)
				s, err := b.Open(t.Context(), 3128)
				if err != nil {
					t.Fatal(err)
				}
				if ended {
					_ = far.CloseWrite()
				}
				go func() { _, _ = s.Write(make([]byte, 1<<20)) }()
				time.Sleep(5 * time.Second)
				end(b, s)
				time.Sleep(strandless + time.Second)
				far.in.mu.Lock()
				gone := far.in.ended
				far.in.mu.Unlock()
				if !gone {
					t.Errorf("%s, half ended %t: the connection to the target is still open", name, ended)
					_ = far.Close()
				}
				_ = relay.Close()
			})
		}
	}
}
