package bond

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// desk is an end whose strands the test reads: it takes what each is to write, and nothing is acknowledged by itself.
type desk struct {
	*testing.T
	*end

	stream *Stream
}

// newDesk is to be called within a bubble, of which an end without goroutines needs no end.
func newDesk(t *testing.T) *desk {
	t.Helper()
	budget := newBudget(1 << 20)
	purse := purse{of: budget, most: 1 << 20}
	d := &desk{T: t, end: newEnd(Limits{}.or(Limits{Streams: 8, Bundles: 1, Strands: 8, Stream: 1 << 20, Credit: 1 << 20, Hold: 1 << 20}), purse, purse, nil)}
	d.stream = newStream(d.end, 1)
	d.stream.sending.credit = 1 << 20
	d.streams[1], d.nextID = d.stream, 2
	return d
}

func (d *desk) strand(id uint16) *Strand {
	now := time.Now()
	near, _ := net.Pipe()
	s := &Strand{
		e: d.end, id: id, conn: near, wake: make(chan struct{}, 1), done: make(chan struct{}), since: now, ackedAt: now, heardAt: now,
		movedAt: now, pace: newPace(0, now), waiting: true, out: make([]byte, 0, headerSize+commandBytes+headerSize+frameSize),
	}
	s.ackTimer = time.AfterFunc(time.Hour, func() {})
	s.ackTimer.Stop()
	d.strands = append(d.strands, s)
	return s
}

// writes are the frames that a strand is to write now.
func (d *desk) writes(s *Strand) (frames []header) {
	d.Helper()
	for {
		out := s.next(time.Now())
		if len(out) == 0 {
			return frames
		}
		for r := bufio.NewReader(bytes.NewReader(out)); ; {
			if _, err := r.Peek(1); err != nil {
				break
			}
			h, _, err := readFrame(r, nil)
			if err != nil {
				d.Fatal(err)
			}
			frames = append(frames, h)
		}
	}
}

// data are the offsets of the stream's data in what a strand is to write now.
func (d *desk) data(s *Strand) (offsets []uint64) {
	d.Helper()
	for _, h := range d.writes(s) {
		if h.kind == kindData {
			offsets = append(offsets, h.offset)
		}
	}
	return offsets
}

func (d *desk) say(text string) {
	d.Helper()
	if n, err := d.stream.put([]byte(text)); err != nil || n != len(text) {
		d.Fatal(n, err)
	}
}

// quiet lets so much time pass that strands on which something is on its way are silent.
func (d *desk) quiet() {
	for range 100 {
		time.Sleep(beat)
		for _, s := range slices.Clone(d.strands) {
			s.watch(time.Now())
		}
	}
}

// What is on its way on a silent strand is sent over another once, however long the silence lasts and whatever becomes of the other
// strand; a third time only when the silent one has ended, too.
func TestASilentStrandIsHedgedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		silent := d.strand(1)
		d.say("hello")
		if got := d.data(silent); !slices.Equal(got, []uint64{0}) {
			t.Fatalf("the first strand writes %v", got)
		}
		second := d.strand(2)
		d.quiet()
		if got := d.data(second); !slices.Equal(got, []uint64{0}) {
			t.Fatalf("the second strand writes %v, want what the silent one has", got)
		}
		third := d.strand(3)
		second.lose(io.EOF)
		d.quiet()
		if got := d.data(third); len(got) > 0 {
			t.Errorf("the third strand writes %v, although the silent one may have it yet", got)
		}
		silent.lose(io.EOF)
		if got := d.data(third); !slices.Equal(got, []uint64{0}) {
			t.Errorf("the third strand writes %v, want what nobody else has", got)
		}
	})
}

// A connection keeps what it was given: when its strand is back, nothing of that waits for another one any more. It still counts as
// what the strand has on its way, which goes over another when it ends.
func TestWhatAStrandHasIsNotSentAgainWhenItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		s := d.strand(1)
		d.say("one")
		d.writes(s)
		s.become(stateAway)
		if d.resend.len() != 1 {
			t.Fatalf("%d frames wait for another strand, want that of the one that is away", d.resend.len())
		}
		s.become(stateUsable)
		other := d.strand(2)
		if got := append(d.data(s), d.data(other)...); len(got) > 0 {
			t.Errorf("%v is sent again, although the strand is back", got)
		}
		d.say("two")
		if got := append(d.data(s), d.data(other)...); !slices.Equal(got, []uint64{3}) {
			t.Errorf("%v is sent, want what is new", got)
		}
		s.lose(io.EOF)
		if got := d.data(other); !slices.Contains(got, 0) {
			t.Errorf("%v is sent when the strand has ended, want what it had", got)
		}
	})
}

// Credit that waits to be sent again may yet arrive as it was sent first, where its strand comes back. So what is granted meanwhile
// goes out in a frame of its own.
func TestCreditIsNotAddedToAFrameThatHasFlown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		s := d.strand(1)
		granted := func() (most uint64) {
			for _, h := range d.writes(s) {
				if h.kind == kindCredit {
					most = max(most, h.offset)
				}
			}
			return most
		}
		d.stream.grant()
		if got := granted(); got != d.stream.granted || got == 0 {
			t.Fatalf("the far end was told of %d bytes, want %d", got, d.stream.granted)
		}
		s.become(stateAway)
		d.stream.consume(firstCredit, time.Now())
		s.become(stateUsable)
		if got := granted(); got != d.stream.granted || got <= firstCredit {
			t.Errorf("the far end was told of %d bytes, want %d", got, d.stream.granted)
		}
	})
}
