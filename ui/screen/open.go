package screen

import (
	"net/netip"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/tunnel"
)

// proof is whether a tunnel was seen to reach its far end.
type proof struct {
	state proofState
	by    string // by what that was seen, as the ready event names it
	err   error  // why it was not seen
	again bool   // the tunnel was proved before, over another task or session
}

type proofState int

const (
	proving proofState = iota
	proved
	unproved
)

// Start is a tunnel that the screen opens at its start.
type Start struct {
	Query aws.Query   // finds the container
	Spec  tunnel.Spec // without a target
	Probe string      // how the tunnel is proved, as --probe takes it
}

// begin opens the tunnels that are wanted from the start. Their rows stand in the order in which they were named.
func (ts *tunnels) begin(p *place) wish {
	var wishes []wish
	for _, s := range ts.start {
		q := s.Query
		s.Spec.Target, s.Spec.Pinned = q.Target(), q.Task != ""
		wishes = append(wishes, ts.begun(wanted{place: p, spec: s.Spec, query: &q, probe: s.Probe, user: ts.proxyUser}))
	}
	ts.start = nil
	return all(wishes...)
}

// openNow opens a tunnel. A container without a runtime id, as it has only just started, is looked up again first.
func (p *place) openNow(spec tunnel.Spec) (*tunnel.Tunnel, error) {
	if to := spec.Target; to.Task != "" && to.RuntimeID == "" {
		query := aws.Query{Cluster: to.Cluster, Task: to.Task, Container: to.Container}
		if spec.Remote.Host == "" {
			query.Port = spec.Remote.Port
		}
		found, err := p.client.Lookup(p.of.ctx, query)
		if err != nil {
			return nil, err
		}
		spec.Target = found
	}
	if err := p.engine.SeekRelay(p.of.ctx, &spec); err != nil {
		return nil, err
	}
	return p.engine.Open(spec)
}

// localName is where a tunnel listens, as its clients write it.
func localName(t *tunnel.Tunnel) string {
	if path := t.Spec().Socket; path != "" {
		return path
	}
	return t.Addr().String()
}

// addrPort is the local address of a spec with another port.
func addrPort(spec tunnel.Spec, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(spec.Local.Addr(), port)
}

// proveAgain is the pause after a probe that failed, as it does while the tunnel is not open yet.
const proveAgain = time.Second

// tryIt probes a tunnel until it is seen to work, or is over.
func (ts *tunnels) tryIt(t *tunnel.Tunnel, probe, user string) wish {
	if ts.prove == nil {
		return nil
	}
	return beside(func() tea.Msg {
		if state, _ := t.State(); state != tunnel.Open {
			return ts.provedLater(t, probe, user)
		}
		behind := t.Link()
		by, err := ts.prove(ts.accounts.ctx, t, probe, user)
		return then(func() wish {
			if err == nil {
				ts.proofs[t] = proof{state: proved, by: by}
				if probe == "" && by == string(tunnel.ProtocolUnknown) {
					probe = by // what the far end speaks is known now, so it is not asked for that again
				}
				return beside(func() tea.Msg { return ts.provedAgain(t, probe, user, behind) })
			}
			ts.proofs[t] = proof{state: unproved, err: err, again: ts.proofs[t].again}
			return beside(func() tea.Msg { return ts.provedLater(t, probe, user) })
		})
	})
}

// provedAgain waits until the tunnel has moved away from the link over which it was proved, and has it proved anew. A tunnel to
// any host has a link for each host, so it is proved again when it was not open meanwhile.
func (ts *tunnels) provedAgain(t *tunnel.Tunnel, probe, user string, behind tunnel.Link) tea.Msg {
	moved := func() bool {
		if t.Spec().Dynamic != nil {
			state, _ := t.State()
			return state != tunnel.Open
		}
		return t.Moved(behind, t.Link())
	}
	for !moved() {
		select {
		case <-ts.accounts.ctx.Done():
			return nil
		case <-time.After(proveAgain):
		}
		if state, _ := t.State(); state.Final() {
			return nil
		}
	}
	return then(func() wish {
		ts.proofs[t] = proof{again: true}
		return ts.tryIt(t, probe, user)
	})
}

// provedLater waits for proveAgain, and has the tunnel proved again unless the tunnel or the screen has ended.
func (ts *tunnels) provedLater(t *tunnel.Tunnel, probe, user string) tea.Msg {
	select {
	case <-ts.accounts.ctx.Done():
		return nil
	case <-time.After(proveAgain):
	}
	if state, _ := t.State(); state.Final() {
		return nil
	}
	return then(func() wish { return ts.tryIt(t, probe, user) })
}

// ReadOnlyError means that the screen was told to open and end nothing.
type ReadOnlyError struct{}

func (e *ReadOnlyError) Error() string {
	return "culvert runs with --read-only: it opens and ends nothing"
}

// Remedy says where read-only is set.
func (e *ReadOnlyError) Remedy() string {
	return "start it without --read-only, CULVERT_READ_ONLY and read-only in the config file"
}
