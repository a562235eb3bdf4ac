package emulator

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"culvert/aws/wire"
)

// relayLimit is how many bytes of frames wait in one direction before the writer has to: far above what fits into the
// delay at any speed reached here, so the delay never limits throughput.
const relayLimit = 16 << 20

// relay carries the frames of one direction of one session: each is delivered a delay after it came, in order, unless
// the faults say otherwise. One goroutine (run) delivers.
type relay struct {
	data    *dataPath
	path    func(*Faults) *Path
	rand    *rand.Rand // guarded by data.mu, as the faults are
	counts  [2]uint64  // data and acks so far, guarded by data.mu
	deliver func(frame []byte)

	mu      sync.Mutex
	changed sync.Cond // there is room, or the end has come
	wake    chan struct{}
	queue   []waiting // by due time
	size    int       // bytes in queue
	last    time.Time // due time of the newest message that keeps its place
	ending  bool      // nothing more is taken; the queue is still delivered
}

type waiting struct {
	due   time.Time
	frame []byte
}

func newRelay(d *dataPath, seed, direction uint64, path func(*Faults) *Path, deliver func([]byte)) *relay {
	r := &relay{
		data: d, path: path, deliver: deliver, wake: make(chan struct{}, 1),
		rand: rand.New(rand.NewPCG(seed, direction)), //nolint:gosec // faults are to be repeatable
	}
	r.changed.L = &r.mu
	return r
}

// push takes a frame, which the relay owns from now on, through the faults into the queue. It blocks while the queue
// is full, but for the service's own messages.
func (r *relay) push(frame []byte) {
	f := r.judge(frame)
	if f.drop {
		return
	}
	if f.mangled {
		frame = mangle(frame, f.mangling)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.size > relayLimit && !r.ending && kindOf(frame) != otherFrame {
		r.changed.Wait()
	}
	if r.ending {
		return
	}
	due := time.Now().Add(f.delay)
	if due.Before(r.last) {
		due = r.last
	}
	r.last = due
	r.insert(waiting{due: due.Add(f.extra), frame: frame})
	if f.twice {
		r.insert(waiting{due: due.Add(f.extra), frame: frame})
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// insert keeps the queue sorted; without delayed messages it appends.
func (r *relay) insert(w waiting) {
	at := len(r.queue)
	for at > 0 && r.queue[at-1].due.After(w.due) {
		at--
	}
	r.queue = slices.Insert(r.queue, at, w)
	r.size += len(w.frame)
}

// finish has the relay deliver what it holds and last, if not nil, and then end. Later frames are dropped.
func (r *relay) finish(last []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending {
		return
	}
	r.ending = true
	if last != nil {
		due := time.Now()
		if n := len(r.queue); n > 0 {
			due = r.queue[n-1].due
		}
		r.queue = append(r.queue, waiting{due: due, frame: last})
	}
	r.stir()
}

// discard throws away what is on its way, as a cut connection does.
func (r *relay) discard() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue, r.size = nil, 0
	r.stir()
}

// abort ends the relay with what it holds.
func (r *relay) abort() {
	r.discard()
	r.finish(nil)
}

func (r *relay) stir() {
	r.changed.Broadcast()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run delivers until the relay has ended.
func (r *relay) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		frame, wait, more := r.next()
		switch {
		case !more:
			return
		case frame != nil:
			r.deliver(frame)
		case wait > 0:
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-r.wake:
			}
		default:
			<-r.wake
		}
	}
}

// next returns a frame that is due, or how long to wait for one (0: until woken), or that there will be none.
func (r *relay) next() (frame []byte, wait time.Duration, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return nil, 0, !r.ending
	}
	head := r.queue[0]
	if wait = time.Until(head.due); wait > 0 {
		return nil, wait, true
	}
	r.queue[0].frame = nil
	r.queue = r.queue[1:]
	r.size -= len(head.frame)
	r.changed.Broadcast()
	return head.frame, 0, true
}

// fate is what the faults have in store for one frame.
type fate struct {
	delay, extra         time.Duration // of all messages, of this one
	drop, twice, mangled bool
	mangling             Mangling
}

func (r *relay) judge(frame []byte) fate {
	d := r.data
	d.mu.Lock()
	defer d.mu.Unlock()
	f := fate{delay: d.faults.Delay}
	path := r.path(&d.faults)
	var l *Loss
	var n uint64
	switch kindOf(frame) {
	case dataFrame:
		l = &path.Data
		r.counts[0]++
		n = r.counts[0]
	case ackFrame:
		l = &path.Acks
		r.counts[1]++
		n = r.counts[1]
	case otherFrame:
		return f
	}
	chance := func(p float64) bool { return p > 0 && r.rand.Float64() < p }
	next := func(left *int) bool {
		if *left > 0 {
			*left--
			return true
		}
		return false
	}
	if chance(l.Drop) || slices.Contains(l.DropNth, n) || next(&l.DropNext) {
		f.drop = true
		return f
	}
	f.twice = chance(l.Duplicate)
	if chance(l.Delay) {
		f.extra += l.DelayBy
	}
	if chance(l.Reorder) {
		f.extra += time.Duration(1+r.rand.IntN(20)) * time.Millisecond
	}
	f.mangled = chance(l.Mangle) || next(&l.MangleNext)
	f.mangling = l.MangleAs
	return f
}

type frameKind int

const (
	otherFrame frameKind = iota
	dataFrame
	ackFrame
)

// The places of a frame that the relay looks at (protocol.md 3).
const (
	typeAt        = 4
	payloadTypeAt = 112
)

func kindOf(frame []byte) frameKind {
	switch {
	case len(frame) < wire.Overhead:
		return otherFrame
	case bytes.HasPrefix(frame[typeAt:], []byte(wire.Acknowledge)):
		return ackFrame
	case bytes.HasPrefix(frame[typeAt:], []byte(wire.InputStream)), bytes.HasPrefix(frame[typeAt:], []byte(wire.OutputStream)):
		return dataFrame
	}
	return otherFrame
}

// outputLength is how many bytes of a tunnel's data a frame carries.
func outputLength(frame []byte) int {
	if kindOf(frame) != dataFrame || binary.BigEndian.Uint32(frame[payloadTypeAt:]) != uint32(wire.Output) {
		return 0
	}
	return len(frame) - wire.Overhead
}

// mangle returns a spoiled copy of a frame.
func mangle(frame []byte, how Mangling) []byte {
	spoiled := slices.Clone(frame)
	switch how {
	case BadDigest:
		spoiled[len(spoiled)-1] ^= 1
	case ShortFrame:
		spoiled = spoiled[:wire.Overhead/2]
	case WrongHeader:
		binary.BigEndian.PutUint32(spoiled, 0xFFFF_FFF0)
	case Oversized:
		spoiled = append(spoiled, make([]byte, wire.MaxFrame)...)
	}
	return spoiled
}
