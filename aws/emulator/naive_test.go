package emulator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/xtaci/smux"

	"culvert/aws/wire"
	"culvert/internal/need"
)

// oneContainer is an account with one running container, in a cluster whose name has underscores. Names and addresses
// of private hosts alternate behind its ports.
func oneContainer(t *testing.T, ports map[uint16]string, hosts ...string) *Emulator {
	t.Helper()
	return open(t, Options{Fleet: oneContainerFleet(ports, hosts...)})
}

func oneContainerFleet(ports map[uint16]string, hosts ...string) Fleet {
	f := Fleet{
		Hosts: map[string]string{},
		Clusters: []Cluster{{Name: "one_small_cluster", Tasks: []Task{{
			Containers: []Container{{Name: "app", Ports: ports}},
		}}}},
	}
	for pair := range slices.Chunk(hosts, 2) {
		f.Hosts[pair[0]] = pair[1]
	}
	return f
}

// onlyTarget is the target of the account's only container.
func onlyTarget(t *testing.T, e *Emulator) string {
	t.Helper()
	e.fleet.mu.Lock()
	defer e.fleet.mu.Unlock()
	c := e.fleet.clusters[0]
	return "ecs:" + c.name + "_" + c.tasks[0].id + "_" + c.tasks[0].containers[0].runtime
}

func onlyTask(t *testing.T, e *Emulator) string {
	t.Helper()
	return strings.Split(strings.TrimPrefix(onlyTarget(t, e), "ecs:one_small_cluster_"), "_")[0]
}

// lockedBuffer is a bytes.Buffer for two goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ssmOf is AWS's own SSM client for e.
func ssmOf(t *testing.T, e *Emulator) *ssm.Client {
	t.Helper()
	return ssm.NewFromConfig(sdk(t, e))
}

func parameters(pairs ...string) map[string][]string {
	p := map[string][]string{}
	for pair := range slices.Chunk(pairs, 2) {
		p[pair[0]] = []string{pair[1]}
	}
	return p
}

// begin starts a port session to the only container.
func begin(t *testing.T, e *Emulator, pairs ...string) *ssm.StartSessionOutput {
	t.Helper()
	in := &ssm.StartSessionInput{
		Target: aws.String(onlyTarget(t, e)), DocumentName: aws.String(portDocument), Parameters: parameters(pairs...),
	}
	if _, remote := in.Parameters["host"]; remote {
		in.DocumentName = aws.String(remoteDocument)
	}
	out, err := ssmOf(t, e).StartSession(t.Context(), in)
	if err != nil {
		t.Fatalf("start session: %v", err)
	}
	return out
}

// refused is an upgrade that was answered otherwise.
type refused struct {
	status int
	body   string
}

func (r *refused) Error() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// upgrade dials a stream URL with a signed request. A refusal is a *refused.
func upgrade(t *testing.T, e *Emulator, streamURL string) (*websocket.Conn, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, streamURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	id, secret := e.Credentials()
	empty := sha256.Sum256(nil)
	err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, r,
		hex.EncodeToString(empty[:]), wire.ServiceName, e.region(), e.now())
	if err != nil {
		t.Fatal(err)
	}
	return dialRaw(t, streamURL, r.Header)
}

func dialRaw(t *testing.T, streamURL string, header http.Header) (*websocket.Conn, error) {
	t.Helper()
	conn, response, err := (&websocket.Dialer{HandshakeTimeout: 5 * time.Second}).DialContext(t.Context(), streamURL, header)
	if response != nil {
		defer func() { _ = response.Body.Close() }()
	}
	switch {
	case err == nil:
		t.Cleanup(func() { _ = conn.Close() })
		return conn, nil
	case response == nil:
		return nil, err
	}
	body, _ := io.ReadAll(response.Body)
	return nil, &refused{status: response.StatusCode, body: string(body)}
}

// naive is a client as simple as can be: it reads when the test says so and acknowledges what the test lets it.
type naive struct {
	t       *testing.T
	e       *Emulator
	id      string // of the session
	version string // it announces
	client  uuid.UUID
	conn    *websocket.Conn
	writing sync.Mutex
	next    int64
	silent  bool // acknowledges nothing
	early   map[int64]wire.Message
	expect  int64
}

