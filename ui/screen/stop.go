package screen

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
)

// stopWithin is how long the sessions of one tunnel may take to be terminated.
const stopWithin = 10 * time.Second

// stop ends a tunnel; one with connections only after a question. A row of one that is over goes out of sight.
func (p *tunnelsPane) stop(r *row) tea.Cmd {
	switch {
	case r.holder != nil:
		return p.stopHeld(r)
	case r.State.Final():
		p.forget(r)
		return nil
	}
	return p.cut(r, "stop", func() tea.Cmd { return p.stopNow(r) })
}

// cut does what ends the connections of a tunnel, after a question where there are any.
func (p *tunnelsPane) cut(r *row, doing string, do func() tea.Cmd) tea.Cmd {
	switch {
	case p.app.o.ReadOnly:
		p.app.fail(&ReadOnlyError{})
		return nil
	case r.Stats.Connections == 0:
		return do()
	}
	p.app.confirm(doing, doing, do, doing+" "+r.local()+"?", plural(r.Stats.Connections, "open connection")+" will be cut.")
	return nil
}

func (p *tunnelsPane) stopNow(r *row) tea.Cmd {
	p.app.say("stopping " + r.local())
	running, stopped := p.app.ctx, r.tunnel
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(running, stopWithin)
		defer cancel()
		err := stopped.Close(ctx)
		return then(func() tea.Cmd {
			if err != nil {
				p.app.fail(fmt.Errorf("stop %s: %w", r.local(), err))
				return nil
			}
			p.app.say("stopped " + r.local())
			return nil
		})
	}
}

// reconnect gives a tunnel new sessions, or opens one that is over again.
func (p *tunnelsPane) reconnect(r *row) tea.Cmd {
	switch {
	case r.holder != nil:
		p.app.say("culvert " + r.heldBy() + " holds it and reconnects by itself; stop ends it")
		return nil
	case r.State.Final():
		return p.reopen(r)
	}
	return p.cut(r, "reconnect", func() tea.Cmd {
		r.tunnel.Reconnect()
		p.app.say("reconnecting " + r.local())
		return nil
	})
}

// reopen opens a tunnel that is over anew, where its clients know it.
func (p *tunnelsPane) reopen(r *row) tea.Cmd {
	spec := r.Spec
	if spec.Socket == "" {
		spec.Local = netip.AddrPortFrom(spec.Local.Addr(), r.Local.Port())
	}
	if spec.Target.Service != "" && !spec.Pinned {
		spec.Target.Task, spec.Target.RuntimeID = "", "" // any task: that of before may be gone
	}
	p.forget(r)
	return p.app.open(r.place, spec, "")
}

// forget takes a row out of sight.
func (p *tunnelsPane) forget(r *row) {
	p.rows = slices.DeleteFunc(p.rows, func(other *row) bool { return other == r })
	p.table.Set(p.rows)
}
