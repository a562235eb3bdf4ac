package emulator

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"culvert/aws/wire"
)

// heldFrames is how many messages are kept for a client that has not connected yet. What AWS does is not known (protocol.md
// 10.6); the agent repeats its handshake request anyway.
const heldFrames = 4

// idleText is the service's text when a session ends because of inactivity (amazon-ssm-agent issue 261).
const idleText = "Your session timed out due to inactivity and has been terminated."

// session is one Session Manager session: two relays, one for each direction, a client that may connect and disconnect, and an
// agent.
type session struct {
	data      *dataPath
	container *container
	order     startOrder
	id        string
	owner     caller
	agent     *agent
	up, down  *relay
	ctx       context.Context //nolint:containedctx // ends with the agent's process, at the latest with the session
	stop      context.CancelFunc

	busy           atomic.Int64 // when stream data last passed, in unix nanoseconds
	upped, downed  atomic.Uint64
	messages       atomic.Uint64 // with stream data from the client
	tooLarge       atomic.Int64  // messages that the service refused as too large
	agentConnected atomic.Bool

	mu          sync.Mutex
	started     time.Time
	tokens      map[string]time.Time // each is valid for one socket, until that time
	signatures  []string             // of presigned stream URLs
	client      *clientLeg           // nil while it is not connected
	clientSince time.Time
	agentSince  time.Time
	sockets     int       // how many the client has had
	held        [][]byte  // messages for a client that has not connected yet
	ended       time.Time // zero while the session is active
}

// Session is a session, as the service sees it at one moment.
type Session struct {
	ID, Target, Document, Owner string
	Port                        uint16
	Host                        string // of the document for remote hosts
	Started                     time.Time
	Client, Agent               bool   // whether the client, and the agent, have a socket
	Sockets                     int    // how many the client has had
	Up, Down                    uint64 // bytes of stream data from the client and from the agent, including repeats
	Messages                    uint64 // how many messages Up came in
	TooLarge                    int    // how many of the client's messages the service has refused, see Faults.Largest
}

// begin makes a session and starts its agent.
func (d *dataPath) begin(k *container, order startOrder, owner caller) (*session, error) {
	now := d.now()
	s := &session{
		data: d, container: k, order: order, owner: owner, started: now, clientSince: now,
		id:     owner.SessionName + "-" + strings.ToLower(rand.Text()),
		tokens: map[string]time.Time{},
	}
	if order.terminal {
		s.id = "ecs-execute-command-" + strings.ToLower(rand.Text())
	}
	s.ctx, s.stop = context.WithCancel(d.ctx)
	s.busy.Store(now.UnixNano())
	s.agent = newAgent(s)

	d.mu.Lock()
	d.born++
	seed := d.faults.Seed ^ d.born<<32
	d.mu.Unlock()
	s.up = newRelay(d, seed, 1, func(f *Faults) *Path { return &f.Up }, s.toAgent)
	s.down = newRelay(d, seed, 2, func(f *Faults) *Path { return &f.Down }, s.toClient)

	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		s.stop()
		return nil, &apiError{Code: "InternalServerError", Message: "the account is closing", Status: 500}
	}
	d.active = append(d.active, s)
	d.most = max(d.most, len(d.active))
	d.mu.Unlock()

	ok := d.spawn(s.up.run) && d.spawn(func() {
		s.down.run()
		s.farewell()
	}) && d.spawn(s.agent.run)
	if !ok {
		s.abort()
	}
	return s, nil
}

// ticket makes a stream URL, and a token that is valid for one socket.
func (s *session) ticket() (streamURL, token string) {
	f := s.data.knobs()
	now := s.data.now()
	base := "ws" + strings.TrimPrefix(s.data.emulator.URL(), "http")
	if f.StreamHost != "" {
		base = "ws://" + f.StreamHost
	}
	q := "?role=publish_subscribe&cell-number=" + url.QueryEscape("AAEAAemulator0001")
	token = strings.Repeat("AAEAA", 4) + rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Presigned {
		signature := strings.ToLower(rand.Text() + rand.Text())
		s.signatures = append(s.signatures, signature)
		q += "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=" + now.UTC().Format("20060102T150405Z") +
			"&X-Amz-Expires=" + strconv.Itoa(int(f.TokenLife/time.Second)) + "&X-Amz-SignedHeaders=host&X-Amz-Signature=" + signature
	}
	if s.ended.IsZero() { // the session may have been ended since it began
		s.tokens[token] = now.Add(f.TokenLife)
	}
	return base + "/v1/data-channel/" + s.id + q, token
}

