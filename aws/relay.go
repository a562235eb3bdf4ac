package aws

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"culvert/internal/say"
)

// RelayName is the name of the port mapping, in a task definition, that leads to a relay, which bonds sessions. culvert takes
// no other port for a relay.
const RelayName = "culvert-relay"

// Relay is the relay of a task, and the resources of the task that decide how many sessions are of use.
type Relay struct {
	Container string // the container that maps the port
	Port      uint16 // on the loopback address of the target's container
	CPU       int    // units of the task, 1024 to a vCPU; 0 when its definition does not say
	Memory    int    // MiB for the sessions and everything else in the target's container; 0 when the definition does not say
}

// What one session takes of a task at its full rate (docs/capacity.md), and what everything else takes: the proxy, the agent,
// the relay.
const (
	sessionCPU    = 128 // units
	sessionMemory = 26  // MiB
	besideMemory  = 172 // MiB
	// supposedCPU is how many units a task is supposed to have whose definition does not say. Tasks that share an instance need
	// not say.
	supposedCPU = 512
	// mostAfforded is the most sessions of any use: more have not been measured to be faster.
	mostAfforded = 16
)

// LeastRelayCPU (units) and LeastRelayMemory (MiB) are what a task should have for its relay to be of use.
const (
	LeastRelayCPU    = 1024
	LeastRelayMemory = 1024
)

// Affords is how many sessions the task can carry at full rate; it is at least one.
func (r Relay) Affords() int {
	most := min(mostAfforded, cmp.Or(r.CPU, supposedCPU)/sessionCPU)
	if r.Memory > 0 {
		most = min(most, (r.Memory-besideMemory)/sessionMemory)
	}
	return max(1, most)
}

// Small reports whether the task is known to be too small for its relay to be of use.
func (r Relay) Small() bool {
	return r.CPU > 0 && r.CPU < LeastRelayCPU || r.Memory > 0 && r.Memory < LeastRelayMemory
}

// relayMapping is what a task definition says about a relay.
type relayMapping struct {
	container string // that has the port mapping
	port      uint16
	problem   string // why the port cannot be used; empty when it can
}

// relayOf looks for the port mapping of a relay; zero when there is none.
func relayOf(d types.TaskDefinition) (found relayMapping) {
	for _, c := range d.ContainerDefinitions {
		for _, m := range c.PortMappings[:min(len(c.PortMappings), maxMappings)] {
			if sdk.ToString(m.Name) != RelayName {
				continue
			}
			name := say.Brief(sdk.ToString(c.Name))
			if found.container != "" {
				return relayMapping{container: found.container, problem: fmt.Sprintf("two port mappings have that name, of %s and of %s", found.container, name)}
			}
			found.container = name
			port, readable := portFrom(sdk.ToInt32(m.ContainerPort), sdk.ToString(m.ContainerPortRange), m.Protocol)
			switch {
			case !readable:
				found.problem = fmt.Sprintf("the mapping of %s has no port that there is", name)
			case port.Last != 0:
				found.problem = fmt.Sprintf("the mapping of %s is of a range, %s", name, port)
			case port.Protocol != "tcp":
				found.problem = fmt.Sprintf("the mapping of %s is of %s", name, port.Protocol)
			default:
				found.port = port.Container
			}
		}
	}
	if found.problem != "" {
		found.port = 0
	}
	return found
}

// Relay finds the relay that a session to a target can reach. It looks at the task definition alone, and sends nothing to the
// task. Unless asked is set, it does not read the definition of a task with a single container, unless that is known already:
// such a task is taken to have no relay. The error is a *NoRelayError when there is no relay, and a *DeniedError when the
// caller may not read the definition.
func (c *Client) Relay(ctx context.Context, at Target, asked bool) (Relay, error) {
	t, found := c.foundLast.find(at)
	if !found {
		tasks, err := c.describeTasks(ctx, at.Cluster, []string{at.Task})
		if err != nil {
			return Relay{}, err
		}
		if len(tasks) == 0 {
			return Relay{}, &TaskGoneError{Target: at}
		}
		t = tasks[0]
	}
	_, known := c.definitions.find(t.TaskDefinition)
	if !asked && !known && len(t.Containers) < 2 {
		return Relay{}, &NoRelayError{Target: at, Why: RelayUnsought}
	}
	d, err := c.definition(ctx, t.TaskDefinition)
	if err != nil {
		return Relay{}, err
	}
	return d.relay(d.in(t), at)
}

