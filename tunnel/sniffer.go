package tunnel

import (
	"bytes"
	"cmp"
	"sync"
	"sync/atomic"
)

// sniffLimit is how many of the first bytes from a client are kept until the protocol is known.
const sniffLimit = 8 << 10

// greetLimit is how many of the first bytes from a server that speaks first are kept until the protocol is known.
const greetLimit = 512

// sniffer finds out which protocol a connection speaks, to which hosts its requests go and what became of them. It reads along in
// both directions, before the bytes are handed on, and keeps names and numbers, never what was sent. up and down may be called at
// the same time, each by one goroutine.
type sniffer struct {
	front bool         // the far side is culvert's own proxy: a first byte of 5 or 4 is SOCKS
	stage atomic.Int32 // at deaf, reading this is all that the sniffer costs the connection

	mu       sync.Mutex
	first    []byte       // the first bytes from the client, at stage listening
	greeting []byte       // the first bytes from the far side, while the client has sent nothing
	answered bool         // the far side has sent something at stage listening
	protocol Protocol     // empty while it is not known
	host     string       // of the first request, or of TLS's server name
	refusal  *AnswerError // the first refusal; nil for none
	talk     talk

	// Each of these is used by its own direction alone, without the lock; a reader is nil where that direction is not read. They
	// are set before stage becomes following.
	asks, answers  reader
	asked, replied bool         // asks, or answers, wants no more bytes
	still          atomic.Int32 // how many of the two readers want more
}

// The stages of a sniffer.
const (
	listening int32 = iota // the protocol is not known yet
	following              // the protocol is known, and requests and answers are read
	deaf                   // nothing more is read
)

// reader reads one direction of a protocol. read takes the next bytes, and reports whether it wants more.
type reader interface{ read(p []byte) bool }

// up looks at bytes from the local side.
func (s *sniffer) up(p []byte) {
	switch s.stage.Load() {
	case deaf:
	case following:
		s.follow(s.asks, &s.asked, p)
	default:
		s.open(p)
	}
}

// down looks at bytes from the far side.
func (s *sniffer) down(p []byte) {
	switch s.stage.Load() {
	case deaf:
	case following:
		s.follow(s.answers, &s.replied, p)
	default:
		s.greet(p)
	}
}

func (s *sniffer) follow(r reader, enough *bool, p []byte) {
	if *enough || r == nil || r.read(p) {
		return
	}
	*enough = true
	if s.still.Add(-1) == 0 {
		s.stage.Store(deaf)
	}
}

// open reads the first bytes from the local side.
func (s *sniffer) open(p []byte) {
	s.mu.Lock()
	if s.stage.Load() != listening {
		s.mu.Unlock()
		s.up(p)
		return
	}
	rest := p[min(len(p), sniffLimit-len(s.first)):]
	s.first = append(s.first, p[:len(p)-len(rest)]...)
	var sure bool
	switch {
	case s.front && s.first[0] == 5:
		s.protocol, sure = ProtocolSOCKS, true
	case s.front && s.first[0] == 4:
		s.protocol, sure = ProtocolSOCKS4, true
	default:
		s.protocol, s.host, sure = identify(s.first)
	}
	if !sure && len(s.first) < sniffLimit {
		s.mu.Unlock()
		return
	}
	first := s.first
	s.settle()
	s.mu.Unlock()
	if s.stage.Load() == following {
		s.up(first)
		s.up(rest)
	}
}

// greet reads what the far side sends before the protocol is known: in some protocols the server speaks first.
func (s *sniffer) greet(p []byte) {
	s.mu.Lock()
	if s.stage.Load() != listening {
		s.mu.Unlock()
		s.down(p)
		return
	}
	s.answered = true
	if len(s.first) > 0 { // the far side answers bytes in which no protocol was recognized: it is one that the sniffer does not know
		s.first = nil
		s.stage.Store(deaf)
		s.mu.Unlock()
		return
	}
	rest := p[min(len(p), greetLimit-len(s.greeting)):]
	s.greeting = append(s.greeting, p[:len(p)-len(rest)]...)
	s.protocol = identifyServer(s.greeting)
	if s.protocol == "" && len(s.greeting) < greetLimit {
		s.mu.Unlock()
		return
	}
	greeting := s.greeting
	s.settle()
	s.mu.Unlock()
	if s.stage.Load() == following {
		s.down(greeting)
		s.down(rest)
	}
}

// settle ends the stage listening. Where more than the name of the protocol is told, it sets up the readers of what follows. s.mu
// is held.
func (s *sniffer) settle() {
	begun := s.answered
	switch s.protocol { //nolint:exhaustive // nothing more is told of the others
	case ProtocolHTTP, ProtocolHTTPConnect:
		s.asks = &requests{sniffer: s}
		if begun {
			s.talk.hush()
		} else {
			s.answers = &answers{sniffer: s}
		}
	case ProtocolSOCKS, ProtocolSOCKS4:
		s.asks, s.answers = &socksAsk{sniffer: s}, &socksAnswer{sniffer: s, old: s.protocol == ProtocolSOCKS4}
	case ProtocolH2C:
		s.asks = &firstRequest{sniffer: s, left: len(preface)}
	case ProtocolTLS:
		s.asks = &alerts{sniffer: s, by: "client"}
		if !begun {
			s.answers = &alerts{sniffer: s, by: "server"}
		}
	case ProtocolPostgres:
		if !begun {
			s.answers = &postgresLogin{sniffer: s, asked: bytes.HasPrefix(s.first, []byte{0, 0, 0, 8})}
		}
	case ProtocolMySQL:
		s.answers = &mysqlLogin{sniffer: s}
	}
	s.first, s.greeting = nil, nil
	stage := deaf
	for _, r := range []reader{s.asks, s.answers} {
		if r != nil {
			s.still.Add(1)
			stage = following
		}
	}
	s.stage.Store(stage)
}

// refused notes that one of the two sides has refused the connection; only the first refusal is kept. Behind a proxy it is
// counted for the host of the last request, which was the CONNECT.
func (s *sniffer) refused(e *AnswerError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = cmp.Or(s.refusal, e)
	if len(s.talk.shares) > 0 {
		share := &s.talk.shares[s.talk.sent.share]
		share.Failed++
		if share.Err == nil {
			share.Err = e
		}
	}
}

// describe fills in what the sniffer knows of a connection.
func (s *sniffer) describe(c *Connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Protocol, c.Host = ProtocolUnknown, ""
	if s.protocol != "" {
		c.Protocol, c.Host = s.protocol, s.host
	}
	s.talk.describe(c)
	if s.refusal != nil {
		c.Status, c.Refused = cmp.Or(s.refusal.Status, c.Status), max(c.Refused, 1)
	}
}

// refusedBy is the first refusal; nil when there was none.
func (s *sniffer) refusedBy() *AnswerError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusal
}
