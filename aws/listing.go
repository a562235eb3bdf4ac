package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"culvert/internal/say"
)

// The most that ECS takes or gives in one call (Amazon ECS API Reference), and the most that is kept of it.
const (
	pageSize     = 100 // ListClusters, ListTasks, ListServices; the last gives 10 unless it is asked for more
	clusterBatch = 100 // DescribeClusters
	taskBatch    = 100 // DescribeTasks
	serviceBatch = 10  // DescribeServices
	maxPages     = 1_000
	maxNames     = pageSize * maxPages
	maxARN       = 2048 // bytes (IAM API Reference)
	maxEvents    = 10   // ECS gives a hundred
	maxListed    = 100  // of what a thing has several of: deployments, subnets, names of variables
)

// pages walks a list of ARNs to its end and calls page with each page. It fails when a page token comes twice, when the list
// does not end, and when there are more or longer names than AWS has; the pages before are valid.
func pages(ctx context.Context, operation string, fetch func(context.Context, *string) ([]string, *string, error), page func([]string)) error {
	seen := map[string]bool{}
	var token *string
	names := 0
	for range maxPages {
		items, next, err := fetch(ctx, token)
		if err != nil {
			return err
		}
		if names += len(items); names > maxNames {
			return &AnswerError{Operation: operation, Problem: fmt.Sprintf("it has more than %d names", maxNames)}
		}
		if slices.ContainsFunc(items, func(arn string) bool { return len(arn) > maxARN }) {
			return &AnswerError{Operation: operation, Problem: fmt.Sprintf("a name of more than %d bytes", maxARN)}
		}
		if len(items) > 0 {
			page(items)
		}
		if sdk.ToString(next) == "" {
			return nil
		}
		if seen[*next] {
			return &AnswerError{Operation: operation, Problem: "it hands out the same page token again"}
		}
		seen[*next] = true
		token = next
	}
	return &AnswerError{Operation: operation, Problem: "its pages do not end"}
}

// slot waits until a call may be made (maxCalls); the caller has to release the slot.
func (c *Client) slot(ctx context.Context) (release func(), err error) {
	select {
	case c.calls <- struct{}{}:
		return func() { <-c.calls }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// call makes one call in a slot and explains its failure.
func call[T any](ctx context.Context, c *Client, at about, run func(context.Context) (T, error)) (T, error) {
	var none T
	release, err := c.slot(ctx)
	if err != nil {
		return none, err
	}
	defer release()
	out, err := run(ctx)
	if err != nil {
		return none, c.explain(ctx, err, at)
	}
	return out, nil
}

// listClusters calls page with the ARNs of clusters.
func (c *Client) listClusters(ctx context.Context, page func(arns []string)) error {
	return pages(ctx, "ecs:ListClusters", func(ctx context.Context, token *string) ([]string, *string, error) {
		out, err := call(ctx, c, about{}, func(ctx context.Context) (*ecs.ListClustersOutput, error) {
			return c.ecs.ListClusters(ctx, &ecs.ListClustersInput{MaxResults: sdk.Int32(pageSize), NextToken: token})
		})
		if err != nil {
			return nil, nil, err
		}
		return out.ClusterArns, out.NextToken, nil
	}, page)
}

// listServices calls page with the ARNs of a cluster's services.
func (c *Client) listServices(ctx context.Context, cluster string, page func(arns []string)) error {
	return pages(ctx, "ecs:ListServices", func(ctx context.Context, token *string) ([]string, *string, error) {
		out, err := call(ctx, c, about{Cluster: cluster}, func(ctx context.Context) (*ecs.ListServicesOutput, error) {
			return c.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: &cluster, MaxResults: sdk.Int32(pageSize), NextToken: token})
		})
		if err != nil {
			return nil, nil, err
		}
		return out.ServiceArns, out.NextToken, nil
	}, page)
}

