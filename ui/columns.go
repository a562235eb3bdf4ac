package ui

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"culvert/internal/say"
)

// The columns of the browser, depth by depth. What decides whether a tunnel can be opened stands next to the name and is
// the last to go when there is little room.

func (b *browse) columns(l depth) []column[entry] {
	t := b.app.theme
	name := column[entry]{title: strings.ToUpper(strings.TrimSuffix(l.String(), "s")), grow: true, least: 12, text: entry.name}
	number := func(title string, n func(entry) int, paint func(entry) ink) column[entry] {
		return column[entry]{
			title: title, least: len(title) + 1, most: len(title) + 1, right: true, ink: paint,
			text:  func(e entry) string { return thousands(n(e)) },
			order: func(a, b entry) int { return cmp.Compare(n(a), n(b)) },
		}
	}
	some := func(e entry) ink {
		switch {
		case e.tasks == 0:
			return t.muted
		case e.ready == 0:
			return t.bad
		case e.ready < e.tasks:
			return t.busy
		}
		return t.good
	}
	ready := number("READY", func(e entry) int { return e.ready }, some)
	ports := column[entry]{title: "PORTS", most: 14, drop: 2, text: func(e entry) string { return orNone(e.ports, t) }}
	switch l {
	case atClusters:
		return []column[entry]{
			name, ready,
			number("TASKS", func(e entry) int { return e.tasks }, nil),
			number("SERVICES", func(e entry) int { return len(e.cluster.Services) }, nil),
			{title: "STATUS", most: 12, drop: 3, text: func(e entry) string { return lower(e.cluster.Status, t) }, ink: b.muted},
		}
	case atServices:
		return []column[entry]{
			name, ready, b.running(),
			{title: "EXEC", least: 4, most: 4, text: b.serviceExec, ink: b.execInk},
			{title: "STATE", least: 10, most: 10, drop: 3, text: b.serviceState, ink: b.serviceInk},
			{title: "LAUNCH", least: 8, most: 8, drop: 4, text: func(e entry) string {
				if e.service == nil {
					return t.glyph.none
				}
				return orNone(launch(e.service.LaunchType, ""), t)
			}},
			ports,
			{title: "DEFINITION", most: 30, drop: 9, ink: b.muted, text: func(e entry) string {
				if e.service == nil {
					return t.glyph.none
				}
				return orNone(revision(e.service.TaskDefinition), t)
			}},
		}
	case atTasks:
		return []column[entry]{
			name, b.state(),
			{title: "AGENT", least: 14, most: 14, drop: 5, text: func(e entry) string { return b.agent(e) }},
			b.health(),
			{title: "LAUNCH", least: 8, most: 8, drop: 4, text: func(e entry) string { return orNone(launch(e.task.LaunchType, e.task.CapacityProvider), t) }},
			b.started(), ports,
			{title: "EXEC", least: 4, most: 4, drop: 6, text: func(e entry) string { return onOff(e.task.ExecEnabled, e.known, t) }},
			{title: "STATUS", least: 14, most: 14, drop: 7, text: func(e entry) string { return lower(e.task.Status, t) }, ink: b.muted},
			{title: "PLATFORM", most: 16, drop: 8, text: func(e entry) string { return orNone(say.Line(e.task.PlatformVersion), t) }, ink: b.muted},
			{title: "DEFINITION", most: 30, drop: 9, text: func(e entry) string { return orNone(revision(e.task.TaskDefinition), t) }, ink: b.muted},
		}
	case atContainers:
		return []column[entry]{
			name, b.state(),
			{title: "AGENT", least: 14, most: 14, drop: 5, text: func(e entry) string { return b.agent(e) }},
			b.health(), ports,
			{title: "STATUS", least: 14, most: 14, drop: 7, text: func(e entry) string { return lower(e.container.Status, t) }, ink: b.muted},
			{title: "RUNTIME ID", most: 44, drop: 9, text: func(e entry) string { return orNone(say.Line(e.container.RuntimeID), t) }, ink: b.muted},
		}
	case deepest:
	}
	return nil
}

func (b *browse) muted(entry) ink { return b.app.theme.muted }

