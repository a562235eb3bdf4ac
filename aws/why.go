package aws

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// whyNone explains why no container is ready: by the task that is likely to be ready first, else by the service.
func (c *Client) whyNone(ctx context.Context, q Query, tasks []Task, unready []error) error {
	if len(tasks) == 0 {
		return c.whyNoTask(ctx, q)
	}
	if q.Task != "" && tasks[0].stopping() {
		return goneError(Target{Cluster: q.Cluster, Service: tasks[0].Service, Task: tasks[0].ID}, tasks[0])
	}
	var nearest *NotReadyError
	for _, err := range unready {
		if e, ok := errors.AsType[*NotReadyError](err); ok && (nearest == nil || e.Cause < nearest.Cause) {
			nearest = e
		}
	}
	if nearest == nil {
		return unready[0] // the error about the choice of a container
	}
	nearest.Waiting = len(tasks)
	if i := slices.IndexFunc(tasks, func(t Task) bool { return t.ID == nearest.Target.Task }); i >= 0 {
		nearest.Suspect = c.suspect(ctx, nearest, tasks[i])
	}
	c.addOrigin(ctx, nearest)
	return nearest
}

// maxReasons is how many of a service's latest events can tell why it has no task: older ones are about something else.
const maxReasons = 3

// whyNoTask explains why a service has no task, as far as the caller may ask.
func (c *Client) whyNoTask(ctx context.Context, q Query) error {
	if q.Family != "" {
		return c.whyNoFamily(ctx, q)
	}
	e := &NotReadyError{Target: Target{Cluster: q.Cluster, Service: q.Service}, Cause: CauseNoTask}
	if q.Service == "" {
		return e
	}
	services, err := c.describeServices(ctx, q.Cluster, []string{q.Service})
	switch {
	case err != nil:
		c.log.Debug("the service cannot be described", "error", err)
	case len(services) == 0:
		return c.orNearest(ctx, q, &NotFoundError{Kind: "service", Name: q.Service, In: "cluster " + q.Cluster, Region: c.region})
	case services[0].Status != "ACTIVE":
		e.Cause, e.Status = CauseDraining, services[0].Status
		return e
	case services[0].Desired == 0:
		e.Cause, e.Origin = CauseScaledToZero, e.Origin.with(services[0])
		return e
	default:
		for _, event := range services[0].Events[:min(len(services[0].Events), maxReasons)] {
			e.Events = append(e.Events, event.Text)
		}
	}
	e.Reason = c.lastStop(ctx, q)
	if e.Reason == "" && len(e.Events) > 0 {
		e.Reason = e.Events[0]
	}
	return e
}

// lastStop is why the task of the service that stopped last has stopped; "" when that is not known.
func (c *Client) lastStop(ctx context.Context, q Query) string {
	var arns []string
	err := c.listTasks(ctx, q.Cluster, q.Service, types.DesiredStatusStopped, func(page []string) { arns = append(arns, page...) })
	if err != nil || len(arns) == 0 {
		return ""
	}
	last, ok := c.lastOf(ctx, q.Cluster, arns, func(Task) bool { return true })
	if !ok {
		return ""
	}
	return stopReason(last)
}

// lastOf is the task that stopped last, among those of the first hundred that fit; false when that is not known.
func (c *Client) lastOf(ctx context.Context, cluster string, arns []string, fits func(Task) bool) (Task, bool) {
	tasks, err := c.describeTasks(ctx, cluster, arns[:min(len(arns), taskBatch)])
	tasks = slices.DeleteFunc(tasks, func(t Task) bool { return !fits(t) })
	if err != nil || len(tasks) == 0 {
		return Task{}, false
	}
	return slices.MaxFunc(tasks, func(a, b Task) int { return a.StoppedAt.Compare(b.StoppedAt) }), true
}

// stopReason joins ECS's reasons for a stopped task and for its containers.
func stopReason(t Task) string {
	text := t.StoppedReason
	for _, c := range t.Containers {
		if c.Reason != "" && !strings.Contains(text, c.Reason) {
			text += "; " + c.Name + ": " + c.Reason
		}
	}
	return strings.TrimPrefix(text, "; ")
}

// addShell makes the commands in an error's remedy name the client's account.
func (c *Client) addShell(err error) {
	if e, ok := errors.AsType[*NotFoundError](err); ok {
		e.Shell = c.shell
	}
	if e, ok := errors.AsType[*TaskGoneError](err); ok {
		e.Shell = c.shell
	}
	if e, ok := errors.AsType[*NotReadyError](err); ok {
		e.Origin.Shell = c.shell
	}
}

// addOrigin adds what is known of the service to an error whose remedy needs other tasks of it. When the caller may not
// describe the service, the error has the usual remedy.
func (c *Client) addOrigin(ctx context.Context, e *NotReadyError) {
	if e.Target.Service == "" || e.Temporary() {
		return
	}
	services, err := c.describeServices(ctx, e.Target.Cluster, []string{e.Target.Service})
	if err != nil || len(services) != 1 {
		c.log.Debug("the service cannot be described", "error", err)
		return
	}
	e.Origin = e.Origin.with(services[0])
}
