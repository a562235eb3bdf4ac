package tunnel

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws/wire"
)

// collected is what a channel under test delivered.
type collected struct {
	bytes.Buffer
	kinds []wire.PayloadType
}

func (c *collected) deliver(kind wire.PayloadType, body []byte) error {
	c.kinds = append(c.kinds, kind)
	_, _ = c.Write(body)
	return nil
}

func testChannel(deliver func(wire.PayloadType, []byte) error) *channel {
	return newChannel(slog.New(slog.DiscardHandler), 1024, 0, deliver)
}

// fromAgent encodes a message as an agent sends it.
func fromAgent(t *testing.T, sequence int64, body string) []byte {
	t.Helper()
	m := wire.Message{Type: wire.OutputStream, Schema: 1, Created: 1, Sequence: sequence, ID: newID(), Payload: wire.Output, Body: []byte(body)}
	return encode(t, m)
}

func ackFor(t *testing.T, m wire.Message) []byte {
	t.Helper()
	return encode(t, wire.Message{
		Type: wire.Acknowledge, Schema: 1, Created: 1, Flags: wire.FlagsAck, ID: newID(),
		Body: wire.AppendAckBody(nil, m.Type, m.ID, m.Sequence),
	})
}

func encode(t *testing.T, m wire.Message) []byte {
	t.Helper()
	frame, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// written collects what a channel wants to write now, decoded.
func written(t *testing.T, c *channel) []wire.Message {
	t.Helper()
	var all []wire.Message
	for {
		batch, again, err := c.collect(nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, frame := range batch {
			m, err := wire.Parse(bytes.Clone(frame))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		if len(batch) == 0 || again.IsZero() || again.After(time.Now()) {
			return all
		}
	}
}

func sequences(t *testing.T, all []wire.Message) (acks, data []int64) {
	t.Helper()
	for _, m := range all {
		if m.Type == wire.Acknowledge {
			n, err := wire.ParseAckSequence(m.Body)
			if err != nil {
				t.Fatal(err)
			}
			acks = append(acks, n)
			continue
		}
		data = append(data, m.Sequence)
	}
	return acks, data
}

func mustReceive(t *testing.T, c *channel, frames ...[]byte) {
	t.Helper()
	for _, f := range frames {
		if err := c.receive(f); err != nil {
			t.Fatal(err)
		}
	}
}

// protocol.md 9, P1: a client that stays silent on a duplicate makes the agent resend it for ever.
func TestDuplicateIsAcknowledgedAgain(t *testing.T) {
	var got collected
	c := testChannel(got.deliver)
	first := fromAgent(t, 0, "once")
	mustReceive(t, c, first, first, first)
	acks, _ := sequences(t, written(t, c))
	if len(acks) != 3 {
		t.Errorf("got %d acknowledges, want 3", len(acks))
	}
	if got.String() != "once" {
		t.Errorf("delivered %q, want it once", got.String())
	}
}

func TestEarlyMessagesAreAcknowledgedAndDeliveredInOrder(t *testing.T) {
	var got collected
	c := testChannel(got.deliver)
	mustReceive(t, c, fromAgent(t, 2, "c"), fromAgent(t, 1, "b"))
	if acks, _ := sequences(t, written(t, c)); len(acks) != 2 {
		t.Errorf("got acknowledges %v for early messages, want 2", acks)
	}
	if got.Len() != 0 {
		t.Errorf("delivered %q before its turn", got.String())
	}
	mustReceive(t, c, fromAgent(t, 0, "a"), fromAgent(t, 3, "d"))
	if got.String() != "abcd" {
		t.Errorf("delivered %q, want abcd", got.String())
	}
}

// protocol.md 9, P6: what does not fit the reorder buffer must not be acknowledged, or it is lost.
func TestMessageThatCannotBeKeptIsNotAcknowledged(t *testing.T) {
	c := testChannel((&collected{}).deliver)
	for i := range int64(maxReorder) {
		mustReceive(t, c, fromAgent(t, i+1, "x"))
	}
	written(t, c)
	mustReceive(t, c, fromAgent(t, maxReorder+1, "x"))
	if acks, _ := sequences(t, written(t, c)); len(acks) != 0 {
		t.Errorf("acknowledged %v with a full buffer", acks)
	}
	if len(c.early) > maxReorder {
		t.Errorf("keeps %d messages, the bound is %d", len(c.early), maxReorder)
	}
}

// protocol.md 9, P3: AWS's client turns a payload of one LF into CR.
func TestPayloadIsNeverTouched(t *testing.T) {
	c := testChannel(nil)
	for _, body := range []string{"\n", strings.Repeat("x", 1024) + "\n"} {
		if err := c.send(t.Context(), []byte(body)); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for _, m := range written(t, c) {
			got = append(got, m.Body...)
		}
		if string(got) != body {
			t.Errorf("a write of %d bytes goes out as %q", len(body), got)
		}
	}
}

func TestEmptyPayloadIsRefused(t *testing.T) {
	if err := testChannel(nil).send(t.Context(), nil); !errors.Is(err, errEmptyBody) {
		t.Errorf("got %v, want %v", err, errEmptyBody)
	}
}

// protocol.md 9, P5 and A1: every message that times out goes out again, not only the oldest, each with its own backoff.
func TestEveryTimedOutMessageIsResentWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		for range 3 {
			if err := c.send(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		written(t, c)
		var rounds []time.Duration
		start := time.Now()
		for len(rounds) < 4 {
			_, again, err := c.collect(nil, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(again))
			if _, data := sequences(t, written(t, c)); len(data) > 0 {
				if len(data) != 3 {
					t.Fatalf("resent %v, want all three", data)
				}
				rounds = append(rounds, time.Since(start))
			}
		}
		for i, milliseconds := range []int64{400, 1200, 2800, 6000} {
			if got := rounds[i].Milliseconds(); got < milliseconds || got > milliseconds+20 {
				t.Errorf("resend %d after %d ms, want %d", i+1, got, milliseconds)
			}
		}
	})
}

func TestMessageThatOthersOvertookIsResentWithoutWaitingForItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		tries := map[int64]int{}
		start := time.Now()
		for time.Since(start) < 150*time.Millisecond {
			if err := c.send(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
			for _, m := range written(t, c) {
				tries[m.Sequence]++
				time.Sleep(20 * time.Millisecond)
				if m.Sequence != 1 {
					mustReceive(t, c, ackFor(t, m))
				}
			}
		}
		for sequence, n := range tries {
			if want := sequence == 1; n > 1 != want {
				t.Errorf("message %d was written %d times", sequence, n)
			}
		}
	})
}

