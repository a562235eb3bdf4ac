package tunnel

import (
	"strings"

	"golang.org/x/net/http2/hpack"
)

// preface is what HTTP/2 begins with where no TLS has agreed on it (RFC 9113, 3.4): h2c, and gRPC without TLS.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// The frames of HTTP/2 that heads are made of, and their flags (RFC 9113, 4.1, 6.2 and 6.10).
const (
	h2Head         = 9 // bytes of the head of a frame
	h2Headers      = 1
	h2Continuation = 9
	h2EndHeaders   = 0x04
	h2Padded       = 0x08
	h2Priority     = 0x20
)

const (
	// maxH2Frames bounds the frames that are read up to the first request: the client's settings and window updates come before
	// it.
	maxH2Frames = 50
	// h2Table is the size in bytes of the table that heads are compressed with before the two sides have agreed on another.
	h2Table = 4096
)

// firstRequest reads the head of the first request of HTTP/2: whether it is gRPC, and for which host. Nothing behind that head is
// read.
type firstRequest struct {
	sniffer *sniffer
	head    []byte // the head of the present frame, as far as it has come
	block   []byte // the compressed head of the request, as far as it has come
	left    int    // bytes of the preface or of the present frame that are still to come
	part    bool   // the present frame is a part of the request's head
	begun   bool   // the request's head has begun, and its end has not come
	flags   byte   // of the present frame
	frames  int    // frames so far
}

func (r *firstRequest) read(p []byte) bool {
	for len(p) > 0 {
		if r.left == 0 {
			n := min(h2Head-len(r.head), len(p))
			r.head, p = append(r.head, p[:n]...), p[n:]
			if len(r.head) < h2Head {
				return true
			}
			if !r.frame() {
				return false
			}
		} else {
			n := min(r.left, len(p))
			if r.part {
				r.block = append(r.block, p[:n]...)
			}
			r.left, p = r.left-n, p[n:]
		}
		if r.left == 0 && r.part && !r.end() {
			return false
		}
	}
	return true
}

// frame reads the head of a frame, and reports whether to read on.
func (r *firstRequest) frame() bool {
	kind, flags := r.head[3], r.head[4]
	r.left = int(r.head[0])<<16 | int(r.head[1])<<8 | int(r.head[2])
	r.head = r.head[:0]
	r.frames++
	r.part = kind == h2Headers && !r.begun || kind == h2Continuation && r.begun
	if r.frames > maxH2Frames || r.begun != (kind == h2Continuation) || r.part && len(r.block)+r.left > maxLine {
		return false
	}
	r.flags = flags
	return true
}

// end is called at the end of a frame that is a part of the request's head. It reports whether more of that head is to come.
func (r *firstRequest) end() bool {
	r.part = false
	if !r.begun { // only the first frame of the head has padding and a priority
		pad, front := 0, 0
		if r.flags&h2Padded != 0 && len(r.block) > 0 {
			pad, front = int(r.block[0]), 1
		}
		if r.flags&h2Priority != 0 {
			front += 5
		}
		if front+pad > len(r.block) {
			return false
		}
		r.block = r.block[front : len(r.block)-pad]
		r.begun = true
	}
	if r.flags&h2EndHeaders == 0 {
		return true
	}
	r.unpack()
	r.block = nil
	return false
}

// unpack reads the host, and whether the request is gRPC, from its head. A head that cannot be read leaves the protocol at h2c.
func (r *firstRequest) unpack() {
	host, grpc := "", false
	decoder := hpack.NewDecoder(h2Table, func(f hpack.HeaderField) {
		switch f.Name {
		case ":authority":
			host = clean(f.Value)
		case "content-type":
			grpc = strings.HasPrefix(f.Value, "application/grpc")
		}
	})
	decoder.SetMaxStringLength(maxLine)
	if _, err := decoder.Write(r.block); err != nil {
		return
	}
	r.sniffer.mu.Lock()
	defer r.sniffer.mu.Unlock()
	r.sniffer.host = host
	if grpc {
		r.sniffer.protocol = ProtocolGRPC
	}
}