// attach opens a socket with the token of a StartSession or ResumeSession answer.
func (n *naive) attach(streamURL, token string) {
	n.t.Helper()
	conn, err := upgrade(n.t, n.e, streamURL)
	if err != nil {
		n.t.Fatalf("upgrade: %v", err)
	}
	n.conn = conn
	opening := wire.OpenDataChannel{
		MessageSchemaVersion: "1.0", RequestID: uuid.NewString(), TokenValue: token, ClientID: n.client.String(), ClientVersion: n.version,
	}
	if err := conn.WriteJSON(opening); err != nil {
		n.t.Fatalf("send opening message: %v", err)
	}
}

// dialNaive starts a session and attaches to it; the handshake is yet to come.
func dialNaive(t *testing.T, e *Emulator, pairs ...string) *naive {
	t.Helper()
	out := begin(t, e, pairs...)
	n := &naive{t: t, e: e, id: *out.SessionId, version: wire.ClientVersion, client: uuid.New(), early: map[int64]wire.Message{}}
	n.attach(*out.StreamUrl, *out.TokenValue)
	return n
}

// resume replaces the socket.
func (n *naive) resume() {
	n.t.Helper()
	out, err := ssmOf(n.t, n.e).ResumeSession(n.t.Context(), &ssm.ResumeSessionInput{SessionId: &n.id})
	if err != nil {
		n.t.Fatalf("resume: %v", err)
	}
	n.attach(*out.StreamUrl, *out.TokenValue)
}

var errQuiet = errors.New("nothing came")

// read returns the next message of the socket, or errQuiet after limit. A socket that had to wait so long is not
// readable again, as is gorilla's way.
func (n *naive) read(limit time.Duration) (wire.Message, error) {
	_ = n.conn.SetReadDeadline(time.Now().Add(limit))
	_, frame, err := n.conn.ReadMessage()
	if err != nil {
		if timeout, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err); ok && timeout.Timeout() {
			return wire.Message{}, errQuiet
		}
		return wire.Message{}, err
	}
	return wire.Parse(frame)
}

// want reads until a message satisfies ok, and acknowledges stream messages on the way unless silent.
func (n *naive) want(what string, ok func(wire.Message) bool) wire.Message {
	n.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		m, err := n.read(time.Until(deadline))
		if err != nil {
			n.t.Fatalf("wait for %s: %v", what, err)
		}
		if m.Type == wire.OutputStream && !n.silent {
			n.acknowledge(m)
		}
		if ok(m) {
			return m
		}
	}
}

// wantNone reads for a while and fails when a message satisfies bad. The socket is of no use afterwards.
func (n *naive) wantNone(what string, limit time.Duration, bad func(wire.Message) bool) {
	n.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		m, err := n.read(time.Until(deadline))
		switch {
		case errors.Is(err, errQuiet):
			return
		case err != nil:
			n.t.Fatalf("wait that there is no %s: %v", what, err)
		case bad(m):
			n.t.Fatalf("%s came: %s %d", what, m.Type, m.Sequence)
		}
	}
}

func isStream(m wire.Message) bool { return m.Type == wire.OutputStream }

func isAck(sequence int64) func(wire.Message) bool {
	return func(m wire.Message) bool {
		got, err := wire.ParseAckSequence(m.Body)
		return m.Type == wire.Acknowledge && err == nil && got == sequence
	}
}

func (n *naive) wantPayload(kind wire.PayloadType) wire.Message {
	n.t.Helper()
	return n.want("a payload", func(m wire.Message) bool { return m.Type == wire.OutputStream && m.Payload == kind })
}

// wantAck waits for the acknowledge of a sequence number.
func (n *naive) wantAck(sequence int64) {
	n.t.Helper()
	n.want("an acknowledge", isAck(sequence))
}

// wantClosed waits for channel_closed and returns its text.
func (n *naive) wantClosed() string {
	n.t.Helper()
	m := n.want("channel_closed", func(m wire.Message) bool { return m.Type == wire.ChannelClosed })
	var closed wire.Closed
	if err := wire.ParseJSON(m.Body, &closed); err != nil {
		n.t.Fatal(err)
	}
	if closed.SessionId != n.id {
		n.t.Errorf("channel_closed is for session %q, want %q", closed.SessionId, n.id)
	}
	return closed.Output
}

func (n *naive) write(m wire.Message) {
	n.t.Helper()
	m.Schema, m.Created, m.ID = 1, wire.Millis(time.Now()), wire.ID(uuid.New())
	frame, err := m.Append(nil)
	if err != nil {
		n.t.Fatal(err)
	}
	n.writeRaw(frame)
}

