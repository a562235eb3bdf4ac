package screen

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

// The columns of the browser, for each depth. Those that say whether a tunnel can be opened stand next to the name and are
// the last to be left out when there is little room.

func (b *browse) columns(l depth) []draw.Column[entry] {
	t := b.theme
	name := draw.Column[entry]{Title: strings.ToUpper(strings.TrimSuffix(l.String(), "s")), Grow: true, Middle: true, Least: 20, Text: entry.name, Sought: draw.AsName}
	if l == atTasks {
		name.Least, name.Middle, name.Sought = 12, false, draw.AsID // ids are found by their beginnings
	}
	number := func(title, what string, n func(entry) int, paint func(entry) draw.Ink) draw.Column[entry] {
		return draw.Column[entry]{
			Title: title, Least: len(title) + 1, Most: len(title) + 1, Right: true, Ink: paint,
			Text: func(e entry) string {
				if unknown := b.unknown(e, what); unknown != "" && n(e) == 0 {
					return unknown
				}
				return draw.Thousands(n(e))
			},
			Order: func(a, b entry) int { return cmp.Compare(n(a), n(b)) },
		}
	}
	some := func(e entry) draw.Ink {
		switch {
		case e.tasks == 0, e.ready == 0 && b.unknown(e, "tasks") != "":
			return t.Muted
		case e.ready == 0:
			return t.Bad
		case e.ready < e.tasks:
			return t.Busy
		}
		return t.Good
	}
	ready := number("READY", "tasks", func(e entry) int { return e.ready }, some)
	ports := draw.Column[entry]{Title: "PORTS", Least: 7, Most: 14, Drop: 2, Sought: draw.AsID, Text: func(e entry) string { return orNone(e.ports, t) }}
	switch l {
	case atClusters:
		return []draw.Column[entry]{
			name,
			number("RUNNING", detailsOfClusters, func(e entry) int { return e.cluster.Counts.Running }, nil),
			number("PENDING", detailsOfClusters, func(e entry) int { return e.cluster.Counts.Pending }, nil),
			number("SERVICES", detailsOfClusters, func(e entry) int { return e.cluster.Counts.Services }, nil),
			b.open(),
			{Title: "STATUS", Most: 12, Drop: 3, Text: func(e entry) string {
				if unknown := b.unknown(e, detailsOfClusters); unknown != "" && e.cluster.Status == "" {
					return unknown
				}
				return lower(e.cluster.Status, t)
			}, Ink: b.muted},
		}
	case atServices:
		return []draw.Column[entry]{
			name, ready, b.running(),
			{Title: "EXEC", Least: 13, Most: 13, Text: b.serviceExec, Ink: b.execInk},
			b.open(),
			{Title: "STATE", Least: 10, Most: 10, Drop: 1, Text: b.serviceState, Ink: b.serviceInk},
			{Title: "LAUNCH", Least: 8, Most: 8, Drop: 4, Text: func(e entry) string {
				if e.service == nil {
					return t.Glyph.None
				}
				return orNone(launch(e.service.LaunchType, ""), t)
			}},
			ports,
			{Title: "DEFINITION", Most: 30, Drop: 9, Ink: b.muted, Text: func(e entry) string {
				if e.service == nil {
					return t.Glyph.None
				}
				return orNone(revision(e.service.TaskDefinition), t)
			}},
		}
	case atTasks:
		return []draw.Column[entry]{
			name, b.state(), b.open(),
			{Title: "AGENT", Least: 14, Most: 14, Drop: 5, Text: func(e entry) string { return b.agent(e) }},
			b.health(),
			{Title: "LAUNCH", Least: 8, Most: 8, Drop: 4, Text: func(e entry) string { return orNone(launch(e.task.LaunchType, e.task.CapacityProvider), t) }},
			b.started(), ports,
			{Title: "EXEC", Least: 4, Most: 4, Drop: 6, Text: func(e entry) string { return onOff(e.task.ExecEnabled, e.known, t) }},
			{Title: "STATUS", Least: 14, Most: 14, Drop: 7, Text: func(e entry) string { return lower(e.task.Status, t) }, Ink: b.muted},
			{Title: "PLATFORM", Most: 16, Drop: 8, Text: func(e entry) string { return orNone(say.Line(e.task.PlatformVersion), t) }, Ink: b.muted},
			{Title: "DEFINITION", Most: 30, Drop: 9, Text: func(e entry) string { return orNone(revision(e.task.TaskDefinition), t) }, Ink: b.muted},
		}
	case atContainers:
		return []draw.Column[entry]{
			name, b.state(), b.open(),
			{Title: "AGENT", Least: 14, Most: 14, Drop: 5, Text: func(e entry) string { return b.agent(e) }},
			b.health(), ports,
			{Title: "STATUS", Least: 14, Most: 14, Drop: 7, Text: func(e entry) string { return lower(e.container.Status, t) }, Ink: b.muted},
			{Title: "RUNTIME ID", Most: 44, Drop: 9, Text: func(e entry) string { return orNone(say.Line(e.container.RuntimeID), t) }, Ink: b.muted},
		}
	case deepest:
	}
	return nil
}

// detailsOfClusters is how aws.GapError names what ECS tells about clusters themselves.
const detailsOfClusters = "details of clusters"

// unknown is shown instead of a number that ECS has not told of a cluster yet, or will not tell; empty when the number is known.
func (b *browse) unknown(e entry, what string) string {
	p := b.accounts.here
	at := aws.Sight{Cluster: e.cluster.Name, Parts: inside}
	switch {
	case what == detailsOfClusters:
		at.Parts = aws.ClusterDetails
	case e.service != nil:
		at.Service = e.service.Name
	}
	if !p.knows(at) {
		return b.theme.Glyph.More
	}
	for _, err := range p.catalog.Gaps {
		gap, ok := errors.AsType[*aws.GapError](err)
		if ok && (gap.What == what || gap.What == "details of "+what) && (len(gap.Clusters) == 0 || slices.Contains(gap.Clusters, e.cluster.Name)) {
			return b.theme.Glyph.None
		}
	}
	return ""
}

