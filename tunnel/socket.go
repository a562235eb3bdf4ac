package tunnel

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"culvert/aws"
	"culvert/aws/wire"
	"culvert/internal/say"
)

// How a dead websocket is noticed. AWS's own client pings every five minutes and notices a dead path after minutes; corporate
// proxies cut connections that are silent for half a minute (protocol.md 7).
const (
	pingEvery     = 20 * time.Second // the longest time between two pings, whatever else is written
	pongWithin    = 10 * time.Second // how long a ping may be unanswered, with nothing else from the service, before the socket is given up
	checkEvery    = time.Second      // how often the writer looks whether any of this is due
	impatient     = 2 * time.Second  // how long a message may be unacknowledged, with nothing heard from the service, before a ping is sent at once
	dialTimeout   = 12 * time.Second // how long TCP, TLS and the upgrade may take together
	writeTimeout  = 20 * time.Second // how long writing one batch of frames may take
	goodbyeWithin = time.Second      // how long writing the last frames of a socket that culvert closes may take
	clockJump     = 10 * time.Second // a longer time on the wall's clock between two looks of the writer means that the machine slept
	socketBuffers = 64 << 10         // bytes of the buffer for each direction
)

// How many bytes are read at the most before a websocket is open, so that a peer cannot fill the memory: upgradeLimit of the
// answers of a proxy and of the service to the upgrade, bodies included, and handshakeLimit of a TLS handshake (crypto/tls takes
// certificates of 256 KiB).
const (
	upgradeLimit   = 64 << 10
	handshakeLimit = 320 << 10
)

var (
	errDeadPeer    = errors.New("the service stopped answering pings")
	errLongUpgrade = errors.New("what it answers to the upgrade has no end")
)

// socket is one websocket of a session. Two goroutines use it: the reader and the writer that pump starts.
type socket struct {
	conn *websocket.Conn
	raw  *batchConn       // the connection below conn
	wall func() time.Time // the clock on the wall, which goes on while the machine sleeps

	callOff func() bool // once called, the end of the dial's context does not close raw any more; nil before there is a connection
}

// wallClock is the time without the monotonic reading, which stands still while the machine sleeps.
func wallClock() time.Time { return time.Now().Round(0) }

// dialSocket opens the websocket of a session and sends the token that StartSession or ResumeSession gave for it.
func dialSocket(ctx context.Context, client *aws.Client, session aws.Session, clientID string) (*socket, error) {
	s, err := upgrade(ctx, client, session)
	if err == nil {
		err = s.open(session.Token, clientID)
	}
	return s, err
}

