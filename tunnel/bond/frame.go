package bond

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

const (
	headerSize = 16
	frameSize  = 8 << 10  // the most bytes of data that this end puts into a frame
	frameLimit = 16 << 10 // the most bytes of data that it takes in a frame of the other end
)

// kind says what a frame means, and what its header fields stream and offset hold; spec.md has the table.
type kind uint8

const (
	kindData   kind = 1 // bytes of a stream from offset on; with flagFin they are its last
	kindOpen   kind = 2 // to the relay: connect the stream to the port in the payload; offset is the relay's credit, as with kindCredit
	kindOpened kind = 3 // from the relay: the stream is connected; offset is the near end's credit, as with kindCredit
	kindCredit kind = 4 // the other end may send the bytes of the stream before offset
	kindStop   kind = 5 // the sender of this frame reads the stream no more
	kindReset  kind = 6 // the stream is over at once, in both directions; the payload is the reason
	kindAck    kind = 7 // offset is how many bytes have come over this strand; stream is for how many µs the acknowledge was held back
	kindState  kind = 8 // stream is the number of a strand, the payload its new state; offset numbers the changes, and the highest one counts
	kindPing   kind = 9 // is to be acknowledged, and means nothing else
)

const (
	flagFin     = 1 << 0 // of kindData: the last bytes of the stream
	flagBacklog = 1 << 1 // of any kind: the sender has a backlog, and could use another strand
)

// header is the head of a frame, with numbers in network order.
type header struct {
	kind   kind
	flags  uint8
	length uint16 // of the payload
	stream uint32
	offset uint64
}

func (h header) put(b []byte) {
	b[0], b[1] = byte(h.kind), h.flags
	binary.BigEndian.PutUint16(b[2:], h.length)
	binary.BigEndian.PutUint32(b[4:], h.stream)
	binary.BigEndian.PutUint64(b[8:], h.offset)
}

// counted reports whether the receiver counts the frame among the bytes that it acknowledges.
func (h header) counted() bool { return h.kind != kindAck }

// parseHeader reads the header of a frame, and refuses one that no end of this version sends by a *protocolError.
func parseHeader(b [headerSize]byte) (header, error) {
	h := header{
		kind: kind(b[0]), flags: b[1], length: binary.BigEndian.Uint16(b[2:]),
		stream: binary.BigEndian.Uint32(b[4:]), offset: binary.BigEndian.Uint64(b[8:]),
	}
	least, most := uint16(0), uint16(0)
	switch h.kind {
	case kindData:
		most = frameLimit
	case kindOpen:
		least, most = 2, 2
	case kindReset, kindState:
		least, most = 1, 1
	case kindOpened, kindCredit, kindStop, kindAck, kindPing:
	default:
		return h, &protocolError{fmt.Sprintf("a frame of unknown kind %d", h.kind)}
	}
	switch {
	case h.length < least || h.length > most:
		return h, &protocolError{fmt.Sprintf("a frame of kind %d with %d bytes", h.kind, h.length)}
	case h.flags&^(flagFin|flagBacklog) != 0 || h.flags&flagFin != 0 && h.kind != kindData:
		return h, &protocolError{fmt.Sprintf("a frame of kind %d with flags %#x", h.kind, h.flags)}
	case h.offset > offsetLimit:
		return h, &protocolError{fmt.Sprintf("a frame at %d", h.offset)}
	}
	return h, nil
}

// offsetLimit keeps sums of offsets and lengths from overflowing.
const offsetLimit = 1 << 62

// awaiter is a connection that can let its reader sleep until n more bytes have come, or it ends.
type awaiter interface{ Await(n int) }

// readFrame reads a frame of r, which reads from conn. The caller owns the payload.
func readFrame(r *bufio.Reader, conn any) (header, []byte, error) {
	var b [headerSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return header{}, nil, err
	}
	h, err := parseHeader(b)
	if err != nil || h.length == 0 {
		return h, nil, err
	}
	if a, ok := conn.(awaiter); ok && int(h.length) > r.Buffered() {
		a.Await(int(h.length) - r.Buffered())
	}
	payload := takePayload(int(h.length))
	if _, err := io.ReadFull(r, payload); err != nil {
		return h, nil, fmt.Errorf("read a frame of %d bytes: %w", h.length, err)
	}
	return h, payload, nil
}

// payloads are buffers that are used again, as a new one for each frame gives the garbage collector much to do.
var payloads = sync.Pool{New: func() any { return new([frameSize]byte) }} //nolint:gochecknoglobals // a cache of buffers

// takePayload returns a buffer of n bytes. A small payload gets no more memory than it needs, as the other end, which decides on
// the sizes of frames, has credit for bytes and not for buffers.
func takePayload(n int) []byte {
	if n <= frameSize/2 || n > frameSize {
		return make([]byte, n)
	}
	return payloads.Get().(*[frameSize]byte)[:n] //nolint:forcetypeassert // only such arrays go in
}

// givePayload lets a buffer be used again, of which nobody may keep anything. It leaves one that is not from payloads to the garbage
// collector, as it does a part of one.
func givePayload(b []byte) {
	if cap(b) == frameSize {
		payloads.Put((*[frameSize]byte)(b[:frameSize]))
	}
}

// frame is a frame that is to be sent, or was sent and is not known to have arrived.
type frame struct {
	header

	payload []byte
	of      *Stream // the stream of the data; nil for a frame without data
	copies  int     // how many strands that are not away have the frame on its way
	settled bool    // the frame has arrived
	queued  bool    // the frame waits in a queue for a strand to send it
	flown   bool    // the frame was sent before
	hedged  bool    // the frame was sent a second time because its strand was silent
}

func (f *frame) size() uint64 { return headerSize + uint64(f.length) }

// moot reports whether the frame need not be sent, or not again.
func (f *frame) moot() bool {
	return f.settled || f.kind == kindPing || f.of != nil && f.of.sending.over
}
