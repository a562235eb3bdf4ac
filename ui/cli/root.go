// Package cli is the command line: every command fills an options struct, and calls the interface or the headless face with it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"culvert/internal/say"
	"culvert/ui/headless"
)

// Process is what a command line is run with.
type Process struct {
	Args           []string // without the program's name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Signals        <-chan os.Signal // the signals after the one that ends the context; nil for none
	Build          Build
}

// Run runs a command line until it is done or ctx ends, and returns the exit code. If a signal ends ctx, its cause has to be a
// *headless.SignalError.
func Run(ctx context.Context, p Process) int {
	a := &app{Process: p, github: headless.NewGitHub(os.Getenv, p.Stderr)}
	a.shared.build = a.Build.complete(nil).Version
	root := a.root() //nolint:contextcheck // cobra hands the context to the commands
	root.SetArgs(demanding(portless(root, p.Args)))
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	return report(ctx, p.Stderr, a.github, root.ExecuteContext(ctx))
}

// app is one run of a command line.
type app struct {
	Process

	shared shared
	github *headless.GitHub // nil outside of a GitHub job

	unasked   bool              // a shell completes, so that the user must not be asked for anything
	noticed   []string          // what noticeOrigin has told
	given     map[string]string // the variables that were given back, as the next step of the job will see them
	confidant *confidant        // is told secrets by the process in the background, which has no github; nil in other processes
	leaving   sync.Mutex        // held while sessions of earlier processes are ended
}

const about = `culvert finds tasks in Amazon ECS and carries TCP connections to them over Session Manager sessions: to a port
of a container, or through it to another host, or to any. It needs no session-manager-plugin, no bastion and no inbound port.

Without a command it is an interface on the terminal; a target alone (-c, -s, -t or --target) is where that begins, and with
-L or --to the tunnel is opened at once.`

const examples = `  culvert demo
  culvert -c automation -s squid
  culvert --headless -c automation -s squid -L 3128
  culvert --headless --target data/warehouse -L 15432:orders-db.internal:5432
  culvert --headless -c automation -s squid -L 3128 -- curl orders.internal
  culvert --headless --to orders-db -- psql
  culvert --headless -c automation -s squid -D 1080 --via '*.internal'
  culvert up --target automation/squid -L 3128
  ssh -o ProxyCommand='culvert -c automation -s squid -W %h:%p' git.internal
  culvert list services`

