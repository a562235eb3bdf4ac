package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"culvert/aws"
	"culvert/internal/pattern"
	"culvert/internal/say"
	"culvert/ui/control"
	"culvert/ui/headless"
	"culvert/ui/screen"
)

const (
	// moduleFamily is the family of the task definition that the module of culvert deploy makes with its default names.
	moduleFamily = "culvert-squid"
	// demandWait is the default of --wait when a task has to be started first, as its image may have to be pulled.
	demandWait = 5 * time.Minute
)

// demand are the flags for a task that runs only as long as the tunnels to it.
type demand struct {
	run             string // the definition of the task to run; empty for none
	start           bool   // start a task of the named service, if it is scaled to zero
	ttl             time.Duration
	subnets, groups []string
	public          bool
	unwatched       bool
	share           bool

	set *pflag.FlagSet
}

func (d *demand) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("demand", pflag.ContinueOnError)
	f.StringVar(&d.run, "run", "", "start a task of `TASKDEF`, where the service named runs or in --subnets, and stop it at the end; alone: "+moduleFamily)
	f.BoolVar(&d.start, "start", false, "have the service named want a task where it is scaled to zero, and none again when its last user leaves")
	d.ttl = aws.UsualTTL
	f.Var(durationValue{&d.ttl}, "ttl", "with --run: after this time the task ends by itself, whatever becomes of culvert; with --start: it counts as a user no longer; 1m to 12h")
	f.StringSliceVar(&d.subnets, "subnets", nil, "with --run: `IDS` of subnets, instead of the service's")
	f.StringSliceVar(&d.groups, "security-groups", nil, "with --run: `IDS` of security groups, instead of the service's")
	f.BoolVar(&d.public, "assign-public-ip", false, "with --run: give the task a public address, for public subnets without NAT")
	f.BoolVar(&d.unwatched, "no-watchdog", false, "with --run: also a task that cannot end by itself, which a culvert that is killed leaves behind")
	f.BoolVar(&d.share, "share", false, "with --run: use a task that another of your culverts has started with --share, and let others use this one")
	under(flagsDemand, f)
	d.set = f
	return f
}

// wanted reports whether the flags ask for something to be started.
func (d *demand) wanted() bool { return d.run != "" || d.start }

// demanding adds moduleFamily to a --run without a task definition.
func demanding(args []string) []string {
	var full []string
	for i, arg := range args {
		if arg == "--" {
			return append(full, args[i:]...)
		}
		full = append(full, arg)
		if arg == "--run" && (i+1 == len(args) || strings.HasPrefix(args[i+1], "-")) {
			full = append(full, moduleFamily)
		}
	}
	return full
}

// resourceForm matches the ids of subnets and security groups.
var resourceForm = pattern.Of(`^(subnet|sg)-[0-9a-zA-Z]{1,32}$`) //nolint:gochecknoglobals // compiled when it is needed

// check refuses flags that make no sense, and to start anything with --read-only.
func (d *demand) check(readOnly bool) error {
	if d.start && d.run != "" {
		return usage("leave one out", "--run starts a task of its own, and --start a service's")
	}
	if d.run == "" {
		if d.set.Lookup("run").Changed {
			return usage("name a task definition, or write --run alone for "+moduleFamily, "--run names nothing")
		}
		for _, flag := range []string{"ttl", "subnets", "security-groups", "assign-public-ip", "no-watchdog", "share"} {
			if d.set.Lookup(flag).Changed && (flag != "ttl" || !d.start) {
				return usage("add --run, or leave it out", "--%s says something of a task that is started, and there is none", flag)
			}
		}
		if !d.start {
			return nil
		}
	}
	if readOnly {
		return usage("start it without --read-only, CULVERT_READ_ONLY and read-only in the config file", "culvert runs with --read-only: it starts no task")
	}
	if err := aws.CheckTTL(d.ttl); err != nil {
		return usage("give whole seconds from 1m to 12h", "--ttl %s", err)
	}
	for flag, ids := range map[string][]string{"subnets": d.subnets, "security-groups": d.groups} {
		kind := map[string]string{"subnets": "subnet", "security-groups": "sg"}[flag]
		for _, id := range ids {
			if !resourceForm().MatchString(id) || !strings.HasPrefix(id, kind+"-") {
				return usage("write ids such as "+kind+"-0a1b2c3d, with commas between them", "--%s: %q is no id", flag, say.Brief(id))
			}
		}
	}
	return nil
}

// notStarted is the error for --run or --start at a command that starts nothing.
func notStarted(cmd *cobra.Command, flag string) error {
	advice := "start it with culvert --headless or culvert up, which have --" + flag
	switch cmd.Name() {
	case "exec":
		advice = "start the task with culvert up and --" + flag + ", and name it here with --task, as culvert status shows it"
	case "db":
		advice = "open the way with culvert up, --" + flag + " and --to NAME, and connect to the address that it prints"
	}
	return usage(advice, "%s has no --%s: only --headless and up start what is not there", cmd.CommandPath(), flag)
}

