package screen

import (
	"errors"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
	"culvert/ui/recent"
)

// memory writes down in a file which tunnels are used, and knows those that were used before.
type memory struct {
	look    *look
	tunnels *tunnels
	file    recent.File // where that is written; empty: nothing is remembered
	clock   func() time.Time

	list    []recent.Tunnel         // the tunnels that were used before, as last read, the most used first
	was     []recent.Tunnel         // those of them that were open when another screen ended
	open    map[*recent.Tunnel]bool // tunnels that are written down as open
	pending []recent.Change         // changes that are not written yet
	writing bool
	told    bool            // the user was told that the file cannot be used
	asked   map[*place]bool // places for which the user was told what was open before
}

func newMemory(l *look, ts *tunnels, o Options) *memory {
	return &memory{look: l, tunnels: ts, file: o.Recent, clock: o.Now, open: map[*recent.Tunnel]bool{}, asked: map[*place]bool{}}
}

// load reads what is remembered, beside the first frame.
func (m *memory) load() wish {
	if m.file == "" {
		return nil
	}
	return beside(func() tea.Msg {
		list, err := m.file.Read()
		was := slices.DeleteFunc(slices.Clone(list), func(t recent.Tunnel) bool { return !t.Left() })
		return then(func() wish {
			m.list, m.was = list, was
			return m.trouble(err)
		})
	})
}

// trouble tells the user, once, that nothing can be remembered.
func (m *memory) trouble(err error) wish {
	if err == nil || m.told {
		return nil
	}
	m.told = true
	return fail(err)
}

// tick notices tunnels that were opened or stopped.
func (m *memory) tick() wish {
	if m.file == "" {
		return nil
	}
	if len(m.open) > 0 {
		here := make(map[*recent.Tunnel]bool, len(m.tunnels.rows))
		for _, r := range m.tunnels.rows {
			here[r.noted] = here[r.noted] || r.State != tunnel.Closed
		}
		for t := range m.open { // ends come before beginnings, as a tunnel that has begun may be one that has ended, opened again
			if !here[t] {
				delete(m.open, t)
				m.pending = append(m.pending, recent.Change{Tunnel: *t, Over: true})
			}
		}
	}
	for _, r := range m.tunnels.rows {
		if r.noted == nil && (r.place.identity.Account != "" || r.place.who != nil) {
			m.opened(r)
		}
	}
	return all(m.write(), m.remind())
}

// opened notes that a tunnel of this process has begun.
func (m *memory) opened(r *row) {
	r.noted = new(recent.Tunnel)
	if r.holder != nil || r.State == tunnel.Closed || r.order != nil { // the file has no field for what is started for a tunnel
		return
	}
	saved, ok := saving(r, func(string) bool { return false })
	if !ok {
		return
	}
	t := r.noted // a pointer, as the note goes along when the row is replaced by another
	*t = recent.Tunnel{
		Account: r.place.identity.Account, Profile: r.place.profileName(), Region: r.place.regionName(), Role: r.place.role,
		Target: saved.Target.String(),
	}
	if of := saved.Forward.Dynamic; of != nil {
		t.Dynamic = &recent.Dynamic{Local: saved.Forward.String(), Via: forms(of.Via), Deny: forms(of.Deny), Warm: hostPorts(of.Warm), Destinations: of.Destinations}
	} else {
		t.Forward = saved.Forward.String()
	}
	m.open[t] = true
	m.pending = append(m.pending, recent.Change{Tunnel: *t})
}

// write writes the pending changes to the file, one batch at a time.
func (m *memory) write() wish {
	if m.writing || len(m.pending) == 0 || m.told {
		return nil
	}
	steps := m.pending
	m.pending, m.writing = nil, true
	now := m.clock()
	return beside(func() tea.Msg {
		list, err := m.file.Note(now, control.Self(), steps...)
		return then(func() wish {
			m.writing = false
			if err != nil {
				return m.trouble(err)
			}
			m.list = list
			return nil
		})
	})
}

