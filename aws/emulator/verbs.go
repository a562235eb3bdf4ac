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

// SessionsSince returns the sessions, active and ended, that have begun since then. Only the last 200 ended ones are
// remembered.
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

// MostSessions is the largest number of sessions that have been active at the same time.
func (e *Emulator) MostSessions() int {
	e.data.mu.Lock()
	defer e.data.mu.Unlock()
	return e.data.most
}

// MoveHost gives a name of Fleet.Hosts, "name" or "name:port" as it is there, another address, as the name of a database gets
// when that fails over: a loopback address with a port, or an address of the private network. An agent resolves a name only
// once, when its session begins: open sessions, even when they are resumed, keep the old address.
func (e *Emulator) MoveHost(name, address string) error { return e.vpc.move(name, address) }

// AgeSession makes a session older by a time, and reports whether there is such a session.
func (e *Emulator) AgeSession(id string, by time.Duration) bool {
	sessions := e.data.sessions(id)
	for _, s := range sessions {
		s.mu.Lock()
		s.started = s.started.Add(-by)
		s.mu.Unlock()
	}
	return len(sessions) > 0
}

// KillSession ends a session as the service does, and sends output to the client. It reports whether there was such a session.
func (e *Emulator) KillSession(id, output string) bool {
	sessions := e.data.sessions(id)
	for _, s := range sessions {
		s.end(output)
	}
	return len(sessions) > 0
}

// CloseClientLeg closes, with a close frame, the client's socket of the sessions with these ids, or of all sessions when there
// are no ids, and returns how many sockets there were. The service does so with code 1000 every hour.
func (e *Emulator) CloseClientLeg(code int, ids ...string) int {
	text := ""
	if code == closeNormal {
		text = "Bye"
	}
	return e.eachClient(ids, func(_ *session, leg *clientLeg) { leg.close(code, text) })
}

// CutClientLeg is CloseClientLeg, but resets the TCP connections.
func (e *Emulator) CutClientLeg(ids ...string) int {
	return e.eachClient(ids, func(s *session, leg *clientLeg) { s.hangUp(leg, true) })
}

// FreezeClientLeg makes the client's socket a dead one: it stays open, but nothing passes, and pings get no answer. A new
// socket works.
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

// CloseAgentLeg closes the agent's socket of the sessions with these ids, or of all sessions when there are no ids. The agent
// then gets another socket; what is sent to it until then is lost.
func (e *Emulator) CloseAgentLeg(ids ...string) int { return e.eachAgent(ids, false) }

// CutAgentLeg is CloseAgentLeg, and loses all that was in transit.
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

// Inject writes a raw frame to the client of a session, past relay and faults, as a hostile service could. It reports whether
// the client has a socket.
func (e *Emulator) Inject(id string, frame []byte) bool {
	return e.eachClient([]string{id}, func(_ *session, leg *clientLeg) { leg.write(frame) }) > 0
}
