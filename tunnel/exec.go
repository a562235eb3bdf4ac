package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"culvert/aws"
	"culvert/aws/wire"
)

const (
	// execDocument is the document with which ECS opens the sessions of ExecuteCommand; it is only for the log.
	execDocument = "AmazonECS-ExecuteInteractiveCommand"
	// silentFor is how long neither side may have sent anything before the agent is sent the terminal's size, to see whether it
	// takes input, see shell.await.
	silentFor = 500 * time.Millisecond
	// lookEvery is how often await looks how things stand.
	lookEvery = 50 * time.Millisecond
	// endOfInput is ctrl+d, the only way to end the input of a terminal.
	endOfInput = '\x04'
	// lastWords is how long output that has come may still be printed when culvert is told to stop.
	lastWords = 200 * time.Millisecond
)

// Exec says which command to run in a container, and where its input and output go. The agent runs the command on a terminal:
// what is typed comes back as echo, and lines of output end with CR LF.
type Exec struct {
	Client  *aws.Client // nil is the engine's
	Target  aws.Target  // the container, as aws.Client.Lookup returns it
	Command string      // as aws.CommandLine writes it
	// Input is what is typed. When the channel is closed the command reads an end of file.
	Input <-chan []byte
	// Size is how large the terminal is when the command starts, Sizes are the sizes that it gets later; with nil it keeps its
	// size.
	Size  Size
	Sizes <-chan Size
	// Output takes what the command prints, and Errors what it prints on stderr, where the agent keeps the two apart. A Write
	// that blocks does not hold up the session until 32 MiB wait for it; then the command ends with an *UnprintedError.
	Output, Errors io.Writer
}

// Size is how large a terminal is, in characters.
type Size struct{ Columns, Rows int }

// Exit is how a command has ended.
type Exit struct {
	Code int  // the exit code; 0 unless Told
	Told bool // the agent has told the exit code, which the agents of ECS Exec do not
}

// Exec runs a command in a container until the command ends, the session is lost or ctx ends, and terminates the session. Lost
// sockets are replaced, as those of a tunnel are. The error is a *CommandError when the command cannot be started, and an
// *ExecError when the session ended before the command. Close does not end a running Exec, nor wait for it.
func (e *Engine) Exec(ctx context.Context, x Exec) (Exit, error) {
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	if closed {
		return Exit{}, errors.New("run a command: the engine is closed")
	}
	if x.Client == nil {
		x.Client = e.options.Client
	}
	s := newShell(x, newLane(x.Client, e.options.Log, Endpoint{}, laneOptions{
		messageSize: e.options.MessageSize, uploadRate: e.options.UploadRate, journal: e.options.Journal, leave: e.remains.leave,
	}))
	return s.run(ctx)
}

// shell is a lane whose stream data is the input and output of a terminal.
type shell struct {
	*lane

	x       Exec
	out     *outlet
	start   sync.Once
	asked   atomic.Bool // the agent has begun a handshake
	started atomic.Bool // ECS has opened the session

	fail context.CancelCauseFunc // ends run, with the reason
	exit Exit                    // set by deliver; only the socket's reader touches it until hold has returned
}

func newShell(x Exec, l *lane) *shell {
	s := &shell{lane: l, x: x, out: newOutlet(x.Output, x.Errors)}
	l.target = x.Target
	l.changed = func(*lane, error) {} // there is no tunnel that is to be told
	l.channel.deliver = s.deliver
	l.opening.session = terminal
	return s
}

// terminal checks that the agent opens a session with a terminal.
func terminal(sessionType string, _ json.RawMessage) error {
	switch sessionType {
	case wire.ShellSession, wire.InteractiveSession, wire.NonInteractiveSession:
		return nil
	}
	return fmt.Errorf("the agent opens a session of type %q, want a command's", sessionType)
}

func (s *shell) run(ctx context.Context) (Exit, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.fail = cancel
	var printing, typing sync.WaitGroup
	printing.Go(func() {
		if err := s.out.run(); err != nil {
			cancel(err)
		}
	})
	typing.Go(func() { s.input(ctx) })
	typing.Go(func() { s.sizes(ctx) })
	err := s.hold(ctx, execDocument, func(ctx context.Context) (aws.Session, error) {
		session, err := s.client.ExecuteCommand(ctx, s.target, s.x.Command)
		s.started.Store(err == nil)
		return session, err
	})
	s.channel.finish(err)
	typing.Wait()
	s.drain(ctx, &printing)
	if cause := context.Cause(ctx); cause != nil {
		return Exit{}, cause
	}
	return s.outcome(err)
}

// drain waits until all output is printed, or lastWords after ctx has ended. A Write that still blocks then keeps its goroutine
// until it returns.
func (s *shell) drain(ctx context.Context, printing *sync.WaitGroup) {
	s.out.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		printing.Wait()
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	select {
	case <-done:
	case <-time.After(lastWords):
	}
}

// outcome works out how the command ended from the error with which its session ended.
func (s *shell) outcome(err error) (Exit, error) {
	if !s.started.Load() || s.exit.Told {
		if s.exit.Told {
			err = nil
		}
		return s.exit, err
	}
	closed, ok := errors.AsType[*ClosedError](err)
	switch {
	case !ok:
	case closed.Output == "" && len(s.channel.early) > 0: // early is safe to read: the socket's reader has ended
		err = &MissingError{Messages: len(s.channel.early)}
	case closed.Output == "":
		return Exit{}, nil
	case unstarted(closed.Output):
		return Exit{}, &CommandError{Target: s.target, Output: closed.Output}
	}
	return Exit{}, &ExecError{Target: s.target, Err: err}
}

