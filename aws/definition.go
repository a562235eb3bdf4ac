package aws

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const describeDefinitionAction = "ecs:DescribeTaskDefinition"

// Definition is what a task definition says about whether a session is possible.
type Definition struct {
	ARN        string
	TaskRole   string // ARN; empty when it names none
	SharedPID  bool   // all containers share one process namespace (pidMode task)
	Network    string // mode: awsvpc, host, bridge, default or none
	CPU        int    // units that all its containers have together, 1024 to a vCPU; 0 when none are set
	Memory     int    // MiB that all its containers may use together; 0 when none are set
	Containers []ContainerDefinition
	relayed    relayMapping // the port of a relay container, see relayOf
}

// ContainerDefinition is a container of a task definition.
type ContainerDefinition struct {
	Name         string
	Ports        []Port
	Essential    bool
	ReadonlyRoot bool        // readonlyRootFilesystem
	Init         bool        // linuxParameters.initProcessEnabled
	Keys         bool        // AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY in its environment
	Memory       int         // MiB beyond which the container is killed; 0 when none are set
	Mentions     []Mention   // hosts that its environment names
	Unread       []SecretRef // variables that would name hosts, but whose values are secrets
}

// SecretRef is a variable whose value is in a secret.
type SecretRef struct{ Variable, Secret string }

// Container finds a container by name; the zero value when there is none.
func (d Definition) Container(name string) ContainerDefinition {
	for _, c := range d.Containers {
		if c.Name == name {
			return c
		}
	}
	return ContainerDefinition{}
}

// in is a copy of a task with what its definition says about how it can be reached.
func (d Definition) in(t Task) Task {
	t.NetworkMode = orWord(t.NetworkMode, d.Network)
	t.Containers = slices.Clone(t.Containers)
	for i := range t.Containers {
		c := &t.Containers[i]
		if of := d.Container(c.Name); of.Name != "" {
			c.Ports, c.Essential = of.Ports, of.Essential
		}
		if c.Agent.Status == "STOPPED" {
			c.Suspect = d.suspect(t, c.Name)
		}
	}
	return t
}

// maxDefinitions is how many task definitions are remembered before all are forgotten; ECS takes 64 kB for one.
const maxDefinitions = 1_000

// definitions are task definitions by ARN, which stay as they are: a revision never changes.
type definitions struct {
	mu    sync.Mutex
	known map[string]Definition
}

func (d *definitions) find(arn string) (Definition, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, ok := d.known[arn]
	return found, ok
}

func (d *definitions) keep(found Definition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil || len(d.known) >= maxDefinitions {
		d.known = map[string]Definition{}
	}
	d.known[found.ARN] = found
}

// askDefinition asks ECS about a task definition: by ARN, or by the name of a family, whose newest revision it is at this moment.
func (c *Client) askDefinition(ctx context.Context, name string) (*ecs.DescribeTaskDefinitionOutput, error) {
	out, err := call(ctx, c, about{Resource: name}, func(ctx context.Context) (*ecs.DescribeTaskDefinitionOutput, error) {
		return c.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &name})
	})
	if err == nil && out.TaskDefinition == nil {
		err = &AnswerError{Operation: describeDefinitionAction, Problem: "no task definition"}
	}
	return out, err
}

// definition is the task definition with an ARN, from memory when it was read before.
func (c *Client) definition(ctx context.Context, arn string) (Definition, error) {
	if known, ok := c.definitions.find(arn); ok {
		return known, nil
	}
	out, err := c.askDefinition(ctx, arn)
	if err != nil {
		return Definition{}, err
	}
	found := definitionFrom(*out.TaskDefinition)
	found.ARN = arn
	c.definitions.keep(found)
	return found, nil
}

// Room is what a container may use, as its task definition says; zero where that sets nothing.
type Room struct {
	Memory int // MiB
	CPU    int // 1024ths of a processor, which all containers of the task share
}

// Room is what a target's container may use.
func (c *Client) Room(ctx context.Context, t Target) (Room, error) {
	tasks, err := c.describeTasks(ctx, t.Cluster, []string{t.Task})
	if err != nil {
		return Room{}, err
	}
	if len(tasks) == 0 {
		return Room{}, &TaskGoneError{Target: t}
	}
	found, err := c.definition(ctx, tasks[0].TaskDefinition)
	if err != nil {
		return Room{}, err
	}
	return Room{Memory: cmp.Or(found.Container(t.Container).Memory, found.Memory), CPU: found.CPU}, nil
}

func definitionFrom(d types.TaskDefinition) Definition {
	found := Definition{
		TaskRole: sdk.ToString(d.TaskRoleArn), SharedPID: d.PidMode == types.PidModeTask,
		Network: orWord(string(d.NetworkMode), networkBridge), // the default of Linux; that of Windows is like it
	}
	found.CPU, _ = strconv.Atoi(sdk.ToString(d.Cpu))
	found.Memory, _ = strconv.Atoi(sdk.ToString(d.Memory)) // ECS answers in MiB, whatever unit was registered
	found.relayed = relayOf(d)
	for _, c := range d.ContainerDefinitions {
		container := ContainerDefinition{
			Name:         sdk.ToString(c.Name),
			Essential:    c.Essential == nil || *c.Essential,
			Memory:       int(sdk.ToInt32(c.Memory)),
			ReadonlyRoot: sdk.ToBool(c.ReadonlyRootFilesystem),
			Init:         c.LinuxParameters != nil && sdk.ToBool(c.LinuxParameters.InitProcessEnabled),
			Keys: slices.ContainsFunc(c.Environment, func(v types.KeyValuePair) bool {
				return sdk.ToString(v.Name) == "AWS_ACCESS_KEY_ID" || sdk.ToString(v.Name) == "AWS_SECRET_ACCESS_KEY"
			}) || slices.ContainsFunc(c.Secrets, func(v types.Secret) bool {
				return sdk.ToString(v.Name) == "AWS_ACCESS_KEY_ID" || sdk.ToString(v.Name) == "AWS_SECRET_ACCESS_KEY"
			}),
		}
		container.Ports = portsFrom(c.PortMappings)
		container.Mentions, container.Unread = mentionsOf(c)
		found.Containers = append(found.Containers, container)
	}
	return found
}
