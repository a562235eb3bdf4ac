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
	err   error // why not
	again bool  // it was proved before, behind another task or session
}

type proofState int

const (
	proving proofState = iota
	proved
	unproved
)

// Start is a tunnel that is wanted from the beginning.
type Start struct {
	Query aws.Query   // which container
	Spec  tunnel.Spec // without a target
	Probe string      // as --probe takes it
}

// begin opens what is wanted from the beginning.
func (a *app) begin(p *place) tea.Cmd {
	var cmds []tea.Cmd
	for _, s := range a.o.Start {
		cmds = append(cmds, func() tea.Msg {
			target, err := p.client.Lookup(a.ctx, s.Query)
			return then(func() tea.Cmd {
				if err != nil {
					a.fail(err)
					return nil
				}
				s.Spec.Target, s.Spec.Pinned = target, s.Query.Task != ""
				return a.open(p, s.Spec, s.Probe)
			})
		})
	}
	a.o.Start = nil
	return tea.Batch(cmds...)
}

// open opens a tunnel and proves it. What goes wrong is said in the notice line.
func (a *app) open(p *place, spec tunnel.Spec, probe string) tea.Cmd {
	if a.o.ReadOnly {
		a.fail(&ReadOnlyError{})
		return nil
	}
	return func() tea.Msg {
		t, err := p.openNow(spec)
		return then(func() tea.Cmd {
			if err != nil {
				a.fail(err)
				return nil
			}
			return a.opened(t, probe)
		})
	}
}

// openNow listens. A task without a runtime id, one that has only just started, is looked at again first.
func (p *place) openNow(spec tunnel.Spec) (*tunnel.Tunnel, error) {
	if to := spec.Target; to.Task != "" && to.RuntimeID == "" {
		query := aws.Query{Cluster: to.Cluster, Task: to.Task, Container: to.Container}
		if spec.Remote.Host == "" {
			query.Port = spec.Remote.Port
		}
		found, err := p.client.Lookup(p.app.ctx, query)
		if err != nil {
			return nil, err
		}
		spec.Target = found
	}
	return p.engine.Open(spec)
}

// localName is where a tunnel listens, as its users write it.
func localName(t *tunnel.Tunnel) string {
	if path := t.Spec().Socket; path != "" {
		return path
	}
	return t.Addr().String()
}

// addrPort is the local side of a spec with another port.
func addrPort(spec tunnel.Spec, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(spec.Local.Addr(), port)
}

// opened shows a tunnel that has begun to listen.
func (a *app) opened(t *tunnel.Tunnel, probe string) tea.Cmd {
	a.proofs[t] = proof{}
	return tea.Batch(a.hurry(), a.prove(t, probe))
}

// proveAgain is how long to wait after a probe that failed; a tunnel that is not open yet is one of them.
const proveAgain = time.Second

// prove tries a tunnel until it is seen to work, or is over.
func (a *app) prove(t *tunnel.Tunnel, probe string) tea.Cmd {
	if a.o.Prove == nil {
		return nil
	}
	return func() tea.Msg {
		if state, _ := t.State(); state != tunnel.Open {
			return a.provedLater(t, probe)
		}
		behind := t.Link()
		err := a.o.Prove(a.ctx, t, probe)
		return then(func() tea.Cmd {
			if err == nil {
				a.proofs[t] = proof{state: proved}
				return func() tea.Msg { return a.provedAgain(t, probe, behind) }
			}
			a.proofs[t] = proof{state: unproved, err: err, again: a.proofs[t].again}
			return func() tea.Msg { return a.provedLater(t, probe) }
		})
	}
}

// provedAgain waits until the tunnel has moved away from the link behind which it was proved, and has it proved anew.
func (a *app) provedAgain(t *tunnel.Tunnel, probe string, behind tunnel.Link) tea.Msg {
	for !t.Moved(behind, t.Link()) {
		select {
		case <-a.ctx.Done():
			return nil
		case <-time.After(proveAgain):
		}
		if state, _ := t.State(); state.Final() {
			return nil
		}
	}
	return then(func() tea.Cmd {
		a.proofs[t] = proof{again: true}
		return a.prove(t, probe)
	})
}

// provedLater waits, and has the tunnel proved again unless it or the interface has ended.
func (a *app) provedLater(t *tunnel.Tunnel, probe string) tea.Msg {
	select {
	case <-a.ctx.Done():
		return nil
	case <-time.After(proveAgain):
	}
	if state, _ := t.State(); state.Final() {
		return nil
	}
	return then(func() tea.Cmd { return a.prove(t, probe) })
}

// ReadOnlyError says that the interface was told to change nothing.
type ReadOnlyError struct{}

func (e *ReadOnlyError) Error() string {
	return "culvert runs with --read-only: it opens and ends nothing"
}

// Remedy is to start it without.
func (e *ReadOnlyError) Remedy() string {
	return "start it without --read-only, CULVERT_READ_ONLY and read-only in the config file"
}
