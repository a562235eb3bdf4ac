package cli

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// consultation holds the flags of culvert doctor.
type consultation struct {
	aim      aim
	forwards forwards
	probes   probesValue
	all      bool
	mask     bool
	report   string
}

// exitUnhealthy is the exit code when a check has failed.
const exitUnhealthy = 1

func (a *app) doctor() *cobra.Command {
	var c consultation
	cmd := &cobra.Command{
		Use:   "doctor [SAVED]",
		Short: "Find out why a private host cannot be reached, and what to do",
		Long: "Walks the whole path from the credentials to the private host and says where it breaks, with the evidence and a\n" +
			"remedy that can be pasted. It only looks: it changes nothing, and terminates the session it opens for itself.\n" +
			"Without -L it looks at port 3128, a Squid's; with -D, whose port may be left out here, at the way to any host, and by a\n" +
			"session of its own at each that a --probe names; with --to it finds the destination and the way to it first. Exits with 0 when nothing fails, 1 when something does.",
		Example: "  culvert doctor -c automation -s squid --probe https://billing.internal/\n" +
			"  culvert doctor --target automation/squid --probe tcp://orders-db.internal:5432\n" +
			"  culvert doctor --to orders-db\n" +
			"  culvert doctor --target data/warehouse -D --probe https://billing.internal/\n" +
			"  culvert doctor --demo --all",
		Args: func(cmd *cobra.Command, args []string) error { return atMost(1)(cmd, args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.examine(cmd.Context(), &c, args)
		},
	}
	cmd.Flags().AddFlagSet(c.aim.flags())
	cmd.Flags().AddFlagSet(c.forwards.flags(&a.shared))
	cmd.Flags().AddFlagSet(c.flags())
	a.completeTargets(cmd, &c.aim)
	cmd.AddCommand(uses(a.doctorPolicy(), flagsAccount, "output"))
	return cmd
}

func (c *consultation) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("doctor", pflag.ContinueOnError)
	f.Var(&c.probes, "probe", "`URL` to reach behind the proxy, repeatable: http://…, https://…; HOST:PORT and tls://HOST:PORT go without one, and with -D all do")
	f.BoolVar(&c.all, "all", false, "show the checks that passed, and those that could not look, in full")
	f.StringVar(&c.report, "report", "", "write everything to `FILE` as well, to attach to a ticket (mode 0600; JSON when it ends in .json)")
	f.BoolVar(&c.mask, "mask", false, "hide account ids, access keys and the queries of URLs")
	return f
}

// portless adds the port that -D may leave out when nothing is to listen, as in culvert doctor -D --probe URL: 0, for any free
// one.
func portless(root *cobra.Command, args []string) []string {
	if cmd, _, err := root.Find(args); err != nil || cmd.Name() != "doctor" {
		return args
	}
	var full []string
	for i, arg := range args {
		full = append(full, arg)
		if (arg == "-D" || arg == "--dynamic") && (i+1 == len(args) || strings.HasPrefix(args[i+1], "-")) {
			full = append(full, "0")
		}
	}
	return full
}

// probesValue collects the destinations of --probe.
type probesValue []*url.URL

func (v *probesValue) Type() string { return "URL" }

func (v *probesValue) String() string {
	if v == nil || len(*v) == 0 {
		return ""
	}
	return fmt.Sprint(*v)
}

func (v *probesValue) Set(s string) error {
	u, err := doctor.ParseProbe(s)
	if err != nil {
		return err
	}
	*v = append(*v, u)
	return nil
}

