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
	"sync/atomic"
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
	pingEvery     = 20 * time.Second // a ping at the latest, whatever else is written
	pongWithin    = 10 * time.Second // for the answer to a ping, or anything else from the service; else the socket is given up
	checkEvery    = time.Second      // the writer looks at all this
	impatient     = 2 * time.Second  // a message that is unacknowledged for so long, with nothing heard either, is reason for a ping at once
	dialTimeout   = 12 * time.Second // TCP, TLS and the upgrade together
	writeTimeout  = 20 * time.Second // for one batch of frames
	goodbyeWithin = time.Second      // for the last frames of a socket that we close
	clockJump     = 10 * time.Second // by how much the clock on the wall may jump between two looks; more means that the machine slept
	socketBuffers = 64 << 10         // bytes, for each direction
)

// How many bytes are read before a websocket is open, so that a peer cannot fill the memory: of the answers of a proxy and of the
// service to the upgrade, bodies included, and of a TLS handshake (crypto/tls takes certificates of 256 KiB).
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

	callOff func() bool // has the end of the dial's context no longer close raw; nil before there is a connection
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
	case err != nil && past(within): // the dialer reports only that a read was cut off, Phases where it was
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

// connect opens the connection below a websocket, to the service or to a proxy. It ends with ctx, until callOff.
func (s *socket) connect(ctx context.Context, client *aws.Client, network, address string) (net.Conn, error) {
	conn, err := client.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.raw = newBatchConn(conn)
	s.raw.in.admit(upgradeLimit)
	s.callOff = context.AfterFunc(ctx, func() { _ = conn.Close() }) // the dialer heeds the deadline of ctx, but not that it is cancelled
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

// pump begins to do what serve does, and returns at once.
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
		default: // as many pongs as fit wait to be written: they answer this ping too
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

// pump is a socket that carries a session: a reader, a writer, and how they are doing.
type pump struct {
	socket  *socket
	channel *channel
	pong    chan string  // the payloads of pings that are still to be answered
	heard   atomic.Int64 // when anything last came from the service, in unix nanoseconds
	frames  atomic.Int64 // how many messages came
	bulk    int          // how much the traffic looks like a download, see measure; only the reader touches it

	over  context.Context //nolint:containedctx // of the socket, not of a call
	end   context.CancelCauseFunc
	ended chan struct{} // closed when reader and writer have returned
	why   error         // what ended the socket; set before ended is closed, as is life
	began time.Time
	life  time.Duration // how long the socket carried the session

	// During a handover the writer is told by park to write nothing more, as another socket takes over, and by resume to go on,
	// as that one failed.
	park, resume chan struct{}
}

// hear notes that something has come from the service.
func (p *pump) hear() {
	now := time.Now().UnixNano()
	p.heard.Store(now)
	p.channel.served.Store(now)
}

// The agent sends a download in messages of 1 KiB, one each millisecond. Waking the reader for each costs more CPU than all that
// is done with a message, so during a download the reader rests before it reads, until a few have gathered. It does not rest
// where they come faster than that and a read brings many anyway.
//
// That a download is going on is told from the sizes of the frames: pump.bulk counts the large ones up to a limit, and each small
// one, as a conversation has, takes bulkLess of them back. It cannot take all of them: a mux frame of 32 KiB ends in a small message too.
const (
	bulkMessage = 900                   // bytes: a frame of this size or more is a large one
	bulkAfter   = 256                   // large frames: from here on it is a download. They take a third of a second, beside which bulkRest is little
	bulkLess    = 8                     // large frames that one small frame takes back
	bulkRest    = 15 * time.Millisecond // before a read during a download
	bulkPlenty  = 16 << 10              // bytes: a read that brought so many is followed by the next one without a rest
)

// idle is called by the reader before a read that may have to wait: all that has come is handed on, and in a download it rests.
func (p *pump) idle() {
	p.channel.flushNow()
	if p.bulk >= bulkAfter && p.socket.raw.in.last < bulkPlenty {
		p.channel.acknowledgeNow()
		time.Sleep(bulkRest)
	}
}

// measure takes the size of a frame, in bytes, for idle to know whether a download is going on.
func (p *pump) measure(size int) {
	if size >= bulkMessage {
		p.bulk = min(p.bulk+1, bulkAfter+4*bulkLess)
	} else {
		p.bulk = max(p.bulk-bulkLess, 0)
	}
}

// read is the reader: it hands every frame to the channel, which never blocks. It returns when the socket cannot be read any more,
// or the channel says that the session is over.
func (p *pump) read() error {
	defer p.channel.flushNow()
	buffer := make([]byte, 0, 16<<10)
	for {
		kind, r, err := p.socket.conn.NextReader()
		if err != nil {
			return err
		}
		buffer, err = readAll(r, buffer[:0])
		if err != nil {
			return err
		}
		p.hear()
		if kind != websocket.BinaryMessage {
			continue // text: AWS sends none to a client
		}
		p.measure(len(buffer))
		p.frames.Add(1)
		if err := p.channel.take(buffer); err != nil {
			return err
		}
	}
}

// readAll is io.ReadAll that appends to a buffer of the caller's.
func readAll(r io.Reader, b []byte) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// write is the writer, the only goroutine that writes to the socket: acknowledges and messages of the channel, pings, pongs.
func (p *pump) write(ctx context.Context) error {
	timer := time.NewTimer(checkEvery)
	defer timer.Stop()
	var batch [][]byte
	var asked time.Time // when the ping was sent that is not answered yet; zero without one
	pinged, before := time.Now(), p.socket.wall()
	for {
		now, wall := time.Now(), p.socket.wall()
		suspect := wall.Sub(before) > clockJump
		before = wall
		heard := time.Unix(0, p.heard.Load())
		if !asked.IsZero() && heard.After(asked) {
			asked = time.Time{}
		}
		if !asked.IsZero() && now.Sub(asked) > pongWithin {
			return errDeadPeer
		}
		if asked.IsZero() && (suspect || now.Sub(pinged) > pingEvery || (p.channel.quiet(now) > impatient && now.Sub(heard) > impatient)) {
			if err := p.control(websocket.PingMessage, "culvert"); err != nil {
				return err
			}
			asked, pinged = now, now
		}
		for range len(p.pong) {
			if err := p.control(websocket.PongMessage, <-p.pong); err != nil {
				return err
			}
		}
		var again time.Time
		var err error
		batch, again, err = p.channel.collect(batch[:0], now)
		if err != nil {
			return err
		}
		if err := p.writeBatch(batch, writeTimeout); err != nil {
			return err
		}
		wait := checkEvery
		if !again.IsZero() {
			wait = min(wait, again.Sub(now))
		}
		if wait <= 0 {
			select {
			case <-p.park:
				if err := p.parked(ctx); err != nil {
					return err
				}
			case <-ctx.Done():
				return p.goodbye(ctx, batch)
			default:
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-p.channel.wake:
		case <-p.park:
			if err := p.parked(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return p.goodbye(ctx, batch)
		}
	}
}

func (p *pump) control(kind int, data string) error {
	if err := p.socket.conn.WriteControl(kind, []byte(data), time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("write websocket control: %w", err)
	}
	return p.socket.raw.flush()
}

func (p *pump) writeBatch(batch [][]byte, within time.Duration) error {
	if len(batch) == 0 {
		return nil
	}
	if err := p.socket.conn.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return fmt.Errorf("write deadline: %w", err)
	}
	for _, frame := range batch {
		err := p.socket.conn.WriteMessage(websocket.BinaryMessage, frame)
		frames.give(frame)
		if err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
	}
	return p.socket.raw.flush()
}

// goodbye sends a close frame where it is we who end the websocket, after the acknowledges of all that was received: an agent that
// was asked to end a session keeps it until all that it sent is acknowledged.
func (p *pump) goodbye(ctx context.Context, batch [][]byte) error {
	for more := true; more; {
		var err error
		if batch, more, err = p.channel.collectAcks(batch[:0], time.Now()); err == nil {
			err = p.writeBatch(batch, goodbyeWithin)
		}
		more = more && err == nil
	}
	message := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = p.socket.conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(goodbyeWithin))
	_ = p.socket.raw.flush()
	return context.Cause(ctx)
}

// batchConn gathers small reads and writes, so that a window of 1 KiB messages costs a few system calls and not hundreds. Before
// batch is called it passes every write through; after that flush writes what was gathered.
type batchConn struct {
	net.Conn
	in     *countingReader
	reader *bufio.Reader
	idle   func() // called before a read that may have to wait; may be nil

	mu     sync.Mutex    // guards buffer: crypto/tls may write while it reads
	buffer *bufio.Writer // nil before batch
}

// countingReader remembers how much the last read brought, and has a limit while the websocket is being opened.
type countingReader struct {
	io.Reader
	last int // bytes of the last read

	limited bool
	left    int // bytes that may still be read, if limited
}

// admit sets how many bytes may be read from now on.
func (r *countingReader) admit(bytes int) { r.limited, r.left = true, bytes }

func (r *countingReader) Read(p []byte) (int, error) {
	if r.limited {
		if r.left <= 0 {
			return 0, errLongUpgrade
		}
		p = p[:min(len(p), r.left)]
	}
	n, err := r.Reader.Read(p)
	r.last = n
	r.left -= n
	return n, err //nolint:wrapcheck // it adds nothing
}

func newBatchConn(conn net.Conn) *batchConn {
	in := &countingReader{Reader: conn}
	return &batchConn{Conn: conn, in: in, reader: bufio.NewReaderSize(in, socketBuffers)}
}

// batch begins to gather writes, and to call idle before reads. Nobody else may be reading meanwhile.
func (c *batchConn) batch(idle func()) {
	c.idle = idle
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buffer = bufio.NewWriterSize(c.Conn, socketBuffers)
}

func (c *batchConn) Read(p []byte) (int, error) {
	if c.idle != nil && c.reader.Buffered() == 0 {
		c.idle()
	}
	return c.reader.Read(p) //nolint:wrapcheck // it adds nothing
}

func (c *batchConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffer == nil {
		return c.Conn.Write(p)
	}
	return c.buffer.Write(p)
}

func (c *batchConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.buffer.Flush(); err != nil {
		return fmt.Errorf("write to socket: %w", err)
	}
	return nil
}
