package bond

import (
	"slices"
	"sort"
)

// segmentLimit is how many pieces of a stream may wait for one before them. Frames of 8 KiB are 512 of them in a stream's
// credit; more are only of tiny ones.
const segmentLimit = 4096

// received is what has come of a stream and was not read: what comes next, and behind gaps what comes later.
type received struct {
	next  uint64 // all before it has come
	ready [][]byte
	later []segment // in order, without overlap, none at next
	end   uint64    // of the stream, when ended
	ended bool

	buffered uint64 // bytes in ready and later
}

type segment struct {
	offset uint64
	bytes  []byte
}

func (s segment) end() uint64 { return s.offset + uint64(len(s.bytes)) }

// add takes bytes at an offset, of which some or all may have come before; it keeps them.
func (r *received) add(offset uint64, bytes []byte) {
	if end := offset + uint64(len(bytes)); end <= r.next {
		return
	} else if offset < r.next {
		offset, bytes = r.next, bytes[r.next-offset:]
	}
	i := sort.Search(len(r.later), func(i int) bool { return r.later[i].end() > offset })
	for len(bytes) > 0 {
		if i == len(r.later) || offset+uint64(len(bytes)) <= r.later[i].offset {
			r.insert(i, segment{offset, bytes})
			break
		}
		known := r.later[i]
		if offset < known.offset {
			gap := known.offset - offset
			r.insert(i, segment{offset, bytes[:gap]})
			i++
			offset, bytes = known.offset, bytes[gap:]
		}
		offset, bytes, i = known.end(), bytes[min(known.end()-offset, uint64(len(bytes))):], i+1
	}
	n := 0
	for ; n < len(r.later) && r.later[n].offset == r.next; n++ {
		r.ready = append(r.ready, r.later[n].bytes)
		r.next = r.later[n].end()
	}
	r.later = slices.Delete(r.later, 0, n)
}

func (r *received) insert(i int, s segment) {
	r.later = slices.Insert(r.later, i, s)
	r.buffered += uint64(len(s.bytes))
}

// last takes the end of the stream. It is false when something else was said before.
func (r *received) last(end uint64) bool {
	if r.ended {
		return r.end == end
	}
	r.end, r.ended = end, true
	return r.highest() <= end
}

// highest is the end of what has come.
func (r *received) highest() uint64 {
	if len(r.later) == 0 {
		return r.next
	}
	return r.later[len(r.later)-1].end()
}

// take moves what comes next into p.
func (r *received) take(p []byte) (n int) {
	for n < len(p) && len(r.ready) > 0 {
		k := copy(p[n:], r.ready[0])
		n += k
		if r.ready[0] = r.ready[0][k:]; len(r.ready[0]) == 0 {
			r.ready[0] = nil
			r.ready = r.ready[1:]
		}
	}
	r.buffered -= uint64(n)
	return n
}

// complete reports whether all of the stream has come; done, whether it was read as well.
func (r *received) complete() bool { return r.ended && r.next == r.end }
func (r *received) done() bool     { return r.complete() && len(r.ready) == 0 }

// forget drops all that is there.
func (r *received) forget() { r.ready, r.later, r.buffered = nil, nil, 0 }
