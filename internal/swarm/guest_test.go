package swarm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"culvert/tunnel"
)

// line is a connection of a guest, whose progress is watched.
type line struct {
	net.Conn

	of       string
	progress atomic.Int64  // unix nanoseconds
	reading  atomic.Int64  // since when Read waits, likewise; 0 while it does not
	first    atomic.Uint64 // the first order
	answered atomic.Int64  // when the first byte came, in unix nanoseconds
	hung     atomic.Bool
}

func (l *line) moved() { l.progress.Store(time.Now().UnixNano()) }

func (l *line) Read(p []byte) (int, error) {
	l.reading.Store(time.Now().UnixNano())
	n, err := l.Conn.Read(p)
	l.reading.Store(0)
	if n > 0 {
		l.moved()
		l.answered.CompareAndSwap(0, time.Now().UnixNano())
	}
	return n, err
}

func (l *line) Write(p []byte) (n int, _ error) {
	for n < len(p) { // in pieces, so that progress is seen
		some, err := l.Conn.Write(p[n:min(len(p), n+32<<10)])
		n += some
		if err != nil {
			return n, err
		}
		l.moved()
	}
	return n, nil
}

// sleep is the guest's own doing.
func (l *line) sleep(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(time.Second, time.Until(end)))
		l.moved()
	}
}

// refusedError is what the proxy of a dynamic tunnel says instead of connecting.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return "the proxy says " + e.text }

// connect opens a connection through a guest's tunnel.
func (w *world) connect(g guest, tn *tunnel.Tunnel) (*line, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := w.net.DialContext(ctx, "tcp", tn.Addr().String())
	if err != nil {
		if state, _ := tn.State(); !state.Final() {
			w.fail("%s finds no listener at a tunnel that is %s: %v", g.name, state, err)
		}
		return nil, err
	}
	l := &line{Conn: conn, of: g.name}
	l.moved()
	w.watch(l)
	if w.wayOf(g.way).kind != toAny {
		return l, nil
	}
	host := w.hostName(w.wayOf(g.way), g.host)
	if g.socks {
		err = askSOCKS(l, host, w.portOf(g.way))
	} else {
		err = askHTTP(l, host, w.portOf(g.way))
	}
	if err != nil {
		w.forget(l)
		return nil, err
	}
	return l, nil
}

func askHTTP(c net.Conn, host string, port uint16) error {
	if _, err := fmt.Fprintf(c, "CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n\r\n", host, port, host, port); err != nil {
		return err
	}
	var answer []byte
	for one := make([]byte, 1); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); {
		if _, err := io.ReadFull(c, one); err != nil {
			return err
		}
		answer = append(answer, one...)
	}
	if first, _, _ := strings.Cut(string(answer), "\r\n"); !strings.Contains(first, " 200") {
		return &refusedError{first}
	}
	return nil
}

func askSOCKS(c net.Conn, host string, port uint16) error {
	ask := append([]byte{5, 1, 0}, 5, 1, 0, 3, byte(len(host)))
	ask = binary.BigEndian.AppendUint16(append(ask, host...), port)
	if _, err := c.Write(ask); err != nil {
		return err
	}
	answer := make([]byte, 2+10)
	if _, err := io.ReadFull(c, answer[:2+4]); err != nil {
		return err
	}
	if answer[3] != 0 {
		return &refusedError{fmt.Sprint("code ", answer[3])}
	}
	rest := map[byte]int{1: 6, 4: 18}[answer[5]]
	if _, err := io.ReadFull(c, make([]byte, rest)); err != nil {
		return err
	}
	return nil
}

