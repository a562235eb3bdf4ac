package emulator

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"culvert/aws/wire"
	"culvert/internal/need"
)

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func TestHandshakeAsksForThePortSession(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080", "localPortNumber", "9000")
	m := n.wantPayload(wire.HandshakeRequestType)
	if m.Sequence != 0 || m.Flags != wire.FlagSyn {
		t.Errorf("handshake request has sequence %d and flags %d, want 0 and %d", m.Sequence, m.Flags, wire.FlagSyn)
	}
	const want = `{"AgentVersion":"3.3.0.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":` +
		`{"SessionType":"Port","Properties":{"portNumber":"8080","localPortNumber":"9000","type":"LocalPortForwarding"}}}]}`
	if string(m.Body) != want {
		t.Errorf("handshake request\n got %s\nwant %s", m.Body, want)
	}
	n.answer(m, agree)
	if m := n.wantPayload(wire.HandshakeCompleteType); m.Sequence != 1 {
		t.Errorf("handshake complete has sequence %d, want 1", m.Sequence)
	}
}

func TestMuxCarriesConnectionsBothWays(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	e.Fault(func(f *Faults) { f.Pacing = 0 })
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	mux := n.mux()
	for i := range 3 {
		stream, err := mux.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		sent := random(150_000)
		go func() { _, _ = stream.Write(sent) }()
		got := make([]byte, len(sent))
		_ = stream.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(stream, got); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("connection %d: what came back differs from what was sent", i)
		}
		if err := stream.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if s := e.Sessions(); len(s) != 1 || s[0].Up < 450_000 || s[0].Down < 450_000 || !s[0].Client || !s[0].Agent {
		t.Errorf("sessions = %+v, want one, connected, with 450,000 bytes and more each way", s)
	}
}

// The real agent was measured at 0.73 to 0.83 MB/s (protocol.md 8).
func TestDownloadIsAsSlowAsTheRealAgent(t *testing.T) {
	const size = 1 << 20
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, func(c *net.TCPConn) { _, _ = c.Write(random(size)) })})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	stream, err := n.mux().OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if got, err := io.Copy(io.Discard, stream); (err != nil && !errors.Is(err, io.EOF)) || got != size {
		t.Fatalf("read %d bytes (%v), want %d", got, err, size)
	}
	rate := size / time.Since(began).Seconds() / 1e6
	t.Logf("%.2f MB/s", rate)
	if rate > 1.0 {
		t.Errorf("download at %.2f MB/s, the agent's pacing allows less than 1.0", rate)
	}
}

func TestAgentSendsAtMost1024BytesPerMessage(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, func(c *net.TCPConn) { _, _ = c.Write(random(20_000)) })})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	n.send(wire.Output, append(wire.MuxFrame{Command: wire.MuxPush, Length: 1, Stream: 3}.Append(nil), 'x'))
	for total := 0; total < 20_000; {
		m := n.wantPayload(wire.Output)
		if len(m.Body) > 1024 {
			t.Fatalf("a message has %d bytes, want at most 1024", len(m.Body))
		}
		total += len(m.Body)
	}
}

// A3 of protocol.md 9.
func TestDataBeforeHandshakeCompleteIsAcknowledgedAndThrownAway(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	request := n.wantPayload(wire.HandshakeRequestType)
	n.wantAck(n.send(wire.Output, []byte("far too early")))
	n.answer(request, agree)
	n.wantPayload(wire.HandshakeCompleteType)
	need.Eventually(t, "the mux to start", func() bool { return e.data.sessions()[0].agent.port.Load() != nil })
	// Had the agent kept the bytes, its mux would be out of sync and would answer nothing.
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	n.send(wire.Output, append(wire.MuxFrame{Command: wire.MuxPush, Length: 2, Stream: 3}.Append(nil), "hi"...))
	if m := n.wantPayload(wire.Output); !bytes.HasSuffix(m.Body, []byte("hi")) {
		t.Errorf("echo = %q, want hi", m.Body)
	}
}

