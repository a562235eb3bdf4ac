package bond

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// enter is a connection that has said hello by hand.
func enter(t *testing.T, r *Relay) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	r.Take(far)
	a, err := exchange(near, hello{version: Version, purpose: purposeNew, strand: 1, bundle: id{byte(time.Now().UnixNano())}})
	if err == nil {
		err = a.judge()
	}
	if err != nil {
		t.Fatal(err)
	}
	return near
}

func (h header) with(payload ...byte) []byte {
	h.length = uint16(len(payload))
	b := make([]byte, headerSize+len(payload))
	h.put(b)
	copy(b[headerSize:], payload)
	return b
}

// What no end sends ends the bundle, and nothing else of the relay.
func TestWhatIsNotTheProtocolEndsTheBundle(t *testing.T) {
	open := header{kind: kindOpen, stream: 1, offset: 1 << 20}.with(0, portEcho)
	for name, frames := range map[string][][]byte{
		"kind":                {header{kind: 77}.with()},
		"length of an open":   {header{kind: kindOpen, stream: 1}.with(0)},
		"flags":               {header{kind: kindPing, flags: flagFin}.with()},
		"length of data":      {header{kind: kindData, stream: 1}.with(make([]byte, frameLimit+1)...)},
		"an ack of nothing":   {header{kind: kindAck, offset: 1}.with()},
		"opened to the relay": {header{kind: kindOpened, stream: 1}.with()},
		"an id far ahead":     {header{kind: kindOpen, stream: idsAhead + 2}.with(0, portEcho)},
		"an offset":           {header{kind: kindData, stream: 1, offset: math.MaxUint64 - 1}.with(1, 2, 3)},
		"more than its credit": {
			header{kind: kindData, stream: 1, offset: earlyCredit - 1}.with(1, 2),
		},
		"data behind the end": {
			header{kind: kindData, flags: flagFin, stream: 1}.with(1),
			header{kind: kindData, stream: 1, offset: 1}.with(2),
		},
		"two ends": {
			open,
			header{kind: kindData, flags: flagFin, stream: 1, offset: 5}.with(1),
			header{kind: kindData, flags: flagFin, stream: 1, offset: 7}.with(1),
		},
		"an end before what has come": {
			header{kind: kindData, stream: 1, offset: 9}.with(1),
			header{kind: kindData, flags: flagFin, stream: 1, offset: 2}.with(1),
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			relay := &Relay{Targets: []uint16{portEcho}, Dial: dialModel}
			defer relay.Close()
			conn := enter(t, relay)
			defer conn.Close()
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			for _, f := range frames {
				_, _ = conn.Write(f)
			}
			time.Sleep(time.Second)
			if c := relay.Counts(); c.Bundles != 0 {
				t.Errorf("%s: the bundle lives on: %+v", name, c)
			}
			b := New(Config{})
			defer b.Close()
			pipes(t, b, relay, 1)
			if s, err := b.Open(t.Context(), portEcho); err != nil {
				t.Errorf("%s: another bundle: %v", name, err)
			} else {
				_ = s.Close()
			}
		})
	}
}

// The near end takes no more from a relay.
func TestWhatIsNoRelaysEndsTheBundleAtTheNearEnd(t *testing.T) {
	for name, frame := range map[string][]byte{
		"an open":              header{kind: kindOpen, stream: 1}.with(0, 80),
		"a stream that is not": header{kind: kindData, stream: 9}.with(1),
		"an ack":               header{kind: kindAck, offset: 1 << 40}.with(),
		"more than credit":     header{kind: kindData, stream: 1, offset: firstCredit}.with(1),
	} {
		synctest.Test(t, func(t *testing.T) {
			b := New(Config{})
			defer b.Close()
			near, far := net.Pipe()
			defer far.Close()
			go func() {
				if _, err := readHello(far); err != nil {
					return
				}
				_, _ = far.Write(answer{version: Version}.bytes())
				go func() { _, _ = io.Copy(io.Discard, far) }()
				time.Sleep(time.Second)
				_, _ = far.Write(frame)
			}()
			if _, err := b.Join(t.Context(), near); err != nil {
				t.Fatal(err)
			}
			s, err := b.Begin(portEcho)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Read(make([]byte, 1))
			if wrong, is := errors.AsType[*protocolError](err); !is {
				t.Errorf("%s: got %v, want an error of the protocol", name, wrong)
			}
		})
	}
}