// presigned reports whether the session has given out a URL with this signature.
func (s *session) presigned(signature string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.signatures, signature)
}

// redeem uses up a token, and reports whether it was valid.
func (s *session) redeem(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.tokens[token]
	delete(s.tokens, token)
	return known && s.ended.IsZero() && !s.data.now().After(until)
}

// attach makes leg the client's socket and closes an earlier one: the last one wins (protocol.md 10.8). It is false when the
// session has ended.
func (s *session) attach(leg *clientLeg) bool {
	f := s.data.knobs()
	s.mu.Lock()
	if !s.ended.IsZero() {
		s.mu.Unlock()
		return false
	}
	if f.FirstSocket && s.client != nil && !s.client.gone.Load() {
		s.mu.Unlock()
		return true
	}
	old, back := s.client, s.sockets > 0
	s.client, s.clientSince = leg, s.data.now()
	s.sockets++
	for _, frame := range s.held {
		leg.write(frame)
	}
	s.held = nil
	s.mu.Unlock()
	if old != nil {
		old.close(closeNormal, "")
	}
	if back && f.PauseAgent {
		s.up.push(control(wire.StartPublication))
	}
	return true
}

// detach notes that leg is gone, unless another socket has replaced it.
func (s *session) detach(leg *clientLeg) {
	s.mu.Lock()
	was := s.client == leg
	if was {
		s.client = nil
	}
	s.mu.Unlock()
	if was && s.data.knobs().PauseAgent {
		s.up.push(control(wire.PausePublication))
	}
}

// fromClient relays a frame from the client.
func (s *session) fromClient(frame []byte) {
	s.note(frame, &s.upped)
	if outputLength(frame) > 0 {
		s.messages.Add(1)
	}
	s.up.push(frame)
}

// fromAgent relays a frame from the agent, if the agent has a socket.
func (s *session) fromAgent(frame []byte) {
	select {
	case <-s.container.stopped():
		return // a dead process sends nothing, not even that its connections have ended
	default:
	}
	if s.agentConnected.Load() {
		s.note(frame, &s.downed)
		s.down.push(frame)
	}
}

func (s *session) note(frame []byte, count *atomic.Uint64) {
	if kindOf(frame) == dataFrame {
		s.busy.Store(s.data.now().UnixNano())
		count.Add(uint64(outputLength(frame))) //nolint:gosec // a length
	}
}

func (s *session) toAgent(frame []byte) {
	if s.agentConnected.Load() {
		s.agent.receive(frame)
	}
}

// toClient writes a frame to the client, keeps it for a client that has not connected yet, or drops it.
func (s *session) toClient(frame []byte) {
	s.mu.Lock()
	leg := s.client
	if leg == nil && s.sockets == 0 && len(s.held) < heldFrames {
		s.held = append(s.held, frame)
	}
	s.mu.Unlock()
	if leg != nil {
		leg.write(frame)
	}
}

// end ends the session for both sides. output, which may be empty, is sent to the client.
func (s *session) end(output string) {
	if !s.close() {
		return
	}
	s.up.abort()
	s.down.finish(closedFrame(s.id, output, s.data.now()))
}

// abort ends the session without telling anybody.
func (s *session) abort() {
	s.close()
	s.up.abort()
	s.down.abort()
}

// close marks the session as ended and stops the agent. Only the first call returns true.
func (s *session) close() bool {
	s.mu.Lock()
	if !s.ended.IsZero() {
		s.mu.Unlock()
		return false
	}
	s.ended = s.data.now()
	s.tokens = nil
	s.data.retire(s) // under the lock: whoever learns that the session has ended does not find it among the active ones
	s.mu.Unlock()
	s.agentConnected.Store(false)
	s.stop()
	return true
}

// farewell closes the client's socket, after everything has been delivered.
func (s *session) farewell() {
	s.mu.Lock()
	leg := s.client
	s.client = nil
	s.mu.Unlock()
	if leg != nil {
		leg.close(closeNormal, "")
	}
}

