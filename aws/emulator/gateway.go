package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"culvert/aws/wire"
)

const (
	dataChannelPath = "/v1/data-channel/"
	closeNormal     = websocket.CloseNormalClosure
	// openingWait is how long a new socket may take to send its opening message.
	openingWait = 10 * time.Second
	// closingWait is how long a client may take to answer a close frame.
	closingWait = 2 * time.Second
	controlWait = time.Second
	// frameLimit is more than wire.MaxFrame, so that a frame that is too long for an agent reaches the agent, which refuses it.
	frameLimit = 4 << 20
	tick       = 20 * time.Millisecond
	// historyLimit is how many ended sessions are remembered.
	historyLimit = 200
)

// handler serves one action of an API. Its answer is encoded as JSON.
type handler func(r *request) (any, error)

// dataPath is the part of the account that carries bytes: the sessions with their agents and the relay between client and
// agent, and the faults.
type dataPath struct {
	emulator *Emulator
	now      func() time.Time
	ctx      context.Context //nolint:containedctx // the life of everything that runs here, not of a call
	stop     context.CancelFunc
	running  sync.WaitGroup
	keys     vault

	mu      sync.Mutex
	faults  Faults
	changed chan struct{} // closed when faults changes
	active  []*session    // oldest first
	most    int           // the most sessions that were active at the same time
	history []*session    // ended sessions, oldest first
	legs    map[*clientLeg]struct{}
	hosts   map[string]*intake // by target
	born    uint64             // how many sessions there have been
	closed  bool
}

// start makes the data path ready for requests.
func (d *dataPath) start(e *Emulator) {
	d.emulator, d.now = e, e.now
	d.faults, d.changed = Faithful(), make(chan struct{})
	d.legs, d.hosts = map[*clientLeg]struct{}{}, map[string]*intake{}
	d.keys = newVault()
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.spawn(d.watchTime)
}

// close ends every session and waits for every goroutine of the data path.
func (d *dataPath) close() {
	d.mu.Lock()
	d.closed = true
	sessions := append([]*session(nil), d.active...)
	sessions = append(sessions, d.history...)
	legs := make([]*clientLeg, 0, len(d.legs))
	for leg := range d.legs {
		legs = append(legs, leg)
	}
	d.mu.Unlock()
	d.stop()
	for _, s := range sessions {
		s.abort()
	}
	for _, leg := range legs {
		leg.cut()
	}
	d.running.Wait()
}

// spawn runs f in a goroutine that close waits for. It is false, and does not run f, once the data path is closed.
func (d *dataPath) spawn(f func()) bool {
	if !d.enter() {
		return false
	}
	go func() {
		defer d.running.Done()
		f()
	}()
	return true
}

// enter adds the calling goroutine to those that close waits for; the goroutine has to call running.Done when it ends. It is
// false once the data path is closed.
func (d *dataPath) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.running.Add(1)
	return true
}

// watchTime lets every session do what is due at its age, by the account's clock.
func (d *dataPath) watchTime() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-ticker.C:
		}
		f, now := d.knobs(), d.now()
		for _, s := range d.sessions() {
			s.age(now, &f)
		}
	}
}

// sessions returns the active sessions with the given ids, or all when there are no ids, oldest first.
func (d *dataPath) sessions(ids ...string) []*session {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []*session
	for _, s := range d.active {
		if len(ids) == 0 || slices.Contains(ids, s.id) {
			found = append(found, s)
		}
	}
	return found
}

// find returns a session that is active, or has ended.
func (d *dataPath) find(id string) (*session, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, list := range [][]*session{d.active, d.history} {
		for _, s := range list {
			if s.id == id {
				return s, true
			}
		}
	}
	return nil, false
}

// retire moves a session that has ended into the history.
func (d *dataPath) retire(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, one := range d.active {
		if one == s {
			d.active = append(d.active[:i:i], d.active[i+1:]...)
		}
	}
	d.history = append(d.history, s)
	if extra := len(d.history) - historyLimit; extra > 0 {
		d.history = d.history[extra:]
	}
}

// serveDataChannel upgrades a client's request to the websocket of its session.
func (e *Emulator) serveDataChannel(w http.ResponseWriter, r *http.Request) {
	d := &e.data
	if !d.enter() {
		http.Error(w, "closing", http.StatusServiceUnavailable)
		return
	}
	defer d.running.Done()
	s, err := d.welcome(r)
	if err != nil {
		e.refuse(w, err)
		return
	}
	upgrader := websocket.Upgrader{HandshakeTimeout: openingWait, ReadBufferSize: 32 << 10, WriteBufferSize: 32 << 10}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		e.log.Debug("upgrade data channel", "session", s.id, "error", err)
		return
	}
	leg := newClientLeg(conn)
	if !d.admitLeg(leg) {
		leg.cut()
		return
	}
	defer d.dismissLeg(leg)
	if !leg.opens(s) {
		leg.close(websocket.ClosePolicyViolation, "")
		return
	}
	if s.attach(leg) {
		leg.relay(s)
		s.detach(leg)
	}
}

