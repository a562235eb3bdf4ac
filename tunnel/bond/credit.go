package bond

import "time"

// appetite is how much a reader has read lately: what a stream may be sent ahead is as much as that, so that one that reads
// quickly waits for nothing, and many that have stalled leave room for others.
type appetite struct {
	began   time.Time
	now     uint64 // bytes of this half of a second
	earlier uint64 // and of the one before
}

const bite = 500 * time.Millisecond

func (a *appetite) eat(now time.Time, n uint64) {
	switch passed := now.Sub(a.began); {
	case passed >= 2*bite:
		a.began, a.earlier, a.now = now, 0, 0
	case passed >= bite:
		a.began, a.earlier, a.now = a.began.Add(bite), a.now, 0
	}
	a.now += n
}

// consume is called when the reader has taken n bytes.
func (s *Stream) consume(n uint64, now time.Time) {
	s.consumed += n
	s.eaten.eat(now, n)
	if s.gone() {
		return
	}
	s.reserved -= n
	s.e.credit.give(n)
	s.sweep()
	if !s.gone() {
		s.grant()
	}
}

// grant gives credit for what has been read, and more to whoever reads more.
func (s *Stream) grant() {
	if s.in.ended || s.unread || s.gone() {
		return
	}
	window := min(firstCredit+s.eaten.now+s.eaten.earlier, s.e.limits.Stream)
	if s.consumed+window <= s.granted {
		return
	}
	more := s.consumed + window - s.granted
	if more < window/4 {
		return
	}
	got := s.e.credit.share(more)
	if least := min(more, earlyCredit); got < least {
		switch {
		case s.reserved >= earlyCredit: // it can go on
			s.e.credit.give(got)
			return
		case s.e.credit.all(least - got):
			got = least
		default:
			s.e.credit.give(got)
			s.e.starved[s] = struct{}{}
			s.e.rouse()
			return
		}
	}
	s.granted += got
	s.reserved += got
	if s.credit != nil && s.credit.queued && !s.credit.flown { // what has flown may count as on its way again
		s.credit.offset = s.granted
		return
	}
	s.credit = s.e.command(header{kind: kindCredit, stream: s.id, offset: s.granted})
}