func (n *naive) writeRaw(frame []byte) {
	n.writing.Lock()
	defer n.writing.Unlock()
	_ = n.conn.WriteMessage(websocket.BinaryMessage, frame) // what a test waits for does not come if this fails
}

func (n *naive) acknowledge(m wire.Message) {
	n.write(wire.Message{Type: wire.Acknowledge, Flags: wire.FlagsAck, Body: wire.AppendAckBody(nil, m.Type, m.ID, m.Sequence)})
}

// send sends a stream message with the next number and returns the number.
func (n *naive) send(kind wire.PayloadType, body []byte) int64 {
	n.t.Helper()
	n.sendAs(n.next, kind, body)
	n.next++
	return n.next - 1
}

// insist sends a message again and again until stop is called.
func (n *naive) insist(kind wire.PayloadType, body []byte) (stop func()) {
	sequence := n.send(kind, body)
	done := make(chan struct{})
	var repeating sync.WaitGroup
	repeating.Go(func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				n.sendAs(sequence, kind, body)
			}
		}
	})
	return func() { close(done); repeating.Wait() }
}

func (n *naive) sendAs(sequence int64, kind wire.PayloadType, body []byte) {
	n.t.Helper()
	n.write(wire.Message{Type: wire.InputStream, Sequence: sequence, Payload: kind, Body: body})
}

// answer answers the handshake request, with what the test has to say about each action.
func (n *naive) answer(request wire.Message, result func(wire.RequestedAction) wire.ProcessedAction) {
	n.t.Helper()
	var asked wire.HandshakeRequest
	if err := wire.ParseJSON(request.Body, &asked); err != nil {
		n.t.Fatal(err)
	}
	response := wire.HandshakeResponse{ClientVersion: n.version}
	for _, action := range asked.RequestedClientActions {
		response.ProcessedClientActions = append(response.ProcessedClientActions, result(action))
	}
	body, err := json.Marshal(response)
	if err != nil {
		n.t.Fatal(err)
	}
	n.send(wire.HandshakeResponseType, body)
}

func agree(a wire.RequestedAction) wire.ProcessedAction {
	return wire.ProcessedAction{ActionType: a.ActionType, ActionStatus: wire.StatusSuccess}
}

// shake does the whole handshake.
func (n *naive) shake() {
	n.t.Helper()
	n.answer(n.wantPayload(wire.HandshakeRequestType), agree)
	n.expect = n.wantPayload(wire.HandshakeCompleteType).Sequence + 1
}

// ready does the whole handshake and waits until the agent takes data, since this client repeats nothing.
func (n *naive) ready() {
	n.t.Helper()
	n.shake()
	need.Eventually(n.t, "the port handler to run", func() bool {
		s := n.e.data.sessions(n.id)
		return len(s) == 1 && s[0].agent.port.Load() != nil
	})
}

// mux makes the session a smux client: data goes up in messages of 1024 bytes. From now on the socket is read by a
// goroutine, which ends with it.
func (n *naive) mux() *smux.Session {
	n.t.Helper()
	near, far := newPipe()
	session, err := smux.Client(far, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(n.t.Context())
	var loops sync.WaitGroup
	loops.Go(func() {
		packet := make([]byte, payloadLimit)
		for {
			k, err := near.Read(packet)
			if err != nil {
				return
			}
			n.send(wire.Output, packet[:k])
		}
	})
	loops.Go(func() {
		for ctx.Err() == nil {
			m, err := n.read(time.Minute)
			if err != nil {
				return
			}
			n.feed(near, m)
		}
	})
	n.t.Cleanup(func() {
		cancel()
		_ = n.conn.Close()
		_ = session.Close()
		_ = near.Close()
		loops.Wait()
	})
	return session
}

// feed puts a message of the tunnel into its turn.
func (n *naive) feed(to io.Writer, m wire.Message) {
	if m.Type != wire.OutputStream {
		return
	}
	n.acknowledge(m)
	if m.Sequence < n.expect {
		return
	}
	n.early[m.Sequence] = m
	for {
		m, ok := n.early[n.expect]
		if !ok {
			return
		}
		delete(n.early, n.expect)
		n.expect++
		if m.Payload == wire.Output {
			_, _ = to.Write(m.Body) // fails only when the test is over
		}
	}
}
