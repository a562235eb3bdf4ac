// Package wire is the codec of the Session Manager data channel: pure, bounds-checked, no I/O. wire.md beside this file
// describes the layout. What AWS defines (message types, payload types and structs, version thresholds) is taken from
// github.com/aws/session-manager-plugin and gets its name here.
//
// Every Parse function treats its input as hostile: none panics, and none keeps a reference to its input beyond what its
// comment says.
package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/aws/session-manager-plugin/src/message"
)

// Type says what a message is. On the wire it is 32 bytes of ASCII, padded with spaces.
type Type string

// The message types of a data channel.
const (
	InputStream      Type = message.InputStreamMessage      // client to agent; sequenced and acknowledged
	OutputStream     Type = message.OutputStreamMessage     // agent to client; sequenced and acknowledged
	Acknowledge      Type = message.AcknowledgeMessage      // both ways; never acknowledged itself
	ChannelClosed    Type = message.ChannelClosedMessage    // service to both: the session is over
	StartPublication Type = message.StartPublicationMessage // service to both: the other side is back
	PausePublication Type = message.PausePublicationMessage // service to both: the other side is away
	SessionState     Type = "agent_session_state"           // agent to service; never relayed
)

// PayloadType says what the payload of a stream message is.
type PayloadType = message.PayloadType

// The payload types. The first four are used in sessions that are a terminal; Output is used in port sessions as well.
const (
	Output                 = message.Output
	Size                   = message.Size     // client to agent: how large the terminal is
	StdErr                 = message.StdErr   // agent to client, when the agent keeps stdout and stderr apart
	ExitCode               = message.ExitCode // agent to client: "EXIT_CODE: 3"
	HandshakeRequestType   = message.HandshakeRequestPayloadType
	HandshakeResponseType  = message.HandshakeResponsePayloadType
	HandshakeCompleteType  = message.HandshakeCompletePayloadType
	EncryptionRequestType  = message.EncChallengeRequest
	EncryptionResponseType = message.EncChallengeResponse
	FlagType               = message.Flag
)

// The header flags. Neither of AWS's ends looks at the flags that it receives; both set FlagsAck on acknowledges.
const (
	FlagSyn  uint64 = 1
	FlagFin  uint64 = 2
	FlagsAck        = FlagSyn | FlagFin
)

const (
	headerLength  = message.ClientMessage_PayloadLengthOffset // 116: the value of a frame's first field
	payloadOffset = message.ClientMessage_PayloadOffset       // 120
	typeOffset    = message.ClientMessage_MessageTypeOffset
	typeLength    = message.ClientMessage_MessageTypeLength

	// Overhead is the number of bytes a message adds to its payload.
	Overhead = payloadOffset
	// MaxFrame is the longest frame Parse accepts, in bytes. AWS sends payloads of 1 KiB; the agent was measured to
	// take 128 KiB.
	MaxFrame = 1 << 20
)

// The reasons for which Parse refuses a frame, for errors.Is.
var (
	ErrShort   = errors.New("frame shorter than its header")
	ErrLong    = errors.New("frame too long")
	ErrHeader  = errors.New("wrong header length")
	ErrDigest  = errors.New("payload does not match its SHA-256 digest")
	ErrInvalid = errors.New("invalid field")
)

// ID is the UUID of a message, in the byte order in which UUIDs are usually written.
type ID [16]byte

// String returns the ID in the 8-4-4-4-12 form.
func (id ID) String() string { return string(id.appendText(make([]byte, 0, 36))) }

func (id ID) appendText(dst []byte) []byte {
	const digits = "0123456789abcdef"
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	return dst
}

// Message is one frame of the data channel.
type Message struct {
	Type     Type
	Schema   uint32 // 1
	Created  uint64 // milliseconds since the Unix epoch; never 0 in a valid message
	Sequence int64
	Flags    uint64
	ID       ID
	Payload  PayloadType
	Body     []byte // never empty in a stream message: both of AWS's encoders refuse that
}