// running is how many tasks of a service run, of how many are wanted.
func (b *browse) running() column[entry] {
	return column[entry]{
		title: "RUNNING", least: 9, most: 9, right: true,
		text: func(e entry) string {
			if e.service == nil {
				return thousands(e.tasks)
			}
			return thousands(e.service.Running) + "/" + thousands(e.service.Desired)
		},
		ink: func(e entry) ink {
			if e.service != nil && e.service.Running != e.service.Desired {
				return b.app.theme.busy
			}
			return b.app.theme.text
		},
		order: func(a, b entry) int { return cmp.Compare(runningOf(a), runningOf(b)) },
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
		return b.app.theme.glyph.none
	}
	return onOff(e.service.ExecEnabled, true, b.app.theme)
}

func (b *browse) execInk(e entry) ink {
	if e.service != nil && !e.service.ExecEnabled {
		return b.app.theme.bad
	}
	return b.app.theme.text
}

func (b *browse) serviceState(e entry) string {
	switch {
	case e.service == nil:
		return b.app.theme.glyph.none
	case e.service.Deploying:
		return "deploying"
	case e.service.Status != "ACTIVE":
		return lower(e.service.Status, b.app.theme)
	case e.service.Pending > 0:
		return fmt.Sprintf("%d pending", e.service.Pending)
	}
	return "steady"
}

func (b *browse) serviceInk(e entry) ink {
	if e.service != nil && (e.service.Deploying || e.service.Pending > 0 || e.service.Status != "ACTIVE") {
		return b.app.theme.busy
	}
	return b.app.theme.muted
}

// state is whether a tunnel can be opened, in a sign, a word and a colour.
func (b *browse) state() column[entry] {
	t := b.app.theme
	return column[entry]{
		title: "TUNNEL", least: 16, most: 16,
		text: func(e entry) string {
			switch {
			case !e.known:
				return t.glyph.none + " not known"
			case e.cause == nil:
				return t.glyph.on + " ready"
			case e.cause.Temporary():
				return t.glyph.half + " " + causeWord(e.cause)
			}
			return t.glyph.off + " " + causeWord(e.cause)
		},
		ink: func(e entry) ink {
			switch {
			case !e.known:
				return t.muted
			case e.cause == nil:
				return t.good
			case e.cause.Temporary():
				return t.busy
			}
			return t.bad
		},
		order: func(a, b entry) int { return cmp.Compare(rank(a), rank(b)) },
	}
}

// rank orders what can be used before what cannot.
func rank(e entry) int {
	switch {
	case !e.known:
		return 1000
	case e.cause == nil:
		return -1
	}
	return int(e.cause.Cause)
}

// agent is the status of the exec agent and for how long; of a task, that of the container that is best off.
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
		return b.app.theme.glyph.none
	}
	text := lower(c.Agent.Status, b.app.theme)
	if !c.Agent.StartedAt.IsZero() && c.Agent.Status == "RUNNING" {
		text += " " + span(b.app.now.Sub(c.Agent.StartedAt))
	}
	return text
}

func (b *browse) health() column[entry] {
	t := b.app.theme
	of := func(e entry) string {
		if e.container != nil {
			return e.container.Health
		}
		return e.task.Health
	}
	return column[entry]{
		title: "HEALTH", least: 9, most: 9, drop: 3,
		text: func(e entry) string {
			if of(e) == "UNKNOWN" {
				return t.glyph.none
			}
			return lower(of(e), t)
		},
		ink: func(e entry) ink {
			switch of(e) {
			case "HEALTHY":
				return t.good
			case "UNHEALTHY":
				return t.bad
			}
			return t.muted
		},
	}
}

// started is how long a task has been running, youngest first when sorted.
func (b *browse) started() column[entry] {
	return column[entry]{
		title: "AGE", least: 5, most: 5, right: true, drop: 3,
		text: func(e entry) string {
			if e.task.StartedAt.IsZero() {
				return b.app.theme.glyph.none
			}
			return span(b.app.now.Sub(e.task.StartedAt))
		},
		order: func(a, b entry) int { return b.task.StartedAt.Compare(a.task.StartedAt) },
	}
}

// span is an age in its largest unit alone: a table is looked over, not read.
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

func onOff(on, known bool, t *theme) string {
	switch {
	case !known:
		return t.glyph.none
	case on:
		return "on"
	}
	return "off"
}

func lower(status string, t *theme) string { return orNone(strings.ToLower(say.Line(status)), t) }
