package tunnel

import (
	"bytes"
	"cmp"
	"sync"
	"sync/atomic"
)

// sniffLimit is how many first bytes of a direction are kept until it is known what they are.
const sniffLimit = 8 << 10

// greetLimit is how many of a server that speaks before it is asked.
const greetLimit = 512

// sniffer tells what a connection is, where its requests go and what became of them. It reads along in both directions,
// before the bytes are handed on, and keeps names and numbers, never what was sent.
type sniffer struct {
	front bool         // the far side is culvert's own proxy: a first byte of 5 or 4 is SOCKS
	stage atomic.Int32 // all that a connection costs once it is deaf is to read this

	mu       sync.Mutex
	first    []byte // from the local side, while it listens
	greeting []byte // from the far side, while the local side has said nothing
	answered bool
	protocol Protocol
	host     string
	refusal  *AnswerError // the first
	talk     talk

	// Each is used by its own direction alone, without the lock; nil where there is nothing to follow. They are set before
	// stage says so.
	asks, answers  reader
	asked, replied bool // the reader has had enough
	still          atomic.Int32
}

// The stages of a sniffer.
const (
	listening int32 = iota // it is not known yet what the connection is
	following              // requests and answers are read
	deaf                   // all is known that will be
)

// reader follows one direction of a protocol. It reports whether it wants more.
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

// open reads what the local side says first.
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

// greet reads what the far side says before it is known what the connection is: some protocols let the server speak
// first.
func (s *sniffer) greet(p []byte) {
	s.mu.Lock()
	if s.stage.Load() != listening {
		s.mu.Unlock()
		s.down(p)
		return
	}
	s.answered = true
	if len(s.first) > 0 { // the far side answers bytes that no protocol was recognized in: it is none that the sniffer knows
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

// settle ends the listening: with readers of what follows, where the protocol is one of which more is told.
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

// refused notes that the far side refused what was asked; the first word counts. Behind a proxy it is the last request that
// this is about, the CONNECT.
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

// describe fills in what is known of a connection.
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
