package headless

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/control"
)

// summaryHosts is how many hosts, and destinations, the tables of a summary have at most: GitHub takes 1 MiB.
const summaryHosts = 25

// Summary is a run in Markdown: its tunnels, how it ended and, with traffic, how much went to which host.
func Summary(title, how string, s control.Set, traffic bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", cell(title))
	if len(s.Tunnels) > 0 {
		b.WriteString("| local | target | remote | ready after | session | sent | received |\n| --- | --- | --- | ---: | --- | ---: | ---: |\n")
	}
	for _, t := range s.Tunnels {
		ready := "never"
		if t.Ready || t.Took > 0 {
			ready = (time.Duration(t.Took) * time.Millisecond).String()
		}
		if !t.Ready && t.Took > 0 {
			ready += ", not reached any more"
		}
		target := aws.Target{Cluster: t.Cluster, Service: t.Service, Family: t.Family, Task: t.Task, Container: t.Container}.String()
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", cell(cmp.Or(t.ProxyURL, t.Local)), cell(target), cell(t.FarEnd()),
			ready, cell(t.Session), say.Bytes(t.Sent), say.Bytes(t.Received))
	}
	destinationTable(&b, s)
	if hosts := allHosts(s); traffic && len(hosts) > 0 {
		b.WriteString("\n| host | connections | requests | failed | sent | received |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
		for i, h := range hosts {
			if i == summaryHosts {
				fmt.Fprintf(&b, "| and %d more | | | | | |\n", len(hosts)-i)
				break
			}
			failed := strconv.FormatUint(h.Failed, 10)
			if h.Error != "" {
				failed += ": " + cell(h.Error)
			}
			fmt.Fprintf(&b, "| %s | %d | %d | %s | %s | %s |\n", cell(h.Host), h.Connections, h.Requests, failed, say.Bytes(h.Sent), say.Bytes(h.Received))
		}
	}
	for _, e := range s.Troubles() {
		fmt.Fprintf(&b, "\n%s\n", cell(e.Problem))
	}
	fmt.Fprintf(&b, "\n%s\n\n", cell(how))
	return b.String()
}

// destinationTable lists the destinations of tunnels to any host, the ones used last first.
func destinationTable(b *strings.Builder, s control.Set) {
	var all []control.Destination
	for _, t := range s.Tunnels {
		all = append(all, t.Destinations...)
	}
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(x, y control.Destination) int { return y.Used.Compare(x.Used) })
	b.WriteString("\n| destination | through | state | sent | received |\n| --- | --- | --- | ---: | ---: |\n")
	for i, d := range all {
		if i == summaryHosts {
			fmt.Fprintf(b, "| and %d more | | | | |\n", len(all)-i)
			return
		}
		state := d.State
		if d.Error != "" {
			state += ": " + d.Error
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", cell(d.Destination), cell(d.Way()), cell(state), say.Bytes(d.Sent), say.Bytes(d.Received))
	}
}

func allHosts(s control.Set) []control.Host {
	var hosts []control.Host
	for _, t := range s.Tunnels {
		hosts = append(hosts, t.Hosts...)
	}
	return hosts
}

// cell makes text harmless in a cell of a Markdown table.
func cell(s string) string {
	s = say.Line(s)
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\\`*_{}[]<>()#!|~&$@", r) {
			fmt.Fprintf(&b, "&#%d;", r) // as numbers they are never markup
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
