package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"culvert/aws"
	"culvert/aws/wire"
	"culvert/internal/say"
)

const (
	// handshakeWithin covers the agent's own 15 s timer and the service's delivery (protocol.md 5).
	handshakeWithin = 18 * time.Second
	// settleFor is what an agent gets between its HandshakeComplete and the first data. It takes note of its own message
	// only after it has sent it, and acknowledges and throws away what comes before that (amazon-ssm-agent, datachannel.go).
	settleFor = 20 * time.Millisecond
	// slowAfter without an acknowledge, a lane gets no new connections: its agent is gone or a destination behind it
	// does not read, which stops the whole session (protocol.md 6).
	slowAfter = 5 * time.Second
	// strandAfter the connections whose first byte has not reached the agent are closed, so that their clients try again.
	strandAfter = 15 * time.Second
	// stuckAfter it is given up.
	stuckAfter = 2 * time.Minute
	// terminateWithin bounds the end of a session by the API, farewellWithin the one in band.
	terminateWithin = 4 * time.Second
	farewellWithin  = 500 * time.Millisecond
	// startLinger is how long a StartSession that nobody waits for any more may take to name its session.
	startLinger = 2 * time.Second
	// steadyAfter a socket has lived this long, the next loss starts the backoff anew.
	steadyAfter = 5 * time.Second
	// repairEvery is how long an agent takes for each message that was lost (protocol.md 9, A1). A lane that is behindAfter
	// behind for that reason gets no new connections as long as another one may open, mostPatience at the most.
	repairEvery = 100 * time.Millisecond
	behindAfter = time.Second
	// connectWithin bounds the wait for a stream on a lane that is full.
	connectWithin = time.Second
	// muxKeepAlive is what agents up to 3.1.1511.0 want to hear a byte within (they close after 30 s of silence).
	muxKeepAlive = 10 * time.Second
)

// lane is one Session Manager session to one task, from StartSession to its end, over as many sockets as it takes.
type lane struct {
	client   *aws.Client
	log      *slog.Logger
	remote   Endpoint
	options  laneOptions
	changed  func(*lane, error)      // tells the tunnel to look at the lane again; the error says why a socket was lost
	pressed  func()                  // tells the tunnel that a download has begun; it does not block. May be nil
	suspect  func(*lane)             // has the tunnel ask ECS whether the lane's agent is there
	quit     context.CancelCauseFunc // ends run
	clientID string

	target  aws.Target  // set before attached
	session aws.Session // set before attached
	stream  string      // the URL of the last socket; carry's, as is moves
	moves   bool        // each socket has another URL
	channel *channel
	opening *handshake
	carrier carrier // set when the handshake is complete

	attached atomic.Bool   // a socket carries the session
	slow     atomic.Bool   // owes acknowledges: no new connections for now
	told     atomic.Bool   // the agent has acknowledged that the session is over
	draining atomic.Bool   // no new connections; ends with its last one
	leaving  atomic.Bool   // draining because its task stops
	hung     atomic.Bool   // its agent is held up by a connect that gets no answer: no new connections for now
	away     atomic.Bool   // its agent is said to be: new connections wait for it
	silent   atomic.Bool   // its agent does not answer, and may be gone: no new connections
	doubted  atomic.Bool   // whether it is gone is looked into
	trial    atomic.Bool   // no new connections before its far end is proved
	uneasy   chan struct{} // tells reassure that there is a doubt to end; capacity 1
	proving  chan struct{} // capacity 1: holds a token while a proof is under way
	streams  atomic.Int64
	coming   atomic.Int64  // connections that have been given the lane and are not among streams yet
	row      atomic.Int64  // bytes of stream data in full messages since the last shorter one
	bulkAt   atomic.Int64  // unix nanoseconds of the last message of a download
	resumed  atomic.Uint64 // how often
	received atomic.Uint64 // bytes of stream data
	missing  atomic.Int64  // messages that its agent has yet to repair
	lastData atomic.Int64  // unix nanoseconds of the last stream data

	size int // of messages, as last logged; watch's

	seat *seat // of a dynamic tunnel's session; set before target

	strand *strand // that has the lane for itself; nil: none. The tunnel's lock guards it

	awaySince atomic.Int64            // unix nanoseconds
	finding   atomic.Pointer[finding] // nil: ECS knows of nothing
	stir      chan struct{}           // has watch look at once; capacity 1

	// What follows only the tunnel's run touches.
	openedAt  time.Time
	startedAt time.Time
	trying    bool          // its trial has begun
	aside     bool          // draining because another session has resolved the remote host's name anew
	ending    bool          // told to end because it had nothing to do any more
	inquired  time.Time     // when a proof was last put behind its connections
	rest      time.Duration // before the next one
	patrolled time.Time     // when ECS was asked about its task
}

