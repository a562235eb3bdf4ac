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

// step is what a request waits for.
type step int

const (
	stepName step = iota
	stepConnect
	stepProxy
	stepTLS
	stepAnswer
	stepBody
)

// Steps knows what a request on its way waits for, so that one that gets no further can say where.
type Steps struct {
	target    *url.URL
	proxy     *url.URL // nil without one
	websocket bool     // their dialer asks a proxy for every connection, and has TLS behind GotConn
	begun     time.Time
	call      *ongoing // that it is a part of; may be nil

	mu         sync.Mutex
	at         step
	to         string // address that is connected to
	handshakes int
}

// Follow returns a context whose HTTP request, or websocket dialer, tells Steps how far it has come, until its End. proxy
// may be nil.
func Follow(ctx context.Context, target, proxy *url.URL) (context.Context, *Steps) {
	s := &Steps{target: webURL(target), proxy: proxy, begun: time.Now(), call: ongoingOf(ctx)}
	s.websocket = s.target != target
	s.call.begun(s)
	return httptrace.WithClientTrace(context.WithValue(ctx, stepsKey{}, s), &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { s.reach(stepName) },
		ConnectStart: func(_, address string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.at, s.to = stepConnect, address
		},
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				s.connected()
			}
		},
		TLSHandshakeStart: func() { s.reach(stepTLS) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err == nil {
				s.secured()
			}
		},
		GotConn: func(httptrace.GotConnInfo) {
			if !s.websocket {
				s.reach(stepAnswer)
			}
		},
	}), s
}

type stepsKey struct{}

// stepsOf are those of the request that ctx is of; nil when nobody follows it.
func stepsOf(ctx context.Context) *Steps {
	s, _ := ctx.Value(stepsKey{}).(*Steps)
	return s
}

// End says that the request is over.
func (s *Steps) End() { s.call.begun(nil) }

// connected says what comes when a connection is there.
func (s *Steps) connected() {
	secure := s.target.Scheme == "https"
	switch {
	case s.proxy != nil && s.proxy.Scheme == "https":
		s.reach(stepTLS)
	case s.proxy != nil && (secure || s.websocket || s.proxy.Scheme != "http"):
		s.reach(stepProxy)
	case secure:
		s.reach(stepTLS)
	default:
		s.reach(stepAnswer)
	}
}

// secured says what comes after a TLS handshake: the first may have been with the proxy.
func (s *Steps) secured() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handshakes++
	s.at = stepAnswer
	if s.handshakes == 1 && s.proxy != nil && s.proxy.Scheme == "https" && (s.target.Scheme == "https" || s.websocket) {
		s.at = stepProxy
	}
}

// tunnelled says that a proxy has connected a websocket to its target.
func (s *Steps) tunnelled() {
	if s != nil {
		s.reach(stepAnswer)
	}
}

func (s *Steps) reach(at step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = at
}

func (s *Steps) address() string {
	return (&url.URL{Scheme: s.target.Scheme, Host: s.target.Host}).String()
}

// Stalled is why a request got no further.
func (s *Steps) Stalled() *StallError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &StallError{at: s.at, to: s.to, After: time.Since(s.begun), stream: s.websocket}
}

// failure is the same in net/http's form.
func (s *Steps) failure() error { return &url.Error{Op: "Wait", URL: s.address(), Err: s.Stalled()} }

// StallError is a request that gets no further.
type StallError struct {
	After time.Duration

	at     step
	to     string
	stream bool // a session's websocket
}

func (e *StallError) Error() string {
	within := e.After.Round(10 * time.Millisecond).String()
	if e.After >= time.Second {
		within = e.After.Round(time.Second).String()
	}
	switch e.at {
	case stepName:
		return "its name was not resolved within " + within
	case stepConnect:
		return fmt.Sprintf("no connection to %s within %s: packets are dropped on the way", e.to, within)
	case stepProxy:
		return "the proxy takes the connection, but has not answered CONNECT within " + within
	case stepTLS:
		return "the connection is there, but the TLS handshake has not ended within " + within
	case stepAnswer:
		return "the connection is there, but no answer came within " + within
	case stepBody:
		return "an answer began, but has not ended within " + within
	}
	return "no answer within " + within
}
