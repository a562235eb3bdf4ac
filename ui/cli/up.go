package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"culvert/tunnel"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// up are the flags of culvert up.
type up struct {
	aim      aim
	forwards forwards
	demand   demand
	proxy    proxyValue
	noProxy  []string
	name     string
	parent   int
	during   time.Duration
	hold     bool // this process is the one in the background
	form     formValue
}

// defaultName is the name of a set whose forwards are given by flags, unless --name gives another.
const defaultName = "default"

func (a *app) up() *cobra.Command {
	u := &up{form: formValue{shared: &a.shared, choices: []string{outputText, outputJSON, formEnv, formDotenv, formPowerShell}}}
	cmd := &cobra.Command{
		Use:   "up [TUNNEL|GROUP...]",
		Short: "Open tunnels in the background; returns when they are proved ready",
		Long: "Opens saved tunnels or groups of the config file, or what the flags say, in a process of its own, and returns when\n" +
			"they are proved ready. The tunnels of one call are one set with one name: culvert down NAME ends it.",
		Example: "  culvert up dev\n  culvert up --target automation/squid -L 3128 --for 2h\n  culvert status\n  culvert down",
		RunE: func(cmd *cobra.Command, saved []string) error {
			err := a.runUp(cmd.Context(), u, saved)
			if u.hold {
				return err
			}
			return a.orFailing(&u.form, err)
		},
	}
	cmd.Flags().AddFlagSet(u.aim.flags())
	cmd.Flags().AddFlagSet(u.forwards.flags(&a.shared))
	cmd.Flags().AddFlagSet(u.demand.flags())
	cmd.Flags().AddFlagSet(u.flags())
	a.completeTargets(cmd, &u.aim)
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return offered(a.savedWords())
	}
	return cmd
}

func (u *up) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("up", pflag.ContinueOnError)
	f.StringVar(&u.name, "name", "", "`NAME` of the set (default: that of the saved tunnel or group, else "+defaultName+")")
	f.IntVar(&u.parent, "parent", 0, "end when the process `PID` ends; 0 is none")
	f.Var(durationValue{&u.during}, "for", "end after this time; 0 is never")
	f.Var(&u.proxy, "proxy-env", "variables for later steps of a GitHub job: export sets all of them instead of CULVERT_PROXY and PROXY_SERVER (export,all and export,java more), no none")
	f.StringSliceVar(&u.noProxy, "no-proxy", nil, noProxyUsage+"; for --proxy-env=export")
	u.proxy.keepFlag(f)
	f.VarP(&u.form, "output", "o", "form of the output: a table, JSON, or the variables of a command behind the tunnels, as culvert env prints them")
	under(flagsOutput, f, "output")
	f.BoolVar(&u.hold, "hold", false, "be the process in the background")
	_ = f.MarkHidden("hold") // fails only for a flag that does not exist
	return f
}

// controlDir is the directories in which the sets of this user are.
func controlDir() control.Dir {
	p := findPaths()
	return control.Dir{Runtime: p.Runtime, State: p.State}
}

// TakenError says that something else is up under a name.
type TakenError struct {
	Name          string
	Wanted, Found []string
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("%s is up already, with something else: %s", e.Name, strings.Join(e.Found, "; "))
}

// Remedy says how to get the wanted set up.
func (e *TakenError) Remedy() string {
	return "run culvert down " + e.Name + " first, or pass another --name"
}

// runUp runs culvert up. In the process in the background it holds the set; else it returns when the set is up.
func (a *app) runUp(ctx context.Context, u *up, words []string) error {
	r, err := u.wantedSet(a, words)
	if err != nil {
		return err
	}
	if u.hold {
		return a.hold(ctx, r, u)
	}
	if err := u.checkProxyEnv(a); err != nil {
		return err
	}
	for _, w := range r.wanted {
		a.github.MaskLogin(w.Login)
	}
	if err := a.github.Check(); err != nil {
		return err
	}
	if err := a.signInTo(ctx, r.in); err != nil {
		return err
	}
	dir := controlDir()
	if err := dir.Prepare(); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, a.shared.wait)
	defer cancel()
	lock, err := dir.Lock(waiting, r.name, func() { a.noticef("waiting: another culvert starts %s", r.name) })
	switch {
	case ctx.Err() != nil:
		return &headless.StoppedError{Doing: "waiting for another culvert", Cause: context.Cause(ctx)}
	case errors.Is(err, context.DeadlineExceeded):
		return &headless.UnreadyError{Forward: r.name, Wait: a.shared.wait, Err: err}
	case err != nil:
		return err
	}
	defer lock.Unlock()
	set, err := a.ensure(ctx, dir, r)
	if err != nil {
		return err
	}
	if err := a.announce(dir, set, r, u); err != nil {
		return errors.Join(err, a.takeBack(ctx, dir, r.name))
	}
	return wanting(set)
}

