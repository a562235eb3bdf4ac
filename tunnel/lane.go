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
	// handshakeWithin is how long the handshake may take from the first socket on. The agent itself gives up after 15 s
	// (protocol.md 5); the rest is for the service to deliver that.
	handshakeWithin = 18 * time.Second
	// settleFor is how long nothing is sent after the agent's HandshakeComplete. The agent enters its new state only after it
	// has sent that message, and until then acknowledges stream data and throws it away (amazon-ssm-agent, datachannel.go).
	settleFor = 20 * time.Millisecond
	// startLinger is how much longer a StartSession call that is no longer wanted is given to return the id of its session,
	// which otherwise could not be terminated.
	startLinger = 2 * time.Second
	// steadyAfter is how long a socket, or a lane, has to live for the waits between attempts to replace it to begin with the
	// shortest again.
	steadyAfter = 5 * time.Second
	// repairEvery is how long an agent takes to send one lost message again (protocol.md 9, A1). A lane that is behindAfter or
	// more away from being repaired gets no new connections as long as another lane may open soon (mostPatience).
	repairEvery = 100 * time.Millisecond
	behindAfter = time.Second
	// connectWithin bounds the wait for a stream on a lane that can carry no more of them at the moment.
	connectWithin = time.Second
)

// lane is one Session Manager session to one task, from StartSession to its end, over as many sockets as it takes.
type lane struct {
	client   *aws.Client
	log      *slog.Logger
	remote   Endpoint
	options  laneOptions
	changed  func(*lane, error)      // tells the tunnel that the lane's state may have changed; the error is why a socket was lost, if one was
	pressed  func()                  // tells the tunnel that a download has begun; does not block. May be nil
	suspect  func(*lane)             // has the tunnel ask ECS whether the task of the lane's agent still runs
	quit     context.CancelCauseFunc // ends run
	clientID string                  // how we name ourselves to the service, on every socket alike

	target  aws.Target  // set before attached is
	session aws.Session // set before attached is
	stream  string      // the URL of the last socket; only carry touches it, as moves
	moves   bool        // the service gives each socket of the session another URL
	channel *channel
	opening *handshake
	carrier carrier // set when the handshake is complete

	attached atomic.Bool   // a socket carries the session
	slow     atomic.Bool   // the agent owes an acknowledge for longer than slowAfter, or is silent: no new connections for now
	told     atomic.Bool   // the agent has acknowledged that the session is over
	draining atomic.Bool   // no new connections, and the lane ends with its last one
	leaving  atomic.Bool   // draining because its task stops
	hung     atomic.Bool   // the agent waits for a destination that does not answer its connect: no new connections for now
	away     atomic.Bool   // the service says that the agent is away: new connections wait until it is back
	silent   atomic.Bool   // the agent does not answer and may be gone: no new connections
	doubted  atomic.Bool   // ECS is being asked whether the agent's task is gone
	trial    atomic.Bool   // no new connections before the lane's far end is proved
	uneasy   chan struct{} // tells reassure that there is a doubt to end; capacity 1
	proving  chan struct{} // capacity 1: holds a token while a proof is under way
	streams  atomic.Int64  // connections that have a stream of the lane, or wait for one
	coming   atomic.Int64  // connections that have been given the lane and are not counted in streams yet
	row      atomic.Int64  // bytes of stream data that came in full messages since the last message that was not full
	bulkAt   atomic.Int64  // when the last message of a download came, in unix nanoseconds
	resumed  atomic.Uint64 // how often the session was resumed
	received atomic.Uint64 // bytes of stream data
	missing  atomic.Int64  // messages from the agent that were lost, and that it has not sent again yet
	lastData atomic.Int64  // when stream data last came, in unix nanoseconds

	size int // bytes of a message to the agent, as last logged; only watch touches it

	seat *seat // the session's seat in a dynamic tunnel; set before target; nil in any other tunnel

	strand *strand // the strand that has the lane for itself; nil for none. The tunnel's lock guards it

	awaySince atomic.Int64            // when the service last said that the agent is away, in unix nanoseconds
	finding   atomic.Pointer[finding] // what ECS last said about the agent's task; nil for nothing that is of concern
	stir      chan struct{}           // has watch look at once; capacity 1

	// Only the tunnel's run touches what follows.
	openedAt  time.Time     // when the lane first took connections; zero before
	startedAt time.Time     // when the lane was started
	trying    bool          // the proof that decides its trial has begun
	aside     bool          // draining because another session has resolved the remote host's name anew
	ending    bool          // told to end because it was draining and had no connections left
	inquired  time.Time     // when a proof was last sent behind connections that may hang, see runner.inquire
	rest      time.Duration // least time from inquired to the next such proof
	patrolled time.Time     // when ECS was last asked about the lane's task
}

