package aws

import (
	"context"
	"slices"
)

// Beside is another container of t's task that would serve as well, for when Session Manager has no connection to t's agent. It
// is false when there is none, and when the user named t's container. Containers whose agents had no connection a short while
// ago are left out.
func (c *Client) Beside(ctx context.Context, t Target) (Target, bool) {
	if !t.AnyContainer {
		return Target{}, false
	}
	tasks, err := c.describeTasks(ctx, t.Cluster, []string{t.Task})
	if err != nil || len(tasks) == 0 {
		return Target{}, false
	}
	q := t.Wanted()
	found, err := c.candidates(ctx, q, tasks[0])
	if err != nil {
		return Target{}, false
	}
	i := slices.IndexFunc(found, func(k Container) bool { return k.Name != t.Container && !c.unreached.has(idOf(tasks[0], k)) })
	if i < 0 {
		return Target{}, false
	}
	return candidate{tasks[0], found[i]}.target(q), true
}
