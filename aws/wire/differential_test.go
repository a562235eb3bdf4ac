package wire_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/session-manager-plugin/src/log"
	"github.com/aws/session-manager-plugin/src/message"
	awsversion "github.com/aws/session-manager-plugin/src/version"
	"github.com/twinj/uuid"

	"culvert/aws/wire"
)

// The codec against AWS's own, both directions. Each target runs its seeds and kept corpus (testdata/fuzz) in every
// test run; `make fuzz` looks for more.

// quiet is the plugin's logger without a voice; any method that the codec does not call panics.
type quiet struct{ log.T }

func (quiet) Debugf(string, ...any)                      {}
func (quiet) Error(v ...any) error                       { return errors.New(fmt.Sprint(v...)) }
func (quiet) Errorf(format string, v ...any) (err error) { return fmt.Errorf(format, v...) }

// theirParse is the plugin's receive path; panicked stands for the frames that make its reader go deaf.
func theirParse(frame []byte) (m message.ClientMessage, panicked bool, err error) {
	defer func() { panicked = recover() != nil }()
	if err = m.DeserializeClientMessage(quiet{}, frame); err == nil {
		err = m.Validate()
	}
	return m, false, err
}

func theirMessage(m wire.Message) message.ClientMessage {
	return message.ClientMessage{
		MessageType: string(m.Type), SchemaVersion: m.Schema, CreatedDate: m.Created, SequenceNumber: m.Sequence,
		Flags: m.Flags, MessageId: uuid.New(m.ID[:]), PayloadType: uint32(m.Payload), Payload: m.Body,
	}
}

// differ says where two readings of a frame are not the same; empty when they agree.
func differ(ours wire.Message, theirs message.ClientMessage) string {
	var fields []string
	note := func(name string, same bool, a, b any) {
		if !same {
			fields = append(fields, fmt.Sprintf("%s: ours %v, theirs %v", name, a, b))
		}
	}
	// Receivers cut padding in their own order; what counts is what is left without any.
	bare := func(s string) string { return strings.Trim(s, "\x00 \t\n\v\f\r\u0085\u00a0") }
	note("type", bare(string(ours.Type)) == bare(theirs.MessageType) || padded(string(ours.Type)) || padded(theirs.MessageType), ours.Type, theirs.MessageType)
	note("schema", ours.Schema == theirs.SchemaVersion, ours.Schema, theirs.SchemaVersion)
	note("created", ours.Created == theirs.CreatedDate, ours.Created, theirs.CreatedDate)
	note("sequence", ours.Sequence == theirs.SequenceNumber, ours.Sequence, theirs.SequenceNumber)
	note("flags", ours.Flags == theirs.Flags, ours.Flags, theirs.Flags)
	note("id", bytes.Equal(ours.ID[:], theirs.MessageId.Bytes()), ours.ID, theirs.MessageId)
	note("payload type", uint32(ours.Payload) == theirs.PayloadType, ours.Payload, theirs.PayloadType)
	if !ours.Type.Control() {
		note("body", bytes.Equal(ours.Body, theirs.Payload), ours.Body, theirs.Payload)
	}
	return strings.Join(fields, "\n")
}

// padded reports a type that is not plain ASCII: Unicode has more blanks than padding, and nobody sends them.
func padded(kind string) bool {
	return strings.ContainsFunc(kind, func(r rune) bool { return r <= ' ' || r > '~' })
}

