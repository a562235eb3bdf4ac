package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"culvert/aws/wire"
)

// drainWait is how long an agent that was asked to end waits for acknowledges of its messages (protocol.md 7).
const drainWait = 2 * time.Second

// basicBelow is the oldest client version with which an agent uses mux; muxQuietAfter is the newest client version for which it
// sends mux keepalives. noMux is the newest agent version without mux, noisy the newest agent version that sends mux keepalives
// to every client.
const (
	basicBelow    = "1.1.70"
	muxQuietAfter = "1.2.331.0"
	noMux         = "3.0.196.0"
	noisy         = "3.1.1511.0"
)

// agent is the process that the SSM agent in a container starts for one session.
type agent struct {
	channel
	session  *session
	data     *dataPath
	answers  chan wire.Message // to the handshake
	complete atomic.Bool       // the handshake is complete
	port     atomic.Pointer[portHandler]
	lost     chan struct{} // gets a value when the socket is lost
	asked    chan struct{} // gets a value when the client asks for the end
}

// portHandler takes the stream's bytes once the handshake is complete: mux, basic, or a terminal.
type portHandler struct {
	// input takes the payload of a message; false leaves the message unacknowledged.
	input func(body []byte) bool
	// disconnect closes the connection to the destination, in basic mode.
	disconnect func()
	// resize tells a terminal its size; nil when there is no terminal.
	resize func(wire.TerminalSize)
}

// sessionError ends a session. Its text is sent to the client in channel_closed.
type sessionError string

func (e sessionError) Error() string { return string(e) }

func newAgent(s *session) *agent {
	a := &agent{
		session: s, data: s.data,
		answers: make(chan wire.Message, 4), lost: make(chan struct{}, 1), asked: make(chan struct{}, 1),
	}
	a.start(s.fromAgent, a.process)
	return a
}

// run is the life of the process: wait for admission, shake hands, carry bytes, tell the service how the session ended.
func (a *agent) run() {
	s := a.session
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	gone := s.container.stopped()
	a.data.spawn(func() {
		select {
		case <-gone: // a task that stops ends its sessions
			cancel()
		case <-ctx.Done():
		}
	})
	err := a.work(ctx)
	select {
	case <-gone:
		s.agentConnected.Store(false)
		if !a.data.knobs().SilentStop {
			s.end("")
		}
		return
	default:
	}
	if ctx.Err() != nil {
		return // the service has ended the session
	}
	a.drain(ctx)
	text := ""
	if said, failed := errors.AsType[sessionError](err); failed {
		text = said.Error()
	}
	s.end(text)
}

// work returns when the session is over for the agent, with the reason.
func (a *agent) work(ctx context.Context) error {
	host := a.data.intakeOf(a.session.order.Target)
	if err := host.enter(ctx, a.data); err != nil {
		return err
	}
	defer host.leave()
	a.session.connectAgent(false)
	a.data.spawn(func() { a.housekeep(ctx) })

	working, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	a.data.spawn(func() { done <- a.carry(working) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	case <-a.asked:
	}
	return nil
}

// carry shakes hands and then moves bytes.
func (a *agent) carry(ctx context.Context) error {
	client, err := a.shake(ctx)
	if err != nil {
		return err
	}
	f := a.data.knobs()
	if err := pause(ctx, f.PortStart); err != nil {
		return err
	}
	if a.session.order.terminal {
		return a.terminal(ctx)
	}
	dial, err := a.destination(f)
	if err != nil {
		return err
	}
	own, _ := wire.ParseVersion(f.AgentVersion) // an odd version is an old one
	if client.Compare(mustVersion(basicBelow)) < 0 || own.Compare(mustVersion(noMux)) <= 0 {
		return a.basic(ctx, dial)
	}
	keepalive := client.Compare(mustVersion(muxQuietAfter)) <= 0 || own.Compare(mustVersion(noisy)) <= 0
	return a.mux(ctx, dial, keepalive)
}

// mustVersion parses one of the constants of this file.
func mustVersion(text string) wire.Version {
	v, err := wire.ParseVersion(text)
	if err != nil {
		panic(err) // a constant of this file
	}
	return v
}

// housekeep repeats the oldest unacknowledged message when that is due, and replaces a socket that was lost.
func (a *agent) housekeep(ctx context.Context) {
	ticker := time.NewTicker(resendEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.resend(time.Now())
		case <-a.lost:
			f := a.data.knobs()
			if f.NoReconnect {
				continue
			}
			// CreateDataChannel and the upgrade: two round trips.
			if pause(ctx, 4*f.Delay+5*time.Millisecond+f.AgentAway) != nil {
				return
			}
			a.session.connectAgent(true)
			a.paused.Store(false)
		}
	}
}