// status is the session's Status in DescribeSessions.
func (s *session) status() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.ended.IsZero():
		return "Terminated"
	case s.client != nil:
		return "Connected"
	case s.sockets > 0:
		return "Disconnected"
	}
	return "Connecting"
}

// age does what is due at the session's age: idle and maximum duration, and the closing of sockets.
func (s *session) age(now time.Time, f *Faults) {
	busy := time.Unix(0, s.busy.Load())
	switch {
	case f.Idle > 0 && now.Sub(busy) >= f.Idle:
		s.end(idleText)
		return
	case f.Longest > 0 && now.Sub(s.began()) >= f.Longest:
		s.end("Your session has reached its maximum duration and has been terminated.")
		return
	}
	s.mu.Lock()
	leg, clientDue := s.client, s.client != nil && !s.client.gone.Load() && f.ClientLeg.Every > 0 && now.Sub(s.clientSince) >= f.ClientLeg.Every
	agentDue := f.AgentLeg.Every > 0 && !s.agentSince.IsZero() && now.Sub(s.agentSince) >= f.AgentLeg.Every
	s.mu.Unlock()
	if clientDue {
		s.hangUp(leg, f.ClientLeg.Cut)
	}
	if agentDue {
		s.loseAgent(f.AgentLeg.Cut)
	}
}

// began is when the session was started.
func (s *session) began() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

// hangUp ends a client's socket as the service does by itself.
func (s *session) hangUp(leg *clientLeg, cut bool) {
	if cut {
		s.detach(leg)
		leg.cut()
		return
	}
	leg.close(closeNormal, "Bye")
}

// loseAgent takes the agent's socket away; the agent then gets another one by itself.
func (s *session) loseAgent(cut bool) {
	if !s.agentConnected.Swap(false) {
		return
	}
	s.mu.Lock()
	s.agentSince = time.Time{}
	s.mu.Unlock()
	if cut {
		if s.data.knobs().TakesTwice {
			s.agent.cuts.Add(1)
		}
		s.up.discard()
		s.down.discard()
	}
	s.tellClient(wire.PausePublication)
	s.agent.disconnected()
}

// connectAgent notes that the agent has a socket, for the first time or again.
func (s *session) connectAgent(again bool) {
	s.mu.Lock()
	living := s.ended.IsZero()
	if living {
		s.agentSince = s.data.now()
		s.agentConnected.Store(true)
	}
	s.mu.Unlock()
	if living && again {
		s.tellClient(wire.StartPublication)
	}
}

// tellClient tells the client whether the agent is away.
func (s *session) tellClient(kind wire.Type) {
	if s.data.knobs().PauseClient {
		s.down.push(control(kind))
	}
}

func (s *session) snapshot() Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Session{
		ID: s.id, Target: s.order.Target, Document: s.order.DocumentName, Owner: s.owner.ARN, Port: s.order.port, Host: s.order.host,
		Started: s.started, Client: s.client != nil, Agent: s.agentConnected.Load(), Up: s.upped.Load(), Down: s.downed.Load(),
		Sockets: s.sockets, Messages: s.messages.Load(), TooLarge: int(s.tooLarge.Load()),
	}
}

// control encodes a message that the service itself sends.
func control(kind wire.Type) []byte { return encode(kind, []byte("{}"), time.Now()) }

// closedFrame encodes the message channel_closed.
func closedFrame(id, output string, now time.Time) []byte {
	body, err := json.Marshal(wire.Closed{
		MessageType: string(wire.ChannelClosed), MessageId: uuid.NewString(), DestinationId: uuid.NewString(), SessionId: id,
		SchemaVersion: 1, CreatedDate: now.UTC().Format(time.RFC3339Nano), Output: output,
	})
	if err != nil {
		return nil // cannot happen: strings can always be encoded
	}
	return encode(wire.ChannelClosed, body, now)
}

func encode(kind wire.Type, body []byte, now time.Time) []byte {
	m := wire.Message{Type: kind, Schema: 1, Created: wire.Millis(now), ID: wire.ID(uuid.New()), Body: body}
	frame, err := m.Append(nil)
	if err != nil {
		return nil // cannot happen: the types are short, and the bodies are not empty
	}
	return frame
}
