package screen

import (
	"cmp"
	"errors"
	"strings"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// standing returns the state of a tunnel as the screen shows it: a sign and a word, either of which is enough, and a colour.
func (ts *tunnels) standing(r *row) (text string, colour draw.Ink) {
	if r.opening {
		return ts.look.theme.Glyph.Half + " " + tunnel.Starting.String(), ts.look.theme.Busy
	}
	if r.State == tunnel.Open && ts.proofs[r.tunnel].state == unproved {
		return ts.look.theme.Glyph.Off + " no answer", ts.look.theme.Bad
	}
	if r.State == tunnel.Open && ts.proofs[r.tunnel].again && ts.proofs[r.tunnel].state == proving {
		return ts.look.theme.Glyph.Half + " proving", ts.look.theme.Busy
	}
	return sign(ts.look.theme, r.State) + " " + r.State.String(), tone(ts.look.theme, r.State)
}

// sign is the glyph for a state.
func sign(t *draw.Theme, s tunnel.State) string {
	switch s {
	case tunnel.Starting, tunnel.Handshaking, tunnel.Resuming, tunnel.Reopening:
		return t.Glyph.Half
	case tunnel.Open:
		return t.Glyph.On
	case tunnel.Asleep:
		return t.Glyph.None
	case tunnel.Closed, tunnel.Failed:
		return t.Glyph.Off
	}
	return " "
}

// tone is the colour for a state.
func tone(t *draw.Theme, s tunnel.State) draw.Ink {
	switch s {
	case tunnel.Starting, tunnel.Handshaking, tunnel.Resuming, tunnel.Reopening:
		return t.Busy
	case tunnel.Open:
		return t.Good
	case tunnel.Asleep, tunnel.Closed:
		return t.Muted
	case tunnel.Failed:
		return t.Bad
	}
	return t.Text
}

// ailment returns the error that keeps a tunnel from working; nil when there is none.
func (ts *tunnels) ailment(r *row) error {
	if r.opening {
		return nil
	}
	switch r.State {
	case tunnel.Open:
		return ts.proofs[r.tunnel].err
	case tunnel.Closed:
		return nil
	case tunnel.Starting, tunnel.Handshaking, tunnel.Resuming, tunnel.Reopening, tunnel.Asleep, tunnel.Failed:
	}
	if r.errand != nil {
		return r.errand.Over(r.Err)
	}
	return r.Err
}

// expired reports whether any call has shown that the credentials of a place have expired.
func (ts *tunnels) expired(p *place) bool {
	return ts.expiry(p) != nil
}

// isExpired reports whether an error says that the credentials have expired, which the header tells already.
func isExpired(err error) bool {
	_, expired := errors.AsType[*aws.ExpiredError](err)
	return expired
}

// sparkCells is how many cells, so seconds of traffic, the graph in a row has at least.
const sparkCells = 8

// spark draws the traffic of the last seconds, both directions together.
func (r *row) spark(t *draw.Theme, cells int) string {
	values := make([]float64, min(cells, keepSeconds))
	for i, second := range r.meter.history(len(values)) {
		values[i] = second.sent + second.received
	}
	return t.Bars().Sparkline(values, cells, draw.Scale(values))
}

// inside says where the tunnel leads within its cluster: the service, and behind that the port or host. For a tunnel to any host
// it says how many destinations are open, of how many there may be.
func (r *row) inside() string {
	near := say.Line(cmp.Or(r.Spec.Target.Service, r.Spec.Target.Family, r.Spec.Target.Task))
	switch {
	case r.Spec.Dynamic != nil:
		return strings.TrimSpace(near + " › " + r.far() + " " + r.behind())
	case r.unknown():
		return strings.TrimPrefix(near+" › "+r.far(), " › ")
	case r.Spec.Remote.Host == "":
		return near + ":" + r.far()
	}
	return near + " › " + r.far()
}

// unknown reports whether the far end was given by a name that has not been found.
func (r *row) unknown() bool { return r.Spec.To != "" && r.Spec.Remote == tunnel.Endpoint{} }

// towards is inside with the cluster before it.
func (r *row) towards() string {
	return strings.TrimPrefix(say.Line(r.Spec.Target.Cluster)+"/"+r.inside(), "/")
}
