package tunnel

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"culvert/aws/wire"
)

func push(id uint32, data string) []byte {
	return append(wire.MuxFrame{Command: wire.MuxPush, Length: uint16(len(data)), Stream: id}.Append(nil), data...)
}

func fin(id uint32) []byte { return wire.MuxFrame{Command: wire.MuxClose, Stream: id}.Append(nil) }

func openStream(t *testing.T, m *mux) *stream {
	t.Helper()
	s, err := m.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// frames decodes the mux frames that a channel has to write.
func muxFrames(t *testing.T, c *channel) (all []wire.MuxFrame) {
	t.Helper()
	var bytes []byte
	for _, m := range written(t, c) {
		bytes = append(bytes, m.Body...)
	}
	for len(bytes) > 1 { // the first byte of the next frame may stand at the end, see seam
		f, err := wire.ParseMux(bytes)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
		bytes = bytes[wire.MuxHeader+int(f.Length):]
	}
	return all
}

func TestMuxFramesMaySpanMessages(t *testing.T) {
	m := newMux(testChannel(nil))
	a, b := openStream(t, m), openStream(t, m)
	all := bytes.Join([][]byte{push(a.id, "one "), push(b.id, "other"), push(a.id, "two"), push(99, "nobody's"), fin(a.id)}, nil)
	for len(all) > 0 { // the smallest messages there can be
		if err := m.receive(all[:1]); err != nil {
			t.Fatal(err)
		}
		all = all[1:]
	}
	if got := readStream(t, a); got != "one two" {
		t.Errorf("stream a got %q", got)
	}
	if got := b.inbox.unread(); got != len("other") {
		t.Errorf("%d bytes wait for b", got)
	}
}

func readStream(t *testing.T, s *stream) string {
	t.Helper()
	var got strings.Builder
	for {
		chunk, err := s.inbox.next(t.Context())
		if errors.Is(err, io.EOF) {
			return got.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		got.Write(chunk.bytes())
		s.inbox.drop(chunk)
	}
}

// protocol.md 9, A5: a frame of another version kills the agent's session; one from the agent means that we are out of
// step.
func TestMuxRefusesAnotherVersion(t *testing.T) {
	m := newMux(testChannel(nil))
	if err := m.receive([]byte{2, 2, 0, 0, 3, 0, 0, 0}); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("got %v, want %v", err, wire.ErrInvalid)
	}
}

// protocol.md 9, P9: a local side that does not read loses its own connection and nobody else's.
func TestStalledReaderIsResetAndOthersGoOn(t *testing.T) {
	c := testChannel(nil)
	m := newMux(c)
	stalled, live := openStream(t, m), openStream(t, m)
	block := strings.Repeat("x", 60_000)
	for range maxInbox/len(block) + 2 {
		if err := m.receive(push(stalled.id, block)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.receive(append(push(live.id, "alive"), fin(live.id)...)); err != nil {
		t.Fatal(err)
	}
	if got := readStream(t, live); got != "alive" {
		t.Errorf("the live stream got %q", got)
	}
	if _, err := stalled.inbox.next(t.Context()); !errors.Is(err, errOverflow) {
		t.Errorf("the stalled stream ended with %v, want %v", err, errOverflow)
	}
	sent := muxFrames(t, c)
	last := sent[len(sent)-1]
	if last.Command != wire.MuxClose || last.Stream != stalled.id {
		t.Errorf("the last frame is %+v, want the end of stream %d", last, stalled.id)
	}
	if n := m.waiting.Load(); n != 0 {
		t.Errorf("%d bytes are still accounted for", n)
	}
}

func TestManyStalledReadersTogetherStayWithinTheSessionsBound(t *testing.T) {
	m := newMux(testChannel(nil))
	var streams []*stream
	for range 8 {
		streams = append(streams, openStream(t, m))
	}
	block := strings.Repeat("x", 60_000)
	for range maxInbox/len(block) - 1 {
		for _, s := range streams {
			if err := m.receive(push(s.id, block)); err != nil {
				t.Fatal(err)
			}
		}
		if n := m.waiting.Load(); n > maxInboxTotal+int64(len(block)) {
			t.Fatalf("%d bytes wait, the bound is %d", n, maxInboxTotal)
		}
	}
}

func TestSessionEndReachesEveryStream(t *testing.T) {
	m := newMux(testChannel(nil))
	s := openStream(t, m)
	if err := m.receive(push(s.id, "some")); err != nil {
		t.Fatal(err)
	}
	why := &EndedError{Session: "s"}
	m.finish(why)
	if _, err := s.inbox.next(t.Context()); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
	if _, err := m.open(t.Context()); !errors.Is(err, why) {
		t.Errorf("open after the end: got %v, want %v", err, why)
	}
	s.close() // must not send for a stream that the session's end has closed
}

// A connection that the far side has said something on is not cut, although its own first byte is still under way: a server
// that speaks first is being listened to.
func TestOnlyConnectionsThatNobodyHasHeardAreStranded(t *testing.T) {
	c := testChannel(nil)
	m := newMux(c)
	say := func(s *stream) {
		if err := m.write(t.Context(), s, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	heard := openStream(t, m)
	say(heard)
	for _, message := range written(t, c) {
		mustReceive(t, c, ackFor(t, message))
	}
	greeted, unheard, silent := openStream(t, m), openStream(t, m), openStream(t, m)
	if err := m.receive(push(greeted.id, "220 ready")); err != nil {
		t.Fatal(err)
	}
	say(greeted)
	say(unheard)
	m.strand()
	for name, s := range map[string]*stream{"one of which the first byte has arrived": heard, "one that was greeted": greeted} {
		if err := s.inbox.failure(); err != nil {
			t.Errorf("%s was cut: %v", name, err)
		}
	}
	for name, s := range map[string]*stream{"one that spoke in vain": unheard, "one whose opening has not arrived": silent} {
		if err := s.inbox.failure(); !errors.Is(err, errStranded) {
			t.Errorf("%s goes on: %v", name, err)
		}
	}
}

// The agent's report of a refused dial names no stream: one that is older than five seconds is no stream's that ends now.
func TestARefusalIsTakenOnceAndWithinFiveSeconds(t *testing.T) {
	m := newMux(testChannel(nil))
	now := time.Now()
	at := func(milliseconds int) time.Time { return now.Add(time.Duration(milliseconds) * time.Millisecond) }
	if m.takeRefusal(now) {
		t.Error("a stream was refused although nothing was reported")
	}
	m.refused(at(0))
	if !m.takeRefusal(at(4999)) {
		t.Error("a report of five seconds ago is not taken")
	}
	if m.takeRefusal(at(4999)) {
		t.Error("one report stands for two streams")
	}
	m.refused(at(5000))
	if m.takeRefusal(at(10_000)) {
		t.Error("a report of more than five seconds ago is taken")
	}
	m.refused(at(11_000))
	m.refused(at(14_000))
	if !m.takeRefusal(at(16_500)) || m.takeRefusal(at(16_500)) {
		t.Error("of two reports the old one should be dropped, and the other taken once")
	}
	for range 2 * maxRefusals {
		m.refused(at(20_000))
	}
	m.refused(at(30_000))
	if n := len(m.refusals); n != maxRefusals {
		t.Errorf("%d reports are kept, want %d", n, maxRefusals)
	}
	if !m.takeRefusal(at(30_000)) {
		t.Error("the last report is not taken, as there were many before it")
	}
}

func TestBytesBeforeTheEndAreStillRead(t *testing.T) {
	m := newMux(testChannel(nil))
	s := openStream(t, m)
	if err := m.receive(append(push(s.id, strings.Repeat("y", 50_000)), fin(s.id)...)); err != nil {
		t.Fatal(err)
	}
	if got := readStream(t, s); len(got) != 50_000 {
		t.Errorf("read %d bytes", len(got))
	}
}

func FuzzMuxReceive(f *testing.F) {
	f.Add(push(3, "hello"), uint8(3))
	f.Add(fin(3), uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, step uint8) {
		m := newMux(testChannel(nil))
		s := openStream(t, m)
		for n := int(step) + 1; len(body) > 0; {
			n = min(n, len(body))
			if m.receive(body[:n]) != nil {
				break
			}
			body = body[n:]
		}
		s.close()
		if n := m.waiting.Load(); n != 0 {
			t.Errorf("%d bytes are still accounted for", n)
		}
	})
}