// relay is the relay that a session to the container of at can reach.
func (d Definition) relay(t Task, at Target) (Relay, error) {
	none := func(why RelayWhy, detail string) (Relay, error) {
		return Relay{}, &NoRelayError{Target: at, Why: why, Detail: detail, Container: d.relayed.container}
	}
	switch {
	case d.relayed.container == "":
		return none(RelayUnmapped, "")
	case d.relayed.problem != "":
		return none(RelayMisnamed, d.relayed.problem)
	case !t.SharesNetwork() && d.relayed.container != at.Container:
		return none(RelayApart, orWord(t.NetworkMode, networkBridge))
	}
	if i := slices.IndexFunc(t.Containers, func(k Container) bool { return k.Name == d.relayed.container }); i >= 0 && t.Containers[i].over() {
		return none(RelayOver, t.Containers[i].Reason)
	}
	return Relay{Container: d.relayed.container, Port: d.relayed.port, CPU: max(0, d.CPU), Memory: max(0, cmp.Or(d.Container(at.Container).Memory, d.Memory))}, nil
}

// RelayWhy is why a task has no relay that can be used.
type RelayWhy int

// The reasons.
const (
	RelayUnmapped RelayWhy = iota // no port mapping is called RelayName
	RelayMisnamed                 // there is one, but it does not lead to a relay
	RelayApart                    // the relay is on the loopback address of another container
	RelayOver                     // its container has stopped
	RelayUnsought                 // not known: a task of one container is taken to have none, without reading its definition
)

// NoRelayError means that sessions to a target reach no relay.
type NoRelayError struct {
	Target    Target
	Why       RelayWhy
	Container string // the container that has the port mapping
	Detail    string
}

func (e *NoRelayError) Error() string {
	if e.Why == RelayUnsought {
		return "no relay is looked for in " + orWord(e.Target.String(), "the task") + ", which has one container alone"
	}
	text := "no relay in " + orWord(e.Target.String(), "the task") + ": "
	switch e.Why {
	case RelayUnmapped:
		return text + "no port mapping of its task definition is named " + RelayName
	case RelayMisnamed:
		return text + "the port mapping named " + RelayName + " is of no use: " + e.Detail
	case RelayApart:
		return text + fmt.Sprintf("each container has a network of its own in network mode %s, and the relay's is %s", e.Detail, e.Container)
	case RelayOver:
		if text += "its container " + e.Container + " has stopped"; e.Detail != "" {
			text += " (" + e.Detail + ")"
		}
	case RelayUnsought:
	}
	return text
}

// Remedy says how to get a relay.
func (e *NoRelayError) Remedy() string {
	switch e.Why {
	case RelayUnmapped:
		return "set relay_image of the Terraform module (RelayImage of the CloudFormation template) and deploy it anew, or leave --relay require out: culvert works without"
	case RelayMisnamed:
		return fmt.Sprintf("let one port mapping of the task definition be named %s, with a containerPort and protocol tcp", RelayName)
	case RelayApart:
		return "use network mode awsvpc, name the container " + e.Container + " with --container, or leave --relay require out"
	case RelayUnsought:
		return "--relay require looks for one there too"
	case RelayOver:
	}
	return "its log says why; the next task of the service starts it anew"
}

// foundTasks are the tasks that were last found by a lookup, by id.
type foundTasks struct {
	mu    sync.Mutex
	known map[string]foundTask
}

type foundTask struct {
	at   time.Time
	task Task
}

const (
	// maxFound is how many tasks are remembered before all are forgotten.
	maxFound = 64
	// foundFor is for how long a task is good that was found: tasks change.
	foundFor = time.Minute
)

func (l *foundTasks) keep(t Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= maxFound {
		l.known = map[string]foundTask{}
	}
	l.known[t.ID] = foundTask{time.Now(), t}
}

// find takes a task out, as it is good for one use only.
func (l *foundTasks) find(at Target) (Task, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, found := l.known[at.Task]
	delete(l.known, at.Task)
	return t.task, found && t.task.Cluster == at.Cluster && time.Since(t.at) <= foundFor
}
