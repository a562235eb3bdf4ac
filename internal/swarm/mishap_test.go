package swarm

import (
	"maps"
	"slices"
	"time"

	"culvert/aws/emulator"
	"culvert/tunnel/bond"
)

// trouble is a kind of mishap: either a knob of the account that is turned as long as it lasts, or something that is done in a moment
// and, where it has an end, undone.
type trouble struct {
	change func(w *world, m mishap, f *emulator.Faults)
	do     func(w *world, m mishap)
	undo   func(w *world, m mishap)
	// breaks says that a connection may end because of it. Without, every connection has to be carried to its end.
	breaks bool
	// of says whose connections that may be.
	of scope
	// waits says that it shows when a connection first meets it, however late that is: which ends, and has the engine do something.
	waits bool
	// moves says that a tunnel may have one more session for a while, in the place of one whose task stops.
	moves bool
	// cuts says that connections through a relay may end because of it as well, which outlive their sessions.
	cuts bool
	// relay says what becomes of the relays of the tunnel; nothing becomes of others then.
	relay harm
	// apart says that it is drawn for tunnels by a relay alone.
	apart bool
}

// harm is what a mishap does to relays.
type harm int

const (
	unharmed harm = iota
	holds         // they answer late, or not at all
	dies          // they die when it begins
	changes       // and when it ends
)

// scope is whom a mishap may concern.
type scope int

const (
	anybody  scope = iota
	aService       // the one of the tunnel that was drawn
	aTunnel        // that one alone
)

func span(m mishap, most time.Duration) time.Duration { return time.Duration(m.size * float64(most)) }

func api(action string, kind emulator.APIFaultKind) trouble {
	return trouble{breaks: true, change: func(_ *world, _ mishap, f *emulator.Faults) {
		f.API = append(f.API, emulator.APIFault{Action: action, Kind: kind})
	}}
}

func knob(breaks bool, change func(m mishap, f *emulator.Faults)) trouble {
	return trouble{breaks: breaks, change: func(_ *world, m mishap, f *emulator.Faults) { change(m, f) }}
}

func done(breaks bool, do func(w *world, m mishap)) trouble { return trouble{breaks: breaks, do: do} }

// known are all kinds of mishaps.
var known map[string]trouble

