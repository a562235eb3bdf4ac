package bond

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Limits bound what a bundle takes of the process. A zero field is the usual amount.
type Limits struct {
	Streams int    // of a bundle; 1024
	Bundles int    // of a relay; 16
	Strands int    // of a bundle; 32
	Stream  uint64 // bytes of a stream that may wait for its reader; 4 MiB, at a relay 1
	Credit  uint64 // the same of all streams, of all bundles of a relay; 64 MiB, at a relay 8, half of it for one bundle
	Hold    uint64 // bytes that were written and have not arrived, of all streams; 32 MiB, at a relay likewise 8
}

const (
	strandless  = time.Minute           // that a bundle lives without a strand
	firstCredit = 64 << 10              // of a stream that is opened
	relayCredit = 16 << 10              // the same of the near end, which sends less
	earlyCredit = 4 << 10               // of the near end before the far end has answered, and the least of a stream
	unsentLimit = 64 << 10              // of a stream
	controls    = 4 * 1024              // frames without data that may wait: more are of an end that is not read
	beat        = 25 * time.Millisecond // between two looks at the clock while anything is under way
	rest        = 5 * time.Second       // and while nothing is
)

func (l Limits) or(usual Limits) Limits {
	return Limits{
		Streams: cmp.Or(l.Streams, usual.Streams), Bundles: cmp.Or(l.Bundles, usual.Bundles), Strands: cmp.Or(l.Strands, usual.Strands),
		Stream: cmp.Or(l.Stream, usual.Stream), Credit: cmp.Or(l.Credit, usual.Credit), Hold: cmp.Or(l.Hold, usual.Hold),
	}
}

// end is one end of a bundle, which both have in common. Its lock is held in all of its methods but those that say otherwise.
type end struct {
	mu           sync.Mutex
	limits       Limits
	credit, hold purse

	strands []*Strand
	streams map[uint32]*Stream
	accept  func(*Stream) // of the far end: somebody opens the stream; nil at the near end
	used    idSet         // of the far end
	nextID  uint32        // of the near end

	control, resend   queue[*frame]
	interactive, bulk queue[*Stream]       // that have something unsent
	free              *Strand              // kept free of bulk; nil while nobody needs it
	starved           map[*Stream]struct{} // of credit to give
	crowded           map[*Stream]struct{} // of room to hold what is written
	seats             map[uint16]struct{}  // strands that are, or have been welcomed
	probing           time.Time            // until then each strand carries a frame at a time
	probed            time.Time
	backlogged        time.Time // since when another strand could be used; zero when not
	bare              time.Time // since when there is no strand; zero while there is one
	demand            demand

	resting bool
	poke    chan struct{}
	events  []Event
	tell    func(Event)
	err     error // why the bundle is over
	done    chan struct{}
	running sync.WaitGroup

	sentBytes, resentBytes uint64 // of data frames
}

func newEnd(limits Limits, credit, hold purse, tell func(Event)) *end {
	now := time.Now()
	return &end{
		limits: limits, credit: credit, hold: hold, tell: tell,
		streams: map[uint32]*Stream{}, nextID: 1, used: idSet{below: 1}, starved: map[*Stream]struct{}{}, crowded: map[*Stream]struct{}{},
		seats: map[uint16]struct{}{},
		poke:  make(chan struct{}, 1), done: make(chan struct{}), bare: now, probed: now,
	}
}

// run looks at the clock and tells events until the bundle is over. It takes the lock.
func (e *end) run() {
	timer := time.NewTimer(beat)
	defer timer.Stop()
	for over := false; !over; {
		select {
		case <-timer.C:
		case <-e.poke:
		case <-e.done:
			over = true
		}
		e.mu.Lock()
		if !over {
			e.tick(time.Now())
		}
		wait := beat
		if e.resting = e.idle(); e.resting {
			wait = rest
		}
		events := e.events
		e.events = nil
		e.mu.Unlock()
		for _, event := range events {
			if e.tell != nil {
				e.tell(event)
			}
		}
		timer.Reset(wait)
	}
}

// rouse has the clock looked at soon.
func (e *end) rouse() {
	if e.resting || len(e.events) > 0 {
		e.resting = false
		select {
		case e.poke <- struct{}{}:
		default:
		}
	}
}

func (e *end) post(event Event) {
	e.events = append(e.events, event)
	e.rouse()
}

// idle reports whether nothing is under way.
func (e *end) idle() bool {
	if e.control.len()+e.resend.len()+e.interactive.len()+e.bulk.len()+len(e.starved)+len(e.crowded) > 0 || e.demand.fresh(time.Now()) {
		return false
	}
	for _, s := range e.strands {
		if s.flight.len() > 0 {
			return false
		}
	}
	return true
}

