package emulator

import (
	"slices"
	"time"
)

// Sessions returns the active sessions, oldest first.
func (e *Emulator) Sessions() []Session {
	var list []Session
	for _, s := range e.data.sessions() {
		list = append(list, s.snapshot())
	}
	return list
}

// SessionsSince returns the sessions that have begun since then, active and ended ones, of which it remembers the last 200.
func (e *Emulator) SessionsSince(then time.Time) []Session {
	e.data.mu.Lock()
	all := slices.Concat(e.data.history, e.data.active)
	e.data.mu.Unlock()
	var list []Session
	for _, s := range all {
		if one := s.snapshot(); !one.Started.Before(then) {
			list = append(list, one)
		}
	}
	slices.SortStableFunc(list, func(a, b Session) int { return a.Started.Compare(b.Started) })
	return list
}

// MostSessions is how many sessions have been active at the same time.
func (e *Emulator) MostSessions() int {
	e.data.mu.Lock()
	defer e.data.mu.Unlock()
	return e.data.most
}

// MoveHost gives a name of Fleet.Hosts, "name" or "name:port" as it stands there, another loopback address with a port, as
// a database's name gets when it fails over. An agent resolves a name once, when its session begins: those that live, and
// are resumed, stay with the old address.
func (e *Emulator) MoveHost(name, address string) error { return e.vpc.move(name, address) }

// AgeSession makes a session look as if it had been started earlier, and reports whether there was one.
func (e *Emulator) AgeSession(id string, by time.Duration) bool {
	sessions := e.data.sessions(id)
	for _, s := range sessions {
		s.mu.Lock()
		s.started = s.started.Add(-by)
		s.mu.Unlock()
	}
	return len(sessions) > 0
}

// KillSession ends a session as the service does; the client is told output. It reports whether there was one.
func (e *Emulator) KillSession(id, output string) bool {
	sessions := e.data.sessions(id)
	for _, s := range sessions {
		s.end(output)
	}
	return len(sessions) > 0
}

// CloseClientLeg closes the client's socket of the sessions with these ids, of all without ids, with a close frame,
// and returns how many there were. The service does so with code 1000 every hour.
func (e *Emulator) CloseClientLeg(code int, ids ...string) int {
	text := ""
	if code == closeNormal {
		text = "Bye"
	}
	return e.eachClient(ids, func(_ *session, leg *clientLeg) { leg.close(code, text) })
}

// CutClientLeg resets the TCP connection of the client's socket, as CloseClientLeg otherwise.
func (e *Emulator) CutClientLeg(ids ...string) int {
	return e.eachClient(ids, func(s *session, leg *clientLeg) { s.hangUp(leg, true) })
}

// FreezeClientLeg makes the client's socket a dead one that nobody closed: it stays open, nothing moves, pings get no
// answer. A new socket works.
func (e *Emulator) FreezeClientLeg(ids ...string) int {
	return e.eachClient(ids, func(_ *session, leg *clientLeg) { leg.frozen.Store(true) })
}

func (e *Emulator) eachClient(ids []string, do func(*session, *clientLeg)) int {
	n := 0
	for _, s := range e.data.sessions(ids...) {
		s.mu.Lock()
		leg := s.client
		s.mu.Unlock()
		if leg != nil {
			do(s, leg)
			n++
		}
	}
	return n
}

// CloseAgentLeg closes the agent's socket of the sessions with these ids, of all without ids. The agent comes back;
// what is sent to it meanwhile is lost.
func (e *Emulator) CloseAgentLeg(ids ...string) int { return e.eachAgent(ids, false) }

// CutAgentLeg is CloseAgentLeg with everything lost that was on its way.
func (e *Emulator) CutAgentLeg(ids ...string) int { return e.eachAgent(ids, true) }

func (e *Emulator) eachAgent(ids []string, cut bool) int {
	n := 0
	for _, s := range e.data.sessions(ids...) {
		if s.agentConnected.Load() {
			s.loseAgent(cut)
			n++
		}
	}
	return n
}

// Inject writes a raw frame to the client of a session, past relay and faults: whatever a hostile service might send.
func (e *Emulator) Inject(id string, frame []byte) bool {
	return e.eachClient([]string{id}, func(_ *session, leg *clientLeg) { leg.write(frame) }) > 0
}