// Streams, bundles, strands and connections without a hello are bounded, and each bound lets go.
func TestTheRelayIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := &Relay{Targets: []uint16{portEcho}, Dial: dialModel, Limits: Limits{Streams: 3, Bundles: 2, Strands: 2}}
		defer relay.Close()
		first, second, third := New(Config{}), New(Config{}), New(Config{})
		defer first.Close()
		defer second.Close()
		defer third.Close()
		join := func(b *Bundle) error {
			near, far := net.Pipe()
			relay.Take(far)
			_, err := b.Join(t.Context(), near)
			return err
		}
		for i, c := range []struct {
			b    *Bundle
			want error
		}{{first, nil}, {first, nil}, {first, ErrFull}, {second, nil}, {third, ErrFull}} {
			if err := join(c.b); !errors.Is(err, c.want) {
				t.Errorf("join %d: got %v, want %v", i, err, c.want)
			}
		}
		var streams []*Stream
		for range 3 {
			s, err := first.Open(t.Context(), portEcho)
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		if _, err := first.Open(t.Context(), portEcho); !errors.Is(err, ErrBusy) {
			t.Errorf("a fourth stream: got %v, want ErrBusy", err)
		}
		_ = streams[0].Close()
		time.Sleep(time.Second)
		if s, err := first.Open(t.Context(), portEcho); err != nil {
			t.Errorf("when one has gone: %v", err)
		} else {
			_ = s.Close()
		}
		_ = second.Close()
		time.Sleep(strandless + rest)
		fourth := New(Config{})
		defer fourth.Close()
		if err := join(fourth); err != nil {
			t.Errorf("when a bundle has gone: %v", err)
		}

		var mute []net.Conn
		for range callersLimit + 10 {
			near, far := net.Pipe()
			relay.Take(far)
			mute = append(mute, near)
		}
		if _, err := mute[callersLimit+5].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("one too many that says nothing: got %v, want EOF", err)
		}
		began := time.Now()
		if _, err := mute[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) > helloWithin {
			t.Errorf("one that says nothing: got %v after %s", err, time.Since(began))
		}
	})
}

// Whoever does not read what he asked for holds little of the relay, and none of what others have.
func TestWhoDoesNotReadHoldsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		hostile := enter(t, l.relay) // grants all, reads nothing
		defer hostile.Close()
		for i := range uint32(1000) {
			_, _ = hostile.Write(header{kind: kindOpen, stream: i + 1, offset: 1 << 40}.with(0, portSource))
			_, _ = hostile.Write(header{kind: kindData, stream: i + 1}.with(binary.BigEndian.AppendUint64(nil, 1<<40)...))
			_, _ = hostile.Write(header{kind: kindData, stream: i + 1, offset: 8}.with(make([]byte, 8)...))
		}
		time.Sleep(time.Second)
		var held uint64
		l.relay.mu.Lock()
		for _, e := range l.relay.bundles {
			held += l.memory(e)
		}
		l.relay.mu.Unlock()
		if held > l.relay.bounds.Hold {
			t.Errorf("it holds %d bytes", held)
		}
		l.strands(2)
		if took, _ := l.download(2 << 20); took > 1500*time.Millisecond {
			t.Errorf("a download beside it takes %s", took)
		}
	})
}

// FuzzFarEnd has anybody say anything to a relay, on two strands of one bundle.
func FuzzFarEnd(f *testing.F) {
	open := header{kind: kindOpen, stream: 1, offset: 1 << 20}.with(0, portEcho)
	f.Add(open, header{kind: kindData, stream: 1}.with([]byte("culvert")...))
	f.Add(append(open, header{kind: kindData, flags: flagFin, stream: 1, offset: 3}.with(4)...), header{kind: kindData, stream: 1}.with(1, 2, 3))
	f.Add(append(open, header{kind: kindStop, stream: 1}.with()...), header{kind: kindReset, stream: 1}.with(1))
	f.Add(header{kind: kindState, stream: 2, offset: 1}.with(1), append(header{kind: kindAck, offset: 18}.with(), header{kind: kindPing}.with()...))
	f.Add(header{kind: kindState, stream: 1, offset: 1}.with(2), header{kind: kindCredit, stream: 1, offset: 9}.with())
	f.Fuzz(func(t *testing.T, first, second []byte) {
		synctest.Test(t, func(t *testing.T) {
			relay := &Relay{Targets: []uint16{portEcho, portSource}, Dial: dialModel, Limits: Limits{Streams: 4}}
			defer relay.Close()
			one := enter(t, relay)
			relay.mu.Lock()
			var bundle id
			for name := range relay.bundles {
				bundle = name
			}
			relay.mu.Unlock()
			two, far := net.Pipe()
			relay.Take(far)
			a, err := exchange(two, hello{version: Version, purpose: purposeJoin, strand: 2, bundle: bundle, instance: relay.instance})
			if err != nil || a.judge() != nil {
				t.Fatal(err, a.judge())
			}
			for conn, says := range map[net.Conn][]byte{one: first, two: second} {
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				go func() { _, _ = conn.Write(says) }()
			}
			time.Sleep(3 * time.Second)
			l := &lab{T: t, relay: relay}
			if e := l.far(); e != nil && l.memory(e) > relay.bounds.Credit+relay.bounds.Hold {
				t.Errorf("it holds %d bytes", l.memory(e))
			}
			_ = one.Close()
			_ = two.Close()
		})
	})
}