// deliver takes the payload of one message in; the channel calls it in order.
func (s *shell) deliver(kind wire.PayloadType, body []byte) error {
	switch kind {
	case wire.HandshakeRequestType, wire.EncryptionRequestType:
		if s.opening.done() {
			return errors.New("the agent asks for a handshake in the midst of a session")
		}
		s.asked.Store(true)
		return s.opening.receive(kind, body)
	case wire.HandshakeCompleteType:
		return s.shaken()
	case wire.Output, wire.StdErr:
		if s.asked.Load() && !s.opening.done() {
			s.log.Warn("output before the handshake was complete", "bytes", len(body))
			return nil
		}
		s.begin()
		if err := s.out.put(kind == wire.StdErr, body); err != nil {
			s.fail(&ExecError{Target: s.target, Err: err})
		}
		return nil
	case wire.ExitCode:
		code, err := wire.ParseExitCode(body)
		if err != nil {
			s.log.Warn("exit code refused", "error", err)
			return nil
		}
		s.exit = Exit{Code: code, Told: true}
		return nil
	default: // a port session's, or newer than this code
		s.log.Debug("payload ignored", "type", kind, "bytes", len(body))
		return nil
	}
}

// shaken takes note that the agent has completed a handshake.
func (s *shell) shaken() error {
	agent, sealer := s.opening.agreed()
	switch {
	case agent == (wire.Version{}):
		return errors.New("the agent completed a handshake that it never asked for")
	case s.opening.done():
		return errors.New("the agent completed the handshake twice")
	}
	s.channel.seal = sealer
	_, roundTrip := s.channel.figures()
	s.channel.hold(time.Now().Add(settleFor - roundTrip))
	s.begin()
	return nil
}

// begin lets input and sizes send from now on. Agents of ECS Exec make a handshake only when the session is encrypted
// (amazon-ssm-agent, interactivecommands.go, RequireHandshake); else their first message is output of the command.
func (s *shell) begin() { s.start.Do(func() { close(s.opening.complete) }) }

// await waits until the agent takes input, and reports false when the session is over before. Output or a complete handshake
// shows that the agent does (begin). But a command that prints nothing by itself, such as cat, would then never get its input; so
// an agent from which nothing comes for silentFor is sent the terminal's size, and once more when it has acknowledged that. An
// agent acknowledges and throws away what comes very early, and leaves unacknowledged what comes a little later, before its
// terminal is there; the second acknowledge therefore means that the terminal is there.
func (s *shell) await(ctx context.Context) bool {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	silent := time.Duration(0) // how long neither side has sent anything, in steps of lookEvery
	for sent := 0; ; {
		select {
		case <-s.opening.complete:
			return true
		case <-ctx.Done():
			return false
		case <-s.channel.overDone:
			return false
		case <-tick.C:
		}
		switch {
		case !s.attached.Load() || s.asked.Load():
		case !s.channel.drained():
		case sent == 2:
			s.begin()
		case silent < silentFor:
			silent += lookEvery
		default:
			if s.resize(s.x.Size) != nil {
				return false
			}
			sent, silent = sent+1, 0
		}
	}
}

// input sends what is typed to the agent.
func (s *shell) input(ctx context.Context) {
	if !s.await(ctx) {
		return
	}
	typed := byte('\n')
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.channel.overDone:
			return
		case text, more := <-s.x.Input:
			if !more {
				s.end(ctx, typed)
				return
			}
			for len(text) > 0 {
				n := min(len(text), s.channel.room())
				if s.channel.send(ctx, text[:n]) != nil {
					return // hold says why
				}
				typed, text = text[n-1], text[n:]
			}
		}
	}
}

// end types ctrl+d. In the midst of a line a first ctrl+d only makes the terminal hand on what was typed of the line, so that a
// second one is needed.
func (s *shell) end(ctx context.Context, last byte) {
	end := []byte{endOfInput, endOfInput}
	if last == '\n' || last == '\r' {
		end = end[:1]
	}
	if err := s.channel.send(ctx, end); err != nil {
		s.log.Debug("end of the input not sent", "error", err)
	}
}

// sizes tells the agent how large the terminal is, first when it takes input and then whenever that changes.
func (s *shell) sizes(ctx context.Context) {
	select {
	case <-s.opening.complete:
	case <-ctx.Done():
		return
	case <-s.channel.overDone:
		return
	}
	for size, more := s.x.Size, true; more && s.resize(size) == nil; {
		select {
		case size, more = <-s.x.Sizes: // never, when Sizes is nil
		case <-ctx.Done():
			return
		case <-s.channel.overDone:
			return
		}
	}
}

func (s *shell) resize(size Size) error {
	body, err := json.Marshal(wire.TerminalSize{Cols: cells(size.Columns), Rows: cells(size.Rows)})
	if err != nil {
		return fmt.Errorf("encode size: %w", err)
	}
	return s.channel.push(wire.Size, body)
}

// cells limits a number of columns or rows to the 16 bits that a kernel's window size has for it.
func cells(n int) uint32 { return uint32(min(max(n, 0), 1<<16-1)) }
