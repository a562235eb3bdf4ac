package bond

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Limits bound what bundles take of the process. A field that is zero means the default, which its comment names: first that of a
// Bundle, then that of a Relay, where they differ.
type Limits struct {
	Streams int    // streams of a bundle; 1024
	Bundles int    // bundles of a relay; 16
	Strands int    // strands of a bundle; 32
	Stream  uint64 // bytes of one stream that may wait for its reader; 4 MiB, 1 MiB
	Credit  uint64 // the same for all streams together, at a relay those of all its bundles, of which one may have half; 64 MiB, 8 MiB
	Hold    uint64 // bytes of all streams, likewise, that were written and have not arrived; 32 MiB, 8 MiB
}

const (
	strandless  = time.Minute           // how long a bundle lives without a strand
	soon        = time.Second           // how long another strand is expected to take when the last one has ended
	firstCredit = 64 << 10              // bytes that the far end may send on a stream before the near end has read any
	relayCredit = 16 << 10              // the same for the near end once the relay has connected: near ends send less
	earlyCredit = 4 << 10               // bytes that the near end may send before the relay has connected; also the least credit that is given
	unsentLimit = 64 << 10              // bytes of a stream that may be written and not sent; a writer waits then
	controls    = 4 * 1024              // frames without data that may wait; if there are more, the other end does not read
	beat        = 25 * time.Millisecond // how often the end looks at the clock while anything is under way
	rest        = 5 * time.Second       // how often it does while nothing is
)

func (l Limits) or(usual Limits) Limits {
	return Limits{
		Streams: cmp.Or(l.Streams, usual.Streams), Bundles: cmp.Or(l.Bundles, usual.Bundles), Strands: cmp.Or(l.Strands, usual.Strands),
		Stream: cmp.Or(l.Stream, usual.Stream), Credit: cmp.Or(l.Credit, usual.Credit), Hold: cmp.Or(l.Hold, usual.Hold),
	}
}

// end is the part of a bundle that the near and the far end have in common. mu guards it with its strands and streams; its
// methods expect mu to be held unless they say otherwise.
type end struct {
	mu           sync.Mutex
	limits       Limits
	credit, hold purse

	strands []*Strand
	streams map[uint32]*Stream
	accept  func(*Stream) // far end: called when the near end opens a stream; nil at the near end
	used    idSet         // far end: the ids of streams that there have been
	nextID  uint32        // near end: the id of the next stream

	control, resend   queue[*frame]        // frames without data that wait, and frames of data that are to be sent again
	interactive, bulk queue[*Stream]       // streams that have something unsent
	free              *Strand              // the strand that is kept free of bulk; nil while no interactive stream needs one
	starved           map[*Stream]struct{} // streams for which there is no credit to give
	crowded           map[*Stream]struct{} // streams whose writers wait for room in hold
	seats             map[uint16]struct{}  // numbers of the strands, and of those that were welcomed and have not joined yet
	probing           time.Time            // until then each strand carries one frame at a time, see probe
	probed            time.Time            // when that last began
	backlogged        time.Time            // since when more waits than the strands carry; zero while that is not so
	bare              time.Time            // since when there is no strand; zero while there is one
	deaf              bool                 // there is no strand, and the last one has ended as nothing was acknowledged on it
	demand            demand

	resting bool          // run looks at the clock only every rest
	poke    chan struct{} // wakes run; capacity 1
	events  []Event       // to be told by run
	tell    func(Event)   // nil: nobody is told
	err     error         // why the bundle is over
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

// run looks at the clock and tells events until the bundle is over. It takes e.mu itself.
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

// rouse has run look at the clock soon, where it rests or has events to tell.
func (e *end) rouse() {
	if e.resting || len(e.events) > 0 {
		e.resting = false
		select {
		case e.poke <- struct{}{}:
		default:
		}
	}
}

// post has run tell an event.
func (e *end) post(event Event) {
	e.events = append(e.events, event)
	e.rouse()
}

// idle reports whether nothing is under way, so that run may rest.
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

// tick does what is due by the clock.
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

// fail ends the bundle. The first call wins.
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

// command queues a frame without data.
func (e *end) command(h header, payload ...byte) *frame {
	h.length = uint16(len(payload)) //nolint:gosec // a byte or two
	f := &frame{header: h, payload: payload}
	e.order(f)
	return f
}

// order puts a frame without data into the queue of control, and ends the bundle when too many wait there.
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

// requeue has a frame be sent again, unless that is pointless or it waits already.
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

// take acts on a frame that has come over a strand. A *protocolError ends the bundle.
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
	case kindAck, kindState, kindPing: // handled above
	}
	return nil
}

// stream returns the stream that a frame is about; nil when it is over. At the far end the first frame about a stream makes the
// stream, as data may come before the frame that opens it.
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
		return nil, nil //nolint:nilnil // a late frame about a stream that is over
	}
	if e.used.has(h.stream) {
		return nil, nil //nolint:nilnil // likewise
	}
	if !e.used.add(h.stream) {
		return nil, &protocolError{"a stream far ahead of others"}
	}
	if h.kind == kindReset {
		return nil, nil //nolint:nilnil // the stream was given up before it began
	}
	if len(e.streams) >= e.limits.Streams || !e.credit.all(earlyCredit) {
		e.command(header{kind: kindReset, stream: h.stream}, byte(reasonBusy))
		return nil, nil //nolint:nilnil // the stream is refused
	}
	st := newStream(e, h.stream)
	st.granted, st.reserved = earlyCredit, earlyCredit
	e.streams[st.id] = st
	return st, nil
}
