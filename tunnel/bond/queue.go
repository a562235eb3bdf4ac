package bond

// queue is first in, first out.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(v T) { q.items = append(q.items, v) }

// first is the one that pop takes next.
func (q *queue[T]) first() *T { return &q.items[q.head] }

func (q *queue[T]) pop() T {
	v := q.items[q.head]
	var none T
	q.items[q.head] = none
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head >= 64 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return v
}

// all are those that wait, in their order.
func (q *queue[T]) all() []T { return q.items[q.head:] }

// idSet holds stream ids that were used. They are given out in order, but reach the far end in any.
type idSet struct {
	below uint32 // all below were used
	above map[uint32]struct{}
}

// idsAhead is how far an id may be ahead of one that has not come.
const idsAhead = 4096

func (s *idSet) has(n uint32) bool {
	_, is := s.above[n]
	return is || n < s.below
}

// add is false when too many ids before this one are missing.
func (s *idSet) add(n uint32) bool {
	if s.above == nil {
		s.above = map[uint32]struct{}{}
	}
	if n-s.below > idsAhead {
		return false
	}
	s.above[n] = struct{}{}
	for s.has(s.below) {
		delete(s.above, s.below)
		s.below++
	}
	return true
}