// laneOptions are the settings of a lane that come from the engine and the spec.
type laneOptions struct {
	messageSize, uploadRate int
	sizes                   *Sizes        // what larger message sizes are known to work; nil: the size is fixed
	keepAlive               time.Duration // how often a byte is sent against the account's idle timeout; 0 is never
	renewAfter              time.Duration // the age at which a socket is replaced, see handover.go; 0 is never
	journal                 *Journal
	leave                   func(client *aws.Client, session string, err error) // takes over a session that could not be terminated
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

// run opens the session and carries it until it is over or ctx ends; the error is which of the two it was, and never nil. The
// session is terminated when run returns. Whenever the lane's state may have changed, run calls changed.
func (l *lane) run(ctx context.Context) error {
	document := aws.PortForward(l.remote.Port)
	if l.remote.Host != "" {
		document = aws.PortForwardTo(l.remote.Host, l.remote.Port)
	}
	document = l.client.Document(document)
	if l.seat != nil { // a client waits for this session: TLS of its stream is opened during StartSession, which saves two round trips
		early, stop := context.WithCancel(ctx)
		var opening sync.WaitGroup
		opening.Go(func() { l.client.OpenStreamAhead(early, streamsOf(l.client)) })
		defer opening.Wait()
		defer stop()
	}
	return l.hold(ctx, document.Name, func(ctx context.Context) (aws.Session, error) { return l.startBeside(ctx, document) })
}

// hold is run without the start of the session, which is the caller's function: StartSession or, for Engine.Exec, ExecuteCommand.
func (l *lane) hold(ctx context.Context, document string, start func(context.Context) (aws.Session, error)) error {
	// A call that is cancelled may have opened a session whose id nobody knows then, so it gets the time to answer.
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
	if gone { // terminated before its connections are opened anew elsewhere, so that an agent that comes back cannot serve them as well
		l.terminate(ctx, err)
	}
	if l.carrier != nil {
		l.carrier.finish(err)
	}
	if !gone {
		l.terminate(ctx, err)
	}
	if told { // we asked for the end, and err is only how the service reported it
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

// shake waits for the handshake to be complete, handshakeWithin at the most, and then watches over the lane until ctx ends. cancel
// ends the session, with the reason.
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

// begin sets up the carrier, which receives stream data. The socket's reader calls it when the agent completes the handshake.
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
	l.channel.hold(time.Now().Add(settleFor - roundTrip)) // the agent's message has travelled, and ours will: half a round trip each
	if agent.Mux() {
		l.carrier = newMux(l.channel)
		if l.options.sizes != nil {
			l.channel.startSizes(l.options.sizes, l.service())
		}
	} else {
		l.carrier = newBasic(l.channel)
	}
	return nil
}

// state is how far the lane is: Starting, Handshaking, Open or, between two sockets, Resuming.
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

// usable reports whether the lane may be given new connections.
func (l *lane) usable() bool {
	return l.open() && !l.slow.Load() && !l.hung.Load() && !l.away.Load() && !l.draining.Load() && !l.trial.Load()
}

// behind reports whether so many messages from the agent were lost that sending them again will take it behindAfter or longer.
// Nothing behind a lost message can be handed on before that, so a new connection is better off on another lane, if there is one.
func (l *lane) behind() bool {
	return time.Duration(l.missing.Load())*repairEvery >= behindAfter
}

// connect opens a stream for one local connection. It waits for one for connectWithin at the most, so that the caller can try
// another lane. The error is errDrained on a lane that takes no more connections.
func (l *lane) connect(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	l.streams.Add(1)
	if l.draining.Load() { // looked at after streams was raised, as endIfDrained looks at streams after draining: one of the two sees the other
		l.streams.Add(-1)
		return nil, errDrained
	}
	s, err := l.carrier.open(ctx)
	if err != nil {
		l.streams.Add(-1)
	}
	return s, err
}

// release takes back the count of a connection that is done with its stream.
func (l *lane) release() { l.streams.Add(-1) }

// flush hands the stream data that deliver has taken on to the connections.
func (l *lane) flush() {
	if l.carrier != nil {
		l.carrier.flush()
	}
}

// deliver takes the payload of one message. The channel calls it in the order of the stream. An error ends the session.
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
	default: // a type that only shells use, or one that is newer than this code
		l.log.Debug("payload ignored", "type", kind, "bytes", len(body))
		return nil
	}
}