// disconnected tells the agent that its socket was lost.
func (a *agent) disconnected() {
	select {
	case a.lost <- struct{}{}:
	default:
	}
}

// drain waits for a short time until the client has acknowledged everything.
func (a *agent) drain(ctx context.Context) {
	deadline := time.Now().Add(drainWait)
	for a.unacknowledged() > 0 && time.Now().Before(deadline) {
		if pause(ctx, 5*time.Millisecond) != nil {
			return
		}
	}
}

// shake does the agent's side of the handshake and returns the version that the client announces.
func (a *agent) shake(ctx context.Context) (wire.Version, error) {
	f, s := a.data.knobs(), a.session
	if s.order.terminal && !f.KMS { // no handshake: interactivecommands.go, RequireHandshake
		if err := pause(ctx, f.LateComplete); err != nil {
			return wire.Version{}, err
		}
		a.complete.Store(true)
		return wire.Version{}, nil
	}
	began := time.Now()
	timeout := time.NewTimer(f.HandshakeTimeout)
	defer timeout.Stop()
	if err := a.ask(f); err != nil {
		return wire.Version{}, err
	}
	answer, err := a.answer(ctx, timeout.C, wire.HandshakeResponseType)
	if err != nil {
		return wire.Version{}, err
	}
	var response wire.HandshakeResponse
	if err := wire.ParseJSON(answer.Body, &response); err != nil {
		return wire.Version{}, sessionError("Handshake response could not be read: " + err.Error())
	}
	var dataKey []byte
	for _, action := range response.ProcessedClientActions {
		if action.ActionStatus != wire.StatusSuccess {
			return wire.Version{}, sessionError(fmt.Sprintf("%s failed on client with status %d error: %s", action.ActionType, action.ActionStatus, action.Error))
		}
		if action.ActionType == wire.ActionKMSEncryption {
			result, err := wire.KMSActionResult(action.ActionResult)
			if err != nil {
				return wire.Version{}, sessionError("Encryption could not be set up: " + err.Error())
			}
			if err := a.mayDecrypt(); err != nil {
				return wire.Version{}, err
			}
			if dataKey, err = a.data.keys.decrypt(result.KMSCipherTextKey, encryptionContext(s.id, s.order.Target)); err != nil {
				return wire.Version{}, sessionError("Fetching data key failed: " + err.Error())
			}
		}
	}
	if f.KMS {
		if err := a.challenge(ctx, timeout.C, dataKey); err != nil {
			return wire.Version{}, err
		}
	}
	version, err := wire.ParseVersion(response.ClientVersion)
	if err != nil {
		return wire.Version{}, sessionError("Client version " + strconv.Quote(response.ClientVersion) + " could not be read")
	}
	body, err := json.Marshal(wire.HandshakeComplete{HandshakeTimeToComplete: time.Since(began)})
	if err != nil {
		return wire.Version{}, fmt.Errorf("encode handshake complete: %w", err)
	}
	a.oddities(f.Around)
	// The real agent enters its new state right after it has sent this message. On a busy machine that moment can be longer
	// than the message's way to the client and the answer's way back, so its length is a fault (LateComplete).
	a.complete.Store(f.LateComplete == 0)
	a.send(wire.HandshakeCompleteType, body)
	if err := pause(ctx, f.LateComplete); err != nil {
		return wire.Version{}, err
	}
	a.complete.Store(true)
	a.oddities(f.Around)
	return version, nil
}

