package tunnel

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"culvert/aws/wire"
)

const (
	// muxMessages is how many messages one frame fills at the most: enough for its header to cost little, and few enough for
	// other streams to get their turn soon.
	muxMessages = 8
	// muxLastStream is the highest stream id that a session uses, after two billion streams; open then fails with
	// errStreamsUsedUp.
	muxLastStream = 1<<32 - 3
	// refusalWindow is how far apart a refused dial and the end of its stream may arrive: the agent does not say which
	// stream it means (protocol.md 3).
	refusalWindow = 5 * time.Second
	// maxRefusals is how many reports of refused dials wait for the ends of their streams; of more, the oldest are dropped.
	maxRefusals = 1024
)

var errStreamsUsedUp = errors.New("the session has no stream ids left")

// mux carries many connections in one session by smux version 1 (aws/wire/mux.go). The receiving side is culvert's own code, with
// a bounded inbox for each stream; the agent uses the library xtaci/smux.
type mux struct {
	channel *channel

	mu       sync.Mutex
	streams  map[uint32]*stream
	lastID   uint32
	over     error
	refusals []time.Time // when the agent reported failed dials that are not yet matched to a stream
	proof    *proof      // the proof under way; nil for none
	answered uint32      // the highest id of a stream that the agent has sent a frame of, see answer

	doubts      int64        // how many doubts there have been, see doubt; mu guards it and doubtedUpTo
	doubtedUpTo uint32       // the id of the last stream that was opened before the latest doubt
	certain     atomic.Int64 // how many of the doubts are over

	inboxes

	// Only receive touches what follows.
	head    []byte  // the header of the current frame, as far as it has come
	current *stream // the stream of the current frame; nil drops its data
	left    int     // bytes of the current frame's data that are still to come
	rows    int     // how many rows of full messages there have been, see lane.press
	ofOne   int     // the most bytes of the present row that belong to one stream
}

func newMux(c *channel) *mux {
	return &mux{channel: c, streams: make(map[uint32]*stream), lastID: 1, head: make([]byte, 0, wire.MuxHeader)}
}

func (m *mux) open(ctx context.Context) (*stream, error) {
	s, err := m.add(time.Now())
	if err != nil {
		return nil, err
	}
	head := wire.MuxFrame{Command: wire.MuxOpen, Stream: s.id}.Append(nil)
	if err := m.channel.send(ctx, head); err != nil {
		m.forget(s)
		return nil, err
	}
	return s, nil
}

// add makes a stream of which the agent has not been told yet; opened is zero for a stream that is only a proof.
func (m *mux) add(opened time.Time) (*stream, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over != nil {
		return nil, m.over
	}
	if m.lastID >= muxLastStream {
		return nil, errStreamsUsedUp
	}
	m.lastID += 2
	s := &stream{id: m.lastID, carrier: m, opened: opened}
	s.inbox.init(&m.inboxes)
	s.first.Store(m.channel.next())
	m.streams[s.id] = s
	return s, nil
}

func (m *mux) forget(s *stream) {
	m.mu.Lock()
	delete(m.streams, s.id)
	m.mu.Unlock()
}

func (m *mux) write(ctx context.Context, s *stream, p []byte) error {
	limit := min(muxMessages*m.channel.room(), wire.MuxMaxData) - wire.MuxHeader
	if !s.spoke.Load() {
		s.first.Store(m.channel.next())
	}
	for len(p) > 0 {
		n := min(len(p), limit)
		frame := wire.MuxFrame{Command: wire.MuxPush, Length: uint16(n), Stream: s.id}.Append(s.frame[:0]) //nolint:gosec // n < 64 KiB
		frame = append(frame, p[:n]...)
		s.frame = frame
		if err := m.channel.admit(ctx); err != nil {
			return err
		}
		if !s.spoke.Load() { // other messages may have been queued while admit waited
			s.first.Store(m.channel.next())
			s.spoke.Store(true)
		}
		s.last.Store(m.channel.next() + 1) // before push, as the message may be under way before that returns
		if err := m.channel.push(wire.Output, frame); err != nil {
			return err
		}
		s.last.Store(m.channel.next())
		p = p[n:]
	}
	return nil
}

// hangUp sends the end of the stream even where the window has no room, as that frees resources at the far end.
func (m *mux) hangUp(s *stream) {
	m.mu.Lock()
	_, known := m.streams[s.id]
	delete(m.streams, s.id)
	m.mu.Unlock()
	if known {
		_ = m.channel.push(wire.Output, wire.MuxFrame{Command: wire.MuxClose, Stream: s.id}.Append(nil))
	}
}

