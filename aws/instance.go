package aws

import (
	"context"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"culvert/internal/say"
)

// Instance is the container instance that a task runs on. A task on Fargate has none.
type Instance struct {
	ARN          string
	AgentVersion string // of the ECS agent, which injects the exec agents; empty when ECS does not tell
	External     bool   // it is outside AWS (ECS Anywhere)
}

// Old reports whether the instance's ECS agent is known to be older than ECS Exec, which came with 1.50.2.
func (i Instance) Old() bool {
	oldest := [3]int{1, 50, 2}
	parts := strings.SplitN(i.AgentVersion, ".", len(oldest))
	if len(parts) != len(oldest) {
		return false
	}
	for at, want := range oldest {
		n, err := strconv.Atoi(parts[at])
		if err != nil || n > want {
			return false
		}
		if n < want {
			return true
		}
	}
	return false
}

// Remedy says how the instance's ECS agent is updated.
func (i Instance) Remedy(shell Shell, cluster string) string {
	if i.External {
		return "update the ECS agent on the external instance itself (its package amazon-ecs-init): ECS does not update it there"
	}
	return "run: " + shell.AWS("ecs", "update-container-agent", "--cluster", cluster, "--container-instance", lastPart(i.ARN))
}

// instance describes the container instance of a task.
func (c *Client) instance(ctx context.Context, t Task) (Instance, error) {
	cluster, arn := t.Cluster, t.Instance
	out, err := call(ctx, c, about{Cluster: cluster, Resource: arn}, func(ctx context.Context) (*ecs.DescribeContainerInstancesOutput, error) {
		return c.ecs.DescribeContainerInstances(ctx, &ecs.DescribeContainerInstancesInput{Cluster: &cluster, ContainerInstances: []string{arn}})
	})
	if err != nil {
		return Instance{}, err
	}
	found := Instance{ARN: arn, External: t.LaunchType == "EXTERNAL"}
	if len(out.ContainerInstances) > 0 && out.ContainerInstances[0].VersionInfo != nil {
		found.AgentVersion = strings.TrimPrefix(say.Brief(sdk.ToString(out.ContainerInstances[0].VersionInfo.AgentVersion)), "v")
	}
	return found, nil
}