// serve has a guest do what it came for. It returns what became of each of its connections.
func (w *world) serve(g guest, tn *tunnel.Tunnel) []error {
	switch g.kind {
	case proves:
		return []error{w.prove(g, tn)}
	case bursts:
		errs := make([]error, g.count)
		var all sync.WaitGroup
		for i := range g.count {
			all.Go(func() {
				errs[i] = w.alone(g, tn, func(l *line) error { return echo(l, g.id+uint64(i), g.size/g.count+1) })
			})
		}
		all.Wait()
		return errs
	case uploads, downloads, chats, aborts, halfCloses, readsSlowly, idles:
	}
	return []error{w.alone(g, tn, func(l *line) error {
		switch g.kind {
		case uploads:
			return upload(l, g.id, g.size)
		case downloads:
			return download(l, g.id, g.size, nil)
		case chats:
			for i := range g.count {
				if err := echo(l, g.id+uint64(i), min(g.size, 2000)); err != nil {
					return err
				}
				l.sleep(g.pause)
			}
		case aborts:
			if err := ask(l, orderDownload, g.id, g.size); err != nil {
				return err
			}
			l.sleep(g.pause / 8)
			if t, ok := l.Conn.(interface{ SetLinger(seconds int) error }); ok && g.count%2 == 0 {
				_ = t.SetLinger(0)
			}
		case halfCloses:
			if err := ask(l, orderUpload, g.id, g.size); err != nil {
				return err
			}
			if _, err := io.CopyN(l, content(g.id), int64(g.size)); err != nil {
				return err
			}
			if err := l.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				return err
			}
			return answered(l, g.id)
		case readsSlowly:
			rest := g.pause / 8
			return download(l, g.id, g.size, func() { l.sleep(rest) })
		case idles:
			l.sleep(g.pause * time.Duration(g.count))
			return echo(l, g.id, min(g.size, 2000))
		case bursts, proves:
		}
		return nil
	})}
}

// relayedError is what a connection met that went through a relay.
type relayedError struct{ err error }

func (e *relayedError) Error() string { return "through a relay: " + e.err.Error() }
func (e *relayedError) Unwrap() error { return e.err }

// alone does something on a connection of its own.
func (w *world) alone(g guest, tn *tunnel.Tunnel, do func(*line) error) error {
	began := time.Now()
	l, err := w.connect(g, tn)
	if err != nil {
		return err
	}
	defer w.forget(l)
	w.meetSilence(g, began)
	if err = do(l); err == nil && l.answered.Load() > 0 {
		w.prompt(g, began, time.Unix(0, l.answered.Load()))
	}
	if w.through(l) == nil {
		return err
	}
	if relayed.Add(1); err != nil {
		return &relayedError{err}
	}
	return nil
}

func ask(l *line, what byte, id uint64, n int) error {
	l.first.CompareAndSwap(0, id)
	_, err := l.Write(header(what, id, n))
	return err
}

func upload(l *line, id uint64, n int) error {
	if err := ask(l, orderUpload, id, n); err != nil {
		return err
	}
	if _, err := io.CopyN(l, content(id), int64(n)); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	return answered(l, id)
}

// answered reads the id that says that all has arrived.
func answered(l *line, id uint64) error {
	got := make([]byte, 8)
	if n, err := io.ReadFull(l, got); err != nil {
		return fmt.Errorf("after an upload, %d bytes of its answer: %w", n, err)
	}
	if binary.BigEndian.Uint64(got) != id {
		return &wrongError{fmt.Sprintf("the answer to order %x is %x", id, got)}
	}
	return nil
}

func download(l *line, id uint64, n int, took func()) error {
	if err := ask(l, orderDownload, id, n); err != nil {
		return err
	}
	if err := check(l, id, n, func([]byte) error {
		if took != nil {
			took()
		}
		return nil
	}); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	return nil
}

func echo(l *line, id uint64, n int) error {
	if err := ask(l, orderEcho, id, n); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.CopyN(l, content(id), int64(n))
		sent <- err
	}()
	err := check(l, id, n, nil)
	if err != nil {
		_ = l.SetWriteDeadline(time.Unix(1, 0))
		return errors.Join(fmt.Errorf("echo: %w", err), <-sent)
	}
	return <-sent
}

// prove asks for a proof, and holds it against what the far end has seen.
func (w *world) prove(g guest, tn *tunnel.Tunnel) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	before := w.seen(g.way)
	proof, err := tn.Prove(ctx)
	if err == nil && !proof.Session && w.seen(g.way) == before {
		w.fail("%s was told that the far end has accepted, which it has not", g.name)
	}
	return err
}