// laneOptions are the settings of a lane that come from the engine and the spec.
type laneOptions struct {
	messageSize, uploadRate int
	sizes                   *Sizes // to find the message size with; nil: it is fixed
	keepAlive               time.Duration
	renewAfter              time.Duration // of a socket's life, see handover.go; 0 is never
	journal                 *Journal
	leave                   func(client *aws.Client, session string, err error) // takes the session when it could not be terminated
}

func newLane(client *aws.Client, log *slog.Logger, remote Endpoint, o laneOptions) *lane {
	l := &lane{client: client, log: log, remote: remote, options: o, clientID: uuid.NewString(), opening: newHandshake(remote), proving: make(chan struct{}, 1), stir: make(chan struct{}, 1)}
	l.channel = newChannel(log, o.messageSize, o.uploadRate, l.deliver)
	if o.sizes != nil {
		l.channel.out.sizer = newSizer(o.messageSize)
	}
	l.channel.flush, l.channel.onPause = l.flush, l.paused
	l.suspect = func(*lane) {} // nobody asks
	l.channel.onAway, l.channel.missing = l.noticed, &l.missing
	l.uneasy = make(chan struct{}, 1)
	l.opening.channel = l.channel
	l.opening.dataKey = l.dataKey
	l.opening.answered = func() { l.changed(l, nil) }
	return l
}

func (l *lane) dataKey(ctx context.Context, keyID string) (plain, sealed []byte, err error) {
	return l.client.GenerateDataKey(ctx, keyID, map[string]string{
		"aws:ssm:SessionId": l.session.ID, "aws:ssm:TargetId": l.target.ID(),
	})
}

// link describes the lane to the faces.
func (l *lane) link() Link {
	link := Link{Target: l.target, Session: l.session.ID}
	if agent, _ := l.opening.agreed(); agent != (wire.Version{}) {
		link.Agent = agent.String()
	}
	return link
}

// run opens the session and carries it until it is over or ctx ends, and says why; the session is terminated when it
// returns. The tunnel is told when its state may have changed.
func (l *lane) run(ctx context.Context) error {
	document := aws.PortForward(l.remote.Port)
	if l.remote.Host != "" {
		document = aws.PortForwardTo(l.remote.Host, l.remote.Port)
	}
	document = l.client.Document(document)
	if l.seat != nil { // a client waits for it: TLS of its stream is opened while the session is asked for, two round trips less
		early, stop := context.WithCancel(ctx)
		var opening sync.WaitGroup
		opening.Go(func() { l.client.OpenStreamAhead(early, streamsOf(l.client)) })
		defer opening.Wait()
		defer stop()
	}
	return l.hold(ctx, document.Name, func(ctx context.Context) (aws.Session, error) { return l.startBeside(ctx, document) })
}