// ask sends the handshake request.
func (a *agent) ask(f Faults) error {
	order := a.session.order
	kind := wire.SessionTypeAction{SessionType: "Port", Properties: wire.PortProperties{
		PortNumber: strconv.Itoa(int(order.port)), LocalPortNumber: order.local, Type: "LocalPortForwarding", Host: order.host,
	}}
	if order.terminal {
		kind = wire.SessionTypeAction{SessionType: wire.InteractiveSession}
	}
	sessionType, err := json.Marshal(kind)
	if err != nil {
		return fmt.Errorf("encode session type: %w", err)
	}
	request := wire.HandshakeRequest{
		AgentVersion:           f.AgentVersion,
		RequestedClientActions: []wire.RequestedAction{{ActionType: wire.ActionSessionType, ActionParameters: sessionType}},
	}
	if f.KMS {
		key, err := json.Marshal(wire.KMSRequest{KMSKeyID: a.data.keyARN()})
		if err != nil {
			return fmt.Errorf("encode encryption request: %w", err)
		}
		request.RequestedClientActions = append(request.RequestedClientActions,
			wire.RequestedAction{ActionType: wire.ActionKMSEncryption, ActionParameters: key})
	}
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode handshake request: %w", err)
	}
	a.send(wire.HandshakeRequestType, body)
	return nil
}

// answer waits for the client's next message of the handshake, which has to be of type want.
func (a *agent) answer(ctx context.Context, timeout <-chan time.Time, want wire.PayloadType) (wire.Message, error) {
	for {
		select {
		case <-ctx.Done():
			return wire.Message{}, ctx.Err()
		case <-timeout:
			return wire.Message{}, sessionError("Handshake timed out. Please ensure that you have the latest version of the session manager plugin.")
		case m := <-a.answers:
			if m.Payload == want {
				// The acknowledge of the answer goes out before anything else, as it nearly always does: an acknowledge that
				// comes behind HandshakeComplete makes the real plugin deaf (P8 of protocol.md 9). Faults.Around does that on
				// purpose.
				a.settle()
				return m, nil
			}
		}
	}
}

// process handles one message, in the order of sequence numbers. false leaves it unacknowledged, so that the client repeats it.
func (a *agent) process(m wire.Message) bool {
	switch m.Payload {
	case wire.HandshakeResponseType, wire.EncryptionResponseType:
		select {
		case a.answers <- m:
		default: // more than was asked for
		}
		return true
	}
	if !a.complete.Load() {
		return true // acknowledged and dropped: A3 of protocol.md 9
	}
	handler := a.port.Load()
	if handler == nil {
		return false
	}
	switch m.Payload {
	case wire.Output:
		body, err := a.open(m.Body)
		if err != nil {
			return false
		}
		return handler.input(body)
	case wire.Size:
		var size wire.TerminalSize
		if handler.resize == nil || wire.ParseJSON(m.Body, &size) != nil {
			return false // as in the real agent, where the error of the handler leaves it unacknowledged
		}
		handler.resize(size)
	case wire.FlagType:
		flag, err := wire.ParseFlag(m.Body)
		switch {
		case err != nil:
		case flag == wire.FlagTerminateSession && a.data.terminateFlag():
			select {
			case a.asked <- struct{}{}:
			default:
			}
		case flag == wire.FlagDisconnectToPort:
			handler.disconnect()
		}
	}
	return true
}

// terminateFlag reports whether the agents here understand FlagTerminateSession.
func (d *dataPath) terminateFlag() bool {
	v, err := wire.ParseVersion(d.knobs().AgentVersion)
	return err == nil && v.TerminateFlag()
}

// oddities sends n rounds of messages that a client must ignore wherever they come (P8 of protocol.md 9).
func (a *agent) oddities(n int) {
	for range n {
		for _, m := range []wire.Message{
			{Type: wire.StartPublication, Body: []byte("{}")},
			{Type: "some_future_message", Body: []byte(`{"SchemaVersion":1}`)},
			{Type: wire.Acknowledge, Flags: wire.FlagsAck, Body: wire.AppendAckBody(nil, wire.InputStream, wire.ID(uuid.New()), 0)},
			{Type: wire.PausePublication, Body: []byte("{}")},
		} {
			m.Schema, m.Created, m.ID = 1, wire.Millis(time.Now()), wire.ID(uuid.New())
			if frame, err := m.Append(nil); err == nil {
				a.session.fromAgent(frame)
			}
		}
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