// query returns the cluster in which a task is started, and the service that is started or whose network the task gets. It checks
// the flags of the target for that.
func (d *demand) query(aim *aim) (cluster aws.Query, service string, err error) {
	q, err := aim.names()
	switch {
	case err != nil:
		return q, "", err
	case d.start && (q.Task != "" || q.Family != "" || q.Service == "" || q.Cluster == ""):
		return q, "", usage("name one with --cluster and --service, and no task", "--start is for a service")
	case d.start:
		return q, q.Service, nil
	case q.Task != "" || q.Family != "":
		return q, "", usage("leave --task and --family out: the task that is started is the target", "--run starts a task of its own")
	case q.Cluster == "":
		return q, "", usage("name it with --cluster, and a service whose network it takes with --service", "no cluster to start a task in")
	case q.Service == "" && len(d.subnets) == 0:
		return q, "", usage("name a service whose network it takes with --service, or pass --subnets and --security-groups", "nothing says where in the network the task goes")
	}
	service, q.Service = q.Service, ""
	return q, service, nil
}

// order is the order for what is to be started.
func (d *demand) order(cluster, service string) aws.Order {
	return aws.Order{
		Cluster: cluster, Definition: d.run, Service: service, TTL: d.ttl, Unwatched: d.unwatched, Share: d.share,
		Network: aws.Interfaces{Subnets: d.subnets, Groups: d.groups, PublicAddress: d.public},
	}
}

// wording says what is started, in words that are equal when two calls ask for the same.
func (d *demand) wording(service string) string {
	switch {
	case d.start:
		return "service " + service + " started"
	case d.run == "":
		return ""
	}
	text := "a task of " + d.run
	if d.share {
		text = "a shared task of " + d.run
	}
	if service != "" {
		text += " where service " + service + " runs"
	}
	if len(d.subnets) > 0 {
		text += " in " + strings.Join(d.subnets, ",")
	}
	if len(d.groups) > 0 {
		text += " with " + strings.Join(d.groups, ",")
	}
	if d.public {
		text += " with a public address"
	}
	return text + " for at most " + d.ttl.String()
}

// onDemand is what headless starts for the tunnels; nil for nothing. It is noted, so that the next culvert can stop it if this
// one is killed.
func (a *app) onDemand(d *demand, aim *aim, in control.Account) *headless.OnDemand {
	if !d.wanted() {
		return nil
	}
	q, service, _ := d.query(aim) // an error was already returned by wanted
	return a.noting(d.order(q.Cluster, service), in)
}

// errand is what the interface starts for one of its tunnels.
func (a *app) errand(o aws.Order, c *aws.Client) screen.Errand {
	wait := a.shared.wait
	if f := a.shared.set.Lookup("wait"); !f.Changed && f.Value.String() == f.DefValue {
		wait = demandWait
	}
	return &headless.Errand{OnDemand: a.noting(o, a.shared.accountBehind(c)), Wait: wait}
}

// noting makes an OnDemand for an order that notes what it starts in a file, and removes the note when that is stopped.
func (a *app) noting(o aws.Order, in control.Account) *headless.OnDemand {
	started := &headless.OnDemand{Order: o}
	if a.shared.demo {
		return started // the account ends with this process
	}
	dir := controlDir()
	started.Note = func(r aws.Run) error {
		return dir.NoteRun(control.Run{ID: r.ID, Cluster: r.Cluster, Task: r.Task, Service: r.Service, Share: r.Share, Account: recorded(in), Process: control.Self(), Until: r.Until})
	}
	started.Forget = func(r aws.Run) { dir.ForgetRun(r.ID) }
	return started
}

// endRuns stops the tasks that killed processes of this user have left. It tells what fails, and the next culvert tries that
// again; the tasks also end by themselves.
func (a *app) endRuns(ctx context.Context, to teller) {
	if a.shared.demo {
		return
	}
	dir := controlDir()
	left := dir.LeftRuns()
	if len(left) == 0 {
		return
	}
	a.leaving.Lock()
	defer a.leaving.Unlock()
	acc := &account{}
	defer acc.close()
	base, err := acc.prepare(a) //nolint:contextcheck // only the demo would start anything
	if err != nil {
		to.noticef("warning: tasks that it has left are not stopped: %v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, terminateLeft)
	defer cancel()
	all := accounts{app: a, acc: acc, base: base}
	for _, r := range left {
		if err := a.endRun(ctx, &all, dir, r, to); err != nil && ctx.Err() == nil {
			to.warn(fmt.Errorf("what an earlier culvert has started in cluster %s, until %s: %w", r.Cluster, r.Until.Local().Format("15:04:05 MST"), err))
		}
	}
}

func (a *app) endRun(ctx context.Context, all *accounts, dir control.Dir, r control.Run, to teller) error {
	client, err := aws.Connect(ctx, all.options(a.shared.above([]control.Account{r.Account})[0]))
	if err != nil {
		return err
	}
	ended, err := client.EndRun(ctx, aws.Run{ID: r.ID, Cluster: r.Cluster, Task: r.Task, Service: r.Service, Share: r.Share}, "culvert: it was killed")
	for _, what := range ended {
		to.noticef("an earlier culvert was killed: stopped %s", what)
	}
	// If no task was found, one may still come up, as the process was killed during RunTask: then the note is kept.
	if err == nil && (len(ended) > 0 || r.Service+r.Share != "") {
		dir.ForgetRun(r.ID)
	}
	return err
}