func TestRoundTripIsNotMeasuredOnResentMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		if err := c.send(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		m := written(t, c)[0]
		time.Sleep(time.Second)
		written(t, c)
		mustReceive(t, c, ackFor(t, m))
		if _, trip := c.figures(); trip != 0 {
			t.Errorf("took %s for a round trip", trip)
		}
	})
}

func TestSendBlocksOnAFullWindowAndDropsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		sent := 0
		go func() {
			for c.send(t.Context(), make([]byte, 8000)) == nil {
				sent++
			}
		}()
		synctest.Wait()
		most := (firstWindow+8*(1024+wire.Overhead))/8000 + 1
		if sent == 0 || sent > most {
			t.Fatalf("%d sends went through without an acknowledge, want 1 to %d", sent, most)
		}
		before := sent
		for _, m := range written(t, c)[:16] {
			mustReceive(t, c, ackFor(t, m))
		}
		synctest.Wait()
		if sent == before {
			t.Error("acknowledges opened no room")
		}
		c.finish(errStopped)
		synctest.Wait()
		if err := c.send(t.Context(), []byte("x")); !errors.Is(err, errStopped) {
			t.Errorf("send after the end: got %v, want %v", err, errStopped)
		}
	})
}

func TestBlockedSendEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() {
			for {
				if err := c.send(ctx, make([]byte, 8000)); err != nil {
					done <- err
					return
				}
			}
		}()
		synctest.Wait()
		cancel(errReconnect)
		if err := <-done; !errors.Is(err, errReconnect) {
			t.Errorf("got %v, want %v", err, errReconnect)
		}
		if len(c.waiting) != 0 {
			t.Errorf("%d senders are still queued", len(c.waiting))
		}
	})
}

