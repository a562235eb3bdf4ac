package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/headless"
)

// headless runs culvert --headless.
func (a *app) headless(ctx context.Context, aim *aim, forwards *forwards, behind *behind, demand *demand, args []string) error {
	command, err := behind.command(a, args)
	if err != nil {
		return err
	}
	wanted, err := a.wanted(aim, forwards, demand)
	if err != nil {
		return err
	}
	acc, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer acc.close()
	if acc.demo != nil {
		a.noticef("the certificate of the demo's authority is in %s", acc.demo.certificate)
	}
	a.keepJournal(ctx, acc)
	options := a.headlessOptions(acc, wanted)
	options.GitHub, options.OnDemand = a.github, a.onDemand(demand, aim, a.shared.own())
	if command != nil {
		options.Command, options.Out = command, a.Stderr
		options.Color, options.People = colored(a.Stderr), isTerminal(a.Stderr)
	}
	options.Board = &headless.Board{}
	shown := a.progress(func(after time.Duration) string { return opening(options.Board.Set(), after) })
	defer shown.stop()
	options.Ready = func([]*tunnel.Tunnel) { shown.stop() } // from then on the terminal is the command's
	options.Out, options.Err = shown.beside(options.Out), shown.beside(options.Err)
	return headless.Run(ctx, options)
}

func (a *app) headlessOptions(acc *account, wanted []headless.Forward) headless.Options {
	return headless.Options{
		Client:   acc.client,
		Engine:   acc.engine(&a.shared),
		Forwards: wanted,
		Wait:     a.shared.wait,
		Probe:    a.shared.probe.Probe,
		Roots:    acc.roots(),
		Out:      a.Stdout,
		Err:      a.Stderr,
		JSON:     a.shared.output == outputJSON,
		Color:    colored(a.Stdout),
		People:   isTerminal(a.Stdout),
	}
}

// wanted turns the flags into forwards, and warns of what is unusual about them.
func (a *app) wanted(aim *aim, forwards *forwards, demand *demand) ([]headless.Forward, error) {
	query, err := a.query(aim, forwards, demand)
	if err != nil {
		return nil, err
	}
	parsed, err := forwards.parse()
	if err != nil {
		return nil, err
	}
	a.warnOf(parsed)
	a.shared.goHome(query)
	login, err := a.shared.login()
	if err != nil {
		return nil, err
	}
	wanted := make([]headless.Forward, len(parsed))
	for i, p := range parsed {
		spec := p.Spec(aws.Target{})
		spec.KeepAlive = a.shared.keepAlive
		wanted[i] = headless.Forward{Query: forPort(query, spec), Spec: spec, Login: login}
	}
	return wanted, a.shared.checkProbe(wanted)
}

// query is the query for the target that the flags name, or for the task that is to be started.
func (a *app) query(aim *aim, forwards *forwards, demand *demand) (aws.Query, error) {
	if demand == nil || !demand.wanted() {
		return aim.through(forwards, a.shared.shell())
	}
	if err := forwards.checkNamed(); err != nil {
		return aws.Query{}, err
	}
	if f := a.shared.set.Lookup("wait"); !f.Changed && f.Value.String() == f.DefValue {
		a.shared.wait = demandWait
	}
	q, _, err := demand.query(aim)
	return q, err
}

// warnOf prints what is unusual about forwards.
func (a *app) warnOf(parsed []tunnel.Forward) {
	for _, addr := range exposed(parsed) {
		a.noticef("warning: listening on %s: everybody who reaches this machine can use the tunnel", addr)
	}
	if keep := a.shared.keepAlive; keep > 0 {
		a.noticef("warning: --keep-alive %s overrides the idle timeout of the account", keep)
	}
}

// forPort adds the remote port to a query, so that a container that maps it is chosen. It does not for a forward to another host,
// as the container then only passes connections on.
func forPort(q aws.Query, s tunnel.Spec) aws.Query {
	if s.Remote.Host == "" {
		q.Port = s.Remote.Port
	}
	return q
}

// noticef prints a line on stderr; a warning annotates the step on GitHub.
func (a *app) noticef(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if warning, ok := strings.CutPrefix(text, "warning: "); ok {
		a.github.Warn(warning, "")
	}
	_, _ = fmt.Fprintln(a.Stderr, "culvert: "+say.Line(text))
}

// warn prints a warning and its remedy on stderr, and annotates the step with them on GitHub.
func (a *app) warn(err error) {
	a.github.Warn(err.Error(), say.Remedy(err))
	_, _ = fmt.Fprintln(a.Stderr, "culvert: warning: "+say.Line(headless.WithRemedy(err)))
}

// colored reports whether colours may be written: to a terminal, unless NO_COLOR says otherwise (no-color.org).
func colored(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)
}

// isTerminal reports whether a writer is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
