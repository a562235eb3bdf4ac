package swarm

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
)

const (
	// mostLanes is what a tunnel has whose number adapts.
	mostLanes = 8
	// mostStrands is how many sessions a tunnel has to a relay.
	mostStrands = 16
	// unheard is how long the fate of a session may stay unknown whose socket is dead: it is pinged after 20 seconds, the answer has ten
	// more, and both are looked at once a second (tunnel/pump.go). unasked is the same for an agent of which nobody has
	// said that it is gone: ECS is asked about its task every two minutes or so (tunnel/patrol.go).
	unheard = 32 * time.Second
	unasked = 3 * time.Minute
	// startsFirst is how many calls of StartSession the first session of a tunnel, or of a host that a dynamic one leads to, may cost
	// in a minute: its tries are ten or so, see newRetry in tunnel/resume.go, and the SDK makes three calls of each that fails.
	// startsMore is the same for each further session, which is not tried before there is a first one: it ends, and is opened again.
	startsFirst = 30
	startsMore  = 4
)

// observer holds what is shown against what is so, as long as there is something to see.
type observer struct {
	w        *world
	every    time.Duration        // between two looks
	wrong    map[string]time.Time // since when, by what
	starts   []start              // of the last minute
	sessions map[string]seen
}

// seen is what is remembered of a session.
type seen struct {
	socket int       // which of its sockets stands, or was the last one
	gone   time.Time // when its agent was first seen to be gone
	untold bool      // its client may not know that: nobody has said so, or not on a socket that stood
}

type start struct {
	at time.Time
	n  int
}

func (w *world) observe(over <-chan struct{}) {
	every := 250 * time.Millisecond
	if w.m.length > 10*time.Minute {
		every = time.Second
	}
	o := &observer{w: w, every: every, wrong: map[string]time.Time{}, sessions: map[string]seen{}}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case now := <-tick.C:
			o.look(now)
		}
	}
}

func (o *observer) look(now time.Time) {
	w := o.w
	shown := map[string][]tunnel.Link{} // as open, by way
	for _, one := range w.m.ways {
		tn := w.tunnels[one.name]
		if one.kind == toAny {
			for _, d := range tn.Destinations() {
				if d.State == tunnel.Open {
					shown[one.name] = append(shown[one.name], d.Link)
				}
			}
		} else if state, _ := tn.State(); state == tunnel.Open {
			shown[one.name] = append(shown[one.name], tn.Link())
		}
	}
	sessions := w.account.Sessions()
	o.remember(sessions, now)
	faults := w.account.Faults()
	for _, one := range w.m.ways {
		o.truth(one, shown[one.name], sessions, faults, now)
		o.ceiling(one, sessions)
		if one.relay {
			o.afforded(one, sessions)
			o.relay(one, now)
		}
	}
	o.budget(now)
	o.hangs(now)
}

// truth: what is shown as open is.
func (o *observer) truth(one way, shown []tunnel.Link, sessions []emulator.Session, faults emulator.Faults, now time.Time) {
	var still []string
	for _, link := range shown {
		i := slices.IndexFunc(sessions, func(s emulator.Session) bool { return s.ID == link.Session })
		var what string
		switch {
		case i < 0:
			what = "has ended"
		case !sessions[i].Client:
			what = "has no client"
		case !sessions[i].Agent && faults.PauseClient && !strings.HasPrefix(link.Agent, "3.0."):
			what = "has no agent"
		default:
			continue
		}
		lag := o.w.lag
		switch {
		case what == "has no agent" && o.sessions[link.Session].untold:
			lag = unasked
		case o.w.dead(link.Session, o.sessions[link.Session].socket):
			lag += unheard
		}
		key := one.name + " is shown as open on " + link.Session + ", which " + what
		still = append(still, key)
		since, known := o.wrong[key]
		if !known {
			o.wrong[key] = now
		} else if now.Sub(since) > lag {
			o.w.fail("%s, for more than %s", key, lag)
			o.wrong[key] = now.Add(time.Hour)
		}
	}
	for key := range o.wrong {
		if strings.HasPrefix(key, one.name+" ") && !slices.Contains(still, key) {
			delete(o.wrong, key)
		}
	}
}

