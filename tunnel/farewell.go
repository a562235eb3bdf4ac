package tunnel

import (
	"context"
	"errors"
	"time"

	"culvert/aws/wire"
)

const (
	// terminateWithin bounds the TerminateSession call, farewellWithin the message to the agent that says the same.
	terminateWithin = 4 * time.Second
	farewellWithin  = 500 * time.Millisecond
)

// farewell sends the agent the message that ends a session, and waits until it is acknowledged, farewellWithin at the most: if the
// client's process exits in the instant of sending, the agent's worker process stays behind (protocol.md 7).
func (l *lane) farewell() {
	agent, _ := l.opening.agreed()
	if !l.open() || !agent.TerminateFlag() {
		return
	}
	if err := l.channel.push(wire.FlagType, wire.FlagBody(wire.FlagTerminateSession)); err != nil {
		return
	}
	for end := time.Now().Add(farewellWithin); time.Now().Before(end) && !l.channel.drained(); {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-l.channel.overDone:
			return
		}
	}
	l.told.Store(l.channel.drained())
}

// terminate ends the session by the TerminateSession call, which works even for a session whose agent does not answer. A session
// that could not be terminated stays in the journal, for a later attempt.
func (l *lane) terminate(ctx context.Context, why error) {
	if _, closed := errors.AsType[*ClosedError](why); closed {
		l.options.journal.remove(l.session.ID)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), terminateWithin)
	defer cancel()
	if err := l.client.TerminateSession(ctx, l.session.ID); err != nil {
		l.log.Warn("session not terminated by the API", "error", err, "agent_told", l.told.Load())
		if !l.told.Load() {
			l.options.leave(l.client, l.session.ID, err)
			l.options.journal.tried(l.session.ID)
			return // it stays in the journal
		}
	}
	l.options.journal.remove(l.session.ID)
}

// endIfDrained ends a lane that is draining and has no connections left, and reports whether it did.
func (l *lane) endIfDrained() bool {
	if !l.draining.Load() || l.streams.Load() > 0 {
		return false
	}
	l.ending = true
	l.quit(errDrained)
	return true
}
