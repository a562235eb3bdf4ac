package screen

import (
	"slices"
	"time"

	"culvert/internal/say"
)

// running returns the open tunnel that is a saved one; nil when there is none.
func (ts *tunnels) running(s SavedTunnel) *row {
	i := slices.IndexFunc(ts.rows, s.runs)
	if i < 0 {
		return nil
	}
	return ts.rows[i]
}

// launch opens tunnels that were open before, each in its account; tunnels that other machines could use, only after
// a question. What goes wrong is said in the notice line.
func (ts *tunnels) launch(keepAlive time.Duration, wanted ...SavedTunnel) wish {
	if ts.readOnly {
		return fail(&ReadOnlyError{})
	}
	var text []string
	for _, s := range wanted {
		if s.exposed() {
			text = append(text, say.Line(s.Target.String())+" listens on "+s.Forward.Local.Addr().String())
		}
	}
	if len(text) > 0 {
		text = append(text, "Everybody who reaches this machine there could use what is behind it.")
		return confirm("open", "open", func() wish { return ts.launchNow(keepAlive, wanted) }, text...)
	}
	return ts.launchNow(keepAlive, wanted)
}

func (ts *tunnels) launchNow(keepAlive time.Duration, wanted []SavedTunnel) wish {
	wishes := []wish{tell("opening " + plural(len(wanted), "tunnel"))}
	var places []*place
	in := map[*place][]SavedTunnel{}
	for _, s := range wanted {
		at := ts.accounts.placeOf(s)
		if at.client == nil && (at == ts.accounts.here || at.looking) {
			wishes = append(wishes, tell("not signed in yet: nothing can be opened"))
			continue
		}
		if len(in[at]) == 0 {
			places = append(places, at)
		}
		in[at] = append(in[at], s)
	}
	for _, at := range places {
		wishes = append(wishes, at.reach(func(err error) wish {
			if err != nil {
				return fail(err)
			}
			var each []wish
			for _, s := range in[at] {
				each = append(each, ts.launchIn(at, s, keepAlive))
			}
			return all(each...)
		}))
	}
	return all(wishes...)
}

// launchIn opens a tunnel of before in a place, to what runs there now.
func (ts *tunnels) launchIn(at *place, s SavedTunnel, keepAlive time.Duration) wish {
	q := s.query()
	spec := s.opens().Spec(q.Target())
	spec.Pinned, spec.KeepAlive = s.Target.Task != "", keepAlive
	spec.Lanes, spec.OneTask = s.Lanes, s.OneTask
	return ts.begun(wanted{place: at, spec: spec, query: &q, probe: s.Probe, user: ts.userOf(s)})
}
