package headless

import (
	"culvert/aws"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// tracked is a tunnel with what this face knows of it.
type tracked struct {
	*tunnel.Tunnel

	forward Forward
	target  aws.Target
	state   tunnel.State
	probing bool
	ready   bool
	proving tunnel.Link // the session that is being proved, or was proved last
	moved   bool        // to another task or session since that proof began
	doubt   error       // why the last proof failed, after an earlier one; nil when the far end is proved
	found   proof       // what it was proved by, once it is ready
	trouble error       // the last obstacle on the way to ready
	lost    error       // set in state Failed
	late    bool        // not ready in time, while the run goes on for others
	kept    bool        // open before the run began (Keep); when it fails the run goes on, as long as another one is left
	shown   tunnel.Stats
}

// local is the address or the socket of the listener, as it is printed.
func (t *tracked) local() string {
	if socket := t.Spec().Socket; socket != "" {
		return socket
	}
	return t.Addr().String()
}

// proxy is the URL of the proxy at the far end, with the login in it; empty when there is no proxy, or when the listener is a
// unix socket.
func (t *tracked) proxy(login *doctor.Login) string {
	if t.found.scheme == "" || t.Spec().Socket != "" {
		return ""
	}
	return login.URL(t.found.scheme, reachable(t.Addr()).String())
}

// shownProxy is the URL of proxy with the password masked.
func (t *tracked) shownProxy(login *doctor.Login) string {
	if t.proxy(nil) == "" {
		return ""
	}
	return login.Masked(t.found.scheme, reachable(t.Addr()).String())
}

func (t *tracked) healthy() bool {
	return t.ready && t.doubt == nil && (t.state == tunnel.Open || t.state == tunnel.Asleep)
}

func (t *tracked) condition() string {
	if t.state == tunnel.Open {
		return "being probed"
	}
	return t.state.String()
}

func (r *run) tracked(id tunnel.ID) *tracked {
	for _, t := range r.tunnels {
		if t.ID() == id {
			return t
		}
	}
	return nil
}

func (r *run) allLost() bool {
	if len(r.pending) > 0 {
		return false
	}
	for _, t := range r.tunnels {
		if t.lost == nil {
			return false
		}
	}
	return true
}

func (r *run) firstLost() error {
	for _, t := range r.tunnels {
		if t.lost != nil {
			return t.lost
		}
	}
	return nil
}
