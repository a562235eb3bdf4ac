package headless

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

const (
	// refusedFor is how long a forward is tried that meets the same refusal again and again.
	refusedFor = 15 * time.Second
	// settlesIn is how old a container has to be before nothing listens in it for good: servers take a while to begin.
	settlesIn = time.Minute
)

// RefusalError says that a forward has met the same refusal for so long that waiting changes nothing.
type RefusalError struct {
	Forward string
	For     time.Duration
	Err     error // the refusal
}

func (e *RefusalError) Error() string {
	return fmt.Sprintf("forward %s meets the same refusal for %s: %s", e.Forward, e.For.Round(time.Second), e.Err)
}

func (e *RefusalError) Unwrap() error { return e.Err }

// Remedy is that of the refusal, else to look closer.
func (e *RefusalError) Remedy() string {
	if inner := say.Remedy(e.Err); inner != "" {
		return inner
	}
	return "look closer with --log-level debug"
}

// refusal names the kind of answer that waiting does not change; empty for everything that may pass by itself: silence, a
// name that does not resolve yet, a server that is overloaded.
func refusal(err error) string {
	var refused *tunnel.RefusedError
	var ended *tunnel.ClosedError
	var other *doctor.OtherProtocolError
	var silent *notHTTPError
	var proxy *doctor.RefusalError
	var status *doctor.StatusError
	var certificate *doctor.CertificateError
	var scheme *doctor.SchemeError
	var probe *ProbeError
	switch {
	case errors.As(err, &refused), errors.As(err, &ended) && ended.Refused():
		return "nothing listens"
	case errors.As(err, &other), errors.As(err, &scheme):
		return "another protocol"
	case errors.As(err, &silent) && !errors.Is(err, os.ErrDeadlineExceeded):
		return "another protocol"
	case errors.As(err, &certificate):
		return "certificate"
	case errors.As(err, &proxy) && (isRefusal(proxy.Status) || proxy.Says != "" && (proxy.Reason == doctor.ReasonLogin || proxy.Reason == doctor.ReasonRule)):
		return "refused by the proxy"
	case errors.As(err, &status) && isRefusal(status.Status):
		return "refused by the server"
	case errors.As(err, &probe) && probe.Lasting:
		return probe.Problem
	}
	return ""
}

// isRefusal tells a status that says no from one that says later.
func isRefusal(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

// refusals counts how long a forward has met the same one.
type refusals struct {
	kind  string
	since time.Time
	until time.Time // when it is taken for good
	said  bool
}

// meet takes the outcome of a probe, and reports for how long it has been the same refusal once that is enough. It does so
// once for each refusal.
func (s *refusals) meet(ctx context.Context, t *tunnel.Tunnel, err error, patience time.Duration) (lasting time.Duration) {
	kind, now := refusal(err), time.Now()
	if kind != s.kind {
		*s = refusals{kind: kind, since: now, until: now.Add(patience)}
	}
	if kind == "" || s.said || now.Before(s.until) {
		return 0
	}
	if _, refused := errors.AsType[*tunnel.RefusedError](err); refused {
		if settled := s.settled(ctx, t); now.Before(settled) {
			s.until = settled
			return 0
		}
	}
	s.said = true
	return now.Sub(s.since)
}

// settled is when a server in the tunnel's container should have begun to listen; zero for one elsewhere, and where nobody
// says how old the container is. Its agent starts with it.
func (s *refusals) settled(ctx context.Context, t *tunnel.Tunnel) time.Time {
	at := t.Link().Target
	if t.Spec().Remote.Host != "" || t.Spec().Dynamic != nil || at.Task == "" {
		return time.Time{}
	}
	agent, err := t.Spec().Client.AgentOf(ctx, at)
	if err != nil || agent.StartedAt.IsZero() {
		return time.Time{}
	}
	return agent.StartedAt.Add(settlesIn)
}

// pause shortens a pause so that the end of the patience is not slept over.
func (s *refusals) pause(long time.Duration) time.Duration {
	if left := time.Until(s.until); s.kind != "" && !s.said && left < long {
		return max(left, 0)
	}
	return long
}

// giveUp takes note that a forward meets a refusal that lasts. The error ends the run, unless other accounts go on; the
// forward is tried further then.
func (r *run) giveUp(t *tracked, lasting time.Duration, err error) error {
	t.late = true
	t.trouble = &RefusalError{Forward: t.Spec().FarEnd(), For: lasting, Err: err}
	r.Board.late(t.ID(), t.trouble)
	if !r.hope(t.forward.Account) {
		return t.trouble
	}
	r.settle()
	return nil
}

// cause identifies what is in the way without the numbers in its words, which change while it does not: the kinds of its
// errors and the remedy.
func cause(err error) string {
	var b strings.Builder
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		fmt.Fprintf(&b, "%T ", inner)
	}
	return b.String() + say.Remedy(err)
}
