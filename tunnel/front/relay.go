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
	// leastBuffer is what a direction of a connection holds while little flows, mostBuffer while much does.
	leastBuffer = 2 << 10
	mostBuffer  = 32 << 10
	// halfOpenSilence ends a connection of which the client has finished, which the far side cannot be told, while that says
	// nothing: it may not know that it is to answer, and a client that is gone may look like one that has finished sending.
	halfOpenSilence = 60 * time.Second
	// halfClosedSilence is the same where the end was passed on: the other side may have long to think.
	halfClosedSilence = 10 * time.Minute
)

// relay is a connection of a client with its destination.
type relay struct {
	client, far net.Conn
	gone        func(net.Conn) (gone, known bool) // whether a client that has finished sending is gone altogether; may be nil
	silence     atomic.Int64                      // how long the side that has not ended may say nothing; 0 while none has ended
	over        chan struct{}                     // closed when the far side has ended
}

// run carries bytes both ways until both sides have ended, one of them breaks off, or ctx ends. early are bytes of the client
// that were read before. It closes far, and client where that is to see more than an end.
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

// up carries what the client says.
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
	if _, halves := r.client.(interface{ CloseWrite() error }); !halves { // its end is that of both directions
		_ = r.far.Close()
		return
	}
	r.hush(r.far, halfOpenSilence)
	r.linger()
}

// down carries what the destination says.
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

// closeWrite ends one direction of a connection, where it can.
func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // the connection's
	}
	return errors.ErrUnsupported
}

// hush bounds the silence of the side that has not ended.
func (r *relay) hush(side net.Conn, silence time.Duration) {
	r.silence.Store(int64(silence))
	_ = side.SetReadDeadline(time.Unix(1, 0)) // whoever reads it there has to look
}

// linger waits for the far side to end after the client has, and ends it when nobody is there any more to hear it.
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

// abort closes both sides so that both know that something is missing.
func (r *relay) abort() {
	for _, conn := range []net.Conn{r.client, r.far} {
		if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// pour copies from one side to the other until the end of the first, or an error.
func (r *relay) pour(to, from net.Conn) error {
	_, fromTCP := from.(*net.TCPConn)
	if _, toTCP := to.(*net.TCPConn); fromTCP && toTCP {
		// The system does it, without a buffer of ours, until somebody has to look at the time.
		if _, err := io.Copy(to, from); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err //nolint:wrapcheck // only that there is one counts
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