// listTasks calls page with the ARNs of tasks: of a service or, when service is empty, of the whole cluster.
func (c *Client) listTasks(ctx context.Context, cluster, service string, status types.DesiredStatus, page func(arns []string)) error {
	in := ecs.ListTasksInput{Cluster: &cluster, MaxResults: sdk.Int32(pageSize), DesiredStatus: status}
	if service != "" {
		in.ServiceName = &service // on every page: a page token does not include the filter
	}
	return pages(ctx, "ecs:ListTasks", func(ctx context.Context, token *string) ([]string, *string, error) {
		out, err := call(ctx, c, about{Cluster: cluster, Service: service}, func(ctx context.Context) (*ecs.ListTasksOutput, error) {
			next := in
			next.NextToken = token
			return c.ecs.ListTasks(ctx, &next)
		})
		if err != nil {
			return nil, nil, err
		}
		return out.TaskArns, out.NextToken, nil
	}, page)
}

// describeTasks describes taskBatch tasks at most; tasks that ECS does not know are left out.
func (c *Client) describeTasks(ctx context.Context, cluster string, tasks []string) ([]Task, error) {
	out, err := call(ctx, c, about{Cluster: cluster}, func(ctx context.Context) (*ecs.DescribeTasksOutput, error) {
		return c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: tasks})
	})
	if err != nil {
		return nil, err
	}
	found := make([]Task, 0, len(out.Tasks))
	for _, t := range out.Tasks[:min(len(out.Tasks), len(tasks))] {
		if task := taskFrom(t, cluster); task.ID != "" {
			task.Origin.Shell = c.shell
			c.learnAccount(accountOf(task.ARN))
			found = append(found, task)
		}
	}
	return found, nil
}

// describeServices describes serviceBatch services at most; services that ECS does not know are left out.
func (c *Client) describeServices(ctx context.Context, cluster string, services []string) ([]Service, error) {
	out, err := call(ctx, c, about{Cluster: cluster}, func(ctx context.Context) (*ecs.DescribeServicesOutput, error) {
		return c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: services})
	})
	if err != nil {
		return nil, err
	}
	found := make([]Service, 0, len(out.Services))
	for _, s := range out.Services[:min(len(out.Services), len(services))] {
		if service := serviceFrom(s, cluster); service.Name != "" {
			found = append(found, service)
		}
	}
	return found, nil
}

func serviceFrom(s types.Service, cluster string) Service {
	service := Service{
		Name: lastPart(sdk.ToString(s.ServiceName)), ARN: sdk.ToString(s.ServiceArn), Cluster: cluster, Status: sdk.ToString(s.Status),
		Desired: int(s.DesiredCount), Running: int(s.RunningCount), Pending: int(s.PendingCount),
		ExecEnabled: s.EnableExecuteCommand, LaunchType: string(s.LaunchType), Scheduling: say.Brief(string(s.SchedulingStrategy)),
		TaskDefinition: sdk.ToString(s.TaskDefinition), Deploying: len(s.Deployments) > 1 || len(s.TaskSets) > 1,
	}
	if s.DeploymentController != nil {
		service.Controller = say.Brief(string(s.DeploymentController.Type))
	}
	if service.LaunchType == "" && len(s.CapacityProviderStrategy) > 0 {
		service.LaunchType = sdk.ToString(s.CapacityProviderStrategy[0].CapacityProvider)
	}
	for _, d := range s.Deployments[:min(len(s.Deployments), maxListed)] {
		if sdk.ToString(d.Status) == "PRIMARY" {
			service.Deployment = sdk.ToString(d.Id)
		}
		service.Deployments = append(service.Deployments, Deployment{
			Status: sdk.ToString(d.Status), TaskDefinition: sdk.ToString(d.TaskDefinition),
			Desired: int(d.DesiredCount), Running: int(d.RunningCount), Pending: int(d.PendingCount), Failed: int(d.FailedTasks),
			Rollout: string(d.RolloutState), Reason: say.Brief(sdk.ToString(d.RolloutStateReason)), CreatedAt: sdk.ToTime(d.CreatedAt),
		})
	}
	service.Network = interfacesFrom(s.NetworkConfiguration)
	service.addTaskSets(s.TaskSets)
	for _, e := range s.Events[:min(len(s.Events), maxEvents)] {
		service.Events = append(service.Events, Event{At: sdk.ToTime(e.CreatedAt), Text: say.Brief(sdk.ToString(e.Message))})
	}
	return service
}

