package bond

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	headerSize = 16
	frameSize  = 8 << 10  // the most that this end puts into a frame
	frameLimit = 16 << 10 // the most that it takes from the other
)

// kind says what a frame means; spec.md has the table.
type kind uint8

const (
	kindData   kind = 1 // bytes of a stream from offset on; with flagFin they are its last
	kindOpen   kind = 2 // to the relay: connect this stream to the port in the payload; offset is what it may send
	kindOpened kind = 3 // from the relay: it is connected; offset is what the near end may send
	kindCredit kind = 4 // the stream may be sent up to offset
	kindStop   kind = 5 // whoever sends this reads the stream no more
	kindReset  kind = 6 // the stream is over at once, in both directions; the payload is the reason
	kindAck    kind = 7 // offset counts what came over this strand; the stream's place is how long it was held back, in µs
	kindState  kind = 8 // the strand in the stream's place is away, back, draining, drained; the highest offset counts
	kindPing   kind = 9 // wants to be acknowledged, nothing else
)

const (
	flagFin     = 1 << 0 // of data
	flagBacklog = 1 << 1 // of any frame: whoever sends it could use another strand
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

// counted reports whether the far end counts the frame among what it acknowledges.
func (h header) counted() bool { return h.kind != kindAck }

// parseHeader reads the head of a frame and refuses what no end of this version sends.
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

// readFrame reads a frame of r, which reads from conn; its payload is the caller's.
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
	payload := make([]byte, h.length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return h, nil, fmt.Errorf("read a frame of %d bytes: %w", h.length, err)
	}
	return h, payload, nil
}

// frame is one that is to be sent, or has been and is not known to have arrived.
type frame struct {
	header

	payload []byte
	of      *Stream // nil when it is no data
	copies  int     // usable strands that it is in flight on
	settled bool    // it has arrived, or nobody waits for it any more
	queued  bool    // for a strand to take
	flown   bool    // a strand has taken it before
	hedged  bool    // it was sent a second time as its strand was silent
}

func (f *frame) size() uint64 { return headerSize + uint64(f.length) }

// moot reports whether it need not be sent (again).
func (f *frame) moot() bool { return f.settled || f.of != nil && f.of.sending.over }