func FuzzEncodingEqualsAWSs(f *testing.F) {
	s := sample()
	f.Add(string(s.Type), s.Schema, s.Created, s.Sequence, s.Flags, s.ID[:], uint32(s.Payload), s.Body)
	f.Add(string(wire.Acknowledge), uint32(1), uint64(1), int64(0), wire.FlagsAck, []byte("0123456789abcdef"), uint32(0), []byte(`{}`))
	f.Add(string(wire.OutputStream), uint32(0), uint64(0), int64(-1), ^uint64(0), []byte{}, ^uint32(0), []byte{'\n'})
	f.Add("", uint32(1), uint64(1), int64(1), uint64(0), []byte{}, uint32(1), []byte("x"))
	f.Add(strings.Repeat("t", 33), uint32(1), uint64(1), int64(1), uint64(0), []byte{}, uint32(1), []byte("x"))
	f.Add(string(wire.InputStream), uint32(1), uint64(1), int64(1), uint64(0), []byte{}, uint32(1), []byte{})
	f.Add("0\u2007", uint32(0), uint64(92), int64(0), uint64(11), []byte("0"), uint32(1), []byte("0")) // a blank to AWS's alone
	f.Fuzz(func(t *testing.T, kind string, schema uint32, created uint64, sequence int64, flags uint64, id []byte, payload uint32, body []byte) {
		m := wire.Message{
			Type: wire.Type(kind), Schema: schema, Created: created, Sequence: sequence, Flags: flags,
			Payload: wire.PayloadType(payload), Body: body,
		}
		copy(m.ID[:], id)
		theirs := theirMessage(m)
		want, theirErr := theirs.SerializeClientMessage(quiet{})
		got, ourErr := m.Append(nil)
		switch {
		case ourErr != nil && kind == "": // both receivers refuse an empty type, so writing one is an error here
			return
		case (ourErr != nil) != (theirErr != nil):
			t.Fatalf("got error %v, AWS's encoder says %v", ourErr, theirErr)
		case ourErr != nil:
			return
		case !bytes.Equal(got, want):
			t.Fatalf("got\n%x\nAWS's encoder writes\n%x", got, want)
		}
		// What was written reads back equal on either side.
		back, ourErr := wire.Parse(got)
		read, panicked, theirErr := theirParse(got)
		if panicked {
			t.Fatal("AWS's decoder panics on a frame of ours")
		}
		if (ourErr != nil) != (theirErr != nil) && !padded(kind) {
			t.Fatalf("reading our frame: got error %v, AWS's decoder says %v", ourErr, theirErr)
		}
		if ourErr == nil && theirErr == nil {
			if d := differ(back, read); d != "" {
				t.Fatal(d)
			}
		}
	})
}

// refusedByUs are the frames that AWS's client takes and Parse does not, with the reason why not.
func refusedByUs(frame []byte, err error) bool {
	if len(frame) >= wire.Overhead && wire.Type(strings.TrimSpace(strings.Trim(string(frame[4:36]), "\x00"))).Control() {
		return true // a newline is padding to AWS's, which makes this a publication message: to us it is a type to ignore
	}
	switch {
	case errors.Is(err, wire.ErrLong): // AWS's has no bound; nobody sends a megabyte
		return len(frame) > wire.MaxFrame
	case errors.Is(err, wire.ErrHeader): // its payload would begin inside the header, or wrap round
		head := binary.BigEndian.Uint32(frame)
		return head < 116 || head > 0xffffffff-4
	case errors.Is(err, wire.ErrDigest): // AWS's skips the digest when the length field, which nobody slices by, is 0
		return binary.BigEndian.Uint32(frame[116:]) == 0
	case errors.Is(err, wire.ErrInvalid): // blanks and NULs by turns are a type to AWS's and padding to us
		return strings.Trim(string(frame[4:36]), " \x00") == ""
	}
	return false
}

// refusedByThem are the frames that Parse takes and AWS's client does not, with the reason why they are harmless.
func refusedByThem(frame []byte, m wire.Message, panicked bool) bool {
	switch {
	case m.Type.Control(): // its header counts for nothing here, and makes AWS's slice wildly
		return true
	case panicked:
		return false
	case len(m.Body) == 0: // AWS's checks the digest of nothing when the length field says there is something
		return binary.BigEndian.Uint32(frame[116:]) != 0
	}
	return strings.TrimSpace(strings.Trim(string(frame[4:36]), "\x00")) == "" // other blanks: an unknown type, ignored
}

