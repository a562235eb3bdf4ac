package tunnel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"culvert/aws"
	"culvert/aws/wire"
)

// A connection is proved, whatever protocol its server speaks, by opening a stream and ending it in the same breath. The
// agent dials first and looks at the stream then, so its answer tells all: the end of the stream means that the
// destination accepted, a report of a failed dial before that end means that it refused, and silence that the agent is
// still dialling (protocol.md 6, measured on the real agent). The destination sees a connection that closes at once, as
// from a load balancer's health check.

const (
	// proveAgainAfter is how long a proof may be without an answer before it is sent once more: an agent throws away a proof that
	// comes before it has noted the end of the handshake, and is silent then too.
	proveAgainAfter = time.Second
	// outlasts is how long the session of an agent without mux goes on at the most when the agent's connection was refused.
	outlasts = time.Second
	// proveAgain is how many proofs are sent while refusals of other connections make each of them ambiguous.
	proveAgain = 3
)

var errAmbiguous = errors.New("the refusal of another connection came in between")

// Proof says that the far end of a tunnel has accepted a connection.
type Proof struct {
	Target aws.Target // the container whose agent connected
	// Connect is about how long the task's own connect took: how long the proof took, less the round trip to the agent.
	Connect time.Duration
	// Session is set where the session itself is the proof. Agents without mux connect when the session begins, and end the
	// session when they cannot. For a dynamic tunnel, which has no far end to connect to, the proof is of the session alone.
	Session bool
}

// UnansweredError means that a destination neither accepts nor refuses a connection: what the task sends to it gets lost.
type UnansweredError struct {
	Target aws.Target
	Remote Endpoint
	After  time.Duration // how long there has been no answer
}

func (e *UnansweredError) Error() string {
	return fmt.Sprintf("the task's connection to %s gets no answer (%s so far)", e.remote(), e.After.Round(100*time.Millisecond))
}

func (e *UnansweredError) remote() string {
	if e.Remote.Host == "" {
		return fmt.Sprintf("its own port %d", e.Remote.Port)
	}
	return e.Remote.String()
}

// Temporary is true: the agent is still trying to connect.
func (e *UnansweredError) Temporary() bool { return true }

// Remedy says what may swallow the packets.
func (e *UnansweredError) Remedy() string {
	if e.Remote.Host == "" {
		return fmt.Sprintf("the server on port %d accepts nobody: its queue of connections is full or it hangs; see the container's log", e.Remote.Port)
	}
	return fmt.Sprintf("a security group, a network ACL or a route drops it: let the security group of %s admit the task's security group on port %d, and check that the task's subnet has a route there", e.Remote.Host, e.Remote.Port)
}

// Prove has the agent connect to the tunnel's far end and waits for the outcome: nil when the far end accepted, a *RefusedError
// when it refused, an *UnansweredError when the agent was still connecting as ctx ended, else why there is no session. It waits
// for a session as long as ctx lasts. The far end sees a connection that closes at once. So a proof is for the start of a
// session, and for users who ask for it, but not to be repeated by a clock: a MySQL server, for instance, blocks a host after 100
// such connections in a row. Only one proof runs on a session at a time.
//
// A dynamic tunnel has no far end: an opened session is its proof (Proof.Session). It shows that the permission, the document,
// the task and its agent are right, but says nothing of the hosts that clients will ask for.
func (t *Tunnel) Prove(ctx context.Context) (Proof, error) {
	if t.pool != nil {
		return t.pool.prove(ctx)
	}
	for {
		l, err := t.await(ctx)
		if err != nil {
			return Proof{}, err
		}
		proof, err := l.prove(ctx)
		t.doubted(err)
		if err == nil || ctx.Err() != nil || isVerdict(err) {
			if err != nil && !isVerdict(err) {
				err = t.noSession(ctx)
			}
			return proof, err
		}
		// The session has ended during the proof, or takes no proof now: another session is asked.
		select {
		case <-time.After(proveAgainAfter / 10):
		case <-ctx.Done():
			return Proof{}, t.noSession(ctx)
		}
	}
}

// Moved reports whether a proof over one link does not hold for another: when that leads to another task, or belongs to another
// session to a remote host, whose name each session resolves by itself.
func (t *Tunnel) Moved(from, to Link) bool {
	if to.Target.Task != from.Target.Task || to.Target.RuntimeID != from.Target.RuntimeID {
		return true
	}
	return t.spec.Remote.Host != "" && to.Session != from.Session
}

// noSession returns the error of a wait for a session: what keeps the tunnel from having one, or where that is not known why ctx
// ended.
func (t *Tunnel) noSession(ctx context.Context) error {
	if _, trouble := t.State(); trouble != nil {
		return trouble
	}
	if hung := t.hung(); hung != nil {
		return hung
	}
	return context.Cause(ctx)
}

// isVerdict reports whether an error says how the far end has answered a connection, and not why it could not be asked.
func isVerdict(err error) bool {
	var refused *RefusedError
	var unanswered *UnansweredError
	return errors.As(err, &refused) || errors.As(err, &unanswered)
}

// able reports whether there is a lane that takes connections.
func (t *Tunnel) able() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(t.lanes, (*lane).usable)
}

// await waits for a lane that takes connections.
func (t *Tunnel) await(ctx context.Context) (*lane, error) {
	for {
		t.mu.Lock()
		changed := t.changed
		l := leastBusy(t.lanes)
		t.mu.Unlock()
		if l != nil {
			return l, nil
		}
		select {
		case t.want <- struct{}{}:
		default:
		}
		select {
		case <-changed:
		case <-time.After(time.Second): // a lane that was slow a moment ago may be usable by now
		case <-t.done:
			return nil, t.noSession(t.ctx) //nolint:contextcheck // the tunnel's own end
		case <-ctx.Done():
			return nil, t.noSession(ctx)
		}
	}
}

