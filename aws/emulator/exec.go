package emulator

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/shlex"

	"culvert/aws/wire"
)

// execDocument is ECS's own document, with which it opens its sessions.
const execDocument = "AmazonECS-ExecuteInteractiveCommand"

// failedStart is how long the agent waits before it reports that a command cannot be started (amazon-ssm-agent, shell.go).
const failedStart = 2 * time.Second

type executeInput struct {
	Cluster, Task, Container, Command string
	Interactive                       bool
}

type executeOutput struct {
	ClusterARN    string     `json:"clusterArn"`
	ContainerARN  string     `json:"containerArn"`
	ContainerName string     `json:"containerName"`
	Interactive   bool       `json:"interactive"`
	TaskARN       string     `json:"taskArn"`
	Session       execTicket `json:"session"`
}

type execTicket struct {
	SessionID  string `json:"sessionId"`
	StreamURL  string `json:"streamUrl"`
	TokenValue string `json:"tokenValue"`
}

// executeCommand is ecs:ExecuteCommand. ECS itself opens the session, so the caller needs only this action, on the cluster and
// on the task. The texts of the refusals that users have reported are AWS's; those of the others are not known.
func (e *Emulator) executeCommand(r *request) (any, error) {
	in, err := decode[executeInput](r)
	if err != nil {
		return nil, err
	}
	a := e.fleet
	cluster, id := nameOf(in.Cluster), nameOf(in.Task)
	prefix := "arn:aws:ecs:" + r.Region + ":" + a.id + ":"
	for _, resource := range []string{prefix + "cluster/" + cluster, prefix + "task/" + cluster + "/" + id} {
		if err := e.data.admit(r, "ecs", "ExecuteCommand", resource); err != nil {
			return nil, err
		}
	}
	switch {
	case in.Command == "":
		return nil, invalidParameter("Command cannot be empty.")
	case !in.Interactive:
		return nil, invalidParameter("Interactive is the only mode supported currently.")
	case r.Region != a.region:
		return nil, &apiError{Code: "ClusterNotFoundException", Message: "Cluster not found."}
	}
	k, out, err := a.execTarget(in)
	if err != nil {
		return nil, err
	}
	switch {
	case !k.agentRunning():
		return nil, invalidParameter("The execute command failed because execute command was not enabled when the task was run or the execute command agent isn’t running. Wait and try again or run a new task with execute command enabled and try again.")
	case e.data.knobs().Unregistered:
		return nil, &apiError{Code: "TargetNotConnectedException", Message: "The execute command failed due to an internal error. Try again later.", Status: http.StatusBadRequest}
	}
	target := "ecs:" + cluster + "_" + id + "_" + k.runtime
	s, err := e.data.begin(k, startOrder{Target: target, DocumentName: execDocument, terminal: true, command: in.Command}, r.Caller)
	if err != nil {
		return nil, err
	}
	out.Session.SessionID = s.id
	out.Session.StreamURL, out.Session.TokenValue = s.ticket()
	return out, nil
}

// execTarget finds the container that a call names, and what the answer says about it.
func (a *account) execTarget(in executeInput) (*container, executeOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.mustFind(in.Cluster)
	if err != nil {
		return nil, executeOutput{}, err
	}
	t := c.find(nameOf(in.Task))
	if t == nil || !a.owns(in.Task) {
		return nil, executeOutput{}, invalidParameter("The referenced task was not found.")
	}
	if in.Container == "" && len(t.containers) > 1 {
		return nil, executeOutput{}, invalidParameter("Container name is required when a task has several containers.")
	}
	for _, k := range t.containers {
		if in.Container == "" || k.pattern.Name == in.Container {
			return k, executeOutput{
				ClusterARN: c.arn(a), ContainerARN: a.arn("ecs", "container/"+c.name+"/"+t.id+"/"+k.runtime),
				ContainerName: k.pattern.Name, Interactive: true, TaskARN: t.arn(a),
			}, nil
		}
	}
	return nil, executeOutput{}, invalidParameter("The specified container %s was not found in the task.", in.Container)
}

// terminal runs the session's command until it ends, as the agent does: in a terminal, without a shell around it.
func (a *agent) terminal(ctx context.Context) error {
	f := a.data.knobs()
	words, err := shlex.Split(a.session.order.command)
	switch {
	case err != nil:
		return a.unstarted(ctx, "Failed to parse commands input: "+err.Error())
	case len(words) == 0:
		words = []string{"sh"}
	}
	path, run := program(words[0])
	if run == nil {
		return a.unstarted(ctx, `Failed to start pty: exec: "`+words[0]+`": executable file not found in $PATH`)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := newTTY()
	defer t.close()
	a.port.Store(&portHandler{input: t.input, disconnect: func() {}, resize: t.resize})
	p := newProcess(a.session.container, t)
	ended := make(chan int, 1)
	if f.TellExit {
		p.errors = &errorWriter{a}
	}
	if !a.data.spawn(func() {
		code := p.run(ctx, run, append([]string{path}, words[1:]...))
		t.hangUp()
		ended <- code
	}) {
		return nil
	}
	if err := pause(ctx, f.TerminalStart); err != nil {
		t.close()
		<-ended
		return err
	}
	a.show(ctx, t)
	t.close()
	code := <-ended
	if f.TellExit && ctx.Err() == nil {
		a.send(wire.ExitCode, wire.ExitCodeBody(code))
	}
	return ctx.Err()
}

// show sends what the command prints, as pump sends what a connection has, until nothing more can be printed.
func (a *agent) show(ctx context.Context, t *tty) {
	for {
		rest := a.data.pacing()
		if a.paused.Load() {
			rest = max(rest, whilePaused)
		} else {
			text := t.printed(ctx, payloadLimit)
			if len(text) == 0 {
				return
			}
			a.send(wire.Output, text)
		}
		if pause(ctx, rest) != nil {
			return
		}
	}
}

// unstarted is the agent's report of a command that it cannot start.
func (a *agent) unstarted(ctx context.Context, why string) error {
	if err := pause(ctx, failedStart); err != nil {
		return err
	}
	return sessionError("Unable to start command: " + why)
}

// errorWriter sends what a command writes to stderr, apart from its stdout.
type errorWriter struct{ agent *agent }

func (w *errorWriter) Write(text []byte) (int, error) {
	for rest := text; len(rest) > 0; {
		n := min(len(rest), payloadLimit)
		w.agent.send(wire.StdErr, rest[:n])
		rest = rest[n:]
	}
	return len(text), nil
}

// whole is how many bytes of a text, no more than most, can be sent without cutting a character. The agent keeps the rest for
// the next message.
func whole(text []byte, most int) int {
	if len(text) <= most {
		most = len(text)
	}
	for back := 1; back < utf8.UTFMax && back <= most; back++ {
		if lead := text[most-back]; utf8.RuneStart(lead) {
			if !utf8.FullRune(text[most-back:most]) && most > back {
				return most - back
			}
			break
		}
	}
	return most
}

// program finds one of the few programs that the containers have.
func program(name string) (path string, run func(context.Context, *process, []string) int) {
	base := name[strings.LastIndexByte(name, '/')+1:]
	run = programs()[base]
	if run == nil || (base != name && name != "/bin/"+base && name != "/usr/bin/"+base) {
		return name, nil
	}
	return "/bin/" + base, run
}
