package screen

import (
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
)

// actOn does what a key does to several tunnels at once, after one question; done is called when the user has agreed.
func (ts *tunnels) actOn(k tea.KeyPressMsg, rows []*row, done func()) (wish, bool) {
	keys := ts.look.keys
	switch {
	case keys.stop.Pressed(k):
		return ts.stopAll(rows, done), true
	case keys.reconnect.Pressed(k):
		return ts.reconnectAll(rows, done), true
	}
	return nil, false
}

// mostNamed is how many tunnels a question about several names.
const mostNamed = 5

// naming returns the lines of a question about several tunnels.
func naming(doing string, rows []*row) []string {
	text := []string{fmt.Sprintf("%s %s?", doing, plural(len(rows), "tunnel")), ""}
	connections := 0
	for i, r := range rows {
		connections += r.Stats.Connections
		if i < mostNamed {
			text = append(text, r.local()+" "+r.towards())
		}
	}
	if more := len(rows) - mostNamed; more > 0 {
		text = append(text, fmt.Sprintf("and %d more", more))
	}
	if connections > 0 {
		text = append(text, "", plural(connections, "open connection")+" will be cut.")
	}
	return text
}

// stopAll ends several tunnels. With a tunnel that a culvert up holds, all others of that set end too.
func (ts *tunnels) stopAll(rows []*row, done func()) wish {
	if ts.readOnly {
		return fail(&ReadOnlyError{})
	}
	text := naming("stop", rows)
	var sets []string
	for _, r := range rows {
		if r.holder != nil && !slices.Contains(sets, r.holder.name) {
			sets = append(sets, r.holder.name)
			text = append(text, "culvert up "+say.Line(r.holder.name)+" ends as a whole: "+plural(r.holder.tunnels, "tunnel")+".")
		}
	}
	return confirm("stop", "stop", func() wish {
		done()
		var running []*row
		for _, r := range rows {
			switch {
			case r.holder != nil, r.callOff(), r.opening:
			case r.State.Final():
				ts.forget(r)
			default:
				running = append(running, r)
			}
		}
		var wishes []wish
		if len(running) > 0 {
			wishes = append(wishes, ts.stopNow(running...))
		}
		for _, name := range sets {
			wishes = append(wishes, ts.endSet(name))
		}
		return all(append(wishes, tell("stopping "+plural(len(rows), "tunnel")))...)
	}, text...)
}

// reconnectAll gives several tunnels new sessions, and opens those again that are over. It asks first if that cuts connections.
func (ts *tunnels) reconnectAll(rows []*row, done func()) wish {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return r.holder != nil })
	do := func() wish {
		done()
		var wishes []wish
		for _, r := range rows {
			if r.State.Final() {
				wishes = append(wishes, ts.begun(r.again()))
			} else {
				r.asked = true
				r.tunnel.Reconnect()
			}
		}
		return all(append(wishes, tell("reconnecting "+plural(len(rows), "tunnel")))...)
	}
	quiet := !slices.ContainsFunc(rows, func(r *row) bool { return r.Stats.Connections > 0 })
	switch {
	case ts.readOnly:
		return fail(&ReadOnlyError{})
	case len(rows) == 0:
		return tell("what culvert up holds reconnects by itself")
	case quiet:
		return do()
	}
	return confirm("reconnect", "reconnect", do, naming("reconnect", rows)...)
}
