//go:build unix

package tunnel

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// A local side that does not read takes what its socket holds, and never keeps the writer waiting.
func TestDirectWriterNeverWaits(t *testing.T) {
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		t.Run(network, func(t *testing.T) {
			var lc net.ListenConfig
			l, err := lc.Listen(t.Context(), network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			var d net.Dialer
			far, err := d.DialContext(t.Context(), network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = far.Close() }()
			near, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			w := newDirectWriter(near)
			block := bytes.Repeat([]byte("culvert "), 8<<10)
			var sent int
			start := time.Now()
			for {
				n := w.write(block)
				sent += n
				if n == 0 {
					break
				}
				if sent > 1<<30 {
					t.Fatal("a gigabyte went to a side that does not read")
				}
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("to find the socket full took %s", took)
			}
			_ = near.Close()
			if n := w.write(block); n != 0 {
				t.Errorf("%d bytes went to a closed connection", n)
			}
			got, err := io.Copy(io.Discard, far)
			if err != nil || got != int64(sent) {
				t.Errorf("%d bytes were taken, %d arrived (%v)", sent, got, err)
			}
		})
	}
	near, _ := net.Pipe()
	if newDirectWriter(near) != nil {
		t.Error("a pipe has no descriptor to write to")
	}
}
