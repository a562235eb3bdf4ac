package aws

import (
	"context"
	"errors"
	"slices"
)

// Successor picks a ready container for t: another running task of the same service and container where there is one,
// else t itself if it is still ready. Picks at random among equals. The successor of a task that no service started is
// itself while it runs, then the newest of its family.
func (c *Client) Successor(ctx context.Context, t Target) (_ Target, err error) {
	defer func() { c.addShell(err) }()
	switch {
	case t.Service == "" && t.Family != "":
		return c.ofFamily(ctx, t)
	case t.Service == "":
		return c.Again(ctx, t)
	}
	q := t.Wanted()
	tasks, err := c.tasks(ctx, q)
	if err != nil {
		return Target{}, err
	}
	others := slices.DeleteFunc(slices.Clone(tasks), func(other Task) bool { return other.ID == t.Task })
	if len(others) > 0 {
		next, err := c.choose(ctx, q, others)
		if _, unready := errors.AsType[*NotReadyError](err); !unready || len(others) == len(tasks) {
			return next, err
		}
	}
	return c.choose(ctx, q, tasks)
}

// Again looks t's own task up and returns its container as it is now, with another runtime id if it was restarted. The
// error is a *TaskGoneError when the task stops, has stopped or is not known any more.
func (c *Client) Again(ctx context.Context, t Target) (_ Target, err error) {
	defer func() { c.addShell(err) }()
	q := t.Wanted()
	q.Service, q.Task = "", t.Task
	tasks, err := c.tasks(ctx, q)
	if missing, ok := errors.AsType[*NotFoundError](err); ok && missing.Kind == "task" {
		return Target{}, &TaskGoneError{Target: t}
	}
	if err != nil {
		return Target{}, err
	}
	return c.choose(ctx, q, tasks)
}

// Check describes t's task: nil while it runs and is meant to go on, else a typed error: *TaskGoneError for a task that
// stops or has stopped, or whose container was restarted, *NotReadyError for one that cannot carry a session now.
func (c *Client) Check(ctx context.Context, t Target) (err error) {
	defer func() { c.addShell(err) }()
	tasks, err := c.describeTasks(ctx, t.Cluster, []string{t.Task})
	if err != nil {
		return err
	}
	if len(tasks) == 0 {
		return &TaskGoneError{Target: t}
	}
	task := tasks[0]
	if task.stopping() || task.Status != "RUNNING" {
		return goneError(t, task)
	}
	i := slices.IndexFunc(task.Containers, func(k Container) bool { return k.Name == t.Container })
	if i < 0 {
		return task.noContainer(t.Container)
	}
	container := task.Containers[i]
	if t.RuntimeID != "" && container.RuntimeID != t.RuntimeID {
		return &TaskGoneError{Target: t, Status: task.Status, Reason: "its container " + container.Name + " was restarted"}
	}
	err = task.Ready(container)
	if e, ok := errors.AsType[*NotReadyError](err); ok {
		e.Suspect = c.suspect(ctx, e, task)
		c.addOrigin(ctx, e)
	}
	return err
}

// goneError says why ECS stops a task.
func goneError(t Target, task Task) *TaskGoneError {
	status := task.Status
	if task.DesiredStatus == "STOPPED" && status == "RUNNING" {
		status = "about to stop"
	}
	return &TaskGoneError{Target: t, Status: status, Reason: stopReason(task)}
}
