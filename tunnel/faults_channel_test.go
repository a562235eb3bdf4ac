package tunnel

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"culvert/aws/wire"
)

// Rows of protocol.md 9 that show on the channel and the mux.

// A2 and A4: the agent does not slow down for want of acknowledges, it only loses what it could repair. However full the
// inbox of a local side that does not read, every message is acknowledged at once.
func TestAcknowledgesNeverWaitForAReader(t *testing.T) {
	var m *mux
	c := testChannel(func(_ wire.PayloadType, body []byte) error { return m.receive(body) })
	m = newMux(c)
	stalled := openStream(t, m)
	written(t, c)
	const size = 30_000 // bytes of a message: far more than an agent's, to be quick
	const messages = 2 * maxInbox / size
	body := strings.Repeat("x", size)
	for sequence := range int64(messages) {
		mustReceive(t, c, fromAgent(t, sequence, string(push(stalled.id, body))))
		acks, _ := sequences(t, written(t, c))
		if len(acks) != 1 || acks[0] != sequence {
			t.Fatalf("message %d: acknowledged are %v", sequence, acks)
		}
	}
}

// P6: AWS's client drops its oldest unacknowledged message when 10,000 wait. Here the sender waits, and the oldest is
// still there for the next socket.
func TestTheOldestMessageIsNeverDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		var sending sync.WaitGroup
		sending.Go(func() {
			for err := error(nil); err == nil; {
				err = c.send(t.Context(), bytes.Repeat([]byte{7}, 8000))
			}
		})
		synctest.Wait()
		first := written(t, c)
		synctest.Wait()
		c.attach(c.out.attached)
		again := written(t, c)
		if len(first) == 0 || len(again) != len(first) || again[0].Sequence != 0 {
			t.Errorf("%d messages were sent, %d go out again from number %d", len(first), len(again), again[0].Sequence)
		}
		if len(first) > 1000 {
			t.Errorf("%d messages are under way without an acknowledge", len(first))
		}
		c.finish(errStopped)
		sending.Wait()
	})
}

// A5: one frame of another version, or two frames interleaved, and the agent's mux is dead without a word. Whatever twenty
// connections write at the same time leaves as whole frames of version 1.
func TestFramesOfManyConnectionsNeverInterleave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		m := newMux(c)
		var writing sync.WaitGroup
		want, got := map[uint32][]byte{}, map[uint32][]byte{}
		var streams []*stream
		for range 20 {
			streams = append(streams, openStream(t, m))
		}
		for i, s := range streams {
			dice := rand.New(rand.NewPCG(uint64(i), 1))
			var chunks [][]byte
			for range 40 {
				chunk := bytes.Repeat([]byte{byte(dice.Uint32())}, 1+dice.IntN(9000))
				chunks = append(chunks, chunk)
				want[s.id] = append(want[s.id], chunk...)
			}
			writing.Go(func() {
				for _, chunk := range chunks {
					if err := m.write(t.Context(), s, chunk); err != nil {
						t.Error(err)
						return
					}
				}
				s.close()
			})
		}
		done := make(chan struct{})
		go func() { writing.Wait(); close(done) }()
		var stream []byte
		for over := false; !over; {
			synctest.Wait()
			select {
			case <-done:
				over = true
			default:
			}
			for _, message := range written(t, c) {
				stream = append(stream, message.Body...)
				mustReceive(t, c, ackFor(t, message))
			}
		}
		ended := 0
		for len(stream) > 0 {
			f, err := wire.ParseMux(stream)
			if err != nil {
				t.Fatalf("the mux stream is out of sync: %v", err)
			}
			end := wire.MuxHeader + int(f.Length)
			switch f.Command {
			case wire.MuxPush:
				got[f.Stream] = append(got[f.Stream], stream[wire.MuxHeader:end]...)
			case wire.MuxClose:
				ended++
			case wire.MuxOpen, wire.MuxNop:
			}
			stream = stream[end:]
		}
		for id := range want {
			if sha256.Sum256(got[id]) != sha256.Sum256(want[id]) {
				t.Errorf("stream %d carries %d bytes, want %d and the same", id, len(got[id]), len(want[id]))
			}
		}
		if ended != len(want) {
			t.Errorf("%d streams ended, want %d", ended, len(want))
		}
	})
}