// A3 of protocol.md 9, in the moment between HandshakeComplete and the agent's own note of it.
func TestDataRightBehindHandshakeCompleteIsThrownAwayByALateAgent(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	e.Fault(func(f *Faults) { f.LateComplete = 2 * time.Second })
	n := dialNaive(t, e, "portNumber", "8080")
	n.shake()
	n.wantAck(n.send(wire.Output, []byte("too early still")))
	need.Eventually(t, "the mux to start", func() bool { return e.data.sessions()[0].agent.port.Load() != nil })
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	n.send(wire.Output, append(wire.MuxFrame{Command: wire.MuxPush, Length: 2, Stream: 3}.Append(nil), "hi"...))
	if m := n.wantPayload(wire.Output); !bytes.HasSuffix(m.Body, []byte("hi")) {
		t.Errorf("echo = %q, want hi", m.Body)
	}
}

func TestAgentDropsDataUnacknowledgedUntilItsPortHandlerRuns(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	e.Fault(func(f *Faults) { f.PortStart = 150 * time.Millisecond })
	n := dialNaive(t, e, "portNumber", "8080")
	n.shake()
	syn := wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil)
	sequence := n.send(wire.Output, syn)
	need.Eventually(t, "the mux to start", func() bool { return e.data.sessions()[0].agent.port.Load() != nil })
	n.sendAs(sequence, wire.Output, syn)
	n.wantAck(sequence)
	n.wantNone("acknowledge of the first copy", 50*time.Millisecond, isAck(sequence))
}

func TestAgentAcknowledgesDuplicatesAndEarlyMessagesAtOnce(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	push := append(wire.MuxFrame{Command: wire.MuxPush, Length: 3, Stream: 3}.Append(nil), "abc"...)
	n.sendAs(2, wire.Output, push)
	n.wantAck(2)
	n.sendAs(1, wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	if m := n.wantPayload(wire.Output); !bytes.HasSuffix(m.Body, []byte("abc")) {
		t.Errorf("echo = %q, want abc once the gap was filled", m.Body)
	}
	n.sendAs(1, wire.Output, push)
	n.wantAck(1)
}

// A1 of protocol.md 9.
func TestAgentRepeatsOnlyTheOldestMessage(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, func(c *net.TCPConn) { _, _ = c.Write(random(20_000)); need.Echo(c) })})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	n.silent = true
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	seen := map[int64]int{}
	repeats := 0
	n.want("three repeats", func(m wire.Message) bool {
		if m.Type == wire.OutputStream {
			if seen[m.Sequence]++; seen[m.Sequence] > 1 {
				repeats++
			}
		}
		return repeats == 3
	})
	for sequence, times := range seen {
		if sequence != n.expect && times > 1 {
			t.Errorf("message %d came %d times, only the oldest (%d) is to be repeated", sequence, times, n.expect)
		}
	}
}

func TestRefusedDestinationRaisesTheFlagAndClosesTheStream(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	m := n.wantPayload(wire.FlagType)
	if flag, err := wire.ParseFlag(m.Body); err != nil || flag != wire.FlagConnectToPortError {
		t.Errorf("flag = %d (%v), want %d", flag, err, wire.FlagConnectToPortError)
	}
	frame, err := wire.ParseMux(n.wantPayload(wire.Output).Body)
	if err != nil || frame.Command != wire.MuxClose || frame.Stream != 3 {
		t.Errorf("mux frame = %+v (%v), want the end of stream 3", frame, err)
	}
	if len(e.Sessions()) != 1 {
		t.Error("the session ended, it is to go on")
	}
}

// A7 of protocol.md 9.
func TestSwallowedDialHoldsUpEveryNewStream(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	e.Fault(func(f *Faults) { f.Swallow = []uint16{8080} })
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	stream, err := n.mux().OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	_ = stream.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := stream.Read(make([]byte, 5)); err == nil {
		t.Fatal("an answer came through a dial that was swallowed")
	}
	e.Fault(func(f *Faults) { f.Swallow = nil })
	_ = stream.SetReadDeadline(time.Now().Add(5 * time.Second))
	got := make([]byte, 5)
	if _, err := io.ReadFull(stream, got); err != nil || string(got) != "hello" {
		t.Errorf("after the dial came through: %q (%v), want hello", got, err)
	}
}