// hold is run for whatever starts the session.
func (l *lane) hold(ctx context.Context, document string, start func(context.Context) (aws.Session, error)) error {
	// A cancelled call may have opened a session whose id nobody knows, so it gets the time to answer.
	starting, stop := lingering(ctx, startLinger)
	session, err := start(starting)
	stop()
	if err != nil {
		return err
	}
	l.session = session
	l.options.journal.add(session.ID, l.target, l.client) //nolint:contextcheck // the journal outlives the lane
	l.log = l.log.With("session", session.ID)
	l.log.Info("session started", "target", l.target.String(), "document", document)

	carrying, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	farewell := make(chan struct{})
	goodbye := context.AfterFunc(ctx, func() {
		defer close(farewell)
		l.farewell()
		cancel(context.Cause(ctx))
	})
	err = l.carry(carrying, cancel)
	l.options.sizes.save(l.log)
	told := !goodbye()
	if told {
		<-farewell
	}
	silent, gone := errors.AsType[*SilentError](err)
	if gone {
		l.spare(silent)
	}
	l.channel.finish(err)
	if gone { // before its connections are opened anew elsewhere: not even an agent that comes back gets them now
		l.terminate(ctx, err)
	}
	if l.carrier != nil {
		l.carrier.finish(err)
	}
	if !gone {
		l.terminate(ctx, err)
	}
	if told { // and however the service has put the end that it was asked for
		return context.Cause(ctx)
	}
	return err
}

// lingering returns a context that outlives the end of ctx by d.
func lingering(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var timer *time.Timer
	armed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		timer = time.AfterFunc(d, cancel)
		close(armed)
	})
	return longer, func() {
		if !stop() {
			<-armed
			timer.Stop()
		}
		cancel()
	}
}

// farewell tells the agent in band that the session is over, and gives the word time to arrive: a client that exits in
// the same instant leaves the agent's worker behind (protocol.md 7).
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

// terminate ends the session by the API, which works even where the session is stuck.
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

// shake completes the handshake, then watches over the lane until ctx ends.
func (l *lane) shake(ctx context.Context, cancel context.CancelCauseFunc) {
	waiting, stop := context.WithTimeout(ctx, handshakeWithin)
	defer stop()
	if err := l.opening.run(waiting); err != nil {
		failed := &HandshakeError{Target: l.target, After: handshakeWithin}
		if !errors.Is(err, context.DeadlineExceeded) || say.Remedy(err) != "" {
			failed.Cause = err
		}
		cancel(failed)
		return
	}
	l.changed(l, nil)
	l.watch(ctx, cancel)
}

// watch keeps the session alive where that was asked for, and gives it up when it is stuck.
func (l *lane) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	agent, _ := l.opening.agreed()
	every := l.options.keepAlive
	if agent.KeepAlive() && (every <= 0 || every > muxKeepAlive) {
		every = muxKeepAlive
	}
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	alive := time.Now()
	var v vigil
	for rest := checkEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-l.stir:
			l.changed(l, nil)
		case <-tick.C:
		}
		now := time.Now()
		if err := l.heed(&v, now); err != nil {
			cancel(err)
			return
		}
		if err := l.heedSize(); err != nil {
			cancel(err)
			return
		}
		quiet := l.channel.quiet(now)
		if slow := quiet > slowAfter && !l.excused(&v, now) || l.silent.Load(); l.slow.Swap(slow) != slow {
			l.changed(l, nil)
		}
		if quiet > stuckAfter && l.open() {
			cancel(&StuckError{Session: l.session.ID, For: quiet})
			return
		}
		m, many := l.carrier.(*mux)
		if many && quiet > strandAfter && l.open() {
			m.strand()
		}
		if many && every > 0 && now.Sub(alive) >= every {
			alive = now
			if err := m.keepAlive(); err != nil {
				return
			}
		}
		if next := l.look(); next != rest {
			rest = next
			tick.Reset(rest)
		}
	}
}