// welcome checks a request for an upgrade: the session that it names, its signature, and whether the caller is allowed it.
func (d *dataPath) welcome(r *http.Request) (*session, error) {
	const service, action = wire.ServiceName, "OpenDataChannel"
	id := strings.TrimPrefix(r.URL.Path, dataChannelPath)
	s, found := d.find(id)
	who := caller{ARN: "anonymous"}
	f := d.knobs()
	switch signature := r.URL.Query().Get("X-Amz-Signature"); {
	case signature != "":
		if !found || !s.presigned(signature) {
			return nil, &apiError{Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match the signature you provided.", Status: http.StatusForbidden}
		}
		who = s.owner
	case r.Header.Get("Authorization") != "" || !f.AllowUnsigned:
		var err error
		if who, err = d.emulator.verify(r, service, nil); err != nil {
			refusal := *asAPIError(err)
			refusal.Status = http.StatusForbidden
			return nil, &refusal
		}
	}
	if err := d.admit(&request{Caller: who, HTTP: r}, service, action, d.sessionARN(id)); err != nil {
		if refusal, ok := err.(*apiError); ok && refusal.Code == accessDenied { //nolint:errorlint // admit's own, never wrapped
			refusal.Status = http.StatusForbidden
		}
		return nil, err
	}
	if !found {
		return nil, &apiError{Code: "ResourceNotFoundException", Message: "Session " + id + " does not exist.", Status: http.StatusNotFound}
	}
	return s, nil
}

func (d *dataPath) sessionARN(id string) string {
	return d.emulator.fleet.arn("ssm", "session/"+id)
}

func (d *dataPath) admitLeg(leg *clientLeg) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.legs[leg] = struct{}{}
	}
	return !d.closed
}

func (d *dataPath) dismissLeg(leg *clientLeg) {
	_ = leg.conn.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.legs, leg)
}

// clientLeg is one websocket of a client.
type clientLeg struct {
	conn   *websocket.Conn
	frozen atomic.Bool // the network path is dead: nothing arrives, either way
	gone   atomic.Bool // the client was told to close: what is sent to it is lost
	mu     sync.Mutex  // held by whoever writes data
}

func newClientLeg(conn *websocket.Conn) *clientLeg {
	leg := &clientLeg{conn: conn}
	conn.SetReadLimit(frameLimit)
	conn.SetPingHandler(func(text string) error {
		if !leg.frozen.Load() {
			// When a pong cannot be written, the socket will fail to be read as well.
			_ = conn.WriteControl(websocket.PongMessage, []byte(text), time.Now().Add(controlWait))
		}
		return nil
	})
	return leg
}

// opens reads the opening message and checks its token, which is used up by that.
func (l *clientLeg) opens(s *session) bool {
	_ = l.conn.SetReadDeadline(time.Now().Add(openingWait))
	kind, text, err := l.conn.ReadMessage()
	if err != nil || kind != websocket.TextMessage {
		return false
	}
	_ = l.conn.SetReadDeadline(time.Time{})
	var opening wire.OpenDataChannel
	if err := json.Unmarshal(text, &opening); err != nil {
		return false
	}
	return opening.MessageSchemaVersion == "1.0" && opening.RequestID != "" && opening.ClientID != "" && s.redeem(opening.TokenValue)
}

// relay passes every binary message to the session until the socket ends.
func (l *clientLeg) relay(s *session) {
	var frame bytes.Buffer
	for {
		kind, r, err := l.conn.NextReader()
		if err != nil {
			return
		}
		frame.Reset()
		if _, err := frame.ReadFrom(r); err != nil {
			return
		}
		// What a client sends between our close frame and its own is still passed on, above all acknowledges.
		if kind == websocket.BinaryMessage && !l.frozen.Load() {
			if f := s.data.knobs(); f.Largest > 0 && frame.Len() > f.Largest+wire.Overhead {
				s.tooLarge.Add(1)
				if f.DropLarger {
					continue
				}
				l.refuse()
				return
			}
			s.fromClient(bytes.Clone(frame.Bytes()))
		}
	}
}

// write sends a frame; a frame that cannot be sent is lost.
func (l *clientLeg) write(frame []byte) {
	if l.frozen.Load() || l.gone.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.conn.WriteMessage(websocket.BinaryMessage, frame)
}

// close sends a close frame and gives the client a moment to answer, after which the reader ends.
func (l *clientLeg) close(code int, text string) {
	if l.gone.Swap(true) || l.frozen.Load() {
		return
	}
	_ = l.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(controlWait))
	_ = l.conn.SetReadDeadline(time.Now().Add(closingWait))
}

// refuse closes the socket because of a message that is too large; what follows it is ignored.
func (l *clientLeg) refuse() {
	l.close(websocket.CloseMessageTooBig, "")
	for {
		if _, _, err := l.conn.NextReader(); err != nil {
			return
		}
	}
}

// cut resets the TCP connection.
func (l *clientLeg) cut() {
	l.gone.Store(true)
	if tcp, ok := l.conn.NetConn().(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = l.conn.Close()
}