// FuzzNearEnd has a relay answer anything.
func FuzzNearEnd(f *testing.F) {
	welcome := answer{version: Version, build: "1.2.3"}.bytes()
	f.Add(welcome, header{kind: kindOpened, stream: 1, offset: 1 << 20}.with())
	f.Add(welcome, append(header{kind: kindData, stream: 1}.with(1), header{kind: kindReset, stream: 1}.with(2)...))
	f.Add(answer{version: 9, verdict: verdictVersion, build: "9"}.bytes(), []byte{})
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), []byte{})
	f.Add(append(answer{version: Version}.bytes(), "no frame of this protocol"...), []byte{})
	f.Fuzz(func(t *testing.T, hello, says []byte) {
		synctest.Test(t, func(t *testing.T) {
			b := New(Config{})
			defer b.Close()
			near, far := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, far) }()
			var saying sync.WaitGroup
			defer saying.Wait()
			defer far.Close()
			saying.Go(func() {
				_, _ = far.Write(hello)
				time.Sleep(time.Second)
				_, _ = far.Write(says)
			})
			if _, err := b.Join(t.Context(), near); err != nil {
				if text := err.Error(); len(text) > 1000 || strings.ContainsAny(text, "\n\x1b") {
					t.Errorf("an error of %d bytes: %q", len(text), text)
				}
				return
			}
			s, err := b.Begin(1)
			if err != nil {
				if b.Err() == nil { // else what followed the answer has ended the bundle already
					t.Fatal(err)
				}
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_ = s.Opened(ctx)
			_ = s.SetReadDeadline(time.Now().Add(time.Second))
			n, _ := io.Copy(io.Discard, s)
			if n > int64(len(says)) {
				t.Errorf("read %d bytes of %d", n, len(says))
			}
		})
	})
}

// FuzzReceived compares what is put together from pieces, and read meanwhile, with the bytes themselves.
func FuzzReceived(f *testing.F) {
	f.Add([]byte{0, 8, 16, 8, 4, 16})
	f.Add([]byte{0, 8, 16, 89, 4, 121, 125, 125}) // the third fills a gap and goes on behind what it overlaps, and the fourth needs a buffer
	f.Fuzz(func(t *testing.T, cuts []byte) {
		const unit, length = 51, 300 // units, so that pieces have the buffers of usual frames
		whole := make([]byte, length*unit)
		for i := range whole {
			whole[i] = byte(i * 7 / 3)
		}
		var r received
		var there [length]bool
		var got []byte
		read := func(some []byte) { got = append(got, some[:r.take(some)]...) }
		for i := 0; i+1 < len(cuts); i += 2 {
			at := int(cuts[i])
			end := min(at+int(cuts[i+1]), length)
			if at < end {
				r.add(uint64(at*unit), append(takePayload((end - at) * unit)[:0], whole[at*unit:end*unit]...))
			}
			for k := at; k < end; k++ {
				there[k] = true
			}
			read(make([]byte, int(cuts[i+1])*unit/2))
		}
		next, held := 0, -len(got)
		for next < len(there) && there[next] {
			next++
		}
		for _, is := range there {
			if is {
				held += unit
			}
		}
		if r.next != uint64(next*unit) || r.buffered != uint64(held) {
			t.Fatalf("next %d of %d bytes, want %d of %d", r.next, r.buffered, next*unit, held)
		}
		if read(make([]byte, len(whole))); !bytes.Equal(got, whole[:next*unit]) {
			t.Fatalf("read %d bytes, not the first %d", len(got), next*unit)
		}
	})
}