// sign puts the right digest into a frame, without which few mutations get past it.
func sign(frame []byte) {
	if len(frame) < wire.Overhead {
		return
	}
	start := uint64(binary.BigEndian.Uint32(frame)) + 4
	if start >= wire.Overhead && start <= uint64(len(frame)) {
		digest := sha256.Sum256(frame[start:])
		copy(frame[80:112], digest[:])
	}
}

func FuzzParseAgreesWithAWSs(f *testing.F) {
	golden := goldenFrame(f)
	f.Add([]byte{}, false)
	f.Add(golden, false)
	f.Add(golden[:120], false)
	f.Add(golden[:119], true)
	for _, at := range []int{0, 3, 4, 35, 36, 40, 47, 48, 63, 64, 79, 80, 111, 112, 116, 119, 120} {
		for _, b := range []byte{0, 0x20, 0x7f, 0xff} {
			f.Add(append(append(bytes.Clone(golden[:at]), b), golden[at+1:]...), b == 0x7f)
		}
	}
	for _, kind := range []wire.Type{wire.StartPublication, wire.PausePublication, wire.ChannelClosed, wire.Acknowledge} {
		m := sample()
		m.Type = kind
		frame, err := m.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame, true)
	}
	f.Fuzz(func(t *testing.T, frame []byte, honest bool) {
		if honest {
			sign(frame)
		}
		before := bytes.Clone(frame)
		ours, ourErr := wire.Parse(frame)
		if !bytes.Equal(before, frame) {
			t.Fatal("parsing changed the frame")
		}
		theirs, panicked, theirErr := theirParse(frame)
		switch theyTake := theirErr == nil && !panicked; {
		case ourErr == nil && theyTake:
			if d := differ(ours, theirs); d != "" {
				t.Fatalf("%s\nframe %x", d, frame)
			}
		case ourErr == nil:
			if !refusedByThem(frame, ours, panicked) {
				t.Fatalf("took %+v, AWS's refuses (panicked %t): %v\nframe %x", ours, panicked, theirErr, frame)
			}
		case theyTake:
			if !refusedByUs(frame, ourErr) {
				t.Fatalf("got %v, AWS's takes %+v\nframe %x", ourErr, theirs, frame)
			}
		}
		if ourErr != nil || len(ours.Body) == 0 || ours.Type == "" {
			return
		}
		// What was accepted can be written again and reads the same.
		again, err := ours.Append(nil)
		if err != nil {
			t.Fatalf("write what was read: %v", err)
		}
		back, err := wire.Parse(again)
		if ours.Created == 0 && ours.Type.Control() {
			return
		}
		if err != nil || back.ID != ours.ID || back.Sequence != ours.Sequence || !bytes.Equal(back.Body, ours.Body) {
			t.Fatalf("got %+v, %v back, want %+v", back, err, ours)
		}
	})
}