// A6 of protocol.md 9: about 8 MB are taken, then not even acknowledges go out.
func TestStalledDestinationStopsTheWholeSession(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	e.Fault(func(f *Faults) { f.Stalled = []uint16{8080} })
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	push := append(wire.MuxFrame{Command: wire.MuxPush, Length: 65_535, Stream: 3}.Append(nil), random(65_535)...)
	const messages = 120
	for range messages {
		n.send(wire.Output, push)
	}
	acked := int64(0)
	for {
		m, err := n.read(300 * time.Millisecond)
		if err != nil {
			break
		}
		if sequence, err := wire.ParseAckSequence(m.Body); m.Type == wire.Acknowledge && err == nil {
			acked = sequence
		}
	}
	if took := acked * int64(len(push)); took < 4<<20 || took > 6<<20 {
		t.Errorf("the agent took %d bytes before it stopped, want 4 MiB and a little", took)
	}
	if !e.KillSession(n.id, "") {
		t.Error("the session is gone, want it stuck")
	}
	need.Eventually(t, "the session to end", func() bool { return len(e.Sessions()) == 0 })
}

// A5 of protocol.md 9.
func TestBrokenMuxLeavesASilentSession(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	n.wantAck(n.send(wire.Output, []byte{2, 0, 0, 0, 3, 0, 0, 0})) // smux version 2
	n.wantAck(n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil)))
	n.wantAck(n.send(wire.Output, append(wire.MuxFrame{Command: wire.MuxPush, Length: 1, Stream: 3}.Append(nil), 'x')))
	n.wantNone("answer", 200*time.Millisecond, func(m wire.Message) bool { return isStream(m) || m.Type == wire.ChannelClosed })
	if len(e.Sessions()) != 1 {
		t.Error("the session ended, it is to stay as a zombie")
	}
}

func TestTerminateFlagEndsTheSession(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	n.send(wire.FlagType, wire.FlagBody(wire.FlagTerminateSession))
	if text := n.wantClosed(); text != "" {
		t.Errorf("channel_closed says %q, want nothing", text)
	}
	need.Eventually(t, "the session to end", func() bool { return len(e.Sessions()) == 0 })
}

func TestOldClientsAndOldAgentsGetOneConnectionAtATime(t *testing.T) {
	for name, c := range map[string]struct{ client, agent string }{
		"old client": {"1.1.69.0", "3.3.0.0"}, "old agent": {wire.ClientVersion, "3.0.196.0"},
	} {
		t.Run(name, func(t *testing.T) {
			e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
			e.Fault(func(f *Faults) { f.AgentVersion = c.agent })
			n := dialNaive(t, e, "portNumber", "8080")
			n.version = c.client
			n.ready()
			last := int64(-1)
			for _, word := range []string{"first", "second"} {
				stop := n.insist(wire.Output, []byte(word))
				m := n.wantPayload(wire.Output)
				for m.Sequence <= last { // what came before is repeated until its acknowledgement is read
					m = n.wantPayload(wire.Output)
				}
				last = m.Sequence
				stop()
				if string(m.Body) != word {
					t.Errorf("echo = %q, want %q without any mux around it", m.Body, word)
				}
				n.send(wire.FlagType, wire.FlagBody(wire.FlagDisconnectToPort))
			}
		})
	}
}

func TestBasicSessionEndsWhenNothingListens(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	n := dialNaive(t, e, "portNumber", "8080")
	n.version = "1.0.0.0"
	n.shake()
	if text := n.wantClosed(); !strings.HasPrefix(text, "Unable to connect to specified port: ") {
		t.Errorf("channel_closed says %q", text)
	}
}