// prove is Tunnel.Prove on this lane.
func (l *lane) prove(ctx context.Context) (Proof, error) {
	m, many := l.carrier.(*mux)
	if !many {
		return l.outlast(ctx)
	}
	select {
	case l.proving <- struct{}{}:
		defer func() { <-l.proving }()
	case <-ctx.Done():
		return Proof{}, context.Cause(ctx)
	}
	began := time.Now()
	for range proveAgain {
		took, refused, err := m.prove(ctx)
		switch {
		case errors.Is(err, errAmbiguous):
			continue
		case err != nil && ctx.Err() != nil:
			return Proof{}, &UnansweredError{Target: l.target, Remote: l.remote, After: time.Since(began)}
		case err != nil:
			return Proof{}, err
		case refused:
			return Proof{}, &RefusedError{Target: l.target, Remote: l.remote}
		}
		_, trip := l.channel.figures()
		return Proof{Target: l.target, Connect: max(0, took-trip)}, nil
	}
	return Proof{}, &RefusedError{Target: l.target, Remote: l.remote} // refusals kept coming, and all of the session are by this far end
}

// outlast is prove for an agent without mux. Such an agent connects when the session begins, and ends the session when it cannot
// connect. It does not say when it could, so a session that lives on for a while counts as proof.
func (l *lane) outlast(ctx context.Context) (Proof, error) {
	_, trip := l.channel.figures()
	select {
	case <-time.After(outlasts + 4*trip):
		return Proof{Target: l.target, Session: true}, nil
	case <-l.channel.overDone:
		return Proof{}, errStreamDone // why the session is over, the tunnel's state says
	case <-ctx.Done():
		return Proof{}, context.Cause(ctx)
	}
}

// proof is one question to the agent under way: streams that were opened and ended at once.
type proof struct {
	began   time.Time
	owed    time.Time // since when the agent has owed the answer, see asked; zero while it does not
	streams []*stream // the first one, and after proveAgainAfter a second one, should the agent have thrown the first away
	refused int       // reports of failed dials since the proof began
	others  int       // other streams that have ended without a byte since then: the reports may be about them
}

// prove has the agent connect, and returns how long the answer took and whether it was a refusal. The error is errAmbiguous, why
// the session is over, or the end of ctx. After the end of ctx the question stays open: the next call does not ask again, but
// goes on waiting for the answer. One goroutine at a time may call prove.
func (m *mux) prove(ctx context.Context) (took time.Duration, refused bool, err error) {
	p, err := m.question(ctx)
	if err != nil {
		return 0, false, err
	}
	again := time.NewTimer(time.Until(p.began.Add(proveAgainAfter)))
	defer again.Stop()
	for {
		var second <-chan struct{}
		if len(p.streams) > 1 {
			second = p.streams[1].inbox.change
		}
		select {
		case <-p.streams[0].inbox.change:
			return m.judge(p, p.streams[0])
		case <-second:
			return m.judge(p, p.streams[1])
		case <-again.C:
			if len(p.streams) > 1 {
				continue
			}
			if err := m.knock(ctx, p); err != nil {
				return 0, false, err
			}
		case <-ctx.Done():
			return 0, false, context.Cause(ctx)
		}
	}
}

// question returns the proof that is still unanswered, or begins a new one.
func (m *mux) question(ctx context.Context) (*proof, error) {
	m.mu.Lock()
	p := m.proof
	if p != nil && m.streams[p.streams[0].id] == p.streams[0] {
		m.mu.Unlock()
		return p, nil
	}
	p = &proof{began: m.channel.soonest(time.Now())}
	m.proof = p
	m.mu.Unlock()
	if err := m.knock(ctx, p); err != nil {
		m.mu.Lock()
		m.proof = nil
		m.mu.Unlock()
		return nil, err
	}
	return p, nil
}

// knock sends the beginning and the end of a stream in one message, so that they arrive or are lost together. The stream
// stays known until the agent ends it.
func (m *mux) knock(ctx context.Context, p *proof) error {
	s, err := m.add(time.Time{})
	if err != nil {
		return err
	}
	m.mu.Lock()
	p.streams = append(p.streams, s)
	m.mu.Unlock()
	frames := wire.MuxFrame{Command: wire.MuxOpen, Stream: s.id}.Append(nil)
	if err := m.channel.send(ctx, wire.MuxFrame{Command: wire.MuxClose, Stream: s.id}.Append(frames)); err != nil {
		m.forget(s)
		return err
	}
	return nil
}

// judge reads the answer to a proof from what has come for one of its streams.
func (m *mux) judge(p *proof, s *stream) (took time.Duration, refused bool, err error) {
	took = time.Since(p.began)
	err = s.inbox.failure()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proof = nil
	for _, mine := range p.streams {
		mine.inbox.finish(errStreamDone) // bytes that the far end has sent are not read
		if mine != s && m.streams[s.id] == nil {
			delete(m.streams, mine.id) // the agent has thrown this stream away, or will answer the same for it
		}
	}
	switch {
	case err != nil:
		return 0, false, err
	case s.received.Load() > 0, p.refused == 0:
		return took, false, nil
	case p.refused <= p.others:
		return 0, false, errAmbiguous
	}
	if last := len(m.refusals) - 1; last >= 0 {
		m.refusals = m.refusals[:last] // the report was about the proof, so not about a connection
	}
	return took, true, nil
}

// ended notes that the agent has ended a stream, if that is not one of the proof's own and had no byte. A nil proof notes
// nothing.
func (p *proof) ended(s *stream) {
	if p != nil && s != nil && s.received.Load() == 0 && !slices.Contains(p.streams, s) {
		p.others++
	}
}
