package screen

import (
	"net/netip"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
)

// reading is a copy of what is known of a tunnel at a moment. Pages draw readings, so that they can be drawn without a tunnel.
type reading struct {
	ID     tunnel.ID
	Spec   tunnel.Spec
	Local  netip.AddrPort
	State  tunnel.State
	Err    error // why the tunnel is in that state
	Link   tunnel.Link
	Stats  tunnel.Stats
	Opened time.Time
	Since  time.Time // when State began
	User   string    // the user for the proxy at its far end; empty for none

	Destinations []tunnel.Destination // the destinations of a tunnel to any host
	through      int                  // how many destinations there are through a task
	counted      bool                 // through is known
}

// read returns the reading of a tunnel. Opened and Since are left to the caller, as they follow from events.
func read(t *tunnel.Tunnel) reading {
	state, err := t.State()
	r := reading{
		ID: t.ID(), Spec: t.Spec(), Local: t.Addr(), State: state, Err: err, Link: t.Link(), Stats: t.Stats(),
	}
	if r.Spec.Dynamic != nil {
		lead(&r, t.Destinations())
	}
	return r
}

// lead puts the destinations of a tunnel to any host into a reading.
func lead(r *reading, to []tunnel.Destination) {
	r.Destinations, r.through, r.counted = to, 0, true
	for i := range to {
		if !to[i].Direct {
			r.through++
		}
	}
}

// local is where the tunnel listens, as it is shown.
func (r reading) local() string {
	if r.Spec.Socket != "" {
		return say.Line(r.Spec.Socket)
	}
	return r.Local.String()
}

// far is the remote end, as it is shown.
func (r reading) far() string { return say.Line(r.Spec.FarEnd()) }