func TestClientThatRefusesAnActionEndsTheSession(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.answer(n.wantPayload(wire.HandshakeRequestType), func(a wire.RequestedAction) wire.ProcessedAction {
		return wire.ProcessedAction{ActionType: a.ActionType, ActionStatus: wire.StatusFailed, Error: "no"}
	})
	if text, want := n.wantClosed(), "SessionType failed on client with status 2 error: no"; text != want {
		t.Errorf("channel_closed says %q, want %q", text, want)
	}
}

func TestSilentClientTimesOut(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	e.Fault(func(f *Faults) { f.HandshakeTimeout = 50 * time.Millisecond })
	n := dialNaive(t, e, "portNumber", "8080")
	if text := n.wantClosed(); !strings.HasPrefix(text, "Handshake timed out.") {
		t.Errorf("channel_closed says %q", text)
	}
}

// The library's first NOP comes after 10 s.
func TestKeepAliveFollowsTheVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		client, agent string
		nop           bool
	}{{"1.2.331.0", "3.3.0.0", true}, {"1.2.332.0", "3.1.1511.0", true}, {"1.2.332.0", "3.1.1512.0", false}} {
		t.Run(c.client+" and "+c.agent, func(t *testing.T) {
			t.Parallel()
			e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
			e.Fault(func(f *Faults) { f.AgentVersion = c.agent })
			n := dialNaive(t, e, "portNumber", "8080")
			n.version = c.client
			n.ready()
			if !c.nop {
				n.wantNone("NOP", 11*time.Second, isStream)
				return
			}
			frame, err := wire.ParseMux(n.wantPayload(wire.Output).Body)
			if err != nil || frame.Command != wire.MuxNop {
				t.Errorf("first frame %+v (%v), want a NOP", frame, err)
			}
		})
	}
}

func TestKMSSessionIsEncryptedBothWays(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	e.Fault(func(f *Faults) { f.KMS = true })
	n := dialNaive(t, e, "portNumber", "8080")
	var keys *encryption
	n.answer(n.wantPayload(wire.HandshakeRequestType), func(a wire.RequestedAction) wire.ProcessedAction {
		done := agree(a)
		if a.ActionType == wire.ActionKMSEncryption {
			key := random(sessionKeyLength)
			var err error
			if keys, err = newEncryption(key[sessionKeyLength/2:], key[:sessionKeyLength/2]); err != nil {
				t.Fatal(err)
			}
			blob := e.data.keys.encrypt(key, encryptionContext(n.id, onlyTarget(t, e)))
			done.ActionResult = wire.KMSResponse{KMSCipherTextKey: blob}
		}
		return done
	})
	var challenge wire.ChallengeRequest
	if err := wire.ParseJSON(n.wantPayload(wire.EncryptionRequestType).Body, &challenge); err != nil {
		t.Fatal(err)
	}
	plain, err := keys.decrypt(challenge.Challenge)
	if err != nil {
		t.Fatalf("decrypt challenge: %v", err)
	}
	response, err := json.Marshal(wire.ChallengeResponse{Challenge: keys.encrypt(plain)})
	if err != nil {
		t.Fatal(err)
	}
	n.send(wire.EncryptionResponseType, response)
	n.wantPayload(wire.HandshakeCompleteType)
	need.Eventually(t, "the mux to start", func() bool { return e.data.sessions()[0].agent.port.Load() != nil })
	n.send(wire.Output, keys.encrypt(wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil)))
	n.send(wire.Output, keys.encrypt(append(wire.MuxFrame{Command: wire.MuxPush, Length: 2, Stream: 3}.Append(nil), "hi"...)))
	m := n.wantPayload(wire.Output)
	if got, err := keys.decrypt(m.Body); err != nil || !bytes.HasSuffix(got, []byte("hi")) {
		t.Errorf("echo = %q (%v), want hi", got, err)
	}
}

