package bond

import (
	"slices"
	"sort"
)

// segmentLimit is how many pieces of a stream may wait for bytes before them. A stream's credit of 4 MiB is 512 frames of 8 KiB,
// so there are more pieces only when somebody sends tiny ones.
const segmentLimit = 4096

// received holds what has come of a stream and was not read yet: the bytes that come next, and those that wait for bytes before
// them.
type received struct {
	next  uint64    // all bytes before this offset have come
	ready []part    // the bytes that end at next and were not read yet
	later []segment // what has come from next on: in order, without overlap, none of it at next
	end   uint64    // the offset of the stream's end, when ended
	ended bool      // the end of the stream is known

	buffered uint64 // bytes in ready and later
}

// part is some bytes of a stream.
type part struct {
	bytes  []byte
	buffer []byte // is given back when bytes have been read; nil where other parts share it
}

// segment is a part with its offset.
type segment struct {
	offset uint64
	part
}

func (s segment) end() uint64 { return s.offset + uint64(len(s.bytes)) }

// add takes bytes at an offset, some or all of which may have come before. The slice is its own from then on.
func (r *received) add(offset uint64, bytes []byte) {
	buffer := bytes
	if end := offset + uint64(len(bytes)); end <= r.next {
		givePayload(buffer)
		return
	} else if offset < r.next {
		offset, bytes = r.next, bytes[r.next-offset:]
	}
	i := sort.Search(len(r.later), func(i int) bool { return r.later[i].end() > offset })
	for len(bytes) > 0 {
		if i == len(r.later) || offset+uint64(len(bytes)) <= r.later[i].offset {
			r.insert(i, segment{offset, part{bytes, buffer}})
			break
		}
		known := r.later[i]
		buffer = nil // what is left may become several parts
		if offset < known.offset {
			gap := known.offset - offset
			r.insert(i, segment{offset, part{bytes[:gap], nil}})
			i++
			offset, bytes = known.offset, bytes[gap:]
		}
		offset, bytes, i = known.end(), bytes[min(known.end()-offset, uint64(len(bytes))):], i+1
	}
	n := 0
	for ; n < len(r.later) && r.later[n].offset == r.next; n++ {
		r.ready = append(r.ready, r.later[n].part)
		r.next = r.later[n].end()
	}
	r.later = slices.Delete(r.later, 0, n)
}

func (r *received) insert(i int, s segment) {
	r.later = slices.Insert(r.later, i, s)
	r.buffered += uint64(len(s.bytes))
}

// last takes the offset of the stream's end. It reports false when that contradicts what has come before.
func (r *received) last(end uint64) bool {
	if r.ended {
		return r.end == end
	}
	r.end, r.ended = end, true
	return r.highest() <= end
}

// highest is the offset behind all that has come.
func (r *received) highest() uint64 {
	if len(r.later) == 0 {
		return r.next
	}
	return r.later[len(r.later)-1].end()
}

// take moves bytes that are ready into p.
func (r *received) take(p []byte) (n int) {
	for n < len(p) && len(r.ready) > 0 {
		first := &r.ready[0]
		k := copy(p[n:], first.bytes)
		n += k
		if first.bytes = first.bytes[k:]; len(first.bytes) == 0 {
			givePayload(first.buffer)
			*first = part{}
			r.ready = r.ready[1:]
		}
	}
	r.buffered -= uint64(n)
	return n
}

// complete reports whether all of the stream has come; done, whether all of it was read as well.
func (r *received) complete() bool { return r.ended && r.next == r.end }
func (r *received) done() bool     { return r.complete() && len(r.ready) == 0 }

// forget drops what has come and was not read. WriteTo may be writing some of it just now, so that its buffers are not used again.
func (r *received) forget() { r.ready, r.later, r.buffered = nil, nil, 0 }
