package screen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/dbclient"
	"culvert/ui/shell"
)

// wayWithin is how long opening and proving the way to a database may take, before the program starts.
const wayWithin = time.Minute

// enterDatabase opens the way to a private database and runs the usual program of its kind, which has the terminal until it ends.
// The screen stands still meanwhile; tunnels go on. The way is closed with the program, unless it is a tunnel that was open
// before.
func enterDatabase(ctx context.Context, s *survey, l hostRow, o Options) wish {
	l = s.upToDate(l)
	access := dbclient.Access{}
	if o.Database != nil {
		access = o.Database()
	}
	access.Host = l.Host
	programs := dbclient.Usual(l.Kind)
	switch why := s.noWay(l); {
	case o.ReadOnly:
		return fail(&ReadOnlyError{})
	case l.secret != "":
		return tell(say.Line(l.Name) + " is set by secret " + say.Line(l.secret) + ": which host it names is not known")
	case why != nil:
		return fail(why)
	case !l.judged && s.trouble != nil:
		return fail(s.trouble)
	case len(programs) == 0 || l.Port == 0:
		return fail(&dbclient.KindError{Host: l.Host})
	case !l.judged || s.place.engine == nil:
		return tell("the ways to " + say.Line(l.Name) + " are still being looked at")
	case s.entering:
		return tell("the way to a database is being opened already")
	}
	for _, name := range programs {
		if _, err := exec.LookPath(name); err == nil {
			access.Program = name
			break
		}
	}
	if access.Program == "" {
		return fail(&whole{programs[0] + " is not installed here, or not in PATH", "install it, or run where it is: " + s.databaseLine(l)})
	}
	if err := dbclient.Check(access); err != nil {
		return fail(&whole{err.Error(), say.Remedy(err) + "; for instance: " + s.databaseLine(l)})
	}
	s.entering = true
	through := l.ways[0]
	return all(tell("opening the way to "+say.Line(l.Name)+" through "+wayName(through)), beside(func() tea.Msg {
		way, err := s.place.openWay(ctx, through, tunnel.Endpoint{Host: l.Host.Host, Port: l.Port})
		return then(func() wish {
			s.entering = false
			if err != nil {
				return fail(err)
			}
			return runDatabase(ctx, access, way)
		})
	}))
}

// openWay opens a tunnel to a host through a service, and proves it.
func (p *place) openWay(ctx context.Context, through aws.Way, to tunnel.Endpoint) (*tunnel.Tunnel, error) {
	ctx, cancel := context.WithTimeout(ctx, wayWithin)
	defer cancel()
	target, err := p.client.Lookup(ctx, aws.Query{Cluster: through.Cluster, Service: through.Service})
	if err != nil {
		return nil, err
	}
	t, err := p.engine.Open(tunnel.Forward{Remote: to}.Spec(target)) //nolint:contextcheck // a tunnel lives until it is closed
	if err != nil {
		return nil, err
	}
	if _, err := t.Prove(ctx); err != nil {
		return nil, errors.Join(err, closeWay(ctx, t))
	}
	return t, nil
}

// closeWay closes a tunnel even when ctx has ended.
func closeWay(ctx context.Context, t *tunnel.Tunnel) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	if err := t.Close(ctx); err != nil {
		return fmt.Errorf("close the way: %w", err)
	}
	return nil
}

// runDatabase runs a program for a database through a tunnel, and closes the tunnel afterwards.
func runDatabase(ctx context.Context, access dbclient.Access, way *tunnel.Tunnel) wish {
	access.Local = way.Addr()
	var trouble atomic.Pointer[string] // what is wrong with the database's certificate, which some programs do not tell
	access.Say = func(text string) { trouble.Store(&text) }
	name := say.Line(access.Host.Name)
	over := func(err error) tea.Msg {
		_ = closeWay(ctx, way) // the tunnel's row tells of an error
		return then(func() wish {
			switch {
			case errors.Is(err, context.Canceled):
				return nil
			case trouble.Load() != nil:
				return all(hurry(), fail(&whole{*trouble.Load(), "culvert db says the same, and takes --ca and --tls=no"}))
			case err != nil:
				return all(hurry(), fail(&DatabaseError{Program: access.Program, Err: err}))
			}
			return all(hurry(), tell(access.Program+" on "+name+" has ended; its tunnel is closed"))
		})
	}
	client, err := dbclient.Open(access)
	if err != nil {
		return beside(func() tea.Msg { return over(err) })
	}
	run := &shell.Program{
		Context: ctx, Words: client.Arguments([]string{access.Program}), Env: client.Environment(os.Environ()),
		Title: access.Program + " on " + name + "; its end leads back to culvert",
	}
	return beside(tea.Exec(run, func(err error) tea.Msg { return over(errors.Join(err, client.Close())) }))
}

// DatabaseError means that a program for a database failed.
type DatabaseError struct {
	Program string
	Err     error
}

func (e *DatabaseError) Error() string { return fmt.Sprintf("%s: %v", e.Program, e.Err) }
func (e *DatabaseError) Unwrap() error { return e.Err }

// Remedy says where user, database and password come from.
func (e *DatabaseError) Remedy() string {
	return "why, the program has said; user, database and password are those of its own variables and files, and culvert db has flags for them (y copies the line)"
}

// databaseLine is the command that does the same without the screen.
func (s *survey) databaseLine(l hostRow) string {
	name := l.Name
	if l.Role != "" && l.Role != "instance" {
		name += "/" + l.Role
	}
	words := []string{"db", name}
	if l.IAM {
		words = append(words, "--iam", "USER")
	}
	return s.place.client.Shell().Culvert(words...)
}

// databaseLines is databaseLine to be copied, where the destination is a database.
func (s *survey) databaseLines(l hostRow) []copyable {
	if s.place.client == nil || len(dbclient.Usual(l.Kind)) == 0 {
		return nil
	}
	return []copyable{{"culvert db line", s.databaseLine(l)}}
}
