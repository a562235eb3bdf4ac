package cli

import (
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"culvert/aws"
	"culvert/internal/near"
	"culvert/internal/say"
	"culvert/ui/ci"
	"culvert/ui/screen"
)

// ci writes the file of a pipeline.
func (a *app) ci() *cobra.Command {
	var aim aim
	var forwards forwards
	cmd := &cobra.Command{
		Use:   "ci SYSTEM [-- COMMAND ARGUMENT...]",
		Short: "Write the job of a pipeline that opens a tunnel",
		Long: "Writes the file of a CI system (" + strings.Join(ci.Names(), ", ") + "), with a job that opens what the flags say, runs the command behind it, and ends it whatever\n" +
			"becomes of the job. With --role-arn the job assumes the role with the OIDC token of its pipeline; else the AWS\n" +
			"credentials of its environment are used. Only what is given as a flag is written. It calls no AWS.",
		Example: "  culvert ci gitlab -c automation -s squid -L 3128 -- ./test.sh\n  culvert ci github --target automation/squid -D 1080 --role-arn ARN",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.printSnippet(cmd, &aim, &forwards, args)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return offered(ci.Names())
		},
	}
	cmd.Flags().AddFlagSet(aim.flags())
	cmd.Flags().AddFlagSet(forwards.flags(&a.shared))
	a.completeTargets(cmd, &aim)
	return cmd
}

// usualCommand stands for the tests of whoever gives none.
const usualCommand = "./test.sh"

func (a *app) printSnippet(cmd *cobra.Command, aim *aim, forwards *forwards, args []string) error {
	behind := []string{usualCommand}
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		if len(args) > at {
			behind = args[at:]
		}
		args = args[:at]
	}
	known := strings.Join(ci.Names(), ", ")
	switch {
	case len(args) == 0:
		return usage("there are: "+known, "name a CI system")
	case len(args) > 1:
		return usage("see "+cmd.CommandPath()+" --help; what is to run stands behind --", "%s takes no argument %q", cmd.CommandPath(), args[1])
	case !slices.Contains(ci.Names(), args[0]):
		if meant := near.Name(args[0], ci.Names()); meant != "" {
			return usage("did you mean "+meant+"? There are: "+known, "no CI system %q", args[0])
		}
		return usage("there are: "+known, "no CI system %q", args[0])
	}
	given := givenFlags(cmd)
	if role := a.shared.set.Lookup("role-arn"); role.Changed {
		if err := aws.CheckRole(role.Value.String()); err != nil {
			return &settingError{source: "--role-arn", advice: say.Remedy(err), err: err}
		}
	}
	job := ci.Job{Command: behind, Role: a.shared.set.Lookup("role-arn").Changed, Token: a.shared.tokenVariable}
	job.Repository, job.Version = a.Build.published()
	step, err := a.workflowStep(aim, forwards, given)
	if err != nil {
		return err
	}
	job.Up = upFlags(given, forwards, job.Role)
	if args[0] == "github" {
		if err := step.check(); err != nil {
			return err
		}
		job.Step = step.Text()
	}
	text, err := ci.Snippet(args[0], job)
	if err != nil {
		return usage(advice(err, ""), "%s", err)
	}
	return a.write(text)
}

// givenFlags are those that stand on the command line and are for the tunnel, in the order of the help.
func givenFlags(cmd *cobra.Command) []*pflag.Flag {
	var given []*pflag.Flag
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && !slices.Contains([]string{"output", "log-level", "log-file", "config", "help"}, f.Name) {
			given = append(given, f)
		}
	})
	return given
}

// upFlags write what was given for culvert up, each as it was given.
func upFlags(given []*pflag.Flag, forwards *forwards, role bool) []string {
	var words []string
	for _, f := range given {
		switch {
		case f.Name == "forward" || f.Name == "dynamic" || f.Name == "to" || f.Name == "web-identity-token-env" && role: // below, and by ci
		case f.Value.Type() == "bool":
			words = append(words, "--"+f.Name+"="+f.Value.String())
		default:
			for _, value := range listed(f.Value) {
				words = append(words, "--"+f.Name, value)
			}
		}
	}
	for _, w := range forwards.forms {
		flag := map[formKind]string{formForward: "-L", formDynamic: "-D", formNamed: "--to"}[w.kind]
		words = append(words, flag, w.form)
	}
	return words
}

// listed are the values of a flag that can be given several times, or the only one.
func listed(v pflag.Value) []string {
	if many, ok := v.(pflag.SliceValue); ok {
		return many.GetSlice()
	}
	return []string{v.String()}
}

// published says where releases of this build's sources are, and which this is; a version in capitals is of a build that is no release.
func (b Build) published() (repository, version string) {
	repository, _, _ = strings.Cut(b.Action, "@")
	if version = b.Version; !regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$`).MatchString(version) {
		version = "VERSION"
	}
	return repository, version
}

// workflow is a step of a workflow of GitHub, and what was given that it has no input for.
type workflow struct {
	screen.Workflow

	foreign []string
}

// workflowStep says the same for GitHub's action. It checks, for every system, that the flags name something that can be opened.
func (a *app) workflowStep(aim *aim, forwards *forwards, given []*pflag.Flag) (workflow, error) {
	if _, err := aim.through(forwards, a.shared.shell()); err != nil {
		return workflow{}, err
	}
	names, err := aim.names()
	if err != nil {
		return workflow{}, err
	}
	parsed, err := forwards.parse()
	if err != nil {
		return workflow{}, err
	}
	if home := names.Home.Region; home != "" && !a.shared.set.Lookup("region").Changed {
		given = append(given, &pflag.Flag{Name: "region", Value: a.shared.set.Lookup("region").Value})
		a.shared.region = home
	}
	for _, f := range parsed {
		if f.Dynamic != nil && !a.shared.set.Lookup("destinations").Changed {
			f.Dynamic.Destinations = 0 // as many as usual
		}
	}
	w := workflow{Workflow: screen.Workflow{
		Action: a.Build.Action, Target: names.Target(), Forwards: parsed, ProxyUser: a.shared.proxyUser,
	}}
	ofTarget := []string{"cluster", "service", "family", "task", "container", "target", "forward", "to", "dynamic", "via", "deny", "destinations", "warm", "remote-port", "remote-host", "local-port", "proxy-user"}
	for _, f := range given {
		switch {
		case slices.Contains(ofTarget, f.Name):
		case slices.Contains(screen.WorkflowInputs(), f.Name):
			w.Further = append(w.Further, [2]string{f.Name, f.Value.String()})
		case f.Name == "web-identity-token-env": // the action has GitHub's own
		default:
			w.foreign = append(w.foreign, "--"+f.Name)
		}
	}
	return w, nil
}

// check refuses what the action cannot be told.
func (w workflow) check() error {
	if len(w.foreign) > 0 {
		return usage("leave it out, or run culvert up in a step of your own", "GitHub's action has no input for %s", strings.Join(w.foreign, ", "))
	}
	return nil
}
