package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/xtaci/smux"

	"culvert/aws/wire"
)

// muxConfig is smux as the agent runs it: version 1, the library's defaults.
func muxConfig(keepAlive time.Duration) *smux.Config {
	c := smux.DefaultConfig()
	c.Version = 1
	c.KeepAliveDisabled = keepAlive == 0
	if keepAlive > 0 {
		c.KeepAliveInterval = keepAlive
	}
	return c
}

// nextFrame reads one mux frame as a receiver of ours does.
func nextFrame(t testing.TB, r io.Reader) (wire.MuxFrame, []byte) {
	t.Helper()
	var header [wire.MuxHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		t.Fatalf("read a mux header: %v", err)
	}
	f, err := wire.ParseMux(header[:])
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, f.Length)
	if _, err := io.ReadFull(r, data); err != nil {
		t.Fatalf("read the data of %+v: %v", f, err)
	}
	return f, data
}

func TestWhatASmuxClientWritesParses(t *testing.T) {
	ours, theirs := net.Pipe()
	if err := ours.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	session, err := smux.Client(theirs, muxConfig(0))
	if err != nil {
		t.Fatal(err)
	}
	long := bytes.Repeat([]byte("0123456789abcdef"), 5000) // 80,000 bytes: more than one frame
	done := make(chan error, 1)
	go func() {
		stream, err := session.OpenStream()
		if err == nil {
			_, err = stream.Write([]byte("hello"))
		}
		if err == nil {
			_, err = stream.Write(long)
		}
		if err == nil {
			err = stream.Close()
		}
		done <- err
	}()

	opened, _ := nextFrame(t, ours)
	if opened.Command != wire.MuxOpen || opened.Length != 0 || opened.Stream%2 != 1 {
		t.Errorf("got %+v first, want an open of an odd stream", opened)
	}
	pushed, data := nextFrame(t, ours)
	if pushed.Command != wire.MuxPush || pushed.Stream != opened.Stream || string(data) != "hello" {
		t.Errorf("got %+v with %q, want a push of hello", pushed, data)
	}
	var got []byte
	for {
		f, data := nextFrame(t, ours)
		if f.Stream != opened.Stream {
			t.Errorf("got a frame of stream %d, want %d", f.Stream, opened.Stream)
		}
		if f.Command == wire.MuxClose {
			break
		}
		got = append(got, data...)
	}
	if !bytes.Equal(got, long) {
		t.Errorf("got %d bytes before the close, want the %d written", len(got), len(long))
	}
	if err := <-done; err != nil {
		t.Errorf("write through smux: %v", err)
	}
	// The pipe first: smux's own close waits for its writer.
	_ = ours.Close()
	_ = session.Close()
}

func TestASmuxKeepAliveParses(t *testing.T) {
	ours, theirs := net.Pipe()
	if err := ours.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	session, err := smux.Client(theirs, muxConfig(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	f, _ := nextFrame(t, ours)
	if f.Command != wire.MuxNop || f.Length != 0 {
		t.Errorf("got %+v, want an empty keepalive", f)
	}
	_ = ours.Close()
	_ = session.Close()
}

func TestASmuxServerReadsWhatWeWrite(t *testing.T) {
	ours, theirs := net.Pipe()
	if err := ours.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	session, err := smux.Server(theirs, muxConfig(0))
	if err != nil {
		t.Fatal(err)
	}
	const id = 0x01020305
	most := bytes.Repeat([]byte{0x5a}, wire.MuxMaxData)
	frames := wire.MuxFrame{Command: wire.MuxOpen, Stream: id}.Append(nil)
	frames = wire.MuxFrame{Command: wire.MuxNop}.Append(frames)
	frames = append(wire.MuxFrame{Command: wire.MuxPush, Stream: id, Length: 5}.Append(frames), "hello"...)
	frames = append(wire.MuxFrame{Command: wire.MuxPush, Stream: id, Length: wire.MuxMaxData}.Append(frames), most...)
	frames = wire.MuxFrame{Command: wire.MuxClose, Stream: id}.Append(frames)
	done := make(chan error, 1)
	go func() {
		_, err := ours.Write(frames)
		done <- err
	}()

	stream, err := session.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	if stream.ID() != id {
		t.Errorf("got stream %#x, want %#x", stream.ID(), id)
	}
	got, err := io.ReadAll(stream)
	if err != nil {
		t.Errorf("read the stream: %v", err)
	}
	if want := append([]byte("hello"), most...); !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want the %d written", len(got), len(want))
	}
	if err := <-done; err != nil {
		t.Errorf("write to smux: %v", err)
	}
	_ = ours.Close()
	_ = session.Close()
}

func TestMuxGoldenBytes(t *testing.T) {
	f := wire.MuxFrame{Command: wire.MuxPush, Length: 0x0102, Stream: 0x03040506}
	want := []byte{1, 2, 0x02, 0x01, 0x06, 0x05, 0x04, 0x03} // little endian
	if got := f.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if got, err := wire.ParseMux(want); err != nil || got != f {
		t.Errorf("got %+v, %v back, want %+v", got, err, f)
	}
}

func TestParseMuxRefusesWhatIsNotVersion1(t *testing.T) {
	for name, c := range map[string]struct {
		header []byte
		want   error
	}{
		"seven bytes":           {make([]byte, 7), wire.ErrShort},
		"version 2":             {[]byte{2, 0, 0, 0, 3, 0, 0, 0}, wire.ErrInvalid},
		"version 0":             {[]byte{0, 0, 0, 0, 3, 0, 0, 0}, wire.ErrInvalid},
		"the update of v2":      {[]byte{1, 4, 8, 0, 3, 0, 0, 0}, wire.ErrInvalid},
		"an open with data":     {[]byte{1, 0, 1, 0, 3, 0, 0, 0}, wire.ErrInvalid},
		"a keepalive with data": {[]byte{1, 3, 1, 0, 0, 0, 0, 0}, wire.ErrInvalid},
		"a command of no smux":  {[]byte{1, 255, 0, 0, 3, 0, 0, 0}, wire.ErrInvalid},
	} {
		if f, err := wire.ParseMux(c.header); !errors.Is(err, c.want) {
			t.Errorf("%s: got %+v, %v, want %v", name, f, err, c.want)
		}
	}
}