// upgrade opens the websocket of a session without its token: the id and the stream URL of the session are all it needs.
func upgrade(ctx context.Context, client *aws.Client, session aws.Session) (*socket, error) {
	request, err := client.Upgrade(ctx, session)
	if err != nil {
		return nil, err
	}
	s := &socket{wall: wallClock}
	proxy, err := client.Proxy(request)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	followed, phases := aws.Follow(within, request.URL, proxy)
	defer phases.End()
	followed = httptrace.WithClientTrace(followed, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { s.raw.in.admit(handshakeLimit) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { s.raw.in.admit(upgradeLimit) },
	})
	dialer := websocket.Dialer{
		ReadBufferSize:  socketBuffers,
		WriteBufferSize: 4 << 10,
		TLSClientConfig: client.TLS(),
		NetDialContext: func(dialing context.Context, _, address string) (net.Conn, error) {
			return client.Dial(dialing, proxy, address, func(ctx context.Context, network, address string) (net.Conn, error) {
				return s.connect(ctx, client, network, address)
			})
		},
	}
	if dialer.TLSClientConfig == nil {
		dialer.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	dialer.NetDialTLSContext = s.ahead(within, client, request.URL)
	conn, response, err := dialer.DialContext(followed, request.URL.String(), request.Header) //nolint:bodyclose // upgradeError closes it
	if err != nil && response == nil && dialer.NetDialTLSContext != nil {                     // the service has closed the connection that was opened ahead: dial anew
		dialer.NetDialTLSContext = nil
		conn, response, err = dialer.DialContext(followed, request.URL.String(), request.Header) //nolint:bodyclose // likewise
	}
	if s.callOff != nil {
		s.callOff()
	}
	switch {
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		return nil, context.Cause(ctx)
	case err != nil && past(within): // the dialer reports only that a read was cut off, but phases knows in which phase
		err = client.Unreachable(request.URL, phases.Stalled())
		if past(ctx) {
			err = &aws.OverdueError{Err: err, Over: context.DeadlineExceeded}
		}
		return nil, err
	case err != nil:
		return nil, upgradeError(client, session.ID, request.URL, response, err)
	}
	s.raw.in.limited = false
	s.conn = conn
	conn.SetReadLimit(wire.MaxFrame)
	return s, nil
}

// open sends the token, as the first message of the websocket. The socket is closed when that fails.
func (s *socket) open(token, clientID string) error {
	open := wire.OpenDataChannel{
		MessageSchemaVersion: "1.0", RequestID: uuid.NewString(), TokenValue: token,
		ClientID: clientID, ClientVersion: wire.ClientVersion,
	}
	text, err := json.Marshal(open)
	if err == nil {
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		err = s.conn.WriteMessage(websocket.TextMessage, text)
	}
	if err != nil {
		_ = s.conn.Close()
		return fmt.Errorf("open data channel: %w", err)
	}
	return nil
}

// connect opens the connection below a websocket, to the service or to a proxy. The end of ctx closes the connection, until
// callOff is called.
func (s *socket) connect(ctx context.Context, client *aws.Client, network, address string) (net.Conn, error) {
	conn, err := client.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.raw = newBatchConn(conn)
	s.raw.in.admit(upgradeLimit)
	s.callOff = context.AfterFunc(ctx, func() { _ = conn.Close() }) // the dialer heeds the deadline of ctx, but not its cancellation
	return s.raw, nil
}

// past reports whether the deadline of a context is over. A socket with the same deadline may fail a moment before the context
// itself says so.
func past(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

func upgradeError(client *aws.Client, session string, u *url.URL, response *http.Response, err error) error {
	if response == nil {
		return client.Unreachable(u, err)
	}
	defer func() { _ = response.Body.Close() }()
	line, _ := bufio.NewReader(io.LimitReader(response.Body, 300)).ReadString('\n')
	upgrade := &UpgradeError{Host: u.Host, Status: response.StatusCode, Body: say.Brief(line)}
	if upgrade.Status == http.StatusForbidden || upgrade.Status == http.StatusUnauthorized {
		return client.ChannelDenied(session, upgrade)
	}
	return upgrade
}

// serve moves frames between the socket and the channel until the socket ends, the session is over or ctx ends; the error is
// which of these it was, and never nil. The socket is closed when serve returns.
func (s *socket) serve(ctx context.Context, c *channel) error {
	p := s.pump(ctx, c)
	<-p.ended
	return p.why
}

// pump starts what serve does, in goroutines of its own, and returns at once.
func (s *socket) pump(ctx context.Context, c *channel) *pump {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &pump{
		socket: s, channel: c, pong: make(chan string, 4), over: ctx, end: cancel, ended: make(chan struct{}),
		began: time.Now(), park: make(chan struct{}), resume: make(chan struct{}),
	}
	p.heard.Store(time.Now().UnixNano())
	s.conn.SetPingHandler(func(data string) error {
		p.hear()
		select {
		case p.pong <- data:
			c.signal()
		default: // as many pongs as fit wait already to be written, and another one tells the service nothing more
		}
		return nil
	})
	s.conn.SetPongHandler(func(string) error { p.hear(); return nil })
	s.conn.SetCloseHandler(func(int, string) error { return nil }) // the answer to a close frame is the writer's, see goodbye
	s.raw.batch(p.idle)
	c.attach(time.Now())

	var done sync.WaitGroup
	done.Go(func() { cancel(p.read()) })
	done.Go(func() {
		cancel(p.write(ctx))
		_ = s.conn.Close()
	})
	go func() {
		done.Wait()
		p.why, p.life = context.Cause(ctx), p.lived()
		close(p.ended)
	}()
	return p
}
