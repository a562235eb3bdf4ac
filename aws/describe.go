package aws

import (
	"context"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"culvert/internal/say"
)

// Details is what ECS tells about one service or task that somebody looks at. What could not be asked is zero.
type Details struct {
	Service    Service // also of a task that a service started
	Task       Task
	Definition DefinitionDetails
	Gaps       []error // a *GapError for each part that could not be asked
}

// DefinitionDetails is a task definition for people to read. It has no values of environment variables and no secrets, see
// maskDefinition.
type DefinitionDetails struct {
	ARN, NetworkMode, CPU, Memory string
	TaskRole, ExecutionRole       string // ARNs
	Containers                    []ContainerDetails
	JSON                          string // as ECS answered, indented, with its secrets masked; empty when it is too large to be shown
}

// ContainerDetails is a container of a task definition.
type ContainerDetails struct {
	Name, Image          string
	Essential            bool
	Ports                []Port
	Environment, Secrets []string // names of variables
}

// Describe asks about a service, or about a task and its service; with neither there is nothing to ask. It asks again each
// time, except for a task definition, which never changes and comes from memory when it was looked at before.
func (c *Client) Describe(ctx context.Context, at Target) Details {
	var d Details
	var mu sync.Mutex
	gap := func(what string, err error) {
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			d.Gaps = append(d.Gaps, &GapError{What: what, Clusters: []string{at.Cluster}, Err: err})
		}
	}
	var service sync.WaitGroup
	if at.Service != "" {
		service.Go(func() {
			found, err := c.describeServices(ctx, at.Cluster, []string{at.Service})
			gap("details of services", err)
			if len(found) > 0 {
				d.Service = found[0]
			}
		})
	}
	if at.Task != "" {
		found, err := c.describeTasks(ctx, at.Cluster, []string{at.Task})
		gap("details of tasks", err)
		if len(found) > 0 {
			d.Task = found[0]
		}
	}
	service.Wait()
	arn := d.Task.TaskDefinition
	if at.Task == "" {
		arn = d.Service.TaskDefinition
	}
	if arn != "" {
		var err error
		d.Definition, err = c.describeDefinition(ctx, arn)
		gap("task definitions", err)
	}
	return d
}

// describedDefinitions are task definitions that were looked at lately, by ARN.
type describedDefinitions struct {
	mu    sync.Mutex
	known map[string]DefinitionDetails
}

// maxDescribed is how many task definitions are remembered before all are forgotten; each may have some 100 kB.
const maxDescribed = 16

func (c *Client) describeDefinition(ctx context.Context, arn string) (DefinitionDetails, error) {
	c.described.mu.Lock()
	found, ok := c.described.known[arn]
	c.described.mu.Unlock()
	if ok {
		return found, nil
	}
	out, err := c.askDefinition(ctx, arn)
	if err != nil {
		return DefinitionDetails{}, err
	}
	found = detailsFrom(*out.TaskDefinition)
	found.ARN = arn
	if found.JSON, err = maskDefinition(answerText(out.ResultMetadata)); err != nil {
		return DefinitionDetails{}, &AnswerError{Operation: describeDefinitionAction, Problem: err.Error()}
	}
	c.described.mu.Lock()
	defer c.described.mu.Unlock()
	if c.described.known == nil || len(c.described.known) >= maxDescribed {
		c.described.known = map[string]DefinitionDetails{}
	}
	c.described.known[arn] = found
	return found, nil
}

// answerText is the body of an answer as it came, which bounds has read into memory.
func answerText(of middleware.Metadata) []byte {
	if answer, ok := awsmiddleware.GetRawResponse(of).(*smithyhttp.Response); ok {
		if body, ok := answer.Body.(*wholeBody); ok {
			return body.text
		}
	}
	return nil
}

func detailsFrom(d types.TaskDefinition) DefinitionDetails {
	found := DefinitionDetails{
		NetworkMode: string(d.NetworkMode), CPU: say.Brief(sdk.ToString(d.Cpu)), Memory: say.Brief(sdk.ToString(d.Memory)),
		TaskRole: say.Brief(sdk.ToString(d.TaskRoleArn)), ExecutionRole: say.Brief(sdk.ToString(d.ExecutionRoleArn)),
	}
	for _, c := range d.ContainerDefinitions[:min(len(d.ContainerDefinitions), maxListed)] {
		container := ContainerDetails{Name: sdk.ToString(c.Name), Image: say.Brief(sdk.ToString(c.Image)), Essential: c.Essential == nil || *c.Essential}
		container.Ports = portsFrom(c.PortMappings)
		for _, v := range c.Environment[:min(len(c.Environment), maxListed)] {
			container.Environment = append(container.Environment, say.Brief(sdk.ToString(v.Name)))
		}
		for _, v := range c.Secrets[:min(len(c.Secrets), maxListed)] {
			container.Secrets = append(container.Secrets, say.Brief(sdk.ToString(v.Name)))
		}
		found.Containers = append(found.Containers, container)
	}
	return found
}