// keepAlive sends an empty frame, eight bytes, which AWS counts as traffic of the session.
func (m *mux) keepAlive() error {
	return m.channel.push(wire.Output, wire.MuxFrame{Command: wire.MuxNop}.Append(nil))
}

func (m *mux) finish(err error) {
	m.mu.Lock()
	streams := m.streams
	m.streams, m.over = map[uint32]*stream{}, err
	m.mu.Unlock()
	for _, s := range streams {
		s.ended(err)
	}
}

// refused notes that the agent has reported a failed dial.
func (m *mux) refused(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proof != nil {
		m.proof.refused++
	}
	if m.refusals = append(m.refusals, now); len(m.refusals) > maxRefusals {
		m.refusals = m.refusals[1:]
	}
}

// takeRefusal reports whether the agent has reported a failed dial within refusalWindow, for a stream that ended without a byte.
// The report is used up by that.
func (m *mux) takeRefusal(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.refusals) > 0 {
		at := m.refusals[0]
		m.refusals = m.refusals[1:]
		if now.Sub(at) < refusalWindow {
			return true
		}
	}
	return false
}

func (m *mux) receive(body []byte) error {
	for len(body) > 0 {
		if m.left > 0 {
			n := min(m.left, len(body))
			m.push(body[:n])
			m.left -= n
			body = body[n:]
			continue
		}
		n := min(wire.MuxHeader-len(m.head), len(body))
		m.head = append(m.head, body[:n]...)
		body = body[n:]
		if len(m.head) < wire.MuxHeader {
			return nil
		}
		frame, err := wire.ParseMux(m.head)
		if err != nil {
			return err // the stream is out of sync for good
		}
		m.head = m.head[:0]
		m.begin(frame)
	}
	return nil
}

// begin acts on the header of a frame, whose data is then handed to push.
func (m *mux) begin(f wire.MuxFrame) {
	if !m.channel.seams.Load() {
		m.channel.startSeams()
	}
	m.mu.Lock()
	s := m.streams[f.Stream] // nil for a stream that is closed here: its data is dropped
	if f.Command == wire.MuxPush || f.Command == wire.MuxClose {
		m.answer(f.Stream)
	}
	if f.Command == wire.MuxClose {
		delete(m.streams, f.Stream)
		m.proof.ended(s)
	}
	m.mu.Unlock()
	m.current, m.left = nil, int(f.Length)
	switch f.Command {
	case wire.MuxPush:
		m.current = s
	case wire.MuxClose:
		if s != nil {
			s.ended(io.EOF)
		}
	case wire.MuxOpen, wire.MuxNop: // an agent opens no streams; a NOP means nothing
	}
}

func (m *mux) push(p []byte) {
	s := m.current
	if s == nil {
		return
	}
	if s.row != m.rows {
		s.row, s.inRow = m.rows, 0
	}
	s.inRow += len(p)
	m.ofOne = max(m.ofOne, s.inRow)
	s.received.Add(uint64(len(p)))
	s.heard.Store(time.Now().UnixNano())
	switch size := s.inbox.push(p); {
	case size > maxInbox:
		m.reset(s, errOverflow)
	case m.waiting.Load() > maxInboxTotal:
		m.reset(m.longest(), errOverflow)
	case size > fullInbox:
		s.inbox.ease(m.rest())
	}
}

// rest is how long one stream may keep the session's reader waiting.
func (m *mux) rest() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.streams) > 1 {
		return restShared
	}
	return restAlone
}

// reset ends a stream, if there is one, with an error.
func (m *mux) reset(s *stream, why error) {
	if s == nil {
		return
	}
	if s.done.CompareAndSwap(false, true) {
		m.hangUp(s)
	}
	s.inbox.finish(why)
}

// strand ends the streams of which the agent has acknowledged no byte, and that have received none: their clients lose nothing when
// they try again and get another session. The streams are not moved there by culvert, as the agent may still come to serve them here.
func (m *mux) strand() {
	oldest := m.channel.oldest()
	m.mu.Lock()
	var unheard []*stream
	for _, s := range m.streams {
		if s.received.Load() == 0 && s.first.Load() >= oldest {
			unheard = append(unheard, s)
		}
	}
	m.mu.Unlock()
	for _, s := range unheard {
		m.reset(s, errStranded)
	}
}

// longest returns the stream that holds the most unread bytes.
func (m *mux) longest() *stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	var most *stream
	size := 0
	for _, s := range m.streams {
		if n := s.inbox.unread(); n > size {
			most, size = s, n
		}
	}
	return most
}
