package tunnel

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"culvert/aws/wire"
)

// pipeListener accepts the one connection it was made of.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	if conn, ok := <-l; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l pipeListener) Close() error   { return nil }
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// testSocket returns a socket whose other end is held by service, which ends with the socket.
func testSocket(t *testing.T, service func(*websocket.Conn)) *socket {
	t.Helper()
	near, far := net.Pipe()
	accept := make(pipeListener, 1)
	accept <- far
	over := make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(over)
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		service(conn)
		_ = conn.Close()
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(accept)
	}()
	s := &socket{wall: wallClock, raw: newBatchConn(near)}
	dialer := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return s.raw, nil }}
	var err error
	if s.conn, _, err = dialer.DialContext(t.Context(), "ws://service/", nil); err != nil { //nolint:bodyclose // upgraded
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.conn.Close()
		<-over
		close(accept)
		<-served
	})
	return s
}

// An agent drains what it sent before it ends its session, so a client that leaves while its acknowledges still wait for
// others keeps it for as long as the agent has patience.
func TestAcknowledgesGoOutBeforeTheGoodbye(t *testing.T) {
	t.Parallel()
	var heard []wire.Type
	ended := make(chan error, 1)
	frame := fromAgent(t, 0, "the last word")
	s := testSocket(t, func(conn *websocket.Conn) {
		if err := conn.WriteMessage(websocket.BinaryMessage, frame); err != nil {
			t.Error(err)
		}
		for {
			_, frame, err := conn.ReadMessage()
			if err != nil {
				ended <- err
				return
			}
			m, err := wire.Parse(frame)
			if err != nil {
				t.Error(err)
			}
			heard = append(heard, m.Type)
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	_ = s.serve(ctx, testChannel(func(wire.PayloadType, []byte) error { leave(); return nil }))
	if err := <-ended; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("the socket ended with %v, want a goodbye", err)
	}
	if !slices.Equal(heard, []wire.Type{wire.Acknowledge}) {
		t.Errorf("before the goodbye came %q, want the acknowledge", heard)
	}
}

// The machine sleeps for an hour: the clock on the wall has jumped, the one that timers follow has not. The other end is
// asked at once, and given up when it does not answer.
func TestClockJumpIsSuspect(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		sleep  time.Duration
		answer bool
		pings  int
		ends   error
	}{
		"an hour, the service answers":       {sleep: time.Hour, answer: true, pings: 1, ends: context.DeadlineExceeded},
		"an hour, nobody is there any more":  {sleep: time.Hour, pings: 1, ends: errDeadPeer},
		"the clock was set by a few seconds": {sleep: clockJump / 2, ends: context.DeadlineExceeded},
		"the clock was set back by an hour":  {sleep: -time.Hour, ends: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asleep, pings atomic.Int64
				s := testSocket(t, func(conn *websocket.Conn) {
					answer := conn.PingHandler()
					conn.SetPingHandler(func(data string) error {
						pings.Add(1)
						if row.answer {
							time.Sleep(10 * time.Millisecond) // the way there and back
							return answer(data)
						}
						return nil
					})
					for {
						if _, _, err := conn.ReadMessage(); err != nil {
							return
						}
					}
				})
				s.wall = func() time.Time { return wallClock().Add(time.Duration(asleep.Load())) }
				ctx, cancel := context.WithTimeout(t.Context(), pingEvery-time.Second) // before it pings anyway
				defer cancel()
				time.AfterFunc(5*time.Second, func() { asleep.Store(int64(row.sleep)) })
				err := s.serve(ctx, testChannel(nil))
				if !errors.Is(err, row.ends) {
					t.Errorf("ended with %v, want %v", err, row.ends)
				}
				if got := int(pings.Load()); got != row.pings {
					t.Errorf("%d pings, want %d", got, row.pings)
				}
			})
		})
	}
}

// A service that answers pings is there for as long as it does, also where the answer comes at the same time by the clock.
func TestAnAnswerInTheSameInstantIsOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var pings atomic.Int64
		s := testSocket(t, func(conn *websocket.Conn) {
			answer := conn.PingHandler()
			conn.SetPingHandler(func(data string) error {
				pings.Add(1)
				return answer(data)
			})
			for {
				if _, _, err := conn.ReadMessage(); err != nil {
					return
				}
			}
		})
		const long = 10 * time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), long)
		defer cancel()
		began := time.Now()
		if err := s.serve(ctx, testChannel(nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v after %s", err, time.Since(began))
		}
		if got := time.Duration(pings.Load()); got < long/pingEvery-5 || got > long/pingEvery {
			t.Errorf("%d pings in %s, want one every %s", got, long, pingEvery)
		}
	})
}
