package aws

import (
	"context"
	"errors"
	"slices"
)

// Successor picks a ready container in place of t: in another task of the same service when there is one, else in t's own task
// if that is still ready. Among equals it picks at random. A task that no service started is its own successor while it runs,
// then the newest task of its family is.
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

// Again looks up t's own task and returns its container as it is now, with another runtime id if it was restarted. The error is
// a *TaskGoneError when the task is stopping, has stopped or is not known any more.
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

// Check describes t's task. It returns nil while the task runs and is meant to go on, a *TaskGoneError when the task is
// stopping or has stopped or when its container was restarted, and a *NotReadyError when the container cannot carry a session
// now.
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

// goneError is the error of a task that ECS stops, with the reason.
func goneError(t Target, task Task) *TaskGoneError {
	status := task.Status
	if task.DesiredStatus == "STOPPED" && status == "RUNNING" {
		status = "about to stop"
	}
	return &TaskGoneError{Target: t, Status: status, Reason: stopReason(task)}
}