// examine runs the checks and shows their results.
func (a *app) examine(ctx context.Context, c *consultation, args []string) error {
	options, in, err := a.examination(c, args)
	if err == nil {
		err = c.reach(options)
	}
	if err != nil {
		return err
	}
	acc := &account{}
	defer acc.close()
	connect, err := acc.prepare(a) //nolint:contextcheck // the demo lives until it is closed
	if err != nil {
		return err
	}
	client, connect, unsigned := a.signIn(ctx, (&accounts{acc: acc, base: connect}).options(in))
	options.Log, options.Roots = acc.log, acc.roots()
	options.Connect = func(ctx context.Context) (*aws.Client, error) {
		if unsigned != nil {
			return nil, unsigned
		}
		if acc.client = client; client != nil {
			return client, nil
		}
		var err error
		acc.client, err = aws.Connect(ctx, connect)
		return acc.client, err
	}
	options.AllowLinkLocal = a.shared.linkLocal
	checks := doctor.Checks(options)
	counted := &tally{checks: checks, done: map[string]bool{}}
	shown := a.progress(counted.line)
	known := doctor.Report{FarEnd: options.Spec.FarEnd(), Subject: doctor.Subject{Target: options.Query.Target()}}
	bulletin := a.bulletin(checks, diagnosis{Report: known, mask: c.mask, build: a.Build}, c.all, shown, counted)
	within, cancel := context.WithTimeout(ctx, a.examinationWithin())
	defer cancel()
	found := doctor.Run(within, options, bulletin.take)
	bulletin.stop()
	shown.stop()
	for _, one := range found.Left {
		a.warn(one)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d := diagnosis{Report: found, mask: c.mask, build: a.Build}
	if c.report != "" {
		if err := d.save(c.report); err != nil {
			return err
		}
	}
	text := bulletin.rest(d)
	if a.shared.output == outputJSON {
		if text, err = d.json(); err != nil {
			return err
		}
	}
	if err := a.write(text); err != nil {
		return err
	}
	if !found.Healthy() {
		return &headless.EndError{Code: exitUnhealthy}
	}
	return nil
}

// reach refuses what leads to link-local hosts, as the engine would: the forward, a saved one too, and the probes that go
// there without a proxy.
func (c *consultation) reach(o doctor.Options) error {
	for _, probe := range o.Probes {
		if err := c.forwards.reach(tunnel.Endpoint{Host: probe.Hostname()}); err != nil {
			return err
		}
	}
	return c.forwards.reach(o.Spec.Remote)
}

// examinationLimit is how long an examination may take when --wait is not given.
const examinationLimit = 45 * time.Second

// waitGiven reports whether --wait has another value than its default, which is meant for tunnels.
func (a *app) waitGiven() bool {
	wait := a.shared.set.Lookup("wait")
	return wait.Value.String() != wait.DefValue
}

func (a *app) examinationWithin() time.Duration {
	if a.waitGiven() {
		return a.shared.wait
	}
	return examinationLimit
}

// examination returns what the doctor examines, and in which account, from the flags or a saved tunnel.
func (a *app) examination(c *consultation, args []string) (o doctor.Options, in control.Account, err error) {
	o = doctor.Options{Probes: c.probes, Relay: relayMode(a.shared.relay), Build: a.shared.build}
	if o.Login, err = a.shared.login(); err != nil {
		return o, in, err
	}
	if a.waitGiven() {
		o.Patience = a.shared.wait
	}
	if len(c.probes) == 0 && a.shared.probe.Kind == headless.ProbeURL {
		o.Probes = []*url.URL{a.shared.probe.URL}
	}
	if len(args) > 0 {
		return a.examinationOfSaved(o, args[0])
	}
	if a.shared.demo && !c.aim.given() && !c.forwards.onlyNamed() {
		c.aim.cluster, c.aim.service = "automation", "squid"
	}
	query, err := c.aim.through(&c.forwards, a.shared.shell())
	if err != nil {
		return o, in, err
	}
	if !c.forwards.given() {
		c.forwards.remotePort = 3128
	}
	parsed, err := c.forwards.parse()
	if err != nil {
		return o, in, err
	}
	if len(parsed) > 1 {
		return o, in, usage("run it once for each of them", "culvert doctor looks at one forward at a time, not at %d", len(parsed))
	}
	o = a.aimed(o, query, parsed[0])
	return o, a.shared.own(), nil
}

func (a *app) examinationOfSaved(o doctor.Options, name string) (doctor.Options, control.Account, error) {
	i := slices.IndexFunc(a.shared.saved.tunnels, func(t savedTunnel) bool { return t.name == name })
	if i < 0 {
		return o, control.Account{}, usage("name one of the config file's tunnels, or a target with --cluster and --service", "no saved tunnel %q", name)
	}
	t := a.shared.saved.tunnels[i]
	a.noticeOrigin(t)
	var err error
	if o.Login, err = a.shared.loginOf(&t); err != nil {
		return o, control.Account{}, err
	}
	if len(o.Probes) == 0 && t.probe.Kind == headless.ProbeURL {
		o.Probes = []*url.URL{t.probe.URL}
	}
	return a.aimed(o, t.target.Query(), t.forward), a.shared.accountOf(&t), nil
}

func (a *app) aimed(o doctor.Options, q aws.Query, f tunnel.Forward) doctor.Options {
	a.shared.goHome(q)
	o.Spec = f.Spec(aws.Target{})
	o.Query = forPort(q, o.Spec)
	return o
}
