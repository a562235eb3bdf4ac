package front

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// The commands and kinds of addresses of SOCKS 5 (RFC 1928, 4 and 5), and of SOCKS 4.
const (
	socksConnect   = 1
	socksIPv4      = 1
	socksName      = 3
	socksIPv6      = 4
	socksNoLogin   = 0
	socksNoMethod  = 0xff
	socks4Granted  = 0x5a
	socks4Rejected = 0x5b
	maxSOCKS4Text  = 255 // bytes of a user or a host name, which end with a zero byte
)

// serveSOCKS5 serves a client of SOCKS 5, whose first byte was read. There is no login: everybody who reaches the listener may
// use it.
func (s *Server) serveSOCKS5(ctx context.Context, client net.Conn) error {
	_ = client.SetDeadline(time.Now().Add(greetWithin))
	methods, err := counted(client)
	if err != nil {
		return socksError(err)
	}
	if bytes.IndexByte(methods, socksNoLogin) < 0 {
		_, _ = client.Write([]byte{5, socksNoMethod})
		leave(client)
		return nil
	}
	if _, err := client.Write([]byte{5, socksNoLogin}); err != nil {
		return nil //nolint:nilerr // the client is gone
	}
	var head [4]byte // version, command, reserved, kind of address
	if _, err := io.ReadFull(client, head[:]); err != nil {
		return socksError(err)
	}
	if head[0] != 5 {
		return &LanguageError{First: head[0]}
	}
	reply := func(code byte) error {
		_, err := client.Write([]byte{5, code, 0, socksIPv4, 0, 0, 0, 0, 0, 0})
		return err //nolint:wrapcheck // whether it was written is all that counts
	}
	var name string
	switch head[3] {
	case socksIPv4:
		name, err = addressOf(client, net.IPv4len)
	case socksIPv6:
		name, err = addressOf(client, net.IPv6len)
	case socksName:
		var text []byte
		text, err = counted(client)
		name = string(text)
	default:
		_ = reply(replyNoAddresses)
		leave(client)
		return nil
	}
	if err != nil {
		return socksError(err)
	}
	var port [2]byte
	if _, err := io.ReadFull(client, port[:]); err != nil {
		return socksError(err)
	}
	if head[1] != socksConnect {
		_ = reply(replyNoCommand)
		leave(client)
		return nil
	}
	s.serveSOCKS(ctx, client, name, binary.BigEndian.Uint16(port[:]), func(err error) error {
		if err == nil {
			return reply(replyGranted)
		}
		return reply(CauseOf(err).verdict().reply)
	})
	return nil
}

// serveSOCKS4 serves a client of SOCKS 4 or 4a, whose first byte was read.
func (s *Server) serveSOCKS4(ctx context.Context, client net.Conn) error {
	_ = client.SetDeadline(time.Now().Add(greetWithin))
	var head [7]byte // command, port, address
	if _, err := io.ReadFull(client, head[:]); err != nil {
		return socksError(err)
	}
	reply := func(code byte) error {
		_, err := client.Write([]byte{0, code, 0, 0, 0, 0, 0, 0})
		return err //nolint:wrapcheck // whether it was written is all that counts
	}
	if _, err := terminated(client); err != nil { // the user
		if errors.Is(err, errEndless) {
			_ = reply(socks4Rejected)
			leave(client)
			return nil
		}
		return socksError(err)
	}
	name := netip.AddrFrom4([4]byte(head[3:])).String()
	if head[3] == 0 && head[4] == 0 && head[5] == 0 && head[6] != 0 { // 4a
		text, err := terminated(client)
		if errors.Is(err, errEndless) {
			_ = reply(socks4Rejected)
			leave(client)
			return nil
		}
		if err != nil {
			return socksError(err)
		}
		name = text
	}
	if head[0] != socksConnect {
		_ = reply(socks4Rejected)
		leave(client)
		return nil
	}
	s.serveSOCKS(ctx, client, name, binary.BigEndian.Uint16(head[1:3]), func(err error) error {
		if err == nil {
			return reply(socks4Granted)
		}
		return reply(socks4Rejected)
	})
	return nil
}

// serveSOCKS makes the connection that a client of SOCKS has asked for, answers the client, and relays.
func (s *Server) serveSOCKS(ctx context.Context, client net.Conn, name string, port uint16, answer func(error) error) {
	_ = client.SetDeadline(time.Time{})
	w := watch(ctx, client)
	far, err := s.dial(w.ctx, name, port) //nolint:contextcheck // it is made of ctx
	early, gone := w.stop()
	if err == nil && gone {
		_ = far.Close()
		return
	}
	answered := answer(err)
	switch {
	case err != nil:
		leave(client)
		return
	case answered != nil:
		_ = far.Close()
		return
	}
	r := &relay{client: client, far: far, gone: s.options.Gone, over: make(chan struct{})}
	r.run(ctx, early)
}

// watcher reads from a client while its connection is being made, to notice when the client goes. Bytes that the client sends
// before it is answered are kept.
type watcher struct {
	ctx    context.Context //nolint:containedctx // for the dial; ends when the client goes
	cancel context.CancelFunc
	client net.Conn
	done   chan struct{} // closed when the read has returned; early and err are set before
	early  []byte
	err    error
}

func watch(ctx context.Context, client net.Conn) *watcher {
	w := &watcher{client: client, done: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(ctx)
	go func() {
		defer close(w.done)
		buffer := make([]byte, leastBuffer)
		n, err := client.Read(buffer)
		w.early, w.err = buffer[:n], err
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			w.cancel()
		}
	}()
	return w
}

// stop ends the read, and returns what the client has sent, and whether the client is gone.
func (w *watcher) stop() (early []byte, gone bool) {
	_ = w.client.SetReadDeadline(time.Unix(1, 0))
	<-w.done
	_ = w.client.SetReadDeadline(time.Time{})
	w.cancel()
	return w.early, w.err != nil && !errors.Is(w.err, os.ErrDeadlineExceeded)
}

// errEndless means that a user or host name is longer than maxSOCKS4Text.
var errEndless = errors.New("a text of SOCKS 4 has no end")

// socksError is the error of Serve for a SOCKS request that broke off: nil for a client that has gone, a *LanguageError for one
// that was silent for too long.
func socksError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &LanguageError{Silent: true}
	}
	return nil
}

// counted reads a byte that is a length, and then so many bytes.
func counted(client io.Reader) ([]byte, error) {
	var n [1]byte
	if _, err := io.ReadFull(client, n[:]); err != nil {
		return nil, err //nolint:wrapcheck // socksError reads it
	}
	text := make([]byte, n[0])
	_, err := io.ReadFull(client, text)
	return text, err //nolint:wrapcheck // as above
}

// addressOf reads an address of size bytes.
func addressOf(client io.Reader, size int) (string, error) {
	raw := make([]byte, size)
	if _, err := io.ReadFull(client, raw); err != nil {
		return "", err //nolint:wrapcheck // socksError reads it
	}
	addr, _ := netip.AddrFromSlice(raw)
	return addr.String(), nil
}

// terminated reads a text up to a zero byte.
func terminated(client io.Reader) (string, error) {
	var text []byte
	var c [1]byte
	for len(text) <= maxSOCKS4Text {
		if _, err := io.ReadFull(client, c[:]); err != nil {
			return "", err //nolint:wrapcheck // socksError reads it
		}
		if c[0] == 0 {
			return string(text), nil
		}
		text = append(text, c[0])
	}
	return "", errEndless
}