func (b *browse) muted(entry) draw.Ink { return b.theme.Muted }

// running is the column of how many tasks of a service run, and how many are wanted.
func (b *browse) running() draw.Column[entry] {
	return draw.Column[entry]{
		Title: "RUNNING", Least: 9, Most: 9, Right: true,
		Text: func(e entry) string {
			switch {
			case e.service == nil:
				return draw.Thousands(e.tasks)
			case e.service.Status == "": // ECS has only told the service's name
				return b.theme.Glyph.None
			}
			return draw.Thousands(e.service.Running) + "/" + draw.Thousands(e.service.Desired)
		},
		Ink: func(e entry) draw.Ink {
			if e.service != nil && e.service.Running != e.service.Desired {
				return b.theme.Busy
			}
			return b.theme.Text
		},
		Order: func(a, b entry) int { return cmp.Compare(runningOf(a), runningOf(b)) },
	}
}

func runningOf(e entry) int {
	if e.service == nil {
		return e.tasks
	}
	return e.service.Running
}

func (b *browse) serviceExec(e entry) string {
	if e.service == nil {
		return b.theme.Glyph.None
	}
	if e.execOff() {
		return "on, tasks off"
	}
	return onOff(e.service.ExecEnabled, e.service.Status != "", b.theme)
}

func (b *browse) execInk(e entry) draw.Ink {
	if e.service != nil && (!e.service.ExecEnabled && e.service.Status != "" || e.execOff()) {
		return b.theme.Bad
	}
	return b.theme.Text
}

func (b *browse) serviceState(e entry) string {
	if e.service == nil {
		return b.theme.Glyph.None
	}
	return orNone(say.Line(e.service.State()), b.theme)
}

func (b *browse) serviceInk(e entry) draw.Ink {
	if e.service != nil && (e.service.Deploying || e.service.Pending > 0 || e.service.Status != "ACTIVE") {
		return b.theme.Busy
	}
	return b.theme.Muted
}

// state is the column that says whether a tunnel can be opened, by a sign, a word and a colour.
func (b *browse) state() draw.Column[entry] {
	t := b.theme
	return draw.Column[entry]{
		Title: "TUNNEL", Least: 16, Most: 16,
		Text: func(e entry) string {
			switch {
			case !e.known:
				return t.Glyph.None + " not known"
			case e.cause == nil:
				return t.Glyph.On + " ready"
			case e.cause.Temporary():
				return t.Glyph.Half + " " + causeWord(e.cause)
			}
			return t.Glyph.Off + " " + causeWord(e.cause)
		},
		Ink: func(e entry) draw.Ink {
			switch {
			case !e.known:
				return t.Muted
			case e.cause == nil:
				return t.Good
			case e.cause.Temporary():
				return t.Busy
			}
			return t.Bad
		},
		Order: func(a, b entry) int { return cmp.Compare(rank(a), rank(b)) },
	}
}

// rank orders rows that can carry a tunnel before those that cannot.
func rank(e entry) int {
	switch {
	case !e.known:
		return 1000
	case e.cause == nil:
		return -1
	}
	return int(e.cause.Cause)
}

// agent is the status of the exec agent and since when; for a task that of the container whose agent is in the best state.
func (b *browse) agent(e entry) string {
	c := e.container
	if c == nil {
		for i := range e.task.Containers {
			if one := &e.task.Containers[i]; c == nil || one.Agent.Status == "RUNNING" && c.Agent.Status != "RUNNING" {
				c = one
			}
		}
	}
	if c == nil || c.Agent.Status == "" {
		return b.theme.Glyph.None
	}
	text := lower(c.Agent.Status, b.theme)
	if !c.Agent.StartedAt.IsZero() && c.Agent.Status == "RUNNING" {
		text += " " + span(b.now.Sub(c.Agent.StartedAt))
	}
	return text
}

func (b *browse) health() draw.Column[entry] {
	t := b.theme
	of := func(e entry) string {
		if e.container != nil {
			return e.container.Health
		}
		return e.task.Health
	}
	return draw.Column[entry]{
		Title: "HEALTH", Least: 9, Most: 9, Drop: 3,
		Text: func(e entry) string {
			if of(e) == "UNKNOWN" {
				return t.Glyph.None
			}
			return lower(of(e), t)
		},
		Ink: func(e entry) draw.Ink {
			switch of(e) {
			case "HEALTHY":
				return t.Good
			case "UNHEALTHY":
				return t.Bad
			}
			return t.Muted
		},
	}
}

// started is the column of how long a task has been running; sorted, the youngest comes first.
func (b *browse) started() draw.Column[entry] {
	return draw.Column[entry]{
		Title: "AGE", Least: 5, Most: 5, Right: true, Drop: 3,
		Text: func(e entry) string {
			if e.task.StartedAt.IsZero() {
				return b.theme.Glyph.None
			}
			return span(b.now.Sub(e.task.StartedAt))
		},
		Order: func(a, b entry) int { return b.task.StartedAt.Compare(a.task.StartedAt) },
	}
}

// span writes an age in its largest unit only, as nobody reads more than that in a table.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

func onOff(on, known bool, t *draw.Theme) string {
	switch {
	case !known:
		return t.Glyph.None
	case on:
		return "on"
	}
	return "off"
}

func lower(status string, t *draw.Theme) string { return orNone(strings.ToLower(say.Line(status)), t) }
