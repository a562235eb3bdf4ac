package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Network modes of a task (ECS Developer Guide, "Task networking").
const (
	networkVPC    = "awsvpc"
	networkHost   = "host"
	networkBridge = "bridge"
	networkNone   = "none"
)

// SharesNetwork reports whether the containers of a task share one localhost, so that a port of one can be reached through
// every other one. In the modes bridge and default (Windows) each container has a network of its own.
func (t Task) SharesNetwork() bool {
	return t.NetworkMode == networkVPC || t.NetworkMode == networkHost
}

// injected reports whether AWS itself or culvert's own module has put the container into the task: a user never means it.
func (c Container) injected() bool {
	return c.Name == RelayName || strings.HasPrefix(c.Name, "aws-guardduty-agent") || strings.HasPrefix(c.Name, "ecs-service-connect-")
}

// over reports whether a container has run to its end, as containers do that only prepare the others.
func (c Container) over() bool { return c.Status == "STOPPED" }

// Alive are the containers that have not run to their end, or all when none is left.
func (t Task) Alive() []Container {
	alive := slices.DeleteFunc(slices.Clone(t.Containers), Container.over)
	if len(alive) == 0 {
		return t.Containers
	}
	return alive
}

// Meant are the containers that a user may mean: those that are alive and not injected, or all that are alive when there are no
// others.
func (t Task) Meant() []Container {
	alive := t.Alive()
	if own := slices.DeleteFunc(slices.Clone(alive), Container.injected); len(own) > 0 {
		return own
	}
	return alive
}

// Candidates are the containers of a task that can serve a query, the best first: the one that the query names; for a shell the
// only one; for a forward each one whose exec agent runs and from whose network the port can be reached. It makes no call: what
// the task definition says has to be in the task already, see Task.NetworkMode. The error says why there is none: a
// *NotReadyError, a *NotFoundError, or an *AmbiguousError when the user has to choose.
func (t Task) Candidates(q Query) ([]Container, error) {
	return t.choose(q, func(Container) bool { return false })
}

// choose is Candidates with silent containers behind the others: those whose agents Session Manager did not reach just now.
func (t Task) choose(q Query, silent func(Container) bool) ([]Container, error) {
	if t.NetworkMode == networkNone {
		return nil, &NotReadyError{Target: Target{Cluster: t.Cluster, Service: t.Service, Task: t.ID}, Cause: CauseNoNetwork, Status: t.Status, Origin: t.Origin, Waiting: 1}
	}
	if q.Container != "" {
		return t.named(q.Container)
	}
	alive := t.Alive()
	own := slices.DeleteFunc(slices.Clone(alive), Container.injected)
	able := alive
	switch {
	case len(alive) == 0, q.Shell && len(own) == 0:
		return nil, &NotReadyError{Target: Target{Cluster: t.Cluster, Service: t.Service, Task: t.ID}, Cause: CauseTaskPending, Status: t.Status, Origin: t.Origin, Waiting: 1}
	case q.Shell && len(own) > 1:
		return nil, t.choice(own, "")
	case q.Shell:
		able = own
	case q.Port != 0 && !t.SharesNetwork():
		var err error
		if able, err = t.mapping(own, alive, q.Port); err != nil {
			return nil, err
		}
	}
	return t.ranked(able, q.Port, silent)
}

// named is the container of that name, if it can carry a session.
func (t Task) named(name string) ([]Container, error) {
	i := slices.IndexFunc(t.Containers, func(c Container) bool { return c.Name == name })
	if i < 0 {
		return nil, t.noContainer(name)
	}
	if err := t.Ready(t.Containers[i]); err != nil {
		return nil, err
	}
	return t.Containers[i : i+1], nil
}

