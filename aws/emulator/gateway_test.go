package emulator

import (
	"bytes"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"culvert/aws/wire"
	"culvert/internal/need"
)

// clocked is an account whose clock the test can put forward.
func clocked(t *testing.T, ports map[uint16]string) (e *Emulator, forward func(time.Duration)) {
	t.Helper()
	var ahead atomic.Int64
	e = open(t, Options{Fleet: oneContainerFleet(ports), Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	return e, func(d time.Duration) { ahead.Add(int64(d)) }
}

// wantRefusal checks with which status an upgrade was refused, and that the body says text.
func wantRefusal(t *testing.T, what string, err error, status int, text string) {
	t.Helper()
	refusal, ok := errors.AsType[*refused](err)
	if !ok || refusal.status != status || !strings.Contains(refusal.body, text) {
		t.Errorf("%s: %v, want %d and %q", what, err, status, text)
	}
}

func TestUpgradeMustBeSignedByACallerWhoMay(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	stream := *begin(t, e, "portNumber", "8080").StreamUrl
	if want := "ws" + strings.TrimPrefix(e.URL(), "http") + "/v1/data-channel/demo-"; !strings.HasPrefix(stream, want) {
		t.Errorf("stream URL %s, want one that begins with %s", stream, want)
	}
	_, err := dialRaw(t, stream, nil)
	wantRefusal(t, "unsigned", err, http.StatusForbidden, "MissingAuthenticationToken")
	e.Fault(func(f *Faults) { f.API = []APIFault{{Action: "ssmmessages:OpenDataChannel", Kind: Deny, Times: 1}} })
	_, err = upgrade(t, e, stream)
	wantRefusal(t, "denied", err, http.StatusForbidden,
		"not authorized to perform: ssmmessages:OpenDataChannel on resource: arn:aws:ssm:eu-west-1:111122223333:session/demo-")
	id, _ := e.Credentials()
	e.ExpireCredentials(id)
	_, err = upgrade(t, e, stream)
	wantRefusal(t, "expired credentials", err, http.StatusForbidden, "ExpiredToken")
	e.RenewCredentials(id, time.Hour)
	if _, err := upgrade(t, e, stream); err != nil {
		t.Errorf("signed: %v", err)
	}
	_, err = upgrade(t, e, strings.Replace(stream, "/demo-", "/other-", 1))
	wantRefusal(t, "unknown session", err, http.StatusNotFound, "does not exist")
	e.Fault(func(f *Faults) { f.AllowUnsigned = true })
	if _, err := dialRaw(t, stream, nil); err != nil {
		t.Errorf("unsigned, when that is allowed: %v", err)
	}
}

func TestPresignedURLNeedsNoHeaders(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	e.Fault(func(f *Faults) { f.Presigned = true })
	stream := *begin(t, e, "portNumber", "8080").StreamUrl
	if _, err := dialRaw(t, stream, nil); err != nil {
		t.Errorf("presigned: %v", err)
	}
	_, err := dialRaw(t, stream+"x", nil)
	wantRefusal(t, "another signature", err, http.StatusForbidden, "SignatureDoesNotMatch")
}

func TestStreamURLCanPointElsewhere(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	e.Fault(func(f *Faults) { f.StreamHost = "evil.example" })
	if stream := *begin(t, e, "portNumber", "8080").StreamUrl; !strings.HasPrefix(stream, "ws://evil.example/v1/data-channel/") {
		t.Errorf("stream URL %s", stream)
	}
}

func TestTokenOpensOneSocketAndNotForLong(t *testing.T) {
	e, forward := clocked(t, map[uint16]string{8080: ""})
	closedBy := func(stream, token string) error {
		n := &naive{t: t, e: e, version: wire.ClientVersion, client: uuid.New()}
		n.attach(stream, token)
		for {
			if _, err := n.read(5 * time.Second); err != nil {
				return err
			}
		}
	}
	out := begin(t, e, "portNumber", "8080")
	n := &naive{t: t, e: e, version: wire.ClientVersion, client: uuid.New()}
	n.attach(*out.StreamUrl, *out.TokenValue)
	n.wantPayload(wire.HandshakeRequestType)
	for name, token := range map[string]string{"used": *out.TokenValue, "made up": "AAEAAnonsense"} {
		if err := closedBy(*out.StreamUrl, token); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
			t.Errorf("%s token: %v, want the socket closed", name, err)
		}
	}
	out = begin(t, e, "portNumber", "8080")
	forward(2 * time.Minute)
	if err := closedBy(*out.StreamUrl, *out.TokenValue); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("old token: %v, want the socket closed", err)
	}
}

