package tunnel

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func directInbox(take func([]byte) int) (*inbox, *inboxes) {
	all := &inboxes{}
	b := &inbox{}
	b.init(all)
	b.through(take)
	return b, all
}

// Whatever the local side takes at once, and whenever the reader steps in, the bytes leave once and in order.
func TestInboxKeepsTheOrderBetweenItsTwoWaysOut(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	var out bytes.Buffer
	b, all := directInbox(func(p []byte) int {
		n := dice.IntN(len(p) + 1)
		if dice.IntN(3) == 0 {
			n = len(p)
		}
		out.Write(p[:n])
		return n
	})
	in := make([]byte, 1<<20)
	for i := range in {
		in[i] = byte(dice.Uint32())
	}
	read := func() {
		c, err := b.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all.flush() // while the reader holds bytes nothing may overtake them
		out.Write(c.bytes())
		b.drop(c)
	}
	for rest := in; len(rest) > 0; {
		n := min(len(rest), 1+dice.IntN(40_000))
		b.push(rest[:n])
		rest = rest[n:]
		if dice.IntN(2) == 0 {
			all.flush()
		}
		if b.unread() > 0 && dice.IntN(2) == 0 {
			read()
		}
	}
	for b.unread() > 0 {
		read()
	}
	if !bytes.Equal(out.Bytes(), in) {
		t.Errorf("%d bytes went in, %d came out, and not the same", len(in), out.Len())
	}
	if n := all.waiting.Load(); n != 0 {
		t.Errorf("%d bytes are still accounted for", n)
	}
}

func TestInboxLeavesToTheReaderWhatIsNotTaken(t *testing.T) {
	b, all := directInbox(func([]byte) int { return 0 })
	b.push([]byte("kept"))
	select {
	case <-b.change:
		t.Error("the reader was woken before the direct way was tried")
	default:
	}
	all.flush()
	c, err := b.next(t.Context())
	if err != nil || string(c.bytes()) != "kept" {
		t.Fatalf("the reader got %q and %v", c.bytes(), err)
	}
	b.drop(c)
	b.push([]byte("the last words"))
	b.finish(io.EOF)
	if c, err = b.next(t.Context()); err != nil || string(c.bytes()) != "the last words" {
		t.Errorf("after a clean end the reader got %q and %v", c.bytes(), err)
	}
	b.drop(c)
	all.flush()
	if _, err = b.next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want %v", err, io.EOF)
	}
}

// A third of a second of full messages is a download; what a conversation looks like is none, however long it lasts.
func TestReaderRestsInDownloadsAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		strand bool
		sizes  []int
		bulk   bool
	}{
		"a download: 32 KiB frames of the mux end in a small message": {false, append(large(32), 140), true},
		"acknowledges":                       {false, []int{330}, false},
		"answers of a kilobyte":              {false, []int{1144, 130, 330, 330}, false},
		"answers of a dozen, each asked for": {false, append(large(12), 330, 330), false},
		"a download by strands, each 8 KiB acknowledged by the bundle":        {true, append(large(8), 330), true},
		"the same, each 8 KiB of the bundle ending in a small message":        {true, append(large(8), 140, 330), true},
		"a strand's answers of a kilobyte":                                    {true, []int{1144, 330}, false},
		"a strand's answers of four, each asked for":                          {true, append(large(4), 330, 330), false},
		"what would be a strand's download is a conversation for other lanes": {false, append(large(8), 330), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := pump{channel: &channel{strand: tt.strand}}
			for range 400 {
				for _, size := range tt.sizes {
					p.measure(size)
				}
			}
			if got := p.bulk >= bulkAfter; got != tt.bulk {
				t.Errorf("after 400 rounds it is a download: %t", got)
			}
		})
	}
	p := pump{channel: &channel{}}
	for n := range bulkAfter - 1 {
		p.measure(1144)
		if p.bulk >= bulkAfter {
			t.Fatalf("%d messages are a download already", n+1)
		}
	}
}

// large are the sizes of full messages.
func large(times int) []int {
	all := make([]int, times)
	for i := range all {
		all[i] = 1144
	}
	return all
}

func BenchmarkInbox(b *testing.B) {
	in, all := directInbox(func(p []byte) int { return len(p) })
	message := make([]byte, 1024)
	b.SetBytes(1024)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		in.push(message)
		if n%8 == 0 {
			all.flush()
		}
	}
	all.flush()
}

// Between the messages that bring a frame its reader sleeps: it is woken when all of it is there, or the stream has ended.
func TestInboxWakesAReaderForAllThatItWaitsFor(t *testing.T) {
	woken := func(b *inbox) bool {
		select {
		case <-b.change:
			return true
		default:
			return false
		}
	}
	b := &inbox{}
	b.init(&inboxes{})
	b.least = 2000
	if b.push(make([]byte, 1024)); woken(b) {
		t.Error("the reader is woken for half of what it waits for")
	}
	if b.push(make([]byte, 1024)); !woken(b) {
		t.Error("the reader is not woken for all of it")
	}
	b.least = 5000
	if b.finish(io.EOF); !woken(b) {
		t.Error("the reader is not woken for the end")
	}
	if c, err := b.nextOf(t.Context(), 5000); err != nil || len(c.bytes()) != 2048 {
		t.Errorf("at the end it gets %d bytes and %v, want what had come before it", len(c.bytes()), err)
	}
}

// A strand's reader that waits for a frame gets what is left of the head's message, then the rest in one piece, and reads on as usual.
func TestAStrandGivesAFrameWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &strand{stream: &stream{}, ctx: t.Context()}
		s.stream.inbox.init(&inboxes{})
		message := make([]byte, 1024)
		s.stream.inbox.push(message[:16])
		p := make([]byte, 4096)
		if n, err := s.Read(p[:10]); n != 10 || err != nil {
			t.Fatalf("the head: %d bytes, %v", n, err)
		}
		s.Await(6 + 2048)
		go func() {
			for range 2 {
				time.Sleep(time.Second)
				s.stream.inbox.push(message)
			}
			time.Sleep(time.Second)
			s.stream.inbox.push(message[:7])
		}()
		for _, want := range []struct {
			n  int
			at time.Duration
		}{{6, 0}, {2048, 2 * time.Second}, {7, time.Second}} {
			began := time.Now()
			if n, err := s.Read(p); n != want.n || err != nil || time.Since(began) != want.at {
				t.Errorf("%d bytes after %s, %v, want %d after %s", n, time.Since(began), err, want.n, want.at)
			}
		}
	})
}

// Only the lanes of a relay's inner tunnel carry strands.
func TestALaneKnowsThatItCarriesAStrand(t *testing.T) {
	e := New(Options{})
	for _, s := range []*strands{nil, {}} {
		r := &runner{Tunnel: newTunnel(e, 1, Spec{Remote: Endpoint{Port: 80}}, &listener{})}
		r.later.Stop()
		r.strands = s
		if got := r.newLane().channel.strand; got != (s != nil) {
			t.Errorf("a lane of a tunnel with strands %v carries one: %t", s, got)
		}
	}
}