// protocol.md 9, P2 and 7: what was unacknowledged when the socket went away goes out again on the next one, in order.
func TestAttachResendsAllThatIsUnacknowledged(t *testing.T) {
	c := testChannel(nil)
	for range 5 {
		if err := c.send(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	all := written(t, c)
	mustReceive(t, c, ackFor(t, all[1]), ackFor(t, all[3]))
	if err := c.send(t.Context(), []byte("y")); err != nil {
		t.Fatal(err)
	}
	c.attach(time.Now())
	_, data := sequences(t, written(t, c))
	want := []int64{0, 2, 4, 5}
	if len(data) != len(want) {
		t.Fatalf("resent %v, want %v", data, want)
	}
	for i := range want {
		if data[i] != want[i] {
			t.Fatalf("resent %v, want %v", data, want)
		}
	}
}

func TestGarbageIsRefusedAndEndsTheSessionOnlyWhenNothingElseComes(t *testing.T) {
	var got collected
	c := testChannel(got.deliver)
	broken := fromAgent(t, 0, "secret")
	broken[len(broken)-1] ^= 1
	for range maxGarbage - 1 {
		mustReceive(t, c, broken)
	}
	mustReceive(t, c, fromAgent(t, 0, "good"))
	var last error
	for range maxGarbage {
		last = c.receive([]byte("short"))
	}
	var garbage *GarbageError
	if !errors.As(last, &garbage) || !errors.Is(last, wire.ErrShort) {
		t.Errorf("got %v, want a GarbageError about a short frame", last)
	}
	if got.String() != "good" {
		t.Errorf("delivered %q, want good", got.String())
	}
	if acks, _ := sequences(t, written(t, c)); len(acks) != 1 {
		t.Errorf("acknowledged %v, want the good message alone", acks)
	}
}

func TestChannelClosedEndsTheSession(t *testing.T) {
	c := testChannel(nil)
	frame := encode(t, wire.Message{Type: wire.ChannelClosed, Schema: 1, Created: 1, Body: []byte(`{"Output":"bye"}`)})
	var closed *closedError
	if err := c.receive(frame); !errors.As(err, &closed) || closed.output != "bye" {
		t.Errorf("got %v, want a closedError with bye", err)
	}
}

func TestStrayAcknowledgesAreHarmless(t *testing.T) {
	c := testChannel(nil)
	for _, n := range []int64{0, 5, 1 << 62} {
		mustReceive(t, c, ackFor(t, wire.Message{Type: wire.InputStream, Sequence: n}))
	}
	if err := c.send(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	// Acknowledged before it was written: not believed.
	mustReceive(t, c, ackFor(t, wire.Message{Type: wire.InputStream, Sequence: 0}))
	if _, data := sequences(t, written(t, c)); len(data) != 1 {
		t.Errorf("wrote %v, want message 0", data)
	}
}

func TestUploadRateIsACeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(slog.New(slog.DiscardHandler), 1024, 100_000, nil)
		if err := c.send(t.Context(), make([]byte, 50_000)); err != nil {
			t.Fatal(err)
		}
		start, bytes := time.Now(), 0
		for time.Since(start) < 300*time.Millisecond {
			for _, m := range written(t, c) {
				bytes += len(m.Body) + wire.Overhead
				mustReceive(t, c, ackFor(t, m))
			}
			time.Sleep(time.Millisecond)
		}
		if bytes < 25_000 || bytes > 33_000 {
			t.Errorf("wrote %d bytes in 300 ms, want about 30,000", bytes)
		}
	})
}

