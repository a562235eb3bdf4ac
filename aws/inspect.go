package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Inspection is what ECS tells about a query, as far as the caller may ask. What was not found is zero.
type Inspection struct {
	Target     Target // a container that can carry a session; zero when Err says why there is none
	Err        error  // the error of Lookup
	Cluster    Cluster
	Logged     bool // the cluster wants exec sessions logged or encrypted (executeCommandConfiguration)
	Service    Service
	Task       Task
	Container  Container
	Instead    string // why it is not the container that maps the port; empty when it is, or when no container maps it
	Definition Definition
	Instance   Instance // that Task runs on
	Tasks      int      // how many tasks of the service are ready, including Target's; 0 when not known
	Gaps       []error  // a *GapError for each part that could not be asked
}

// Inspect looks a query up as Lookup does, and asks for everything around what was found.
func (c *Client) Inspect(ctx context.Context, q Query) (in Inspection) {
	if q, in.Err = c.settle(ctx, q); in.Err != nil {
		return in
	}
	in.Target, in.Err = c.seek(ctx, q)
	at := in.Target
	if e, ok := errors.AsType[*NotReadyError](in.Err); ok {
		at = e.Target
	} else if e, ok := errors.AsType[*TaskGoneError](in.Err); ok {
		at = e.Target
	}
	if at.Cluster == "" {
		at = Target{Cluster: q.Cluster, Service: q.Service, Family: q.Family}
	}
	if at.Cluster == "" || ctx.Err() != nil {
		return in
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	gap := func(what string, err error) {
		if _, missing := errors.AsType[*NotFoundError](err); err == nil || missing {
			return // Lookup's error says so
		}
		mu.Lock()
		defer mu.Unlock()
		in.Gaps = append(in.Gaps, &GapError{What: what, Clusters: []string{at.Cluster}, Err: err})
	}
	work.Go(func() { gap("the cluster's settings", c.inspectCluster(ctx, at.Cluster, &in)) })
	if at.Service != "" {
		work.Go(func() { gap("details of services", c.inspectService(ctx, at, &in)) })
		if in.Err == nil {
			work.Go(func() {
				var err error
				in.Tasks, err = c.countReady(ctx, q, at)
				gap("tasks", err)
			})
		}
	}
	if at.Task != "" {
		work.Go(func() { c.inspectTask(ctx, at, &in, gap) })
	}
	work.Wait()
	slices.SortFunc(in.Gaps, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return in
}

func (c *Client) inspectCluster(ctx context.Context, name string, in *Inspection) error {
	out, err := call(ctx, c, about{Cluster: name}, func(ctx context.Context) (*ecs.DescribeClustersOutput, error) {
		return c.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{
			Clusters: []string{name}, Include: []ecstypes.ClusterField{ecstypes.ClusterFieldConfigurations},
		})
	})
	if err != nil || len(out.Clusters) == 0 {
		return err
	}
	found := out.Clusters[0]
	in.Cluster = Cluster{Name: sdk.ToString(found.ClusterName), ARN: sdk.ToString(found.ClusterArn), Status: sdk.ToString(found.Status)}
	if settings := found.Configuration; settings != nil && settings.ExecuteCommandConfiguration != nil {
		exec := settings.ExecuteCommandConfiguration
		in.Logged = exec.KmsKeyId != nil || exec.Logging == ecstypes.ExecuteCommandLoggingOverride
	}
	c.learnAccount(accountOf(in.Cluster.ARN))
	return nil
}

func (c *Client) inspectService(ctx context.Context, at Target, in *Inspection) error {
	services, err := c.describeServices(ctx, at.Cluster, []string{at.Service})
	if err == nil && len(services) > 0 {
		in.Service = services[0]
	}
	return err
}

// countReady counts the tasks of the service that can carry a session for the query. It looks at a hundred tasks at most.
func (c *Client) countReady(ctx context.Context, q Query, at Target) (int, error) {
	var arns []string
	err := c.listTasks(ctx, at.Cluster, at.Service, ecstypes.DesiredStatusRunning, func(page []string) { arns = append(arns, page...) })
	if err != nil || len(arns) == 0 {
		return 0, err
	}
	tasks, err := c.describeTasks(ctx, at.Cluster, arns[:min(len(arns), taskBatch)])
	ready := 0
	for _, t := range tasks {
		if _, err := c.candidates(ctx, q, t); err == nil {
			ready++
		}
	}
	return ready, err
}

func (c *Client) inspectTask(ctx context.Context, at Target, in *Inspection, gap func(string, error)) {
	tasks, err := c.describeTasks(ctx, at.Cluster, []string{at.Task})
	if err != nil || len(tasks) == 0 {
		gap("details of tasks", err)
		return
	}
	in.Task = tasks[0]
	for _, container := range in.Task.Containers {
		if container.Name == at.Container {
			in.Container = container
		}
	}
	if in.Task.Instance != "" {
		in.Instance, err = c.instance(ctx, in.Task)
		gap("the container instance", err)
	}
	in.Definition, err = c.definition(ctx, in.Task.TaskDefinition)
	gap("task definitions", err)
	if at.AnyContainer && at.Port != 0 {
		in.Instead = in.Definition.in(in.Task).instead(in.Container, at.Port)
	}
}

// instead says why a container of the task that maps the port was not chosen; empty when there is none.
func (t Task) instead(chosen Container, port uint16) string {
	for _, c := range t.Containers {
		if c.Name == chosen.Name || !c.maps(port) {
			continue
		}
		if e, unready := errors.AsType[*NotReadyError](t.Ready(c)); unready {
			return fmt.Sprintf("%s maps port %d: %s; %s shares its network", c.Name, port, e.cause(), chosen.Name)
		}
	}
	return ""
}

// AgentOf asks ECS for the present state of a container's exec agent.
func (c *Client) AgentOf(ctx context.Context, t Target) (Agent, error) {
	tasks, err := c.describeTasks(ctx, t.Cluster, []string{t.Task})
	if err != nil {
		return Agent{}, err
	}
	for _, task := range tasks {
		for _, container := range task.Containers {
			if container.Name == t.Container {
				return container.Agent, nil
			}
		}
	}
	return Agent{}, nil
}