func taskFrom(t types.Task, cluster string) Task {
	arn := sdk.ToString(t.TaskArn)
	task := Task{
		ID: lastPart(arn), ARN: arn, Cluster: cluster,
		Status: sdk.ToString(t.LastStatus), DesiredStatus: sdk.ToString(t.DesiredStatus),
		Health: string(t.HealthStatus), Connectivity: string(t.Connectivity),
		LaunchType: string(t.LaunchType), CapacityProvider: sdk.ToString(t.CapacityProviderName),
		PlatformVersion: sdk.ToString(t.PlatformVersion), Platform: sdk.ToString(t.PlatformFamily),
		Instance:       sdk.ToString(t.ContainerInstanceArn),
		TaskDefinition: sdk.ToString(t.TaskDefinitionArn), ExecEnabled: t.EnableExecuteCommand,
		StartedAt: sdk.ToTime(t.StartedAt), StoppedAt: sdk.ToTime(t.StoppedAt), StoppedReason: say.Brief(sdk.ToString(t.StoppedReason)),
	}
	if t.Overrides != nil {
		task.RoleOverride = sdk.ToString(t.Overrides.TaskRoleArn)
	}
	task.Family, _, _ = strings.Cut(lastPart(task.TaskDefinition), ":")
	for _, a := range t.Attachments {
		for _, detail := range a.Details {
			switch sdk.ToString(detail.Name) {
			case "subnetId":
				task.Subnet = sdk.ToString(detail.Value)
			case "privateIPv4Address":
				task.Address = sdk.ToString(detail.Value)
			}
		}
	}
	if task.Subnet != "" || task.LaunchType == "FARGATE" { // only this mode gives a task an interface of its own, and Fargate has no other mode
		task.NetworkMode = networkVPC
	}
	if name, ok := strings.CutPrefix(sdk.ToString(t.Group), "service:"); ok {
		task.Service = name
		task.Deployment = sdk.ToString(t.StartedBy)
	} else {
		task.Origin = Origin{
			StartedBy: say.Brief(sdk.ToString(t.StartedBy)), Definition: lastPart(task.TaskDefinition),
			Launch: task.LaunchType, Capacity: task.CapacityProvider,
		}
	}
	for _, c := range t.Containers {
		container := Container{
			Name: sdk.ToString(c.Name), RuntimeID: sdk.ToString(c.RuntimeId), Status: sdk.ToString(c.LastStatus),
			Health: string(c.HealthStatus), Image: sdk.ToString(c.Image), Reason: say.Brief(sdk.ToString(c.Reason)),
			Ports: boundPorts(c.NetworkBindings),
		}
		if c.ExitCode != nil {
			container.Reason = strings.TrimSpace(container.Reason + fmt.Sprintf(" exit code %d", *c.ExitCode))
		}
		for _, a := range c.ManagedAgents {
			if a.Name == types.ManagedAgentNameExecuteCommandAgent {
				container.Agent = Agent{Status: sdk.ToString(a.LastStatus), Reason: say.Brief(sdk.ToString(a.Reason)), StartedAt: sdk.ToTime(a.LastStartedAt)}
			}
		}
		task.Containers = append(task.Containers, container)
	}
	slices.SortFunc(task.Containers, func(a, b Container) int { return strings.Compare(a.Name, b.Name) })
	return task
}

// briefly is the beginning of a list of a stranger's texts, each of them made safe to show.
func briefly(words []string) []string {
	brief := make([]string, min(len(words), maxListed))
	for i := range brief {
		brief[i] = say.Brief(words[i])
	}
	return brief
}
