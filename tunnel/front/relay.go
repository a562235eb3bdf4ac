package front

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	// leastBuffer is how many bytes of buffer a direction of a connection has at first; where more comes at a time that grows to
	// mostBuffer.
	leastBuffer = 2 << 10
	mostBuffer  = 32 << 10
	// halfOpenSilence is how long the far side may be silent after the client has finished sending, when the far side cannot be
	// told so. Then the connection is ended: the far side may not know that it is to answer, and the client may even be gone.
	halfOpenSilence = 60 * time.Second
	// halfClosedSilence is how long the one side may be silent after the end of the other was passed on to it: it may take long
	// to answer.
	halfClosedSilence = 10 * time.Minute
)

// relay connects a client with its destination.
type relay struct {
	client, far net.Conn
	gone        func(net.Conn) (gone, known bool) // whether a client that has finished sending is gone altogether; may be nil
	silence     atomic.Int64                      // how long the side that has not ended may be silent, in nanoseconds; 0 while none has ended
	over        chan struct{}                     // closed when the far side has ended
}

// run copies bytes in both directions until both sides have ended, one of them fails, or ctx ends. early are bytes of the client
// that were read before. It closes far. It closes client only where ending one direction of it is not enough.
func (r *relay) run(ctx context.Context, early []byte) {
	stop := context.AfterFunc(ctx, func() {
		_ = r.client.Close()
		_ = r.far.Close()
	})
	defer stop()
	defer func() { _ = r.far.Close() }()
	up := make(chan struct{})
	go func() {
		defer close(up)
		r.up(early)
	}()
	r.down()
	close(r.over)
	<-up
}

// up copies what the client sends.
func (r *relay) up(early []byte) {
	var err error
	if len(early) > 0 {
		_, err = r.far.Write(early)
	}
	if err == nil {
		err = r.pour(r.far, r.client)
	}
	if err != nil {
		r.abort()
		return
	}
	if closeWrite(r.far) == nil {
		r.hush(r.far, halfClosedSilence)
		return
	}
	if _, halves := r.client.(interface{ CloseWrite() error }); !halves { // a client without half-close has ended both directions
		_ = r.far.Close()
		return
	}
	r.hush(r.far, halfOpenSilence)
	r.linger()
}

// down copies what the destination sends.
func (r *relay) down() {
	if err := r.pour(r.client, r.far); err != nil {
		r.abort()
		return
	}
	if closeWrite(r.client) == nil {
		r.hush(r.client, halfClosedSilence)
		return
	}
	_ = r.client.Close()
}

// closeWrite ends the sending direction of a connection; errors.ErrUnsupported where that is not possible.
func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // the connection's own error
	}
	return errors.ErrUnsupported
}

// hush bounds from now on how long the side that has not ended may be silent.
func (r *relay) hush(side net.Conn, silence time.Duration) {
	r.silence.Store(int64(silence))
	_ = side.SetReadDeadline(time.Unix(1, 0)) // ends the read under way, so that pour looks at r.silence
}

// linger waits for the far side to end after the client has finished sending, and closes it when the client is gone altogether.
func (r *relay) linger() {
	if r.gone == nil {
		return
	}
	for wait := time.Millisecond; ; wait = min(3*wait, time.Second) {
		if gone, known := r.gone(r.client); gone && known {
			_ = r.far.Close()
			return
		}
		select {
		case <-time.After(wait):
		case <-r.over:
			return
		}
	}
}

// abort resets both sides, so that both see that something is missing.
func (r *relay) abort() {
	for _, conn := range []net.Conn{r.client, r.far} {
		if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// pour copies from one side to the other until the former ends (nil) or an error.
func (r *relay) pour(to, from net.Conn) error {
	_, fromTCP := from.(*net.TCPConn)
	if _, toTCP := to.(*net.TCPConn); fromTCP && toTCP {
		// The system copies, without a buffer of ours, until hush sets a deadline.
		if _, err := io.Copy(to, from); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err //nolint:wrapcheck // it only matters whether there is an error
		}
	}
	buffer := make([]byte, leastBuffer)
	for {
		began, silence := time.Now(), time.Duration(r.silence.Load())
		if silence > 0 {
			_ = from.SetReadDeadline(time.Now().Add(silence))
		}
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return err //nolint:wrapcheck // as above
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded) && r.silence.Load() > 0 && (silence == 0 || time.Since(began) < silence): // hush
		case err != nil:
			return err //nolint:wrapcheck // as above
		case n == len(buffer) && n < mostBuffer:
			buffer = make([]byte, 2*n)
		}
	}
}