func TestConcurrentStartsWaitAndOneAfterTheOtherDoNot(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	const step = 2 * time.Second // far more than the starts take that must come at once
	e.Fault(func(f *Faults) { f.AgentStart, f.StartStep = step/10, step })
	began := time.Now()
	for range 3 {
		dialNaive(t, e, "portNumber", "8080").wantPayload(wire.HandshakeRequestType)
	}
	if took := time.Since(began); took >= step {
		t.Errorf("three starts one after the other took %v, want no step of %v", took, step)
	}
	began = time.Now()
	clients := make([]*naive, 5)
	for i := range clients {
		clients[i] = dialNaive(t, e, "portNumber", "8080")
	}
	for _, n := range clients {
		n.wantPayload(wire.HandshakeRequestType)
	}
	if took := time.Since(began); took < step {
		t.Errorf("five starts at once took %v, want a step of %v at least", took, step)
	}
}

func TestSessionAboveTheLimitGetsNoHandshakeUntilAnotherEnds(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	e.Fault(func(f *Faults) { f.WorkersLimit = 1 })
	first := dialNaive(t, e, "portNumber", "8080")
	first.ready()
	second := dialNaive(t, e, "portNumber", "8080")
	need.Eventually(t, "both sessions", func() bool { return len(e.Sessions()) == 2 })
	if e.data.sessions(second.id)[0].agentConnected.Load() {
		t.Fatal("the second session has an agent")
	}
	e.KillSession(first.id, "")
	second.wantPayload(wire.HandshakeRequestType)
}

func TestOddMessagesAroundHandshakeComplete(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	e.Fault(func(f *Faults) { f.Around = 1 })
	n := dialNaive(t, e, "portNumber", "8080")
	n.answer(n.wantPayload(wire.HandshakeRequestType), agree)
	var before, after []wire.Type
	complete := false
	for len(after) < 4 {
		m := n.want("any message", func(wire.Message) bool { return true })
		switch {
		case m.Type == wire.OutputStream && m.Payload == wire.HandshakeCompleteType:
			complete = true
		case complete:
			after = append(after, m.Type)
		default:
			before = append(before, m.Type)
		}
	}
	if len(before) < 4 {
		t.Errorf("before HandshakeComplete came %v, want four odd messages", before)
	}
}

func TestShortFrameMakesTheAgentDeaf(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, need.Echo)})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	n.writeRaw([]byte("short"))
	sequence := n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
	n.wantNone("acknowledge", 200*time.Millisecond, isAck(sequence))
}

func TestPausedAgentFallsSilentUntilItHearsSomething(t *testing.T) {
	var c channel
	sent := 0
	c.start(func([]byte) { sent++ }, func(wire.Message) bool { return true })
	c.receive(control(wire.PausePublication))
	c.send(wire.Output, []byte("x"))
	c.resend(time.Now().Add(time.Hour))
	if sent != 0 {
		t.Errorf("a paused agent sent %d messages", sent)
	}
	ack := wire.Message{Type: wire.Acknowledge, Schema: 1, Created: 1, ID: wire.ID(uuid.New()), Body: wire.AppendAckBody(nil, wire.OutputStream, wire.ID{}, 99)}
	frame, err := ack.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.receive(frame)
	c.resend(time.Now().Add(time.Hour))
	if sent != 1 {
		t.Errorf("after an acknowledge %d messages were sent, want 1", sent)
	}
}

func TestRetransmissionTimeoutFollowsTheRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c channel
		c.start(func([]byte) {}, func(wire.Message) bool { return true })
		for n := range int64(50) {
			c.send(wire.Output, []byte("x"))
			c.acknowledged(n, time.Now().Add(20*time.Millisecond))
		}
		if c.rto < 30*time.Millisecond || c.rto > 60*time.Millisecond {
			t.Errorf("after 50 round trips of 20 ms the timeout is %v, want 30 to 60 ms", c.rto)
		}
		c.send(wire.Output, []byte("x"))
		c.acknowledged(50, time.Now().Add(time.Minute))
		if c.rto != longestRTO {
			t.Errorf("after one of a minute it is %v, want the limit of %v", c.rto, longestRTO)
		}
	})
}
