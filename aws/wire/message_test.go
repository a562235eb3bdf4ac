package wire_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"culvert/aws/wire"
)

func TestMain(m *testing.M) {
	// AWS's message package brings a logger that starts one goroutine when it is imported.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cihub/seelog.(*asyncLoopLogger).processQueue"))
}

// sample is the message of the golden frame.
func sample() wire.Message {
	return wire.Message{
		Type:     wire.InputStream,
		Schema:   1,
		Created:  0x0102030405060708,
		Sequence: 9,
		Flags:    wire.FlagsAck,
		ID:       wire.ID{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff},
		Payload:  wire.Output,
		Body:     []byte("hello"),
	}
}

// golden is sample as it stands on the wire, written down field by field from wire.md.
const golden = "" +
	"00000074" + // header length 116
	"696e7075745f73747265616d5f64617461" + "202020202020202020202020202020" + // "input_stream_data" and 15 spaces
	"00000001" + // schema
	"0102030405060708" + // created
	"0000000000000009" + // sequence
	"0000000000000003" + // flags
	"8899aabbccddeeff" + "0011223344556677" + // id, low half first
	"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" + // sha256("hello")
	"00000001" + // payload type
	"00000005" + // payload length
	"68656c6c6f"

func goldenFrame(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppendWritesTheGoldenBytes(t *testing.T) {
	m := sample()
	got, err := m.Append([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	if want := append([]byte("before"), goldenFrame(t)...); !bytes.Equal(got, want) {
		t.Errorf("got\n%x\nwant\n%x", got, want)
	}
}

func TestParseReadsTheGoldenBytes(t *testing.T) {
	got, err := wire.Parse(goldenFrame(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Errorf("parsed message (-want +got):\n%s", diff)
	}
}

func TestAppendRefusesWhatNoReceiverTakes(t *testing.T) {
	for name, spoil := range map[string]func(*wire.Message){
		"no type":         func(m *wire.Message) { m.Type = "" },
		"33 bytes a type": func(m *wire.Message) { m.Type = wire.Type(strings.Repeat("t", 33)) },
		"no body":         func(m *wire.Message) { m.Body = nil },
	} {
		t.Run(name, func(t *testing.T) {
			m := sample()
			spoil(&m)
			got, err := m.Append([]byte("before"))
			if !errors.Is(err, wire.ErrInvalid) {
				t.Errorf("got error %v, want ErrInvalid", err)
			}
			if string(got) != "before" {
				t.Errorf("got %q, want the buffer as it was", got)
			}
		})
	}
}

func TestParseRefusesHostileFrames(t *testing.T) {
	put32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], v); return b }
	}
	for name, c := range map[string]struct {
		spoil func([]byte) []byte
		want  error
	}{
		"empty":                           {func([]byte) []byte { return nil }, wire.ErrShort},
		"one byte short of a header":      {func(b []byte) []byte { return b[:119] }, wire.ErrShort},
		"a megabyte and a byte":           {func([]byte) []byte { return make([]byte, wire.MaxFrame+1) }, wire.ErrLong},
		"header length 0":                 {put32(0, 0), wire.ErrHeader},
		"header length inside the header": {put32(0, 115), wire.ErrHeader},
		"header length behind the frame":  {put32(0, 122), wire.ErrHeader},
		"header length that wraps":        {put32(0, 0xffffffff), wire.ErrHeader},
		"header length that wraps to 0":   {put32(0, 0xfffffffc), wire.ErrHeader},
		"no type":                         {func(b []byte) []byte { copy(b[4:36], bytes.Repeat([]byte{' '}, 32)); return b }, wire.ErrInvalid},
		"no date":                         {func(b []byte) []byte { clear(b[40:48]); return b }, wire.ErrInvalid},
		"another digest":                  {func(b []byte) []byte { b[80] ^= 1; return b }, wire.ErrDigest},
		"another body":                    {func(b []byte) []byte { b[120] ^= 1; return b }, wire.ErrDigest},
		"a body cut short":                {func(b []byte) []byte { return b[:124] }, wire.ErrDigest},
		"wrong digest, length said to be 0": {func(b []byte) []byte {
			b[80] ^= 1
			return put32(116, 0)(b)
		}, wire.ErrDigest},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := wire.Parse(c.spoil(goldenFrame(t))); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestParseTakesWhatBothAWSReceiversTake(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"type padded with NUL":       func(b []byte) []byte { clear(b[21:36]); return b },
		"a payload length that lies": func(b []byte) []byte { binary.BigEndian.PutUint32(b[116:], 77); return b },
		"a longer header": func(b []byte) []byte {
			binary.BigEndian.PutUint32(b, 124)
			return append(b[:120:120], append([]byte("12345678"), b[120:]...)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := wire.Parse(change(goldenFrame(t)))
			if err != nil {
				t.Fatal(err)
			}
			if got.Type != wire.InputStream || string(got.Body) != "hello" {
				t.Errorf("got %q with %q, want %q with hello", got.Type, got.Body, wire.InputStream)
			}
		})
	}
}

func TestPublicationMessagesSkipValidation(t *testing.T) {
	for _, kind := range []wire.Type{wire.StartPublication, wire.PausePublication} {
		frame := make([]byte, wire.Overhead)
		copy(frame[4:], kind)
		got, err := wire.Parse(frame)
		if err != nil {
			t.Fatalf("parse a bare %s: %v", kind, err)
		}
		if got.Type != kind || !got.Type.Control() {
			t.Errorf("got %q, control %t; want %q, true", got.Type, got.Type.Control(), kind)
		}
	}
	if wire.InputStream.Control() {
		t.Error("got stream data for a control message")
	}
}

func TestParseNeitherCopiesNorAllocatesOnTheHotPath(t *testing.T) {
	frame := goldenFrame(t)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := wire.Parse(frame); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations a message, want 0", n)
	}
	m, err := wire.Parse(frame)
	if err != nil {
		t.Fatal(err)
	}
	if &m.Body[0] != &frame[120] {
		t.Error("got a copied body, want a part of the frame")
	}
}

func TestAppendIntoRoomDoesNotAllocate(t *testing.T) {
	m, room := sample(), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := m.Append(room); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations a message, want 0", n)
	}
}

func TestAFullSizedMessageSurvives(t *testing.T) {
	m := sample()
	m.Body = bytes.Repeat([]byte{0xa5}, wire.MaxFrame-wire.Overhead)
	frame, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.Parse(frame)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(got.Body) != sha256.Sum256(m.Body) {
		t.Errorf("got a body of %d bytes that differs, want %d bytes unchanged", len(got.Body), len(m.Body))
	}
}

func TestIDReadsAsUsual(t *testing.T) {
	if got, want := sample().ID.String(), "00112233-4455-6677-8899-aabbccddeeff"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMillisCountsFromTheEpoch(t *testing.T) {
	if got := wire.Millis(time.Unix(1, 234_567_890)); got != 1234 {
		t.Errorf("got %d, want 1234", got)
	}
}