func init() { //nolint:gochecknoinits // some mishaps ask for the others
	known = map[string]trouble{
		// The API.
		"StartSession is denied":             api("ssm:StartSession", emulator.Deny),
		"StartSession is forbidden":          api("ssm:StartSession", emulator.DenyByPolicy),
		"ResumeSession is denied":            api("ssm:ResumeSession", emulator.Deny),
		"TerminateSession is denied":         api("ssm:TerminateSession", emulator.Deny),
		"ECS is denied":                      api("ecs:*", emulator.Deny),
		"SSM throttles":                      api("ssm:*", emulator.Throttle),
		"ECS throttles":                      api("ecs:*", emulator.Throttle),
		"SSM fails":                          api("ssm:*", emulator.ServerError),
		"ECS fails":                          api("ecs:*", emulator.ServerError),
		"the API is out":                     api("*", emulator.Unreachable),
		"SSM is out":                         api("ssm:*", emulator.Unreachable),
		"ECS is out":                         api("ecs:*", emulator.Unreachable),
		"data channels are refused":          api("ssmmessages:OpenDataChannel", emulator.Deny),
		"data channels are out":              api("ssmmessages:OpenDataChannel", emulator.Unreachable),
		"the API keeps to its rates":         knob(false, func(_ mishap, f *emulator.Faults) { f.Rates = true }),
		"resuming is denied":                 knob(true, func(_ mishap, f *emulator.Faults) { f.ResumeWith = emulator.ResumeDenied }),
		"resuming finds no session":          knob(true, func(_ mishap, f *emulator.Faults) { f.ResumeWith = emulator.ResumeUnknown }),
		"resuming gives no token":            knob(true, func(_ mishap, f *emulator.Faults) { f.ResumeWith = emulator.ResumeWithoutToken }),
		"URLs are signed":                    knob(false, func(_ mishap, f *emulator.Faults) { f.Presigned = true }),
		"the first socket stays":             knob(false, func(_ mishap, f *emulator.Faults) { f.FirstSocket = true }),
		"no larger messages, by a close":     knob(true, func(_ mishap, f *emulator.Faults) { f.Largest = 1024 }),
		"no larger messages, without a word": knob(true, func(_ mishap, f *emulator.Faults) { f.Largest, f.DropLarger = 1024, true }),
		"credentials end": {
			breaks: true,
			do:     func(w *world, _ mishap) { w.account.ExpireCredentials(w.key) },
			undo:   func(w *world, _ mishap) { w.account.RenewCredentials(w.key, 1000*time.Hour) },
		},
		"the account's clock jumps": done(true, func(w *world, m mishap) { w.skew.Add(int64(span(m, 10*time.Minute))) }),

		// Tasks and agents.
		"a task stops": {breaks: true, cuts: true, of: aService, moves: true, do: func(w *world, m mishap) {
			if task := w.task(m); task != "" {
				_ = w.account.StopTask(task, "swarm")
			}
		}},
		"a deployment": {breaks: true, cuts: true, of: aService, moves: true, do: func(w *world, m mishap) { _ = w.account.Deploy(cluster, w.serviceOf(m)) }},
		"no tasks at all": {
			breaks: true, cuts: true, of: aService, moves: true,
			do:   func(w *world, m mishap) { _ = w.account.Scale(cluster, w.serviceOf(m), 0) },
			undo: func(w *world, _ mishap) { w.scaleUp() },
		},
		"an agent dies": {
			breaks: true, cuts: true, of: aService, moves: true,
			do: func(w *world, m mishap) {
				if task := w.task(m); task != "" {
					_ = w.account.KillAgent(task)
					w.killed = append(w.killed, task)
				}
			},
			undo: func(w *world, _ mishap) { w.bury() },
		},
		"an agent is said to have stopped": {
			breaks: true, cuts: true, of: aService, moves: true,
			do:   func(w *world, m mishap) { w.agents(m, "STOPPED") },
			undo: func(w *world, m mishap) { w.agents(m, "RUNNING") },
		},
		"agents start slowly":        knob(true, func(m mishap, f *emulator.Faults) { f.AgentStart = span(m, 10*time.Second) }),
		"agents complete late":       knob(false, func(m mishap, f *emulator.Faults) { f.LateComplete = span(m, 10*time.Millisecond) }),
		"ports start late":           knob(false, func(m mishap, f *emulator.Faults) { f.PortStart = span(m, time.Second) }),
		"few workers":                knob(true, func(m mishap, f *emulator.Faults) { f.WorkersLimit = 1 + int(m.pick%3) }),
		"agents that came later":     knob(true, func(_ mishap, f *emulator.Faults) { f.AgentVersion = "3.1.1511.0" }),
		"agents without mux":         knob(true, func(_ mishap, f *emulator.Faults) { f.AgentVersion = "3.0.196.0" }),
		"sessions are encrypted":     knob(false, func(_ mishap, f *emulator.Faults) { f.KMS = true }),
		"odd messages":               knob(false, func(m mishap, f *emulator.Faults) { f.Around = 1 + int(m.pick%3) }),
		"agents have lost their way": knob(true, func(_ mishap, f *emulator.Faults) { f.Unregistered = true }),
		"agents stay away":           knob(true, func(m mishap, f *emulator.Faults) { f.AgentAway = span(m, 8*time.Second) }),
		"agents give up":             knob(true, func(_ mishap, f *emulator.Faults) { f.NoReconnect = true }),
		"tasks stop without a word":  knob(false, func(_ mishap, f *emulator.Faults) { f.SilentStop = true }),
		"agents take nothing twice":  knob(false, func(_ mishap, f *emulator.Faults) { f.TakesTwice = false }),

		// Sessions and their sockets.
		"sockets are closed":         done(false, func(w *world, _ mishap) { w.account.CloseClientLeg(1000) }),
		"sockets are closed oddly":   done(false, func(w *world, m mishap) { w.account.CloseClientLeg(1001 + int(m.pick%2)*10) }),
		"sockets are cut":            done(false, func(w *world, _ mishap) { w.account.CutClientLeg() }),
		"a socket is cut":            done(false, func(w *world, m mishap) { w.one(m, func(id string) { w.account.CutClientLeg(id) }) }),
		"sockets are dead":           done(false, func(w *world, _ mishap) { w.freeze(func(emulator.Session) bool { return true }) }),
		"agents' sockets are closed": done(true, func(w *world, _ mishap) { w.account.CloseAgentLeg() }),
		"agents' sockets are cut":    done(true, func(w *world, _ mishap) { w.account.CutAgentLeg() }),
		"a session is killed":        done(true, func(w *world, m mishap) { w.one(m, func(id string) { w.account.KillSession(id, "swarm") }) }),
		"sockets live for seconds": knob(false, func(m mishap, f *emulator.Faults) {
			f.ClientLeg = emulator.Closing{Every: 2*time.Second + span(m, 10*time.Second), Cut: m.pick%2 == 0}
		}),
		"agents' live for seconds": knob(true, func(m mishap, f *emulator.Faults) {
			f.AgentLeg = emulator.Closing{Every: 2*time.Second + span(m, 10*time.Second), Cut: m.pick%2 == 0}
		}),
		"sessions time out":           knob(true, func(m mishap, f *emulator.Faults) { f.Idle = time.Minute + span(m, time.Minute) }),
		"sessions last for seconds":   knob(true, func(m mishap, f *emulator.Faults) { f.Longest = 6*time.Second + span(m, time.Minute) }),
		"nobody says who is away":     knob(true, func(_ mishap, f *emulator.Faults) { f.PauseClient = false }),
		"agents are told who is away": knob(false, func(_ mishap, f *emulator.Faults) { f.PauseAgent = true }),

		// The path.
		"a slow path":       knob(false, func(m mishap, f *emulator.Faults) { f.Delay = span(m, 200*time.Millisecond) }),
		"no pacing":         knob(false, func(_ mishap, f *emulator.Faults) { f.Pacing = 0 }),
		"messages get lost": lossy(emulator.Loss{Drop: 0.05}),
		"messages double":   lossy(emulator.Loss{Duplicate: 0.1}),
		"messages overtake": lossy(emulator.Loss{Reorder: 0.1}),
		"messages are late": lossy(emulator.Loss{Delay: 0.1, DelayBy: 300 * time.Millisecond}),
		"all of that":       lossy(emulator.Loss{Drop: 0.03, Duplicate: 0.03, Reorder: 0.03, Delay: 0.03, DelayBy: 200 * time.Millisecond}),
		"messages are spoilt": {breaks: true, change: func(_ *world, m mishap, f *emulator.Faults) {
			l := emulator.Loss{Mangle: m.size * 0.02, MangleAs: emulator.Mangling(m.pick % 4)}
			f.Down = emulator.Path{Data: l, Acks: l}
		}},

		// The far ends.
		"ports refuse":                    {breaks: true, cuts: true, of: aTunnel, change: func(w *world, m mishap, f *emulator.Faults) { f.Refuse = append(f.Refuse, w.port(m)) }},
		"ports swallow":                   {breaks: true, cuts: true, of: aTunnel, change: func(w *world, m mishap, f *emulator.Faults) { f.Swallow = append(f.Swallow, w.port(m)) }},
		"ports stall":                     {breaks: true, cuts: true, of: aTunnel, change: func(w *world, m mishap, f *emulator.Faults) { f.Stalled = append(f.Stalled, w.port(m)) }},
		"a host moves, and was shut down": {breaks: true, of: aTunnel, waits: true, do: func(w *world, m mishap) { w.move(m, true) }},
		"a host moves":                    done(false, func(w *world, m mishap) { w.move(m, false) }),
		"a server is down": {
			breaks: true, cuts: true, of: aTunnel,
			do: func(w *world, m mishap) { w.shore(m).down() },
			undo: func(w *world, m mishap) {
				if s := w.shore(m); !s.left {
					_ = s.up()
				}
			},
		},

		// What the user does.
		"the user reconnects": {breaks: true, cuts: true, of: aTunnel, do: func(w *world, m mishap) { w.tunnel(m).Reconnect() }},

		// Relays.
		"relays are killed": {apart: true, relay: dies, do: func(w *world, m mishap) { w.renew(m, func(*relays) {}) }},
		"relays are down": {
			apart: true, relay: dies,
			do:   func(w *world, m mishap) { w.renew(m, func(r *relays) { r.down = true }) },
			undo: func(w *world, m mishap) { w.relaysOf(m).well() },
		},
		"relays forbid the port": {
			apart: true, relay: changes,
			do:   func(w *world, m mishap) { w.renew(m, func(r *relays) { r.forbids = true }) },
			undo: func(w *world, m mishap) { w.renew(m, func(r *relays) { r.forbids = false }) },
		},
		"relays have little room": {
			apart: true, relay: changes,
			do: func(w *world, m mishap) {
				w.renew(m, func(r *relays) {
					r.limits = bond.Limits{Streams: 1 + int(m.pick>>8%4), Strands: 1 + int(m.pick>>16%3), Bundles: 1}
				})
			},
			undo: func(w *world, m mishap) { w.renew(m, func(r *relays) { r.limits = bond.Limits{} }) },
		},
		"relays answer late": {
			apart: true, relay: holds,
			do:   func(w *world, m mishap) { w.relaysOf(m).delay(span(m, 2500*time.Millisecond)) },
			undo: func(w *world, m mishap) { w.relaysOf(m).delay(0) },
		},
		"relays take nothing": {apart: true, relay: holds, change: func(w *world, m mishap, f *emulator.Faults) {
			f.Stalled = append(f.Stalled, w.relayPort(w.drawnOf(m).name))
		}},
		"a strand is killed":          ofStrands(func(w *world, m mishap) { w.strand(m, func(id string) { w.account.KillSession(id, "swarm") }) }),
		"all strands are killed":      ofStrands(func(w *world, m mishap) { w.eachStrand(m, func(id string) { w.account.KillSession(id, "swarm") }) }),
		"a strand's socket is cut":    ofStrands(func(w *world, m mishap) { w.strand(m, func(id string) { w.account.CutClientLeg(id) }) }),
		"strands' sockets are closed": ofStrands(func(w *world, m mishap) { w.eachStrand(m, func(id string) { w.account.CloseClientLeg(1000, id) }) }),
		"strands' sockets are dead": ofStrands(func(w *world, m mishap) {
			port := w.relayPort(w.drawnOf(m).name)
			w.freeze(func(s emulator.Session) bool { return s.Port == port })
		}),
		"a strand's agent loses its socket": ofStrands(func(w *world, m mishap) { w.strand(m, func(id string) { w.account.CutAgentLeg(id) }) }),
		"the task of strands stops": {apart: true, breaks: true, cuts: true, of: aService, moves: true, do: func(w *world, m mishap) {
			if task := w.relayed(m); task != "" {
				_ = w.account.StopTask(task, "swarm")
			}
		}},
	}
}

// ofStrands is something that is done to sessions to a relay, which its connections outlive.
func ofStrands(do func(w *world, m mishap)) trouble { return trouble{apart: true, do: do} }

// lossy is a path in both directions, or in one, that loses what is scaled by the mishap's size.
func lossy(l emulator.Loss) trouble {
	return knob(false, func(m mishap, f *emulator.Faults) {
		l := l
		l.Drop, l.Duplicate, l.Reorder, l.Delay = l.Drop*m.size, l.Duplicate*m.size, l.Reorder*m.size, l.Delay*m.size
		for i, one := range []*emulator.Loss{&f.Up.Data, &f.Up.Acks, &f.Down.Data, &f.Down.Acks} {
			if m.pick&(1<<i) == 0 {
				*one = l
			}
		}
	})
}

// sortedKinds are the kinds that are drawn for all tunnels, or those that are drawn for tunnels by a relay alone.
func sortedKinds(apart bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(known)), func(name string) bool { return known[name].apart != apart })
}
