package aws

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"
)

// phase is what an HTTP request is waiting for.
type phase int

const (
	phaseName phase = iota
	phaseConnect
	phaseProxy
	phaseTLS
	phaseAnswer
	phaseBody
)

// Phases follows one HTTP request or websocket dial, so that the error of one that gets stuck can say what it was waiting for.
// Its methods are safe for concurrent use.
type Phases struct {
	target    *url.URL
	proxy     *url.URL // nil without one
	websocket bool     // our dialer of websockets asks a proxy for every connection, and shakes hands by TLS after GotConn
	begun     time.Time
	call      *ongoing // the call that the request is a part of; may be nil

	mu         sync.Mutex
	at         phase
	to         string // address that is being connected to
	handshakes int
}

// Follow returns a context and the Phases of the HTTP request or websocket dial that is made with it, until Phases.End. proxy
// may be nil.
func Follow(ctx context.Context, target, proxy *url.URL) (context.Context, *Phases) {
	s := &Phases{target: webURL(target), proxy: proxy, begun: time.Now(), call: ongoingOf(ctx)}
	s.websocket = s.target != target
	s.call.begun(s)
	return httptrace.WithClientTrace(context.WithValue(ctx, phasesKey{}, s), &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { s.reach(phaseName) },
		ConnectStart: func(_, address string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.at, s.to = phaseConnect, address
		},
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				s.connected()
			}
		},
		TLSHandshakeStart: func() { s.reach(phaseTLS) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err == nil {
				s.secured()
			}
		},
		GotConn: func(httptrace.GotConnInfo) {
			if !s.websocket {
				s.reach(phaseAnswer)
			}
		},
	}), s
}

type phasesKey struct{}

// phasesOf are the Phases of the request that ctx is of; nil when it is not followed.
func phasesOf(ctx context.Context) *Phases {
	s, _ := ctx.Value(phasesKey{}).(*Phases)
	return s
}

// End says that the request has ended.
func (s *Phases) End() { s.call.begun(nil) }

// connected says that a connection was made, so that the next phase begins.
func (s *Phases) connected() {
	secure := s.target.Scheme == "https"
	switch {
	case s.proxy != nil && s.proxy.Scheme == "https":
		s.reach(phaseTLS)
	case s.proxy != nil && (secure || s.websocket || s.proxy.Scheme != "http"):
		s.reach(phaseProxy)
	case secure:
		s.reach(phaseTLS)
	default:
		s.reach(phaseAnswer)
	}
}

// secured says that a TLS handshake was made, so that the next phase begins. The first handshake may have been with the proxy.
func (s *Phases) secured() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handshakes++
	s.at = phaseAnswer
	if s.handshakes == 1 && s.proxy != nil && s.proxy.Scheme == "https" && (s.target.Scheme == "https" || s.websocket) {
		s.at = phaseProxy
	}
}

// tunnelled says that a proxy has connected a websocket to its target.
func (s *Phases) tunnelled() {
	if s != nil {
		s.reach(phaseAnswer)
	}
}

func (s *Phases) reach(at phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = at
}

func (s *Phases) address() string {
	return (&url.URL{Scheme: s.target.Scheme, Host: s.target.Host}).String()
}

// Stalled is the error of a request that is stuck in its present phase.
func (s *Phases) Stalled() *StallError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &StallError{at: s.at, to: s.to, After: time.Since(s.begun), stream: s.websocket}
}

// failure is that error as net/http would return it.
func (s *Phases) failure() error { return &url.Error{Op: "Wait", URL: s.address(), Err: s.Stalled()} }

// StallError means that a request got stuck.
type StallError struct {
	After time.Duration

	at     phase
	to     string
	stream bool // a session's websocket
}

func (e *StallError) Error() string {
	within := e.After.Round(10 * time.Millisecond).String()
	if e.After >= time.Second {
		within = e.After.Round(time.Second).String()
	}
	switch e.at {
	case phaseName:
		return "its name was not resolved within " + within
	case phaseConnect:
		return fmt.Sprintf("no connection to %s within %s: packets are dropped on the way", e.to, within)
	case phaseProxy:
		return "the proxy takes the connection, but has not answered CONNECT within " + within
	case phaseTLS:
		return "the connection is there, but the TLS handshake has not ended within " + within
	case phaseAnswer:
		return "the connection is there, but no answer came within " + within
	case phaseBody:
		return "an answer began, but has not ended within " + within
	}
	return "no answer within " + within
}
