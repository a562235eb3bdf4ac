package tunnel

import "time"

const (
	// fullMessage is how many bytes of stream data an agent puts into a message while it has more to send. A message with fewer
	// bytes shows that the agent had no more.
	fullMessage = 1024
	// bulkRow is how many bytes in full messages, without a shorter message, make a download, if at least half of them belong to
	// one connection: the small answers to many connections fill messages as well.
	bulkRow = 32 << 10
	// rowPause is how long after its last message a row of full messages ends. The agent rests only a millisecond after each
	// message, but the network may hold some back.
	rowPause = 100 * time.Millisecond
	// bulkFor is how long after the last message of a download a lane still counts as one with a download.
	bulkFor = time.Second
	// askedFor is how long a connection counts as active while its client waits for an answer. While a server takes longer than
	// that, the agent has nothing to do for the connection.
	askedFor = 500 * time.Millisecond
	// owesFor is how long an agent may owe an acknowledge before other lanes are preferred to its lane.
	owesFor = time.Second
	// freshFor is how long a new connection on which neither end has spoken is expected to begin.
	freshFor = 20 * time.Millisecond
)

// standing is how a lane stands at a moment, as far as one more connection on it is concerned.
type standing struct {
	lane    *lane
	streams int  // connections on the lane
	active  int  // those of them whose client waits for an answer, or is getting one
	fresh   int  // those of them that were opened within freshFor and on which neither end has spoken
	pressed bool // the agent has more to send than the session carries, so that another answer would have to wait; or owes is set
	bulk    bool // there was a download within bulkFor, or the lane is behind
	owes    bool // the agent has owed an acknowledge for longer than owesFor

	lag time.Duration // how long the agent will take to send lost messages again, if the lane is behind (lane.behind); else 0
}

// free reports whether a new connection would have the lane for itself, as far as that is known.
func (s standing) free() bool { return s.active == 0 && s.fresh == 0 && !s.pressed && s.lag == 0 }

// standing returns how the lane stands now.
func (l *lane) standing(now time.Time) standing {
	s := standing{lane: l, streams: int(l.streams.Load()), fresh: int(l.coming.Load())}
	s.streams += s.fresh
	at := now.UnixNano()
	s.owes = l.channel.quiet(now) > owesFor
	s.pressed = l.row.Load() > 0 && at-l.lastData.Load() < int64(rowPause) || s.owes
	s.bulk = at-l.bulkAt.Load() < int64(bulkFor)
	if l.behind() {
		s.lag, s.bulk = time.Duration(l.missing.Load())*repairEvery, true
	}
	if m, many := l.carrier.(*mux); many {
		m.count(&s, now)
	} else {
		s.active = s.streams // without a mux a session carries one connection at a time
	}
	return s
}

// count adds the streams of a session to its lane's standing.
func (m *mux) count(to *standing, now time.Time) {
	at := now.UnixNano()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.streams {
		asked, heard := s.asked.Load(), s.heard.Load()
		switch {
		case s.opened.IsZero(): // a proof
		case asked == 0 && heard == 0:
			if now.Sub(s.opened) < freshFor {
				to.fresh++
			}
		case asked > heard && at-asked < int64(askedFor), to.pressed && at-heard < int64(rowPause):
			to.active++
		}
	}
}

// press notes a message of stream data, and reports whether a download begins to show with it. Only the socket's reader calls it.
func (l *lane) press(size int, now time.Time) bool {
	at := now.UnixNano()
	last := l.lastData.Swap(at)
	m, many := l.carrier.(*mux)
	if size < fullMessage || at-last > int64(rowPause) {
		l.row.Store(0)
		if many {
			m.rows++
			m.ofOne = 0
		}
	}
	if size < fullMessage || l.row.Add(int64(size)) < bulkRow || many && m.ofOne < bulkRow/2 {
		return false
	}
	return at-l.bulkAt.Swap(at) > int64(bulkFor)
}
