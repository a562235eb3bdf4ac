package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"culvert/aws"
	"culvert/internal/say"
)

// printHosts prints the private destinations that the account and its task definitions name, each with the ways to it.
func (a *app) printHosts(ctx context.Context, aim *aim) error {
	named, err := aim.names()
	if err != nil {
		return err
	}
	if named.Task != "" || named.Family != "" || named.Container != "" {
		return usage("name a cluster, or a cluster and a service, with -c and -s", "list hosts is narrowed by cluster and service alone")
	}
	a.shared.goHome(named)
	acc, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer acc.close()
	within, cancel := context.WithDeadline(ctx, acc.begun.Add(a.shared.wait))
	defer cancel()
	if err := acc.client.CheckHome(within, named.Home); err != nil {
		return a.late(ctx, err)
	}
	looking, obstacle := acc.client.Watch(within)
	shown := a.progress(reading(obstacle))
	found, err := acc.client.Routes(looking, aws.Sight{Cluster: named.Cluster, Service: named.Service, Parts: aws.Services | aws.Tasks})
	shown.stop()
	switch {
	case err != nil:
		return a.late(ctx, err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case len(found.Catalog.Clusters) == 0 && len(found.Catalog.Gaps) > 0:
		return found.Catalog.Gaps[0]
	}
	wanted := selection{aws.Target{Cluster: named.Cluster, Service: named.Service}}
	if wanted.missing(found.Catalog) != nil {
		if err := wanted.absent(within, acc.client, found.Catalog); err != nil {
			return a.late(ctx, err)
		}
	}
	l := newHostListing(found, acc.client.Region(), named.Cluster != "")
	if a.shared.output == outputJSON {
		return a.writeJSON(l)
	}
	for _, gap := range l.Gaps {
		a.noticef("not listed: %s; remedy: %s", gap.Error, gap.Remedy)
	}
	return a.write(l.table())
}

// hostListing is the list of hosts as it is printed. The fields of the JSON form are never renamed.
type hostListing struct {
	Region string        `json:"region"`
	Hosts  []hostRow     `json:"hosts"`
	Unread []namedBy     `json:"set_by_secrets,omitempty"` // variables for hosts whose values are in secrets, which are not read
	Gaps   []listTrouble `json:"gaps,omitempty"`
}

type hostRow struct {
	Kind    string    `json:"kind"` // empty when it is not known
	Name    string    `json:"name"`
	Role    string    `json:"role,omitempty"`
	Host    string    `json:"host"`
	Port    uint16    `json:"port"` // 0 when it is not known
	Source  string    `json:"source"`
	ARN     string    `json:"arn,omitempty"`
	VPC     string    `json:"vpc,omitempty"`
	Subnets []string  `json:"subnets,omitempty"`
	Groups  []string  `json:"security_groups,omitempty"`
	IAM     bool      `json:"iam,omitempty"`
	NamedBy []namedBy `json:"named_by,omitempty"`
	Ways    []wayRow  `json:"ways"` // the best first
}

type namedBy struct {
	Cluster   string `json:"cluster"`
	Service   string `json:"service,omitempty"`
	Family    string `json:"family,omitempty"`
	Container string `json:"container"`
	Variable  string `json:"variable"`
	Secret    string `json:"secret,omitempty"`
}

func newNamedBy(n aws.NamedBy) namedBy { return namedBy(n) }

type wayRow struct {
	Cluster   string `json:"cluster"`
	Service   string `json:"service"`
	Ready     int    `json:"ready"`
	Verdict   string `json:"verdict"` // admitted, no rule, not checked
	Why       string `json:"why,omitempty"`
	Terraform string `json:"terraform,omitempty"` // the missing rule, as a resource
	Command   string `json:"command,omitempty"`   // the missing rule, as a command
}

// newHostListing makes the list of the destinations in routes. With narrowed it leaves out destinations to which none of the
// services that were looked at has a way.
func newHostListing(f *aws.Routes, region string, narrowed bool) hostListing {
	l := hostListing{Region: region, Hosts: []hostRow{}}
	for _, gap := range f.Gaps {
		l.Gaps = append(l.Gaps, listTrouble{Error: gap.Error(), Remedy: say.Remedy(gap)})
	}
	for _, n := range f.Unread {
		l.Unread = append(l.Unread, newNamedBy(n))
	}
	for i, h := range f.Hosts.Hosts {
		if narrowed && !f.Concerns(i) {
			continue
		}
		row := hostRow{
			Kind: string(h.Kind), Name: h.Name, Role: h.Role, Host: h.Host, Port: h.Port, Source: h.Source, ARN: h.ARN,
			VPC: h.VPC, Subnets: h.Subnets, Groups: h.Groups, IAM: h.IAM, Ways: []wayRow{},
		}
		for _, n := range h.Mentions {
			row.NamedBy = append(row.NamedBy, newNamedBy(n))
		}
		for _, w := range f.Ways[i] {
			way := wayRow{Cluster: w.Cluster, Service: w.Service, Ready: w.Ready, Verdict: w.Verdict.String(), Why: w.Why}
			if w.Missing != nil {
				way.Terraform, way.Command = w.Missing.Terraform(), w.Missing.Command(f.Catalog.Shell)
			}
			row.Ways = append(row.Ways, way)
		}
		l.Hosts = append(l.Hosts, row)
	}
	return l
}

// table returns the list in columns, and below it the missing rules. Its texts come from elsewhere, so each is made safe to show.
func (l hostListing) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i, c := range cells {
			if i > 0 {
				_, _ = fmt.Fprint(w, "\t")
			}
			_, _ = fmt.Fprint(w, say.Line(orDash(c)))
		}
		_, _ = fmt.Fprintln(w)
	}
	row("KIND", "NAME", "ROLE", "ADDRESS", "SOURCE", "THROUGH", "WAY")
	missing := map[string]string{} // the commands for missing rules, with the name of the destination
	for _, h := range l.Hosts {
		through, verdict := "", "no ready task"
		if len(h.Ways) > 0 {
			best := h.Ways[0]
			through, verdict = best.Cluster+"/"+best.Service, best.Verdict
			switch {
			case best.Verdict == aws.NoRule.String():
				verdict = best.Why // "no rule" in words
			case best.Why != "":
				verdict += ": " + best.Why
			}
			if best.Command != "" {
				missing[best.Command] = h.Name
			}
		}
		row(h.Kind, h.Name, h.Role, aws.Mention{Host: h.Host, Port: h.Port}.Address(), h.Source, through, verdict)
	}
	_ = w.Flush() // a write to memory does not fail
	text := strings.Builder{}
	text.WriteString(trimLines(b.String()))
	for _, n := range l.Unread {
		text.WriteString(say.Line(fmt.Sprintf("%s of %s/%s is set by secret %s", n.Variable, n.Cluster, n.Service+n.Family, n.Secret)) + "\n")
	}
	for _, command := range slices.Sorted(maps.Keys(missing)) {
		text.WriteString("to let tasks reach " + say.Line(missing[command]) + ": " + say.Line(command) + "\n")
	}
	return text.String()
}
