package aws

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Order is what to run only as long as it is needed: a task of its own, or a service that is scaled up from zero.
type Order struct {
	Cluster    string
	Definition string        // family, family:revision, or ARN; empty when Service is to be scaled up
	Service    string        // whose network and capacity the task gets; empty when Network says where it runs
	Network    Interfaces    // replaces those parts of the service's network that it sets
	TTL        time.Duration // how long the task may run before it ends by itself
	// Unwatched allows the task even if none of its containers can be given that limit. Then only culvert ends it.
	Unwatched bool
	Share     bool // the task may be shared with other runs of the same user or role, and one of theirs will do
}

// The limits of Order.TTL, and its default.
const (
	LeastTTL = time.Minute
	UsualTTL = 2 * time.Hour
	MostTTL  = 12 * time.Hour
)

// CheckTTL refuses a time that no task can be given.
func CheckTTL(ttl time.Duration) error {
	if ttl < LeastTTL || ttl > MostTTL || ttl%time.Second != 0 {
		return fmt.Errorf("%s: a task ends by itself after 1m to 12h", ttl)
	}
	return nil
}

// TTLVariable is the environment variable that tells a container after how many seconds it has to end. A task definition that
// sets the variable declares that its container obeys it. A container that a shell starts is made to obey by its command, see
// watchdog.
const TTLVariable = "CULVERT_TTL"

// watchdogScript runs a container's own command with a time limit. It passes on the signal with which ECS stops a container,
// and when the time is over it ends the command by SIGTERM, then by SIGKILL. $0 is the shell, the arguments are those of its
// -c. The command has to be a child: as the first process of the container it would ignore signals that it does not handle.
const watchdogScript = `"$0" -c "$@" & p=$!; trap 'kill -TERM $p' TERM INT; ` +
	`(sleep "$` + TTLVariable + `"; kill -TERM $p; sleep 30; kill -KILL $p) & ` +
	`while kill -0 $p 2>/dev/null; do wait $p; s=$?; done; exit $s`

// watchdog is the override of a container that ends after ttl, and so ends the task, as the end of any essential container
// does; nil when no container of the definition can be made to.
func watchdog(d *types.TaskDefinition, ttl time.Duration) *types.ContainerOverride {
	seconds := strconv.Itoa(int(ttl / time.Second))
	limit := []types.KeyValuePair{{Name: sdk.String(TTLVariable), Value: &seconds}}
	for _, c := range d.ContainerDefinitions {
		obeys := slices.ContainsFunc(c.Environment, func(v types.KeyValuePair) bool { return sdk.ToString(v.Name) == TTLVariable })
		if obeys && isEssential(c) {
			return &types.ContainerOverride{Name: c.Name, Environment: limit}
		}
	}
	for _, c := range d.ContainerDefinitions {
		if command := watched(c); command != nil && isEssential(c) {
			return &types.ContainerOverride{Name: c.Name, Environment: limit, Command: command}
		}
	}
	return nil
}

func isEssential(c types.ContainerDefinition) bool { return c.Essential == nil || *c.Essential }

// watched is the command of a container under the watchdog; nil unless its definition has a shell as its entry point or its
// command. RunTask cannot override an entry point, and that of the image is not known.
func watched(c types.ContainerDefinition) []string {
	isShell := func(words []string) bool {
		return len(words) >= 2 && words[1] == "-c" && slices.Contains([]string{"sh", "bash", "ash", "dash"}, path.Base(words[0]))
	}
	switch {
	case len(c.EntryPoint) == 2 && isShell(c.EntryPoint) && len(c.Command) > 0:
		return append([]string{watchdogScript, c.EntryPoint[0]}, c.Command...)
	case len(c.EntryPoint) == 0 && isShell(c.Command) && len(c.Command) > 2:
		return append([]string{c.Command[0], "-c", watchdogScript, c.Command[0]}, c.Command[2:]...)
	}
	return nil
}

// placement is where a task runs, as RunTask takes it.
type placement struct {
	network   *types.NetworkConfiguration
	launch    types.LaunchType
	providers []types.CapacityProviderStrategyItem
	platform  *string
}

