package tunnel

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what waits for slow local readers, in bytes. smux version 1 has no flow control, so a stream over its bound is reset:
// if culvert stopped reading instead, every other stream of the session would stop too (protocol.md 6).
const (
	maxInbox      = 16 << 20 // of one stream
	maxInboxTotal = 64 << 20 // of all streams of a session
	inboxChunk    = 16 << 10 // one piece of memory of an inbox
)

// A stream whose inbox fills although its local side goes on reading is eased: the session's reader rests before it reads the next
// message, so that TCP slows the service down. Where the stream is the only one of the session the rest may be long; beside
// others it is so short that they do not notice.
const (
	fullInbox  = 4 << 20              // bytes from which an inbox counts as full
	restAlone  = time.Second          // the longest rest where the stream is the only one
	restShared = 2 * time.Millisecond // the longest rest beside other streams
	stillReads = time.Second          // how long after it last took bytes a local side still counts as reading
)

var (
	errOverflow   = errors.New("the local side reads too slowly: its connection was closed so that others go on")
	errStreamDone = errors.New("connection is closed")
	errStranded   = errors.New("the session stopped taking data before this connection's first byte reached the agent: try again, new connections go through another session")
)

// carrier turns a session's byte stream into connections: mux for agents that know smux, basic for older ones.
type carrier interface {
	// open starts a connection at the far end.
	open(ctx context.Context) (*stream, error)
	// receive takes stream data. It must not keep body, nor block for longer than ease does. It may leave the data in the inboxes
	// until flush. An error ends the session.
	receive(body []byte) error
	// flush hands on to the local sides what receive has taken. One goroutine at a time calls receive and flush.
	flush()
	// write sends all of p on a stream, or fails. It blocks while the window of the session has no room.
	write(ctx context.Context, s *stream, p []byte) error
	// hangUp ends a stream from this side.
	hangUp(s *stream)
	// finish ends every stream because the session is over.
	finish(err error)
}

// stream is one connection inside a session.
type stream struct {
	id       uint32
	carrier  carrier
	opened   time.Time // when it was opened for a connection; zero for a proof
	inbox    inbox
	received atomic.Uint64 // bytes from the far side
	done     atomic.Bool   // hung up by this side, or ended
	asked    atomic.Int64  // when this side last sent bytes, in unix nanoseconds; 0 for never
	heard    atomic.Int64  // when bytes last came from the far side, likewise

	first atomic.Int64 // sequence number of the message with the stream's first data; as long as it has sent none, of that with its opening
	last  atomic.Int64 // sequence number before which all of the stream's data was queued
	doubt atomic.Int64 // number of the doubt that the stream is in, see mux.doubt; 0 is none

	exposed atomic.Bool // some of the stream's data was not acknowledged when that doubt came up
	left    atomic.Bool // the local side ended the connection before the far side

	spoke atomic.Bool // the stream has sent data
	spare atomic.Bool // the stream ended before any of its data reached the agent, so that another one may replace it, see replay.go
	frame []byte      // the buffer of write

	row, inRow int // the last row of full messages that had bytes of it (mux.rows), and how many; only receive touches them
}

// write sends all of p or fails; it blocks while the session's window is full.
func (s *stream) write(ctx context.Context, p []byte) error {
	if s.done.Load() {
		return errStreamDone
	}
	s.asked.Store(time.Now().UnixNano())
	return s.carrier.write(ctx, s, p)
}

// close ends the stream; safe to call twice.
func (s *stream) close() {
	if s.done.CompareAndSwap(false, true) {
		s.carrier.hangUp(s)
	}
	s.inbox.finish(errStreamDone)
}

// ended marks the stream as ended by the far side or with the session: err is io.EOF after a clean end.
func (s *stream) ended(err error) {
	if err != nil && !errors.Is(err, io.EOF) {
		s.done.Store(true)
	}
	s.inbox.finish(err)
}

// inboxes is what the inboxes of one session share.
type inboxes struct {
	waiting atomic.Int64 // bytes in all of the inboxes
	dirty   []*inbox     // inboxes with bytes that no reader was woken for; only receive and flush touch it
}

// flush hands on what has arrived in all inboxes since it was last called.
func (all *inboxes) flush() {
	for i, b := range all.dirty {
		b.dirty, all.dirty[i] = false, nil
		b.flush()
	}
	all.dirty = all.dirty[:0]
}

// inbox holds what has arrived for a stream until the local side takes it. One goroutine calls push and flush, another one reads.
type inbox struct {
	all   *inboxes
	dirty bool // in all.dirty

	mu     sync.Mutex
	chunks []chunk
	least  int              // bytes that the reader is woken for; it takes no fewer, unless the stream has ended
	size   int              // bytes in chunks, and those in the hands of the reader
	held   int              // bytes in the hands of the reader: taken by next and not dropped yet
	err    error            // how the stream has ended; nil while it has not
	change chan struct{}    // wakes the reader; capacity 1
	taken  chan struct{}    // wakes ease, as the local side has taken something; capacity 1
	took   time.Time        // when the local side last took something
	abort  func()           // when the stream fails, frees a reader that is still writing earlier bytes to the local side
	direct func([]byte) int // see through
}

// chunk is a piece of memory, of which the bytes from start on are still to be read.
type chunk struct {
	memory []byte
	start  int
}

func (c chunk) bytes() []byte { return c.memory[c.start:] }