// mapping are the containers to choose from when each has a network of its own: the one that maps the port, even if it is not
// ready, or the only one there is.
func (t Task) mapping(own, alive []Container, port uint16) ([]Container, error) {
	found := slices.DeleteFunc(slices.Clone(own), func(c Container) bool { return !c.maps(port) })
	switch {
	case len(found) == 1:
		return found, nil
	case len(own) == 1:
		return own, nil
	case len(own) == 0:
		return alive, nil
	case len(found) > 1:
		return nil, t.choice(found, fmt.Sprintf("each has a network of its own in network mode %s, and port %d is mapped by all of them", orWord(t.NetworkMode, "bridge"), port))
	}
	return nil, t.choice(own, fmt.Sprintf("each has a network of its own in network mode %s, and port %d is mapped by none", orWord(t.NetworkMode, "bridge"), port))
}

// choice is the error that leaves the choice of a container to the user.
func (t Task) choice(among []Container, why string) *AmbiguousError {
	e := &AmbiguousError{Kind: "container", In: "task " + t.ID, Why: why}
	for _, c := range among {
		e.Candidates = append(e.Candidates, c.Name)
	}
	return e
}

// ranked are the containers that can carry a session, the best first. When there is none, the error is about the one that is
// likely to be ready first.
func (t Task) ranked(able []Container, port uint16, silent func(Container) bool) ([]Container, error) {
	rank := func(c Container) int {
		rank := 0
		for _, worse := range []bool{c.injected(), silent(c), port != 0 && !c.maps(port), !c.Essential} {
			rank *= 2
			if worse {
				rank++
			}
		}
		return rank
	}
	able = slices.Clone(able)
	slices.SortStableFunc(able, func(a, b Container) int { return cmp.Or(rank(a)-rank(b), cmp.Compare(a.Name, b.Name)) })
	var ready []Container
	var why *NotReadyError
	for _, c := range able {
		e, unready := errors.AsType[*NotReadyError](t.Ready(c))
		switch {
		case !unready:
			ready = append(ready, c)
		case why == nil || e.Cause < why.Cause && !c.injected():
			why = e
		}
	}
	if len(ready) == 0 {
		return nil, why
	}
	return ready, nil
}

// maps reports whether a port is among a container's port mappings.
func (c Container) maps(port uint16) bool {
	return slices.ContainsFunc(c.Ports, func(p Port) bool { return p.Protocol == "tcp" && p.holds(port) })
}

// candidates are Task.Candidates with what the task definition says, which is read when it can decide. A caller who may not
// read it gets on without it when any container will do; when it matters which of them maps the port, the error is about the
// missing permission.
func (c *Client) candidates(ctx context.Context, q Query, t Task) ([]Container, error) {
	var unknown error
	if t.wantsDefinition(q) {
		var d Definition
		if d, unknown = c.definition(ctx, t.TaskDefinition); unknown == nil {
			t = d.in(t)
		} else {
			c.log.Debug("the task definition is not known", "error", unknown)
		}
	}
	found, err := t.choose(q, func(k Container) bool { return c.unreached.has(idOf(t, k)) })
	if ambiguous, ok := err.(*AmbiguousError); ok && ambiguous.Why != "" && unknown != nil { //nolint:errorlint // choose returns it unwrapped
		return nil, fmt.Errorf("which of the containers %s maps port %d is not known: %w", strings.Join(ambiguous.Candidates, ", "), q.Port, unknown)
	}
	return found, err
}

// wantsDefinition reports whether the task definition can make a difference: by its network mode when ECS does not show that,
// and by its ports and essential containers when there is a choice.
func (t Task) wantsDefinition(q Query) bool {
	switch {
	case t.TaskDefinition == "":
		return false
	case t.NetworkMode == "" && t.Instance != "":
		return true
	case q.Container != "", q.Shell:
		return false
	}
	return len(t.Alive()) > 1
}

// idOf is the id that a container has as a target.
func idOf(t Task, c Container) string {
	return Target{Cluster: t.Cluster, Task: t.ID, RuntimeID: c.RuntimeID}.ID()
}
