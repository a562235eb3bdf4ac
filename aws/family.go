package aws

import (
	"context"
	"errors"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"culvert/internal/near"
)

// Tasks that RunTask has started for a person, a schedule or AWS Batch belong to no service. What they have in common is the
// family of their task definition.

// listFamily calls page with the ARNs of the tasks of a family, including those that services have started.
func (c *Client) listFamily(ctx context.Context, cluster, family string, status types.DesiredStatus, page func(arns []string)) error {
	family, _, _ = strings.Cut(family, ":")
	return pages(ctx, "ecs:ListTasks", func(ctx context.Context, token *string) ([]string, *string, error) {
		out, err := call(ctx, c, about{Cluster: cluster}, func(ctx context.Context) (*ecs.ListTasksOutput, error) {
			return c.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &cluster, Family: &family, MaxResults: sdk.Int32(pageSize), DesiredStatus: status, NextToken: token})
		})
		if err != nil {
			return nil, nil, err
		}
		return out.TaskArns, out.NextToken, nil
	}, page)
}

// familyTasks describes the running tasks of the query's family that no service started.
func (c *Client) familyTasks(ctx context.Context, q Query) ([]Task, error) {
	var arns []string
	if err := c.listFamily(ctx, q.Cluster, q.Family, types.DesiredStatusRunning, func(page []string) { arns = append(arns, page...) }); err != nil && len(arns) == 0 {
		return nil, c.orNearest(ctx, q, err)
	}
	var tasks []Task
	services := map[string]bool{}
	for batch := range slices.Chunk(arns, taskBatch) {
		some, err := c.describeTasks(ctx, q.Cluster, batch)
		if err != nil {
			return nil, err
		}
		for _, t := range some {
			switch {
			case !t.IsOf(q.Family):
			case t.Service != "":
				services[t.Service] = true
			default:
				tasks = append(tasks, t)
			}
		}
	}
	if len(tasks) == 0 && len(services) > 0 {
		return nil, &ServedError{Cluster: q.Cluster, Family: q.Family, Services: names(services)}
	}
	return tasks, nil
}

func names(set map[string]bool) []string {
	all := make([]string, 0, len(set))
	for name := range set {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// IsOf reports whether a task is of a family or, where the name has a revision, of that revision.
func (t Task) IsOf(family string) bool {
	return t.Family == family || lastPart(t.TaskDefinition) == family
}

// newest is the candidate that was started last. Unhealthy ones are left out if there are others.
func newest(ready []candidate) candidate {
	well := best(slices.Clone(ready), func(k candidate) int { return one(k.task.Health == "UNHEALTHY") })
	return slices.MaxFunc(well, func(a, b candidate) int { return a.task.StartedAt.Compare(b.task.StartedAt) })
}

// ofFamily is t's own task while that runs and its agent is reached, else the newest task of its family.
func (c *Client) ofFamily(ctx context.Context, t Target) (Target, error) {
	q := t.Wanted()
	if t.Task == "" {
		return c.seek(ctx, q)
	}
	now, err := c.Again(ctx, t)
	if err == nil && !c.unreached.has(now.ID()) {
		return now, nil
	}
	next, otherErr := c.seek(ctx, q)
	if otherErr == nil {
		return next, nil
	}
	if err == nil {
		return now, nil
	}
	return Target{}, otherErr
}

// ServedError means that all tasks of a family were started by services.
type ServedError struct {
	Cluster, Family string
	Services        []string
}

func (e *ServedError) Error() string {
	return "every running task of family " + e.Family + " in cluster " + e.Cluster + " was started by a service"
}

// Remedy names the services.
func (e *ServedError) Remedy() string {
	targets := make([]string, len(e.Services))
	for i, name := range e.Services {
		targets[i] = e.Cluster + "/" + name
	}
	return "name the service: " + strings.Join(targets, ", ")
}

// whyNoFamily explains why no task of a family runs: one has stopped lately, one could be started, or there is no such family.
func (c *Client) whyNoFamily(ctx context.Context, q Query) error {
	e := &NotReadyError{Target: Target{Cluster: q.Cluster, Family: q.Family}, Cause: CauseNoTask, Origin: Origin{Definition: q.Family}}
	var arns []string
	err := c.listFamily(ctx, q.Cluster, q.Family, types.DesiredStatusStopped, func(page []string) { arns = append(arns, page...) })
	if err == nil && len(arns) > 0 {
		if last, ok := c.lastOf(ctx, q.Cluster, arns, func(t Task) bool { return t.Service == "" && t.IsOf(q.Family) }); ok {
			e.Reason, e.Origin = stopReason(last), last.Origin
			return e
		}
	}
	_, err = c.askDefinition(ctx, q.Family) // not from memory: a family can be deregistered
	if fault, ok := errors.AsType[*FaultError](err); !ok || fault.Code != "ClientException" {
		return e // the family exists, or the caller may not ask
	}
	missing := &NotFoundError{Kind: "family", Name: q.Family, In: "cluster " + q.Cluster, Region: c.region, Account: c.accountID()}
	missing.Near = near.Names(q.Family, c.families(ctx, q.Cluster), maxNear)
	return missing
}

// families are the families of the cluster's running tasks that no service started.
func (c *Client) families(ctx context.Context, cluster string) []string {
	var arns []string
	// What was listed before a failure is worth showing.
	_ = c.listTasks(ctx, cluster, "", types.DesiredStatusRunning, func(page []string) { arns = append(arns, page...) })
	known := map[string]bool{}
	for batch := range slices.Chunk(arns, taskBatch) {
		tasks, err := c.describeTasks(ctx, cluster, batch)
		if err != nil {
			break
		}
		for _, t := range tasks {
			if t.Service == "" {
				known[t.Family] = true
			}
		}
	}
	return names(known)
}
