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

// relayLimit is how many bytes of frames may wait in one direction before the writer has to wait. It is far more than is sent
// within the delay at any speed that is reached here, so the delay does not limit throughput.
const relayLimit = 16 << 20

// relay carries the frames of one direction of one session. It delivers each frame Faults.Delay after it came, and in order,
// unless the faults say otherwise. One goroutine, run, delivers them.
type relay struct {
	data    *dataPath
	path    func(*Faults) *Path
	rand    *rand.Rand // guarded by data.mu, like the faults
	counts  [2]uint64  // data and acknowledge frames so far; guarded by data.mu
	deliver func(frame []byte)

	mu      sync.Mutex
	changed sync.Cond // there is room, or the relay is ending
	wake    chan struct{}
	queue   []waiting // by due time
	size    int       // bytes in queue
	last    time.Time // due time of the newest frame, without its own delay (fate.extra)
	ending  bool      // no more frames are accepted; those in queue are still delivered
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

// push applies the faults to a frame, which belongs to the relay from now on, and puts it into the queue. It blocks while the
// queue is full, except for messages of the service itself.
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

// insert keeps the queue sorted by due time. Without delayed frames it appends.
func (r *relay) insert(w waiting) {
	at := len(r.queue)
	for at > 0 && r.queue[at-1].due.After(w.due) {
		at--
	}
	r.queue = slices.Insert(r.queue, at, w)
	r.size += len(w.frame)
}

// finish has the relay deliver the frames in its queue and then last, unless that is nil, and end. Later frames are dropped.
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

// discard drops the frames in the queue, as a cut connection does.
func (r *relay) discard() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue, r.size = nil, 0
	r.stir()
}

// abort ends the relay and drops the frames in its queue.
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

// run delivers frames until the relay has ended.
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

// next returns a frame that is due, or how long to wait for one (0: until woken). more is false when there will be no more
// frames.
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

// fate is what happens to one frame by the faults.
type fate struct {
	delay, extra         time.Duration // of every frame; of this one in addition
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

// The offsets in a frame that the relay looks at (protocol.md 3).
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

// outputLength is how many bytes of stream data a frame has.
func outputLength(frame []byte) int {
	if kindOf(frame) != dataFrame || binary.BigEndian.Uint32(frame[payloadTypeAt:]) != uint32(wire.Output) {
		return 0
	}
	return len(frame) - wire.Overhead
}

// mangle returns a damaged copy of a frame.
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