func TestSessionGoesOnAfterClose1000AndACut(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	n.wantAck(n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil)))
	for name, end := range map[string]func() int{
		"close": func() int { return e.CloseClientLeg(1000) }, "cut": func() int { return e.CutClientLeg(n.id) },
	} {
		if hit := end(); hit != 1 {
			t.Fatalf("%s hit %d sockets, want 1", name, hit)
		}
		var err error
		for err == nil {
			_, err = n.read(5 * time.Second)
		}
		if code, ok := errors.AsType[*websocket.CloseError](err); (name == "close") != (ok && code.Code == 1000 && code.Text == "Bye") {
			t.Errorf("%s: the client saw %v", name, err)
		}
		need.Eventually(t, "the leg to go", func() bool { return !e.Sessions()[0].Client })
		n.resume()
		stop := n.insist(wire.Output, append(wire.MuxFrame{Command: wire.MuxPush, Length: uint16(len(name)), Stream: 3}.Append(nil), name...))
		m := n.want("the echo", func(m wire.Message) bool { return m.Payload == wire.Output && bytes.HasSuffix(m.Body, []byte(name)) })
		stop()
		if m.Sequence < n.expect {
			t.Errorf("%s: the numbers began anew with %d", name, m.Sequence)
		}
	}
}

func TestSecondSocketReplacesTheFirst(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	first := n.conn
	n.resume()
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	n.wantAck(1)
	var err error
	for err == nil {
		_ = first.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _, err = first.ReadMessage()
	}
	if !websocket.IsCloseError(err, 1000) {
		t.Errorf("the first socket ended with %v, want close 1000", err)
	}
}