// wanting returns why a tunnel of a set that is up is not ready; nil when all are.
func wanting(s control.Set) error {
	if s.State != control.Partial {
		return nil
	}
	for _, t := range s.Tunnels {
		if t.Ready {
			continue
		}
		e := &control.SetError{Problem: fmt.Sprintf("of %s, which is up, tunnel %d is not ready: %s", s.Name, t.ID, t.Error), Advice: t.Remedy, Code: exitFailed}
		if t.State != tunnel.Failed.String() && !t.Refused {
			e.Code = exitUnready
		}
		if again := "then run culvert down " + s.Name + " and culvert up again"; e.Advice == "" {
			e.Advice = again
		} else {
			e.Advice += "; " + again
		}
		return e
	}
	return nil
}

// ensure starts a set and waits until it is ready. If the same set is already up or starting, it does not start it again.
func (a *app) ensure(ctx context.Context, dir control.Dir, r wantedSet) (control.Set, error) {
	found, err := dir.Set(ctx, r.name)
	if err != nil && !isAbsent(err) {
		return found, err
	}
	var former []control.Account
	switch found.State {
	case control.Silent:
		return found, &control.SetError{Problem: r.name + ": " + found.Error, Advice: found.Remedy, Code: exitFailed}
	case control.Starting, control.Ready, control.Partial:
		if !slices.Equal(found.Request, r.text) {
			return found, &TakenError{Name: r.name, Wanted: r.text, Found: found.Request}
		}
		a.noticef("%s is up already (process %d since %s)", r.name, found.PID, found.Since.UTC().Format(time.RFC3339))
		if found.State != control.Starting {
			return found, nil
		}
		return a.awaitReady(ctx, dir, r.name, nil)
	case control.Ending:
		last, _ := dir.Read(r.name)
		if _, err := dir.Down(ctx, r.name); err != nil {
			return found, err
		}
		if err := a.giveBack(dir, last.Exported); err != nil {
			return found, err
		}
	case control.Ended:
		a.noticef("the last %s %s", r.name, found.Ended)
		if _, err := a.forget(dir, r.name); err != nil {
			return found, err
		}
	case control.Failed, control.Crashed:
		a.noticef("the last %s did not end as it should: %s", r.name, found.Error)
		last, err := a.forget(dir, r.name)
		if err != nil {
			return found, err
		}
		former = slices.Concat(last.Accounts, last.Former)
	}
	started, err := a.detach(dir, r, former)
	if err != nil {
		return found, err
	}
	end := a.github.Group(a.Stderr, "culvert: open the tunnels of "+r.name)
	defer end()
	defer started.hear()
	return a.awaitReady(ctx, dir, r.name, started)
}

// forget removes the record of a set that is over, and gives back the variables that it has exported.
func (a *app) forget(dir control.Dir, name string) (control.Record, error) {
	last, _ := dir.Read(name) // a record that cannot be read says nothing of variables
	if err := dir.Remove(name); err != nil {
		return last, err
	}
	return last, a.giveBack(dir, last.Exported)
}

// takeBack ends a set after an error of up. ctx may have ended already.
func (a *app) takeBack(ctx context.Context, dir control.Dir, name string) error {
	_, err := dir.Down(context.WithoutCancel(ctx), name)
	if isAbsent(err) {
		return nil
	}
	return err
}

// announce prints what is up, and on GitHub gives it to the later steps.
func (a *app) announce(dir control.Dir, set control.Set, r wantedSet, u *up) error {
	outputs := append(headless.ListenerOutputs(set, r.login), headless.Pair{Name: "name", Value: set.Name})
	if err := a.github.Outputs(outputs); err != nil {
		return err
	}
	if err := a.github.Keep([]headless.Pair{{Name: "name", Value: set.Name}}); err != nil {
		return err
	}
	if err := a.export(dir, set, u, outputs[0].Value); err != nil {
		return err
	}
	a.warnOfExport(set, r, u)
	for _, t := range set.Tunnels {
		if t.Taken != "" { // the set's log says so, but the runner does not read it
			a.github.Warn(t.Taken+": listening on "+t.Local, "use the outputs host and port, or write LOCAL:REMOTE where the port must be that one")
		}
	}
	how := "is up"
	if err := wanting(set); err != nil {
		how = err.Error()
	}
	a.github.Summarize(headless.Summary("culvert up "+set.Name, how, set, false))
	if u.form.variables() {
		return a.writeVariables(u.form.chosen, set, r.login, u.proxy, u.noProxy)
	}
	return a.showSets([]control.Set{set})
}