// FuzzPayloads feeds garbage to every decoder of payloads; AWS's own reading is the judge where it has one.
func FuzzPayloads(f *testing.F) {
	f.Add(wire.AppendAckBody(nil, wire.OutputStream, sample().ID, 12))
	f.Add([]byte(`{"AgentVersion":"3.3.0.0","RequestedClientActions":[{"ActionType":"KMSEncryption","ActionParameters":{"KMSKeyId":"k"}}]}`))
	f.Add([]byte(`{"HandshakeTimeToComplete":1000000,"CustomerMessage":"hello"}`))
	f.Add([]byte(`{"MessageId":"m","CreatedDate":"d","SessionId":"s","SchemaVersion":1,"Output":"gone"}`))
	f.Add([]byte(`{"KMSCipherTextKey":"YQ==","KMSCipherTextHash":"Yg=="}`))
	f.Add([]byte{0, 0, 0, 3})
	f.Add([]byte(`[[[[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		their := message.ClientMessage{MessageType: message.AcknowledgeMessage, Payload: body}
		want, theirErr := their.DeserializeDataStreamAcknowledgeContent(quiet{})
		got, ourErr := wire.ParseAckSequence(body)
		if ourErr == nil && theirErr == nil && got != want.SequenceNumber {
			t.Errorf("got sequence %d, AWS's reads %d", got, want.SequenceNumber)
		}
		if ourErr != nil && theirErr == nil && want.SequenceNumber > 0 && len(body) <= 64<<10 {
			t.Errorf("got %v, AWS's reads sequence %d", ourErr, want.SequenceNumber)
		}

		their = message.ClientMessage{PayloadType: uint32(wire.HandshakeRequestType), Payload: body}
		request, theirErr := their.DeserializeHandshakeRequest(quiet{})
		var ours wire.HandshakeRequest
		if ourErr := wire.ParseJSON(body, &ours); (ourErr != nil) != (theirErr != nil) && len(body) <= 64<<10 {
			t.Errorf("handshake request: got %v, AWS's says %v", ourErr, theirErr)
		} else if ourErr == nil && ours.AgentVersion != request.AgentVersion {
			t.Errorf("got agent %q, AWS's reads %q", ours.AgentVersion, request.AgentVersion)
		}

		var generic any
		if wire.ParseJSON(body, &generic) == nil {
			if r, err := wire.KMSActionResult(generic); err == nil && len(r.KMSCipherTextKey) == 0 {
				t.Error("got a KMS result without a key")
			}
		}
		if flag, err := wire.ParseFlag(body); err == nil && !bytes.Equal(wire.FlagBody(flag), body[:4]) {
			t.Errorf("got flag %d of % x", flag, body[:4])
		}
	})
}

func FuzzMuxFrames(f *testing.F) {
	f.Add([]byte{1, 2, 5, 0, 3, 0, 0, 0})
	f.Add([]byte{1, 0, 0, 0, 3, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 0, 5, 0, 3, 0, 0, 0})
	f.Add([]byte{2, 4, 8, 0, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := wire.ParseMux(b)
		if err != nil {
			return
		}
		if got := frame.Append(nil); !bytes.Equal(got, b[:wire.MuxHeader]) {
			t.Errorf("got % x back, want % x", got, b[:wire.MuxHeader])
		}
	})
}

func FuzzVersionsAgreeWithAWSs(f *testing.F) {
	f.Add(uint32(3), uint32(0), uint32(196), uint32(0))
	f.Add(uint32(3), uint32(1), uint32(1511), uint32(1))
	f.Add(uint32(2), uint32(3), uint32(722), uint32(0))
	f.Add(^uint32(0), uint32(0), uint32(0), uint32(0))
	f.Fuzz(func(t *testing.T, a, b, c, d uint32) {
		v := wire.Version{a, b, c, d}
		text := v.String()
		back, err := wire.ParseVersion(text)
		if err != nil || back != v {
			t.Fatalf("got %s, %v back, want %s", back, err, text)
		}
		if got, want := v.Mux(), awsversion.DoesAgentSupportTCPMultiplexing(quiet{}, text); got != want {
			t.Errorf("%s: got mux %t, AWS's says %t", text, got, want)
		}
		off := awsversion.DoesAgentSupportDisableSmuxKeepAlive(quiet{}, text)
		if got, want := v.KeepAlive(), v.Mux() && !off; got != want {
			t.Errorf("%s: got keepalive %t, AWS's says off is %t", text, got, off)
		}
		if got, want := v.TerminateFlag(), awsversion.DoesAgentSupportTerminateSessionFlag(quiet{}, text); got != want {
			t.Errorf("%s: got terminate flag %t, AWS's says %t", text, got, want)
		}
	})
}

// FuzzVersionText: garbage in place of a version is refused, never taken for some version.
func FuzzVersionText(f *testing.F) {
	for _, s := range []string{"3.3.987.0", "", "....", "1.2", "-1.0.0.0", "00.1.2.3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := wire.ParseVersion(s)
		if err != nil {
			return
		}
		if again, err := wire.ParseVersion(v.String()); err != nil || again != v {
			t.Errorf("got %s, %v from %s of %q", again, err, v, s)
		}
	})
}
