package headless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"culvert/tunnel"
)

// StdioOptions say what to connect with stdin and stdout. Engine, Spec, Wait, Out and Err are needed.
type StdioOptions struct {
	Engine *tunnel.Engine // Stdio closes it
	Spec   tunnel.Spec    // without a listener
	Wait   time.Duration  // how long to wait for a session
	In     io.Reader
	Out    io.Writer // what the far end sends, and nothing else
	Err    io.Writer // notices: what is being waited for
	// Silence is how long the far end may say nothing once In has ended, before Stdio takes that for the end; 0 is a minute.
	// The far end cannot know that In has ended: agents have no half-close (protocol.md 9, P11).
	Silence time.Duration
}

// Stdio carries one connection between the far end of a tunnel and two streams, until the far end closes it, or says nothing
// more for a while after In has ended. Its error is an *UnreadyError, what ended the connection or kept it from being made, a
// *tunnel.HalfCloseError where nothing but silence followed the end of In, or the error of writing to Out. A goroutine that
// reads In may stay behind, as nothing can end the read.
func Stdio(ctx context.Context, o StdioOptions) error {
	if o.Silence == 0 {
		o.Silence = time.Minute
	}
	err := o.carry(ctx)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if closed := o.Engine.Close(closing); err == nil && closed != nil {
		return fmt.Errorf("terminate the session: %w", closed)
	}
	return err
}

func (o StdioOptions) carry(ctx context.Context) error {
	watched, stop := context.WithCancel(ctx)
	defer stop()
	events := o.Engine.Watch(watched)
	t, err := o.Engine.Open(o.Spec) //nolint:contextcheck // a tunnel lives until its engine is closed
	if err != nil {
		return err
	}
	if err := o.await(ctx, events); err != nil {
		return err
	}
	conn, err := t.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()                                          //nolint:errcheck // nothing is left to be sent
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // this ends the read of receive
	in := &input{}
	go in.pass(o.In, conn)
	return o.receive(conn, in)
}

// await waits until the tunnel has a session.
func (o StdioOptions) await(ctx context.Context, events <-chan tunnel.Event) error {
	late := time.NewTimer(o.Wait)
	defer late.Stop()
	waiting := &notices{out: o.Err}
	var trouble error
	for {
		select {
		case e, more := <-events:
			switch {
			case !more:
				return context.Cause(ctx)
			case e.Destination != nil:
			case e.State == tunnel.Open:
				return nil
			case e.State.Final():
				return e.Err
			case e.Err != nil:
				trouble = e.Err
				waiting.wait("", e.Err)
			}
		case <-late.C:
			return &UnreadyError{Forward: o.Spec.Remote.String(), Wait: o.Wait, Err: trouble}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// input copies In to the far end, and remembers when.
type input struct {
	sent  atomic.Int64 // unix nanoseconds, when the last bytes were read from In
	ended atomic.Int64 // unix nanoseconds, when In ended; 0 before
}

func (i *input) pass(from io.Reader, to io.Writer) {
	if from != nil {
		_, _ = io.Copy(to, io.TeeReader(from, i)) // receive tells how the connection ended
	}
	i.ended.Store(time.Now().UnixNano())
}

// Write, called by the TeeReader, notes the time of the bytes that are about to be sent.
func (i *input) Write(p []byte) (int, error) {
	i.sent.Store(time.Now().UnixNano())
	return len(p), nil
}

// receive writes to Out what the far end sends, until the far end closes the connection or is silent for too long.
func (o StdioOptions) receive(conn net.Conn, in *input) error {
	buffer := make([]byte, 32<<10)
	answered := int64(-1) // unix nanoseconds, when the far end sent its last bytes
	for {
		_ = conn.SetReadDeadline(time.Now().Add(o.Silence)) // a pipe has deadlines
		ended := in.ended.Load()
		n, err := conn.Read(buffer)
		if n > 0 {
			answered = time.Now().UnixNano()
			if _, err := o.Out.Write(buffer[:n]); err != nil {
				return fmt.Errorf("write output: %w", err)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case ended == 0: // as long as In goes on, silence is no end
		case answered > in.sent.Load():
			return nil
		default:
			return &tunnel.HalfCloseError{After: o.Silence}
		}
	}
}
