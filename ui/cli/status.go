package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// status shows what is up.
func (a *app) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status [NAME...]",
		Short: "Show the tunnels that culvert up holds, with live numbers",
		RunE: func(cmd *cobra.Command, names []string) error {
			sets, err := a.sets(cmd.Context(), names)
			if err != nil {
				return err
			}
			if err := a.showSets(sets); err != nil {
				return err
			}
			a.tellEnds(sets)
			if err := troubled(sets); err != nil || len(names) == 0 {
				return err
			}
			return absent(sets)
		},
		ValidArgsFunction: completeSets,
	}
}

// completeSets offers the shell the names of the sets.
func completeSets(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names, _ := controlDir().Names() // with an error there is nothing to offer
	return offered(names)
}

// sets returns the sets with the names, or all sets without names.
func (a *app) sets(ctx context.Context, names []string) ([]control.Set, error) {
	dir := controlDir()
	if len(names) == 0 {
		return dir.Sets(ctx)
	}
	var sets []control.Set
	for _, name := range names {
		s, err := dir.Set(ctx, name)
		if err != nil {
			return nil, err
		}
		sets = append(sets, s)
	}
	return sets, nil
}

// troubled returns the error of the first set whose process is gone or silent although nobody has ended it, or that has a tunnel
// that is not ready or lost; nil for none.
func troubled(sets []control.Set) error {
	for _, s := range sets {
		if !s.Alive() && s.State != control.Ended || s.State == control.Silent {
			return &control.SetError{Problem: s.Name + ": " + s.Error, Advice: s.Remedy, Code: exitFailed}
		}
		if err := wanting(s); err != nil {
			return err
		}
		for _, t := range s.Tunnels {
			if t.State == "failed" && s.Alive() {
				return &control.SetError{Problem: fmt.Sprintf("%s: tunnel %d was lost: %s", s.Name, t.ID, t.Error), Advice: t.Remedy, Code: exitFailed}
			}
		}
	}
	return nil
}

// absent returns an error if one of the sets has ended by itself; nil if none has.
func absent(sets []control.Set) error {
	for _, s := range sets {
		if s.State == control.Ended {
			return &control.SetError{Problem: s.Name + " " + s.Ended.String(), Advice: "start it again with culvert up", Code: exitFailed}
		}
	}
	return nil
}

// tellEnds tells how sets have ended that ended by themselves; not with JSON output, which has it.
func (a *app) tellEnds(sets []control.Set) {
	if a.shared.output == outputJSON {
		return
	}
	for _, s := range sets {
		if s.Ended != nil {
			a.noticef("%s %s", s.Name, s.Ended)
			a.tell(s.Name, s, s.Log)
		}
	}
}

// showSets prints sets as a table, or as {"sets": […]}.
func (a *app) showSets(sets []control.Set) error {
	if a.shared.output == outputJSON {
		object := struct {
			Sets []control.Set `json:"sets"`
		}{append([]control.Set{}, sets...)}
		return a.writeJSON(object)
	}
	if len(sets) == 0 {
		return a.write("nothing is up\n")
	}
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	anyTunnel := func(is func(t control.Tunnel) bool) bool {
		return slices.ContainsFunc(sets, func(s control.Set) bool { return slices.ContainsFunc(s.Tunnels, is) })
	}
	named := anyTunnel(func(t control.Tunnel) bool { return t.Profile != "" || t.Region != "" })
	relayed := anyTunnel(func(t control.Tunnel) bool { return t.Relay != "" })
	head := "NAME\tSTATE\tLOCAL\tTARGET\tREMOTE\tRECEIVED\tSENT\tCONNS\tAGE"
	if named {
		head += "\tACCOUNT"
	}
	if relayed {
		head += "\tRELAY"
	}
	_, _ = fmt.Fprintln(table, head)
	for _, s := range sets {
		until := time.Now()
		if s.Ended != nil {
			until = s.Ended.At
		}
		age := say.Age(until.Sub(s.Since))
		if len(s.Tunnels) == 0 {
			_, _ = fmt.Fprintf(table, "%s\t%s\t-\t-\t-\t-\t-\t-\t%s\n", s.Name, s.State, age)
		}
		for _, t := range s.Tunnels {
			state := t.State
			if s.State == control.Starting && !t.Ready || s.Ended != nil {
				state = s.State
			} else if t.State == tunnel.Open.String() && !t.Ready && t.Error != "" {
				state = "unproved"
			}
			task := t.Task
			if isTerminal(a.Stdout) {
				task = task[:min(len(task), headless.ShortestID)]
			}
			target := aws.Target{Cluster: t.Cluster, Service: t.Service, Family: t.Family, Task: task, Container: t.Container}.String()
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s", s.Name, state, cell(cmp.Or(t.ProxyURL, t.Local, "-")),
				cell(target), cell(t.FarEnd()), say.Bytes(t.Received), say.Bytes(t.Sent), t.Connections, age)
			if named {
				in := wording(control.Account{Profile: t.Profile, Region: t.Region})
				_, _ = fmt.Fprint(table, "\t", cell(cmp.Or(strings.TrimPrefix(in, ", "), "-")))
			}
			if relayed {
				_, _ = fmt.Fprint(table, "\t", cell(bonding(t)))
			}
			_, _ = fmt.Fprintln(table)
			a.showDestinations(table, s.Name, t.Destinations)
		}
	}
	_ = table.Flush() // a write to memory does not fail
	return a.write(b.String())
}

// bonding says whether connections go through a relay, over how many sessions, or why they do not.
func bonding(t control.Tunnel) string {
	switch {
	case t.RelayWhy != "":
		return t.Relay + ": " + t.RelayWhy
	case t.Strands > 0:
		return t.Relay + ", " + plural(t.Strands, "session")
	}
	return cmp.Or(t.Relay, "-")
}

// mostDestinations is how many destinations of a tunnel have a line each.
const mostDestinations = 25

// showDestinations adds the lines of a tunnel's destinations, in the order in which they are given.
func (a *app) showDestinations(table io.Writer, name string, all []control.Destination) {
	for _, d := range all[:min(len(all), mostDestinations)] {
		way := d.Way()
		if isTerminal(a.Stdout) {
			way = way[:min(len(way), headless.ShortestID)]
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t-\t%s\t%s\t%s\t%s\t%d\t%s\n", name, d.State, cell(way), cell(d.Destination),
			say.Bytes(d.Received), say.Bytes(d.Sent), d.Connections, say.Age(time.Since(d.Opened)))
	}
	if hidden := len(all) - mostDestinations; hidden > 0 {
		_, _ = fmt.Fprintf(table, "%s\t-\t-\t-\tand %d more\t-\t-\t-\t-\n", name, hidden)
	}
}

// cell makes text from elsewhere safe to be a cell of a table.
func cell(s string) string { return say.Line(strings.ReplaceAll(s, "\t", " ")) }
