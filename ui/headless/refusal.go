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
	// refusedFor is how long a forward may meet the same refusal before it is given up.
	refusedFor = 15 * time.Second
	// settlesIn is how old a container has to be before it is taken for certain that nothing will listen in it: servers take a
	// while to start.
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

// Remedy is the remedy of the refusal, else to look closer.
func (e *RefusalError) Remedy() string {
	if inner := say.Remedy(e.Err); inner != "" {
		return inner
	}
	return "look closer with --log-level debug"
}

// refusal names the kind of a refusal, which is an answer that waiting does not change. It is empty for everything that may
// pass by itself: silence, a name that does not resolve yet, a server that is overloaded.
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

// isRefusal tells a status that means no from one that means later.
func isRefusal(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

// refusals is the refusal that a forward met last, and since when.
type refusals struct {
	kind  string
	since time.Time
	until time.Time // when the refusal is taken for final
	said  bool
}

// meet takes the outcome of a probe. It reports how long the outcome has been the same refusal when that has become too long,
// once for each refusal; else 0.
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

// settled is when a server in the tunnel's container should have begun to listen. It is zero for a server on another host, and
// where ECS does not say how old the container is. The age of the container is that of its agent, which starts with it.
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

// pause shortens a pause that would go on beyond the end of the patience with a refusal.
func (s *refusals) pause(long time.Duration) time.Duration {
	if left := time.Until(s.until); s.kind != "" && !s.said && left < long {
		return max(left, 0)
	}
	return long
}

// giveUp records that a forward meets a lasting refusal. It returns the error, which ends the run, unless another account has
// tunnels that are ready or may become so; the forward is then tried further.
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

// cause identifies an error by the types of all that it wraps and by its remedy, not by its text: that has numbers which change
// while the cause does not.
func cause(err error) string {
	var b strings.Builder
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		fmt.Fprintf(&b, "%T ", inner)
	}
	return b.String() + say.Remedy(err)
}