func (a *app) root() *cobra.Command {
	var aim aim
	var forwards forwards
	var behind behind
	var demand demand
	var isHeadless, wantsVersion bool
	var far string
	root := &cobra.Command{
		Use:           "culvert",
		Short:         "Tunnels to ECS tasks over Session Manager",
		Long:          about,
		Example:       examples,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          rootArgs,

		SuggestionsMinimumDistance: 2,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Name() == cobra.ShellCompRequestCmd || wantsVersion {
				return nil // the flags are parsed later, and a shell shows no errors: see savedWords and complete
			}
			// These commands are for what is already up. They must work whatever the project file says now.
			a.shared.noProject = slices.Contains([]string{"down", "status", "env"}, cmd.Name())
			return a.shared.resolve()
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if wantsVersion {
				text, err := a.versionText(false)
				if err != nil {
					return err
				}
				return a.write(text)
			}
			if err := demand.check(a.shared.readOnly); err != nil {
				return err
			}
			if demand.wanted() && !isHeadless {
				return usage("use culvert --headless or culvert up; in the interface, the field start of its forward dialog", "only --headless and up start what is not there")
			}
			if far != "" {
				return a.stdio(cmd.Context(), &aim, &forwards, far, args)
			}
			if isHeadless {
				return a.headless(cmd.Context(), &aim, &forwards, &behind, &demand, args)
			}
			return a.screen(cmd.Context(), &aim, &forwards)
		},
	}
	root.Flags().BoolVarP(&wantsVersion, "version", "v", false, "print the version")
	root.Flags().BoolVar(&isHeadless, "headless", false, "no screen: open the forwards, prove them ready, print events until a signal")
	root.Flags().StringVarP(&far, "stdio", "W", "", "connect standard input and output to `HOST:PORT`, as ssh's -W does; a PORT alone, or localhost, is the task's own")
	under(flagsForward, root.Flags(), "stdio")
	root.Flags().AddFlagSet(aim.flags())
	root.Flags().AddFlagSet(forwards.flags(&a.shared))
	root.Flags().AddFlagSet(demand.flags())
	root.Flags().AddFlagSet(behind.flags())
	root.PersistentFlags().AddFlagSet(a.shared.flags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && demand.set.Lookup(unknown.GetSpecifiedName()) != nil {
			return notStarted(cmd, unknown.GetSpecifiedName())
		}
		return usage(advice(err, "see "+cmd.CommandPath()+" --help"), "%s", err)
	})
	root.AddGroup(groups()...)
	root.AddCommand(grouped(groupTunnels,
		uses(a.up(), flagsForward, flagsAccount, flagsTunnel, flagsOutput),
		uses(a.status(), flagsOutput),
		uses(a.down(), flagsAccount, flagsOutput),
		uses(a.env(), "proxy-password-file", "log-level", "log-file", "config"),
		uses(a.exec(), flagsAccount, "wait", "read-only", "log-level", "log-file", "config"),
		uses(a.db(), flagsAccount, flagsTunnel, flagsOutput),
	)...)
	root.AddCommand(grouped(groupLook,
		uses(a.list(), flagsAccount, "wait", flagsOutput),
		uses(a.doctor(), flagsAccount, "wait", flagsOutput),
		uses(a.demo(), flagsForward, flagsTunnel, flagsScreen, flagsOutput),
	)...)
	root.AddCommand(grouped(groupOther,
		uses(a.ci(), flagsForward, flagsAccount, flagsTunnel), a.deploy(), uses(a.emulator(), "log-level", "config"), uses(a.relay(), "config"), uses(a.version(), "output", "config"), a.man(),
	)...)
	root.SetCompletionCommandGroupID(groupOther)
	root.SetHelpCommand(a.helpCommand())
	root.SetHelpCommandGroupID(groupOther)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { _ = writeHelp(cmd.OutOrStdout(), cmd) }) // an error of printing help does not matter
	a.completeTargets(root, &aim)
	return uses(root, headings()...)
}

// rootArgs explains arguments that name no command.
func rootArgs(cmd *cobra.Command, args []string) error {
	switch {
	case cmd.ArgsLenAtDash() == 0 && cmd.Flag("stdio").Changed:
		return usage("leave the command out, or use --headless with -L", "-W is for the program that culvert is started by: it runs no command")
	case cmd.ArgsLenAtDash() == 0 && cmd.Flag("headless").Value.String() == "true" && len(args) > 0:
		return nil
	case cmd.ArgsLenAtDash() == 0:
		return usage("write culvert --headless -c CLUSTER -s SERVICE -L PORT -- COMMAND ARGUMENTS", "what stands behind -- is a command to run with --headless")
	case len(args) == 0:
		return nil
	}
	known := cmd.SuggestionsFor(args[0])
	if len(known) > 0 {
		return usage("did you mean "+strings.Join(known, " or ")+"?", "unknown command %q", args[0])
	}
	return usage("see culvert --help", "unknown command %q", args[0])
}

// atMost admits up to n arguments. If there are choices, every argument has to be one of them.
func atMost(n int, choices ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage("see "+cmd.CommandPath()+" --help", "%s takes no argument %q", cmd.CommandPath(), args[n])
		}
		for _, arg := range args {
			if err := (choiceValue{new(string), choices}).Set(arg); len(choices) > 0 && err != nil {
				return usage("see "+cmd.CommandPath()+" --help", "%s: %s", cmd.CommandPath(), err)
			}
		}
		return nil
	}
}

// write prints to stdout.
func (a *app) write(text string) error {
	if _, err := io.WriteString(a.Stdout, text); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// writeJSON prints v to stdout over several lines.
func (a *app) writeJSON(v any) error {
	text, err := say.JSON(v, "  ")
	if err != nil {
		return err
	}
	return a.write(text)
}

// isQuit reports whether a context was ended by the user's "q".
func isQuit(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errQuit) }
