package tunnel

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"culvert/tunnel/wire"
)

// An agent drains what it sent before it ends its session, so a client that leaves while its acknowledges still wait for
// others keeps it for as long as the agent has patience.
func TestAcknowledgesGoOutBeforeTheGoodbye(t *testing.T) {
	t.Parallel()
	heard := make(chan wire.Type, 8)
	frame := fromAgent(t, 0, "the last word")
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(heard)
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		if err := conn.WriteMessage(websocket.BinaryMessage, frame); err != nil {
			t.Error(err)
		}
		for {
			_, frame, err := conn.ReadMessage()
			if err != nil {
				if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
					t.Errorf("the socket ended with %v, want a goodbye", err)
				}
				return
			}
			m, err := wire.Parse(frame)
			if err != nil {
				t.Error(err)
				return
			}
			heard <- m.Type
		}
	}))
	defer service.Close()

	s := &socket{}
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			s.raw = newBatchConn(conn)
		}
		return s.raw, err
	}}
	var err error
	if s.conn, _, err = dialer.DialContext(t.Context(), strings.Replace(service.URL, "http", "ws", 1), nil); err != nil { //nolint:bodyclose // upgraded
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	c := testChannel(func(wire.PayloadType, []byte) error { leave(); return nil })
	_ = s.serve(ctx, c)
	var got []wire.Type
	for kind := range heard {
		got = append(got, kind)
	}
	if len(got) != 1 || got[0] != wire.Acknowledge {
		t.Errorf("before the goodbye came %q, want the acknowledge", got)
	}
}