// flush writes what is still pending when the screen ends. Tunnels that are open then can be opened again by the next screen,
// unless they go on in the background (kept).
func (m *memory) flush(kept bool) {
	if kept {
		for t := range m.open {
			m.pending = append(m.pending, recent.Change{Tunnel: *t, Over: true})
		}
	}
	if len(m.pending) > 0 && !m.told {
		_, _ = m.file.Note(m.clock(), control.Self(), m.pending...) // the screen is gone, so that nobody can be told
	}
}

// saved returns a tunnel that was used before as one that can be opened; false when the file has something that cannot be read.
func saved(t recent.Tunnel) (SavedTunnel, bool) {
	target, err := aws.ParseTarget(t.Target)
	forward, wrong := forwardBefore(t)
	if errors.Join(err, wrong) != nil || t.Region == "" {
		return SavedTunnel{}, false
	}
	return SavedTunnel{Name: t.Target + " " + forwardWords(forward), Target: target, Forward: forward, Profile: t.Profile, Region: t.Region, Role: t.Role}, true
}

// forwardBefore returns the forward of a tunnel that was used before.
func forwardBefore(t recent.Tunnel) (tunnel.Forward, error) {
	if t.Dynamic == nil {
		return tunnel.ParseForward(t.Forward)
	}
	f, err := tunnel.ParseDynamic(t.Dynamic.Local)
	if err != nil {
		return f, err
	}
	var wrong [3]error
	f.Dynamic.Via, wrong[0] = patterns(t.Dynamic.Via)
	f.Dynamic.Deny, wrong[1] = patterns(t.Dynamic.Deny)
	f.Dynamic.Warm, wrong[2] = endpoints(t.Dynamic.Warm)
	f.Dynamic.Destinations = min(max(t.Dynamic.Destinations, 0), mostDestinations)
	return f, errors.Join(wrong[:]...)
}

// of reports whether a tunnel that was used before was in the account of a place.
func of(t recent.Tunnel, p *place) bool {
	return t.Profile == p.profileName() && t.Region == p.regionName() && t.Role == p.role &&
		(t.Account == "" || p.identity.Account == "" || t.Account == p.identity.Account)
}

// left returns the tunnels in the account that the user looks at that were open when a screen ended, and are not open now.
func (m *memory) left() []SavedTunnel {
	var found []SavedTunnel
	for _, t := range m.was {
		if s, ok := saved(t); ok && of(t, m.tunnels.accounts.here) && m.tunnels.running(s) == nil {
			found = append(found, s)
		}
	}
	return found
}

// remind tells, once for each place, how many tunnels could be opened again, as soon as the account is known and which tunnels
// are open already.
func (m *memory) remind() wish {
	p := m.tunnels.accounts.here
	if len(m.was) == 0 || m.asked[p] || p.client == nil || p.identity.Account == "" && p.who == nil || m.tunnels.readOnly {
		return nil
	}
	if m.tunnels.up.Runtime != "" && m.tunnels.askNext.IsZero() {
		return nil
	}
	m.asked[p] = true
	for _, t := range m.was {
		if of(t, p) { // so that the next screen only tells of tunnels that are open at the end of this one
			m.pending = append(m.pending, recent.Change{Tunnel: t, Over: true})
		}
	}
	if left := m.left(); len(left) > 0 {
		return tell(m.offer(len(left)))
	}
	return nil
}

// offer is the line about how many tunnels could be opened again.
func (m *memory) offer(n int) string {
	were := " were"
	if n == 1 {
		were = " was"
	}
	return plural(n, "tunnel") + were + " open when culvert last ended here; " + m.look.keys.reconnect.Shortest() + " opens again"
}

// again asks whether to open the tunnels that were open before, and opens them.
func (m *memory) again(keepAlive time.Duration) wish {
	left := m.left()
	if len(left) == 0 {
		return nil
	}
	text := []string{"Open again what was open when culvert last ended?", ""}
	for i, s := range left {
		if i == mostNamed {
			text = append(text, fmt.Sprintf("and %d more", len(left)-i))
			break
		}
		text = append(text, say.Line(s.Target.String()+" "+forwardWords(s.Forward)))
	}
	return confirm("open again", "open", func() wish {
		m.was = slices.DeleteFunc(m.was, func(t recent.Tunnel) bool { return of(t, m.tunnels.accounts.here) })
		return m.tunnels.launch(keepAlive, left...)
	}, text...)
}