// tick does what is due.
func (e *end) tick(now time.Time) {
	if e.err != nil {
		return
	}
	if !e.bare.IsZero() && now.Sub(e.bare) >= strandless {
		e.fail(ErrLost)
		return
	}
	e.probe(now)
	for _, s := range append([]*Strand(nil), e.strands...) {
		s.watch(now)
	}
	for st := range e.starved {
		delete(e.starved, st)
		st.grant()
	}
	if e.hold.all(1) {
		e.hold.give(1)
		for st := range e.crowded {
			delete(e.crowded, st)
			signal(st.writable)
		}
	}
	e.keepFree(now)
	e.demand.tick(e, now)
	e.kick(now)
}

// fail ends the bundle.
func (e *end) fail(err error) {
	if e.err != nil {
		return
	}
	e.err = err
	for _, s := range append([]*Strand(nil), e.strands...) {
		s.lose(err)
	}
	for _, st := range e.streams {
		st.abort(err)
	}
	e.control, e.resend, e.interactive, e.bulk = queue[*frame]{}, queue[*frame]{}, queue[*Stream]{}, queue[*Stream]{}
	e.events = append(e.events, Event{Kind: Ended, Err: err})
	close(e.done)
}

// command queues a frame that is no data.
func (e *end) command(h header, payload ...byte) *frame {
	h.length = uint16(len(payload)) //nolint:gosec // a byte or two
	f := &frame{header: h, payload: payload}
	e.order(f)
	return f
}

func (e *end) order(f *frame) {
	if e.err != nil {
		return
	}
	f.queued = true
	if e.control.push(f); e.control.len() > controls+e.limits.Streams {
		e.fail(errors.New("the other end of the bundle does not read"))
		return
	}
	e.rouse()
	e.kick(time.Now())
}

// requeue has a frame sent again.
func (e *end) requeue(f *frame) {
	if f.moot() || f.queued {
		return
	}
	if f.of == nil {
		e.order(f)
		return
	}
	f.queued = true
	e.resend.push(f)
	e.rouse()
}

// take does what a frame says that came over a strand.
func (e *end) take(s *Strand, h header, payload []byte, now time.Time) error {
	s.heard(h, now)
	if h.flags&flagBacklog != 0 {
		e.demand.heard(e, now)
	}
	switch h.kind {
	case kindAck:
		return s.acknowledged(h.offset, time.Duration(h.stream)*time.Microsecond, now)
	case kindPing:
		return nil
	case kindState:
		for _, other := range e.strands {
			if uint32(other.id) == h.stream {
				other.told(state(payload[0]), h.offset)
			}
		}
		return nil
	case kindData, kindOpen, kindOpened, kindCredit, kindStop, kindReset:
	}
	st, err := e.stream(h)
	if st == nil || err != nil {
		return err
	}
	switch h.kind {
	case kindData:
		return st.arrived(h, payload)
	case kindOpen:
		return st.asked(h, payload)
	case kindOpened:
		st.connected(h.offset)
	case kindCredit:
		st.allowed(h.offset)
	case kindStop:
		st.stopped()
	case kindReset:
		st.abort(reason(payload[0]).err())
	case kindAck, kindState, kindPing: // above
	}
	return nil
}

// stream is the one that a frame is about; nil when it is over. At the far end the first frame about a stream makes it, as
// its data may come before it is opened.
func (e *end) stream(h header) (*Stream, error) {
	if far := e.accept != nil; h.kind == kindOpen && !far || h.kind == kindOpened && far {
		return nil, &protocolError{fmt.Sprintf("a frame of kind %d from this side", h.kind)}
	}
	if st := e.streams[h.stream]; st != nil {
		return st, nil
	}
	if e.accept == nil {
		if h.stream == 0 || h.stream >= e.nextID {
			return nil, &protocolError{"a stream that was not opened"}
		}
		return nil, nil //nolint:nilnil // a late word about one that is over
	}
	if e.used.has(h.stream) {
		return nil, nil //nolint:nilnil // likewise
	}
	if !e.used.add(h.stream) {
		return nil, &protocolError{"a stream far ahead of others"}
	}
	if h.kind == kindReset {
		return nil, nil //nolint:nilnil // it was given up before it began
	}
	if len(e.streams) >= e.limits.Streams || !e.credit.all(earlyCredit) {
		e.command(header{kind: kindReset, stream: h.stream}, byte(reasonBusy))
		return nil, nil //nolint:nilnil // likewise
	}
	st := newStream(e, h.stream)
	st.granted, st.reserved = earlyCredit, earlyCredit
	e.streams[st.id] = st
	return st, nil
}