// begin sets up what receives stream data. The reader calls it when the agent completes the handshake.
func (l *lane) begin() error {
	agent, sealer := l.opening.agreed()
	switch {
	case agent == (wire.Version{}):
		return errors.New("the agent completed a handshake that it never asked for")
	case l.carrier != nil:
		return errors.New("the agent completed the handshake twice")
	}
	l.channel.seal = sealer
	_, roundTrip := l.channel.figures()
	l.channel.hold(time.Now().Add(settleFor - roundTrip)) // the way there and back takes most of it, or all
	if agent.Mux() {
		l.carrier = newMux(l.channel)
		if l.options.sizes != nil {
			l.channel.startSizes(l.options.sizes, l.place())
		}
	} else {
		l.carrier = newBasic(l.channel)
	}
	return nil
}

// state is where the lane stands.
func (l *lane) state() State {
	switch {
	case l.opening.done() && l.attached.Load() && !l.silent.Load():
		return Open
	case l.opening.done():
		return Resuming
	case l.attached.Load():
		return Handshaking
	default:
		return Starting
	}
}

func (l *lane) open() bool { return l.state() == Open }

// taken reports whether the agent has begun to serve the session.
func (l *lane) taken() bool {
	agent, _ := l.opening.agreed()
	return agent != (wire.Version{})
}

// usable reports whether new connections may be placed here.
func (l *lane) usable() bool {
	return l.open() && !l.slow.Load() && !l.hung.Load() && !l.away.Load() && !l.draining.Load() && !l.trial.Load()
}

// behind reports whether what has come so far is of use only when the agent has repaired what was lost before it, in a second
// or more: a new connection is better off elsewhere, if there is an elsewhere.
func (l *lane) behind() bool {
	return time.Duration(l.missing.Load())*repairEvery >= behindAfter
}

// connect opens a stream for one local connection; it waits for its turn only so long that another lane can be tried.
func (l *lane) connect(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	l.streams.Add(1)
	if l.draining.Load() { // looked at after the count, which endIfDrained looks at after draining
		l.streams.Add(-1)
		return nil, errDrained
	}
	s, err := l.carrier.open(ctx)
	if err != nil {
		l.streams.Add(-1)
	}
	return s, err
}

// endIfDrained ends a lane that gets no more connections and has none, and reports whether it did.
func (l *lane) endIfDrained() bool {
	if !l.draining.Load() || l.streams.Load() > 0 {
		return false
	}
	l.ending = true
	l.quit(errDrained)
	return true
}

// release says that a connection is done with its stream.
func (l *lane) release() { l.streams.Add(-1) }

// flush hands on the stream data that deliver took.
func (l *lane) flush() {
	if l.carrier != nil {
		l.carrier.flush()
	}
}

// deliver takes the payload of one message in; the channel calls it in order.
func (l *lane) deliver(kind wire.PayloadType, body []byte) error {
	switch kind {
	case wire.HandshakeRequestType, wire.EncryptionRequestType:
		return l.opening.receive(kind, body)
	case wire.HandshakeCompleteType:
		// From here on the agent sends stream data: all that receives it is set up before the next message is looked at.
		if err := l.begin(); err != nil {
			return err
		}
		return l.opening.receive(kind, body)
	case wire.Output:
		if l.carrier == nil {
			l.log.Warn("stream data before the handshake was complete", "bytes", len(body))
			return nil
		}
		l.received.Add(uint64(len(body)))
		err := l.carrier.receive(body)
		if l.press(len(body), time.Now()) && l.pressed != nil {
			l.pressed()
		}
		return err
	case wire.FlagType:
		flag, err := wire.ParseFlag(body)
		if err != nil {
			l.log.Warn("flag refused", "error", err)
			return nil
		}
		if m, ok := l.carrier.(*mux); ok && flag == wire.FlagConnectToPortError {
			m.refused(time.Now())
		}
		return nil
	default: // shells only, or newer than this code
		l.log.Debug("payload ignored", "type", kind, "bytes", len(body))
		return nil
	}
}