func TestFrozenSocketStaysOpenAndDead(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	pongs := 0
	n.conn.SetPongHandler(func(string) error { pongs++; return nil })
	ping := func() { _ = n.conn.WriteControl(websocket.PingMessage, []byte("x"), time.Now().Add(time.Second)) }
	ping()
	n.wantAck(n.send(wire.Output, wire.MuxFrame{Command: wire.MuxNop}.Append(nil)))
	if pongs != 1 {
		t.Fatalf("a living socket answered a ping %d times", pongs)
	}
	e.FreezeClientLeg()
	ping()
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	n.wantNone("acknowledge", 200*time.Millisecond, isAck(n.next-1))
	if pongs != 1 {
		t.Error("a dead socket answered a ping")
	}
	n.resume()
	n.sendAs(n.next-1, wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	n.wantAck(n.next - 1)
}

func TestTimeEndsSessionsAndSockets(t *testing.T) {
	t.Run("every hour the socket", func(t *testing.T) {
		e, forward := clocked(t, map[uint16]string{8080: need.Server(t, need.Echo)})
		e.Fault(func(f *Faults) { f.Idle = 0 })
		n := dialNaive(t, e, "portNumber", "8080")
		n.ready()
		forward(61 * time.Minute)
		var err error
		for err == nil {
			_, err = n.read(5 * time.Second)
		}
		if !websocket.IsCloseError(err, 1000) || len(e.Sessions()) != 1 {
			t.Errorf("after an hour: %v and %d sessions, want close 1000 and the session alive", err, len(e.Sessions()))
		}
	})
	t.Run("idle", func(t *testing.T) {
		e, forward := clocked(t, map[uint16]string{8080: need.Server(t, need.Echo)})
		n := dialNaive(t, e, "portNumber", "8080")
		n.ready()
		forward(15 * time.Minute)
		n.wantAck(n.send(wire.Output, wire.MuxFrame{Command: wire.MuxNop}.Append(nil))) // a NOP is stream data
		forward(15 * time.Minute)
		if text := func() string { forward(6 * time.Minute); return n.wantClosed() }(); text != idleText {
			t.Errorf("channel_closed says %q, want %q", text, idleText)
		}
	})
	t.Run("longest", func(t *testing.T) {
		e, forward := clocked(t, map[uint16]string{8080: need.Server(t, need.Echo)})
		e.Fault(func(f *Faults) { f.Idle, f.Longest = 0, time.Hour })
		n := dialNaive(t, e, "portNumber", "8080")
		n.ready()
		e.Fault(func(f *Faults) { f.ClientLeg.Every = 0 })
		forward(61 * time.Minute)
		if text := n.wantClosed(); !strings.Contains(text, "maximum duration") {
			t.Errorf("channel_closed says %q", text)
		}
	})
}

func TestStoppedTaskEndsItsSessions(t *testing.T) {
	for _, silent := range []bool{false, true} {
		e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
		e.Fault(func(f *Faults) { f.SilentStop = silent })
		n := dialNaive(t, e, "portNumber", "8080")
		n.ready()
		if err := e.StopTask(onlyTask(t, e), "scaled in"); err != nil {
			t.Fatal(err)
		}
		if !silent {
			n.wantClosed()
			continue
		}
		need.Eventually(t, "the agent to die", func() bool { return !e.Sessions()[0].Agent })
		// In the instant of its end it still has a socket, and words on its lips: that its connections are closed.
		s := e.data.sessions(n.id)[0]
		s.agentConnected.Store(true)
		words := wire.Message{Type: wire.OutputStream, Schema: 1, Created: 1, Sequence: 100, ID: wire.ID(uuid.New()), Payload: wire.Output, Body: []byte("last words")}
		frame, err := words.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.fromAgent(frame)
		s.agentConnected.Store(false)
		n.wantNone("message", 200*time.Millisecond, func(m wire.Message) bool { return isStream(m) || m.Type == wire.ChannelClosed })
	}
}

func TestAgentComesBackAfterItsSocketIsLost(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	n.wantAck(1)
	for i, lose := range []func(...string) int{e.CloseAgentLeg, e.CutAgentLeg} {
		if hit := lose(n.id); hit != 1 {
			t.Fatalf("hit %d sockets, want 1", hit)
		}
		stop := n.insist(wire.Output, append(wire.MuxFrame{Command: wire.MuxPush, Length: 1, Stream: 3}.Append(nil), byte('a'+i)))
		n.want("the echo", func(m wire.Message) bool { return m.Payload == wire.Output && m.Body[len(m.Body)-1] == byte('a'+i) })
		stop()
	}
	e.Fault(func(f *Faults) { f.NoReconnect = true })
	e.CloseAgentLeg()
	sequence := n.send(wire.Output, wire.MuxFrame{Command: wire.MuxNop}.Append(nil))
	n.wantNone("acknowledge of an agent that gave up", 200*time.Millisecond, isAck(sequence))
}

func TestRemoteHostIsResolvedInTheTasksNetwork(t *testing.T) {
	e := oneContainer(t, map[uint16]string{7000: need.Server(t, need.Echo)}, "db.internal:5432", need.Server(t, need.Echo))
	for _, c := range []struct{ host, port string }{{"db.internal", "5432"}, {"localhost", "7000"}, {"127.0.0.1", "7000"}} {
		n := dialNaive(t, e, "host", c.host, "portNumber", c.port)
		n.ready()
		n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
		n.send(wire.Output, append(wire.MuxFrame{Command: wire.MuxPush, Length: 1, Stream: 3}.Append(nil), 'x'))
		if m := n.wantPayload(wire.Output); !bytes.HasSuffix(m.Body, []byte("x")) {
			t.Errorf("%s: echo %q, want x", c.host, m.Body)
		}
	}
}

func TestForbiddenAndUnknownHostsEndTheSessionAfterTheHandshake(t *testing.T) {
	e := oneContainer(t, map[uint16]string{80: need.Server(t, need.Echo)}, "metadata.internal", "169.254.169.254", "router.internal", "10.20.0.1")
	for host, want := range map[string]string{
		"169.254.169.254":        "Forwarding to IP address 169.254.169.254 is forbidden.",
		"metadata.internal":      "Forwarding to IP address 169.254.169.254 is forbidden.",
		"Router.Internal.":       "Forwarding to IP address 10.20.0.1 is forbidden.",
		"10.20.0.0":              "Forwarding to IP address 10.20.0.0 is forbidden.",
		"169.254.169.253":        "Forwarding to IP address 169.254.169.253 is forbidden.",
		"169.254.169.251":        "Forwarding to IP address 169.254.169.251 is forbidden.",
		"169.254.169.250":        "Forwarding to IP address 169.254.169.250 is forbidden.",
		"::ffff:169.254.169.123": "Forwarding to IP address ::ffff:169.254.169.123 is forbidden.",
		"fd00:ec2::254":          "Forwarding to IP address fd00:ec2::254 is forbidden.",
		"10.20.0.3":              "Forwarding to IP address 10.20.0.3 is forbidden.",
		"10.20.255.255":          "Forwarding to IP address 10.20.255.255 is forbidden.",
		"nowhere.invalid":        "Unable to resolve host nowhere.invalid: ",
	} {
		n := dialNaive(t, e, "host", host, "portNumber", "80")
		n.shake()
		if text := n.wantClosed(); !strings.HasPrefix(text, want) {
			t.Errorf("%s: channel_closed says %q, want %q", host, text, want)
		}
	}
	e.Fault(func(f *Faults) { f.RefuseLoopback = true })
	n := dialNaive(t, e, "host", "localhost", "portNumber", "80")
	n.shake()
	if text, want := n.wantClosed(), "Forwarding to IP address localhost is forbidden."; text != want {
		t.Errorf("localhost on a newer agent: %q, want %q", text, want)
	}
}

// The agent's list is short: the address where a task gets the credentials of its role is not on it (protocol.md,
// "Documents"). A client has to know that.
func TestTheAgentForbidsNoMoreThanItsList(t *testing.T) {
	for _, host := range []string{
		"169.254.169.254", "169.254.169.253", "169.254.169.123", "169.254.169.250", "169.254.169.251",
		"fd00:ec2::254", "fd00:ec2::253", "fd00:ec2::123", "fd00:ec2::240", "10.20.0.0", "10.20.0.3", "10.20.255.255",
	} {
		if !forbidden(netip.MustParseAddr(host)) {
			t.Errorf("%s is forwarded", host)
		}
	}
	for _, host := range []string{"169.254.170.2", "169.254.170.23", "169.254.0.1", "fe80::1", "fd00:ec2::23", "10.20.0.4", "10.20.255.254", "10.21.0.0", "10.0.3.7", "::1"} {
		if forbidden(netip.MustParseAddr(host)) {
			t.Errorf("%s is forbidden", host)
		}
	}
	e := oneContainer(t, map[uint16]string{80: ""}, "169.254.170.2:80", need.Server(t, need.Echo))
	n := dialNaive(t, e, "host", "169.254.170.2", "portNumber", "80")
	n.ready()
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	n.send(wire.Output, append(wire.MuxFrame{Command: wire.MuxPush, Length: 1, Stream: 3}.Append(nil), 'x'))
	if m := n.wantPayload(wire.Output); !bytes.HasSuffix(m.Body, []byte("x")) {
		t.Errorf("echo %q, want x", m.Body)
	}
}

func TestMessagesWaitForTheFirstClient(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	out := begin(t, e, "portNumber", "8080")
	need.Eventually(t, "the request to be held", func() bool {
		s := e.data.sessions(*out.SessionId)[0]
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.held) > 0
	})
	n := &naive{t: t, e: e, version: wire.ClientVersion, client: uuid.New()}
	n.attach(*out.StreamUrl, *out.TokenValue)
	if m := n.wantPayload(wire.HandshakeRequestType); m.Sequence != 0 {
		t.Errorf("the first message has sequence %d, want 0", m.Sequence)
	}
}

func TestInjectedFramesReachTheClientAsTheyAre(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	if !e.Inject(n.id, []byte("garbage")) {
		t.Fatal("there is no such session")
	}
	var err error
	for err == nil {
		_, err = n.read(5 * time.Second)
	}
	if !errors.Is(err, wire.ErrShort) {
		t.Errorf("got %v, want the short frame", err)
	}
}

func TestLossesOnTheWayAreRepairedByTheAgent(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	e.Fault(func(f *Faults) { f.Down.Data.DropNext, f.Down.Data.MangleAs, f.Down.Data.MangleNext = 1, BadDigest, 1 })
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	n.send(wire.Output, append(wire.MuxFrame{Command: wire.MuxPush, Length: 2, Stream: 3}.Append(nil), "hi"...))
	spoiled := 0
	for {
		m, err := n.read(5 * time.Second)
		if errors.Is(err, wire.ErrDigest) {
			spoiled++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Payload == wire.Output && bytes.HasSuffix(m.Body, []byte("hi")) {
			break
		}
	}
	if spoiled != 1 {
		t.Errorf("%d spoiled frames came, want 1", spoiled)
	}
}