// remember takes note of which agents are gone, and whether their clients were told. That takes a socket which stood between the look
// before and the one after.
func (o *observer) remember(sessions []emulator.Session, now time.Time) {
	near := max(2*o.every, o.w.lag/4)
	for _, s := range sessions {
		was := o.sessions[s.ID]
		is := seen{socket: s.Sockets}
		if !s.Agent {
			is.gone, is.untold = was.gone, was.untold
			if is.gone.IsZero() {
				is.gone, is.untold = now, o.w.mute(now, near)
			}
			if now.Sub(is.gone) < near && (!s.Client || s.Sockets != was.socket || o.w.dead(s.ID, s.Sockets)) {
				is.untold = true
			}
		}
		o.sessions[s.ID] = is
	}
}

// ceiling: no tunnel has more sessions than it may.
func (o *observer) ceiling(one way, sessions []emulator.Session) {
	w := o.w
	n, most := 0, one.lanes
	if most == 0 {
		most = mostLanes
	}
	hosts := w.hosts(one)
	for _, s := range sessions {
		if one.kind == toPort && s.Host == "" && s.Port == w.portOf(one.name) || slices.Contains(hosts, s.Host) {
			n++
		}
	}
	if one.kind == toAny {
		most *= len(hosts)
	}
	for _, m := range w.m.mishaps {
		if known[m.kind].moves && time.Now().After(w.began.Add(m.at)) {
			most++ // in the place of those of a task that stops
			if one.kind == toAny {
				most += len(hosts) - 1
			}
		}
	}
	if most += len(w.engine.Unended()); n > most {
		w.fail("%s has %d sessions, and may have %d", one.name, n, most)
	}
}

// afforded: no task has more sessions to its relay than it affords.
func (o *observer) afforded(one way, sessions []emulator.Session) {
	w := o.w
	s := w.m.services[one.service]
	most := one.lanes
	if most == 0 {
		cpu, _ := strconv.Atoi(s.cpu)
		memory, _ := strconv.Atoi(s.memory)
		most = aws.Relay{CPU: cpu, Memory: memory}.Affords()
	}
	on := map[string]int{}
	for _, s := range sessions {
		if s.Host == "" && s.Port == w.relayPort(one.name) {
			on[s.Target]++
		}
	}
	for task, n := range on {
		if n > most+len(w.engine.Unended()) {
			w.fail("%s has %d sessions to the relay of %s, and may have %d", one.name, n, task, most)
		}
	}
}

// relay: what is said to go through a relay does not, when that has died a while ago.
func (o *observer) relay(one way, now time.Time) {
	w := o.w
	tn, died := w.tunnels[one.name], w.relays[one.name].dead()
	if died.IsZero() || now.Sub(died) < w.lag || !tn.Link().Relay.On || tn.Stats().Strands == 0 {
		return
	}
	for _, m := range w.m.mishaps {
		if known[m.kind].relay >= dies && !w.began.Add(m.at).After(died) && w.began.Add(m.at+time.Millisecond).After(died) && w.undisturbed(m) {
			w.fail("%s is said to go through a relay, which is dead for more than %s", one.name, w.lag)
		}
	}
}

// budget: StartSession is called only so often in a minute.
func (o *observer) budget(now time.Time) {
	w := o.w
	n := w.account.Calls("StartSession")
	o.starts = append(o.starts, start{now, n})
	for now.Sub(o.starts[0].at) > time.Minute {
		o.starts = o.starts[1:]
	}
	most := 0
	for _, one := range w.m.ways {
		lanes := one.lanes
		if lanes == 0 {
			lanes = mostLanes
		}
		most += max(1, len(w.hosts(one))) * (startsFirst + startsMore*(lanes-1))
		if one.relay {
			most += startsFirst + startsMore*(mostStrands-1)
		}
	}
	if made := n - o.starts[0].n; made > most {
		w.fail("StartSession was called %d times in a minute, which may be %d times", made, most)
		o.starts = o.starts[:0]
		o.starts = append(o.starts, start{now, n})
	}
}

// hangs: every connection gets on, or ends.
func (o *observer) hangs(now time.Time) {
	w := o.w
	calm := w.began
	for _, m := range w.m.mishaps {
		if end := w.began.Add(m.end()); w.began.Add(m.at).Before(now) && end.After(calm) {
			calm = end
		}
	}
	w.mu.Lock()
	var hung []*line
	for l := range w.lines {
		since := time.Unix(0, l.progress.Load())
		if calm.After(since) {
			since = calm
		}
		if now.Sub(since) > hangs && !l.hung.Swap(true) {
			hung = append(hung, l)
		}
	}
	w.mu.Unlock()
	for _, l := range hung {
		w.fail("a connection of %s hangs: not a byte for %s", l.of, hangs)
		_ = l.Close()
	}
}