// chunkPool recycles the memory of inboxes.
var chunkPool = sync.Pool{New: func() any { b := make([]byte, 0, inboxChunk); return &b }} //nolint:gochecknoglobals // a cache of buffers

func takeChunk() chunk { return chunk{memory: (*chunkPool.Get().(*[]byte))[:0]} } //nolint:forcetypeassert // only *[]byte goes in

func (c chunk) give() { chunkPool.Put(&c.memory) }

func (b *inbox) init(all *inboxes) {
	b.change, b.taken, b.all = make(chan struct{}, 1), make(chan struct{}, 1), all
}

// ease rests while the inbox is full and its local side goes on reading, for d at the most.
func (b *inbox) ease(d time.Duration) {
	b.all.flush()
	limit := time.NewTimer(d)
	defer limit.Stop()
	for {
		b.mu.Lock()
		rest := b.size > fullInbox && b.err == nil && time.Since(b.took) < stillReads
		b.mu.Unlock()
		if !rest {
			return
		}
		select {
		case <-b.taken:
		case <-limit.C:
			return
		}
	}
}

// push copies p into the inbox and returns how many bytes are in it now; after finish it drops p and returns 0. The reader is woken
// at once, or, where there is a direct way to the local side (through), not before flush.
func (b *inbox) push(p []byte) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0
	}
	b.size += len(p)
	b.all.waiting.Add(int64(len(p)))
	for len(p) > 0 {
		last := len(b.chunks) - 1
		if last < 0 || len(b.chunks[last].memory) == inboxChunk {
			b.chunks = append(b.chunks, takeChunk())
			last++
		}
		c := &b.chunks[last]
		n := min(len(p), inboxChunk-len(c.memory))
		c.memory = append(c.memory, p[:n]...)
		p = p[n:]
	}
	switch {
	case b.direct == nil:
		if b.size-b.held >= b.least {
			b.signal()
		}
	case !b.dirty:
		b.dirty = true
		b.all.dirty = append(b.all.dirty, b)
	}
	return b.size
}

// flush gives the local side what it takes at once, and leaves the rest to the reader.
func (b *inbox) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.held == 0 && len(b.chunks) > 0 {
		c := &b.chunks[0]
		n := b.direct(c.bytes())
		c.start += n
		b.size -= n
		b.all.waiting.Add(-int64(n))
		b.took = time.Now()
		if c.start < len(c.memory) {
			break
		}
		c.give()
		b.chunks = b.chunks[1:]
	}
	if len(b.chunks) > 0 {
		b.signal()
	} else {
		b.chunks = b.chunks[:0]
	}
}

func (b *inbox) signal() {
	select {
	case b.change <- struct{}{}:
	default:
	}
}

// finish ends the inbox: what is in it can still be read, except after an error other than io.EOF.
func (b *inbox) finish(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		b.signal()
	} else if errors.Is(b.err, io.EOF) && !errors.Is(err, io.EOF) {
		b.err = err
		b.signal()
	}
	if !errors.Is(b.err, io.EOF) {
		for _, c := range b.chunks {
			b.size -= len(c.bytes())
			b.all.waiting.Add(-int64(len(c.bytes())))
			c.give()
		}
		b.chunks = nil
		if b.abort != nil {
			b.abort()
		}
	}
}

// onAbort sets what frees the reader (nil: nothing); f must not block, and is called at once when the stream has failed already.
func (b *inbox) onAbort(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.abort = f
	if f != nil && b.err != nil && !errors.Is(b.err, io.EOF) {
		f()
	}
}

// through sets a direct way to the local side: a function that writes what it can without waiting, and returns how many bytes that
// was. flush uses it while the reader has no bytes in its hands, which is nearly always and spares the reader a wake-up for each
// message.
func (b *inbox) through(direct func([]byte) int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.direct = direct
}

// failure is why the stream failed; nil while it has not.
func (b *inbox) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

// unread is how many bytes the local side has not taken yet.
func (b *inbox) unread() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}

// next waits for bytes and takes some out, see nextOf.
func (b *inbox) next(ctx context.Context) (chunk, error) { return b.nextOf(ctx, 1) }

// nextOf waits until there are so many bytes, or the stream has ended, and takes some out. The caller gives the chunk back with drop
// when the local side has them. The error is io.EOF after the clean end of the stream, why it failed, or ctx's.
func (b *inbox) nextOf(ctx context.Context, least int) (chunk, error) {
	for {
		b.mu.Lock()
		b.least = least
		if len(b.chunks) > 0 && (b.size-b.held >= least || b.err != nil) {
			c := b.chunks[0]
			b.chunks = b.chunks[1:]
			b.held += len(c.bytes())
			b.mu.Unlock()
			return c, nil //nolint:nilerr // what came before the end of the stream is given before its error
		}
		err := b.err
		b.mu.Unlock()
		if err != nil {
			return chunk{}, err
		}
		select {
		case <-b.change:
		case <-ctx.Done():
			return chunk{}, context.Cause(ctx)
		}
	}
}

// drop gives back a chunk of next whose bytes the local side has taken.
func (b *inbox) drop(c chunk) {
	n := len(c.bytes())
	c.give()
	b.mu.Lock()
	b.size -= n
	b.held -= n
	b.took = time.Now()
	b.mu.Unlock()
	b.all.waiting.Add(-int64(n))
	select {
	case b.taken <- struct{}{}:
	default:
	}
}