// placementOf is the placement of the tasks of the order's service, changed by what the order itself sets.
func (c *Client) placementOf(ctx context.Context, o Order, d *types.TaskDefinition) (placement, error) {
	var p placement
	if o.Service != "" {
		s, err := c.serviceOf(ctx, o.Cluster, o.Service)
		if err != nil {
			return p, err
		}
		p = placement{network: s.NetworkConfiguration, launch: s.LaunchType, providers: s.CapacityProviderStrategy, platform: s.PlatformVersion}
		if len(s.TaskSets) > 0 && p.network == nil { // the task set of a service that ECS does not deploy
			set := s.TaskSets[0]
			p = placement{network: set.NetworkConfiguration, launch: set.LaunchType, providers: set.CapacityProviderStrategy, platform: set.PlatformVersion}
		}
	}
	if d.NetworkMode != types.NetworkModeAwsvpc {
		p.network = nil
	} else if err := o.into(&p); err != nil {
		return p, err
	}
	if len(p.providers) > 0 {
		p.launch = ""
	} else if p.launch == "" && slices.Contains(d.RequiresCompatibilities, types.CompatibilityFargate) {
		p.launch = types.LaunchTypeFargate
	}
	return p, nil
}

// into replaces the service's network by those parts that the order sets.
func (o Order) into(p *placement) error {
	vpc := types.AwsVpcConfiguration{}
	if p.network != nil && p.network.AwsvpcConfiguration != nil {
		vpc = *p.network.AwsvpcConfiguration
	}
	if len(o.Network.Subnets) > 0 {
		vpc.Subnets = o.Network.Subnets
	}
	if len(o.Network.Groups) > 0 {
		vpc.SecurityGroups = o.Network.Groups
	}
	if o.Network.PublicAddress {
		vpc.AssignPublicIp = types.AssignPublicIpEnabled
	}
	if len(vpc.Subnets) == 0 {
		return &NoNetworkError{Definition: o.Definition, Service: o.Service}
	}
	p.network = &types.NetworkConfiguration{AwsvpcConfiguration: &vpc}
	return nil
}

// serviceOf is a service as ECS describes it.
func (c *Client) serviceOf(ctx context.Context, cluster, service string) (types.Service, error) {
	out, err := call(ctx, c, about{Cluster: cluster, Service: service}, func(ctx context.Context) (*ecs.DescribeServicesOutput, error) {
		return c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{service}, Include: []types.ServiceField{types.ServiceFieldTags}})
	})
	if err != nil {
		return types.Service{}, c.orNearest(ctx, Query{Cluster: cluster, Service: service}, err)
	}
	if len(out.Services) == 0 || sdk.ToString(out.Services[0].Status) == "INACTIVE" {
		return types.Service{}, c.orNearest(ctx, Query{Cluster: cluster, Service: service}, &NotFoundError{
			Kind: "service", Name: service, In: "cluster " + cluster, Region: c.region, Shell: c.shell,
		})
	}
	return out.Services[0], nil
}

// definitionOf is the task definition of an order as ECS describes it; of a family it is the newest revision.
func (c *Client) definitionOf(ctx context.Context, name string) (*types.TaskDefinition, error) {
	out, err := c.askDefinition(ctx, name)
	if err != nil {
		return nil, c.orNoDefinition(name, err)
	}
	if sdk.ToString(out.TaskDefinition.TaskDefinitionArn) == "" {
		return nil, &AnswerError{Operation: describeDefinitionAction, Problem: "no task definition"}
	}
	return out.TaskDefinition, nil
}

// checkHome refuses a task definition whose ARN is of another account or region, as AWS would look for its name in this one.
func (o Order) checkHome(ctx context.Context, c *Client) error {
	if !isARN(o.Definition) {
		return nil
	}
	ref, err := parseARN(o.Definition)
	if err != nil {
		return err
	}
	if ref.Kind != taskDefinition {
		return &TargetFormError{Form: o.Definition, Problem: fmt.Sprintf("the ARN of a %s, where a %s is to be named", ref.Kind, taskDefinition)}
	}
	return c.CheckHome(ctx, ref.Home)
}
