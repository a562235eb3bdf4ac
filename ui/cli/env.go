package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"culvert/tunnel/doctor"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// env are the flags of culvert env.
type env struct {
	form    formValue
	proxy   proxyValue
	noProxy []string
	unset   bool
}

func (a *app) env() *cobra.Command {
	e := &env{form: formValue{choices: []string{formEnv, formDotenv, formPowerShell, outputJSON}, chosen: formEnv}}
	cmd := &cobra.Command{
		Use:   "env [NAME]",
		Short: "Print the variables of a command behind the tunnels that are up, for a shell to evaluate",
		Long: "Prints what a command behind -- would get in its environment, of the set of tunnels with that name, or of the only one\n" +
			"that is up. A shell takes it over with eval, and gives it back with --unset; what somebody else has set since stays.\n\n" +
			"Where there is nothing to print, a command that fails is printed, so that eval fails as well. The proxy's URL has the\n" +
			"password where the proxy wants one, which is read from " + passwordVariable + " or --proxy-password-file as culvert up did: keep what is printed out of logs.",
		Example: `  eval "$(culvert env)"
  eval "$(culvert env --unset)"
  culvert env ci -o dotenv >tunnel.env
  culvert env -o powershell | Out-String | Invoke-Expression`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.orFailing(&e.form, a.printEnv(cmd.Context(), e, names))
		},
		ValidArgsFunction: completeSets,
	}
	f := cmd.Flags()
	f.VarP(&e.form, "output", "o", "form of the output: for a POSIX shell or fish, a file of NAME=value, PowerShell, a JSON object")
	f.Var(&e.proxy, "proxy-env", "proxy variables: all adds ALL_PROXY, java JAVA_TOOL_OPTIONS; commas join them; no leaves them out")
	f.StringSliceVar(&e.noProxy, "no-proxy", nil, noProxyUsage)
	e.proxy.keepFlag(f)
	f.BoolVar(&e.unset, "unset", false, "print what makes the variables what they were before")
	return cmd
}

// orFailing prints, when err is not nil, text that makes the shell that evaluates the output fail as well. It returns err.
func (a *app) orFailing(form *formValue, err error) error {
	if err == nil {
		return nil
	}
	if text := form.failure(); text != "" {
		_ = a.write(text) // err is told on stderr even if this fails
	}
	return err
}

func (a *app) printEnv(ctx context.Context, e *env, names []string) error {
	switch {
	case e.proxy.export:
		return usage("use it with culvert up in a GitHub job, or leave it out", "--proxy-env=export is for the steps after culvert up")
	case e.unset && len(names) > 0:
		return usage("leave the name out", "--unset gives back what this shell has taken over, whatever set that was of")
	case e.unset && !shellForm(e.form.chosen):
		return usage("use -o env or -o powershell", "-o %s has no form for a variable that is to go", e.form.chosen)
	case e.unset:
		return a.writeForm(e.form.chosen, giveBackTo(os.Environ()))
	}
	set, err := a.onlySet(ctx, names)
	if err != nil {
		return err
	}
	logins, err := a.loginsOf(set)
	if err != nil {
		return err
	}
	return a.writeVariables(e.form.chosen, set, func(id int) *doctor.Login { return logins[id] }, e.proxy, e.noProxy)
}

// onlySet returns the named set, or without a name the only one that is up. It returns an error when the set is not ready, or has
// ended, or a tunnel of it is lost.
func (a *app) onlySet(ctx context.Context, names []string) (control.Set, error) {
	sets, err := a.sets(ctx, names)
	if err != nil {
		return control.Set{}, err
	}
	if len(names) == 0 {
		var up []string
		for _, s := range sets {
			if s.Alive() {
				up = append(up, s.Name)
			}
		}
		if len(up) > 1 {
			return control.Set{}, usage("name one: culvert env "+strings.Join(up, ", or culvert env "), "several sets of tunnels are up")
		}
		if len(up) == 1 {
			sets = slices.DeleteFunc(sets, func(s control.Set) bool { return !s.Alive() })
		}
	}
	if len(sets) == 0 {
		return control.Set{}, &control.SetError{Problem: "nothing is up", Advice: "start it with culvert up, as the same user and with the same XDG_RUNTIME_DIR", Code: exitFailed}
	}
	if err := errors.Join(troubled(sets), absent(sets)); err != nil {
		return control.Set{}, err
	}
	if s := sets[0]; s.State != control.Ready {
		e := &control.SetError{Problem: s.Name + " is " + s.State + ", not ready", Advice: "wait for culvert up, which returns when it is ready", Code: exitFailed}
		if s.State == control.Starting {
			e.Code = exitUnready
		}
		return control.Set{}, e
	}
	return sets[0], nil
}

// loginsOf are the logins of the proxies of a set, by the tunnels' numbers. The process that holds the set tells nobody a
// password, so it is read again from its source.
func (a *app) loginsOf(set control.Set) (map[int]*doctor.Login, error) {
	logins := map[int]*doctor.Login{}
	for _, t := range set.Tunnels {
		at, err := url.Parse(t.ProxyURL)
		if err != nil || at.User.Username() == "" {
			continue
		}
		login, err := a.shared.loginAs(at.User.Username(), fmt.Sprintf("the proxy of tunnel %d of %s", t.ID, set.Name))
		if err != nil {
			return nil, err
		}
		a.github.MaskLogin(login)
		logins[t.ID] = login
	}
	return logins, nil
}

// writeVariables prints the variables of a command behind the tunnels of a set.
func (a *app) writeVariables(form string, set control.Set, login func(id int) *doctor.Login, proxy proxyValue, noProxy []string) error {
	if !shellForm(form) {
		pairs, _ := headless.Variables(original(os.Environ()), set, login, proxy.ProxyEnv, noProxy)
		var all []assignment
		for _, p := range pairs {
			all = append(all, assignment{name: p.Name, value: p.Value})
		}
		return a.writeForm(form, all)
	}
	return a.writeForm(form, takeOver(os.Environ(), func(given []string) ([]headless.Pair, []string) {
		return headless.Variables(given, set, login, proxy.ProxyEnv, noProxy)
	}))
}

func (a *app) writeForm(form string, all []assignment) error {
	text, err := inForm(form, all)
	if err != nil {
		return err
	}
	return a.write(text)
}
