package bond

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// pipes joins n strands over net.Pipe.
func pipes(t *testing.T, b *Bundle, r *Relay, n int) {
	t.Helper()
	for range n {
		near, far := net.Pipe()
		r.Take(far)
		if _, err := b.Join(t.Context(), near); err != nil {
			t.Fatal(err)
		}
	}
}

// echoing is a target that sends back what comes, and ends when that ends.
func echoing(context.Context, uint16) (net.Conn, error) {
	near, far := halves()
	go func() {
		_, _ = io.Copy(struct{ io.Writer }{far}, struct{ io.Reader }{far})
		_ = far.CloseWrite()
	}()
	return near, nil
}

func TestEchoOverThreeStrands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := &Relay{Targets: []uint16{3128}, Dial: echoing}
		defer relay.Close()
		b := New(Config{})
		defer b.Close()
		pipes(t, b, relay, 3)
		s, err := b.Open(t.Context(), 3128)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 3<<20)
		_, _ = rand.Read(want)
		go func() {
			_, _ = s.Write(want)
			_ = s.CloseWrite()
		}()
		got, err := io.ReadAll(s)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes and %v, want the %d that were sent", len(got), err, len(want))
		}
		if _, err := b.Open(t.Context(), 22); !errors.Is(err, ErrForbidden) {
			t.Errorf("port 22: got %v, want ErrForbidden", err)
		}
		_ = s.Close()
		time.Sleep(time.Second)
		if c := relay.Counts(); c.Streams != 0 || c.Strands != 3 || c.Bundles != 1 {
			t.Errorf("left: %+v", c)
		}
	})
}