// A path that loses, doubles and reorders data and acknowledges, each on its own, still carries every byte in order.
func TestLossyPathCarriesEveryByteBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1 << 20
		var gotA, gotB collected
		a, b := testChannel(gotA.deliver), testChannel(gotB.deliver)
		dice := mathrand.New(mathrand.NewPCG(1, 2))
		wantB, wantA := make([]byte, size), make([]byte, size)
		_, _ = rand.Read(wantA)
		_, _ = rand.Read(wantB)
		ctx, cancel := context.WithCancel(t.Context())
		send := func(c *channel, all []byte) {
			for len(all) > 0 && c.send(ctx, all[:min(len(all), 5000)]) == nil {
				all = all[min(len(all), 5000):]
			}
		}
		go send(a, wantB)
		go send(b, wantA)
		// The two ends speak the same protocol but for the message type.
		swap := func(frame []byte) []byte {
			m, err := wire.Parse(bytes.Clone(frame))
			if err != nil {
				t.Error(err)
			}
			if m.Type == wire.InputStream {
				m.Type = wire.OutputStream
			}
			return encode(t, m)
		}
		var mailbox [2][][]byte
		start := time.Now()
		for gotA.Len() < size || gotB.Len() < size {
			if time.Since(start) > 5*time.Minute {
				t.Fatalf("after 5 minutes %d and %d of %d bytes have arrived", gotA.Len(), gotB.Len(), size)
			}
			synctest.Wait()
			for i, c := range []*channel{a, b} {
				batch, _, err := c.collect(nil, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				for _, frame := range batch {
					for range 1 + dice.IntN(20)/19 { // 5 % twice
						if dice.IntN(100) >= 5 { // 5 % lost
							mailbox[1-i] = append(mailbox[1-i], swap(frame))
						}
					}
				}
			}
			time.Sleep(10 * time.Millisecond)
			for i, c := range []*channel{a, b} {
				mail := mailbox[i]
				mailbox[i] = nil
				for j := range mail {
					if k := j + dice.IntN(min(4, len(mail)-j)); dice.IntN(10) == 0 {
						mail[j], mail[k] = mail[k], mail[j]
					}
				}
				mustReceive(t, c, mail...)
			}
		}
		cancel()
		if !bytes.Equal(gotA.Bytes(), wantA) || !bytes.Equal(gotB.Bytes(), wantB) {
			t.Error("the bytes differ")
		}
		t.Logf("1 MiB each way at 5 %% loss and 20 ms round trip: %s of virtual time", time.Since(start))
	})
}

// Acknowledges share a wake-up of the writer: many make one at once, few wait a moment, none is forgotten.
func TestAcknowledgesShareAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel((&collected{}).deliver)
		woken := func() bool {
			select {
			case <-c.wake:
				return true
			default:
				return false
			}
		}
		receive := func(sequence int64) {
			t.Helper()
			if err := c.receive(fromAgent(t, sequence, "x")); err != nil {
				t.Fatal(err)
			}
		}
		receive(0)
		synctest.Wait()
		if woken() {
			t.Error("the first message woke the writer")
		}
		time.Sleep(2 * ackWithin)
		synctest.Wait()
		if !woken() {
			t.Fatalf("after %s the acknowledge of a single message still waits", 2*ackWithin)
		}
		if got := written(t, c); len(got) != 1 || got[0].Type != wire.Acknowledge {
			t.Fatalf("written: %+v", got)
		}
		for n := range int64(acksTogether) {
			receive(1 + n)
		}
		if !woken() {
			t.Errorf("%d messages at once did not wake the writer", acksTogether)
		}
		if got := written(t, c); len(got) != acksTogether {
			t.Errorf("%d acknowledges were written, want %d", len(got), acksTogether)
		}
		receive(100) // early: acknowledged as well
		time.Sleep(ackWithin)
		receive(101)
		if !woken() {
			t.Error("a message did not take the acknowledge before it along")
		}
	})
}

// What a burst leaves to acknowledge, and data beside it, is written in pieces: encoded at once it would be megabytes.
func TestABurstIsAcknowledgedInPieces(t *testing.T) {
	t.Parallel()
	c := testChannel((&collected{}).deliver)
	const burst = 3*batchFrames + 1
	for sequence := range int64(burst) {
		mustReceive(t, c, fromAgent(t, sequence, "x"))
	}
	if err := c.push(wire.Output, make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	now, pieces := time.Now(), []int{}
	var next int64
	for again := now; again.Equal(now); {
		var batch [][]byte
		var err error
		if batch, again, err = c.collect(nil, now); err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, len(batch))
		for _, frame := range batch {
			m, err := wire.Parse(frame)
			if err != nil {
				t.Fatal(err)
			}
			if m.Type != wire.Acknowledge {
				continue
			}
			if got, err := wire.ParseAckSequence(m.Body); err != nil || got != next {
				t.Fatalf("acknowledged %d (%v), want %d", got, err, next)
			}
			next++
		}
	}
	if want := []int{batchFrames + 1, batchFrames, batchFrames, 1}; next != burst || !slices.Equal(pieces, want) {
		t.Errorf("%d acknowledges in pieces of %v, want %d in %v", next, pieces, burst, want)
	}
}
