package screen

import (
	"context"
	"errors"
	"fmt"
	"io"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/shell"
)

// shellIn is a shell in a container that has the terminal until it ends. The screen stands still meanwhile; tunnels go
// on, and their events are handled when the screen is back.
type shellIn struct {
	ctx    context.Context //nolint:containedctx // the context of the run, as bubbletea gives none
	place  *place
	target aws.Target

	in       io.Reader
	out, err io.Writer
	exit     tunnel.Exit
}

// name names the container, short enough for a line.
func (s *shellIn) name() string {
	return say.Line("container " + s.target.Container + " of " + aws.Target{Cluster: s.target.Cluster, Service: s.target.Service}.String())
}

// SetStdin is called by bubbletea with the terminal's input.
func (s *shellIn) SetStdin(in io.Reader) { s.in = in }

// SetStdout is called by bubbletea with the terminal.
func (s *shellIn) SetStdout(out io.Writer) { s.out = out }

// SetStderr is called by bubbletea with the output for errors.
func (s *shellIn) SetStderr(err io.Writer) { s.err = err }

// Run runs the shell on the terminal until the shell ends.
func (s *shellIn) Run() (err error) {
	_, _ = fmt.Fprintf(s.out, "a shell in %s; exit leads back to culvert\r\n", s.name())
	s.exit, err = shell.Run(s.ctx, shell.Options{Engine: s.place.engine, Client: s.place.client, Target: s.target, In: s.in, Out: s.out, Err: s.err})
	return err
}

// enterContainer opens a shell in the container of a row; for a task the user chooses one of its containers.
func enterContainer(ctx context.Context, p *place, e entry, readOnly bool) wish {
	switch {
	case readOnly:
		return fail(&ReadOnlyError{})
	case p.engine == nil:
		return tell("not signed in yet: nothing can be started")
	case e.container != nil:
		return enterOne(ctx, p, e.task, *e.container)
	}
	containers := e.task.Meant()
	switch len(containers) {
	case 0:
		return tell("ECS tells of no containers in this task")
	case 1:
		return enterOne(ctx, p, e.task, containers[0])
	}
	choices := make([]choice, len(containers))
	for i, c := range containers {
		choices[i] = choice{c.Name, say.Line(c.Image)}
	}
	return chooseNumbered("a shell in", choices, func(i int) wish { return enterOne(ctx, p, e.task, containers[i]) })
}

func enterOne(ctx context.Context, p *place, t *aws.Task, c aws.Container) wish {
	if err := t.Ready(c); err != nil {
		return fail(err)
	}
	s := &shellIn{ctx: ctx, place: p, target: aws.Target{Cluster: t.Cluster, Service: t.Service, Task: t.ID, Container: c.Name, RuntimeID: c.RuntimeID}}
	return beside(tea.Exec(s, func(err error) tea.Msg {
		return then(func() wish {
			switch {
			case errors.Is(err, context.Canceled):
				return nil
			case err != nil:
				return all(hurry(), fail(err))
			}
			return all(hurry(), tell("the shell in "+s.name()+" has ended"))
		})
	}))
}
