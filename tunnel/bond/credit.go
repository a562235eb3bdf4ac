package bond

import "time"

// appetite is how much the reader of a stream has read lately. The stream gets credit for about as many bytes ahead of the
// reader, so that a quick reader never waits, and streams whose readers have stalled leave room for others.
type appetite struct {
	began   time.Time // when the present period began
	now     uint64    // bytes that were read in the present period
	earlier uint64    // bytes that were read in the period before
}

// bite is the length of a period.
const bite = 500 * time.Millisecond

// eat notes that n bytes were read.
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

// grant gives the other end new credit: for the bytes that were read, and the more beyond that the quicker the reader is. A
// stream that cannot have the least credit now is starved, and gets it when there is some.
func (s *Stream) grant() {
	if s.in.ended || s.unread || s.gone() {
		return
	}
	first := uint64(firstCredit)
	if s.e.accept != nil {
		first = relayCredit // more at once would cost a frame for each request, beside which its answer waits for the agent
	}
	window := min(first+s.eaten.now+s.eaten.earlier, s.e.limits.Stream)
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
		case s.reserved >= earlyCredit: // the stream can go on with the credit that it has
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
	if s.credit != nil && s.credit.queued && !s.credit.flown { // the last credit waits to be sent: it is raised instead of sending another one
		s.credit.offset = s.granted
		return
	}
	s.credit = s.e.command(header{kind: kindCredit, stream: s.id, offset: s.granted})
}