// Millis turns a time into the form of Message.Created.
func Millis(t time.Time) uint64 { return uint64(t.UnixMilli()) }

// Control reports whether the type is one of the two publication messages. The header of these need not pass the usual checks,
// as in AWS's own client.
func (t Type) Control() bool { return t == StartPublication || t == PausePublication }

// Parse decodes one frame. The Body of the result is a part of frame: copy it to keep it. Everything behind the header is
// payload, whatever the field of the payload's length says, as in both of AWS's receivers.
func Parse(frame []byte) (Message, error) {
	switch {
	case len(frame) < payloadOffset:
		return Message{}, fmt.Errorf("%w: %d bytes, a header has %d", ErrShort, len(frame), payloadOffset)
	case len(frame) > MaxFrame:
		return Message{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrLong, len(frame), MaxFrame)
	}
	kind := bytes.Trim(frame[typeOffset:typeOffset+typeLength], " \x00")
	be := binary.BigEndian
	m := Message{
		Type:     intern(kind),
		Schema:   be.Uint32(frame[36:]),
		Created:  be.Uint64(frame[40:]),
		Sequence: int64(be.Uint64(frame[48:])), //nolint:gosec // the field is signed on the wire
		Flags:    be.Uint64(frame[56:]),
		Payload:  PayloadType(be.Uint32(frame[112:])),
	}
	copy(m.ID[8:], frame[64:72]) // the two halves of the UUID are swapped on the wire
	copy(m.ID[:8], frame[72:80])

	head := be.Uint32(frame)
	if m.Type.Control() {
		m.Body = frame[payloadOffset:]
		return m, nil
	}
	if head < headerLength || uint64(head)+4 > uint64(len(frame)) {
		return Message{}, fmt.Errorf("%w: %d in a frame of %d bytes", ErrHeader, head, len(frame))
	}
	m.Body = frame[head+4:]
	switch {
	case m.Type == "":
		return Message{}, fmt.Errorf("%w: empty message type", ErrInvalid)
	case m.Created == 0:
		return Message{}, fmt.Errorf("%w: created date is 0", ErrInvalid)
	case len(m.Body) > 0 && sha256.Sum256(m.Body) != [32]byte(frame[80:112]):
		return Message{}, ErrDigest
	}
	return m, nil
}

// intern spares an allocation for each of the frequent messages.
func intern(b []byte) Type {
	for _, t := range [...]Type{OutputStream, Acknowledge, InputStream} {
		if string(b) == string(t) {
			return t
		}
	}
	return Type(b)
}

// Append encodes m behind dst. It refuses a type that is empty or longer than 32 bytes, and an empty body.
func (m *Message) Append(dst []byte) ([]byte, error) {
	if len(m.Type) == 0 || len(m.Type) > typeLength {
		return dst, fmt.Errorf("%w: message type of %d bytes", ErrInvalid, len(m.Type))
	}
	if len(m.Body) == 0 {
		return dst, fmt.Errorf("%w: empty payload", ErrInvalid)
	}
	be := binary.BigEndian
	dst = be.AppendUint32(dst, headerLength)
	dst = append(dst, m.Type...)
	for range typeLength - len(m.Type) {
		dst = append(dst, ' ')
	}
	dst = be.AppendUint32(dst, m.Schema)
	dst = be.AppendUint64(dst, m.Created)
	dst = be.AppendUint64(dst, uint64(m.Sequence)) //nolint:gosec // the field is signed on the wire
	dst = be.AppendUint64(dst, m.Flags)
	dst = append(dst, m.ID[8:]...)
	dst = append(dst, m.ID[:8]...)
	digest := sha256.Sum256(m.Body)
	dst = append(dst, digest[:]...)
	dst = be.AppendUint32(dst, uint32(m.Payload))
	dst = be.AppendUint32(dst, uint32(len(m.Body))) //nolint:gosec // bounded by MaxFrame
	return append(dst, m.Body...), nil
}
