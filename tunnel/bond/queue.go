package bond

// queue is a first-in, first-out queue whose memory is used again.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(v T) { q.items = append(q.items, v) }

// first is the item that pop takes next. The queue must not be empty, as for pop.
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

// all returns the items, in their order.
func (q *queue[T]) all() []T { return q.items[q.head:] }

// idSet holds the stream ids that were used. The near end gives them out in order, but they may reach the far end in any order.
type idSet struct {
	below uint32              // all ids below this one were used
	above map[uint32]struct{} // the used ones from below on
}

// idsAhead is how far an id may be ahead of the lowest one that has not come.
const idsAhead = 4096

func (s *idSet) has(n uint32) bool {
	_, is := s.above[n]
	return is || n < s.below
}

// add adds an id. It reports false when the id is more than idsAhead ahead.
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
