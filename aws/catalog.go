package aws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"culvert/internal/near"
)

// Catalog is what an account and region hold at one moment. It is immutable: it is replaced, never changed.
type Catalog struct {
	Clusters []Cluster
	Taken    time.Time
	Gaps     []error // errors of what could not be listed, each with its remedy; the rest of the catalog is valid
	Shell    Shell   // writes the commands about this account
}

// Cluster is an ECS cluster with what runs in it.
type Cluster struct {
	Name, ARN, Status string
	Counts            Counts // zero while Status is empty
	Services          []Service
	Tasks             []Task // every running task, those of services included
}

// Counts are ECS's own counts of a cluster, which are known even when the cluster was not looked into.
type Counts struct{ Services, Running, Pending int }

// Service is an ECS service.
type Service struct {
	Name, ARN, Cluster, Status string
	Desired, Running, Pending  int
	ExecEnabled                bool // for tasks that are started from now on: a task keeps what held when it was started
	LaunchType                 string
	Controller                 string // of its deployments: ECS, CODE_DEPLOY, EXTERNAL
	Scheduling                 string // REPLICA, DAEMON
	TaskDefinition             string // ARN
	Deploying                  bool   // there is more than one deployment or task set
	Deployment                 string // id of the PRIMARY deployment, as in Task.Deployment
	Deployments                []Deployment
	Network                    Interfaces // in which its tasks are started
	Events                     []Event    // what ECS last said about it, newest first, at most ten
}

// Deployment is a deployment, or a task set, of a service.
type Deployment struct {
	Status                            string // PRIMARY, ACTIVE, INACTIVE
	TaskDefinition                    string // ARN
	Desired, Running, Pending, Failed int
	Rollout, Reason                   string // IN_PROGRESS, COMPLETED or FAILED, and ECS's reason; empty when ECS does not control the deployment
	CreatedAt                         time.Time
}

// Interfaces is where the tasks of a service have their network interfaces; empty when they use the host's (every network mode
// but awsvpc).
type Interfaces struct {
	Subnets, Groups []string // ids
	PublicAddress   bool     // assignPublicIp
}

// Event is something that ECS said about a service.
type Event struct {
	At   time.Time
	Text string
}

// State says in a word how a service is, the same for every face; empty when it is not known.
func (s *Service) State() string {
	switch {
	case s.Deploying:
		return "deploying"
	case s.Status != "ACTIVE":
		return strings.ToLower(s.Status)
	case s.Pending > 0:
		return fmt.Sprintf("%d pending", s.Pending)
	}
	return "steady"
}

// Task is an ECS task.
type Task struct {
	ID, ARN, Cluster          string
	Service                   string // empty when no service started the task
	Family                    string // of its task definition
	Status, DesiredStatus     string // RUNNING, PENDING, … as ECS writes them
	Health                    string // HEALTHY, UNHEALTHY, UNKNOWN
	Connectivity              string // CONNECTED, DISCONNECTED or empty
	LaunchType                string // FARGATE, EC2, EXTERNAL, MANAGED_INSTANCES
	CapacityProvider          string // FARGATE_SPOT, …
	PlatformVersion, Platform string
	TaskDefinition            string // ARN
	Instance                  string // ARN of the container instance that it runs on; empty on Fargate
	RoleOverride              string // ARN of the task role in place of the task definition's; empty when there is none
	Subnet, Address           string // of its network interface, when ECS tells
	NetworkMode               string // awsvpc, host, bridge, default or none; empty when only the task definition has it, and that was not read yet
	ExecEnabled               bool
	StartedAt, StoppedAt      time.Time
	StoppedReason             string
	Deployment                string // id of the deployment that started it; empty when no service did
	Containers                []Container
	Origin                    Origin // what starts tasks like this one
}

// Container is one container of a task.
type Container struct {
	Name, RuntimeID, Status, Health string
	Image                           string
	Reason                          string // why it stopped or does not start, with its exit code
	Agent                           Agent
	Suspect                         Suspect // why the task definition may be what keeps the agent from running, when that is known
	Ports                           []Port  // from the task definition, or those that ECS has bound to the host
	Essential                       bool    // the task stops when this container does; false as well when the task definition is not known
}

// Agent is the ExecuteCommandAgent of a container, which carries the sessions.
type Agent struct {
	Status    string // PENDING, RUNNING, STOPPED; empty when it was never injected
	Reason    string
	StartedAt time.Time
}

// Find returns what a name stands for: cluster/service[/task[/container]] (the task may be empty), cluster/task[/container] for
// a task that no service started, cluster//family[/container] for the tasks of a family that no service started, an ARN, or the
// name of a service or task alone when there is only one of that name. A task may be named by the beginning of its id. The
// container of a task may be left out when the task has only one. Find fails with a *NotFoundError or an *AmbiguousError, which
// list candidates.
func (c *Catalog) Find(name string) (Target, error) {
	t, err := c.resolve(name)
	if missing, ok := errors.AsType[*NotFoundError](err); ok {
		missing.Shell = c.Shell
	}
	return t, err
}

func (c *Catalog) resolve(name string) (Target, error) {
	if isARN(name) {
		t, err := ParseTarget(name)
		if err != nil {
			return Target{}, err
		}
		if err := c.holds(t); err != nil {
			return Target{}, err
		}
		name = t.String()
	}
	parts := strings.Split(strings.Trim(name, "/"), "/")
	if len(parts) == 1 {
		return c.findAlone(parts[0])
	}
	i := slices.IndexFunc(c.Clusters, func(k Cluster) bool { return k.Name == parts[0] })
	if i < 0 {
		return Target{}, &NotFoundError{Kind: "cluster", Name: parts[0], Near: near.Names(parts[0], c.clusterNames(), maxNear)}
	}
	return c.Clusters[i].find(parts[1:])
}

// holds checks that a target which was written as an ARN is in the account and region of the catalog, as told by the ARNs of
// its clusters.
func (c *Catalog) holds(t Target) error {
	for _, k := range c.Clusters {
		ref, err := parseARN(k.ARN)
		if err == nil && ref.Home.differs(t.Home) {
			return &ElsewhereError{
				ARN: t.Home.ARN, Partition: t.Home.Partition, Account: t.Home.Account, Region: t.Home.Region,
				HerePartition: ref.Home.Partition, HereAccount: ref.Home.Account, HereRegion: ref.Home.Region,
			}
		}
	}
	return nil
}

// findAlone looks for a service of that name in every cluster, then for a task.
func (c *Catalog) findAlone(name string) (Target, error) {
	var services, tasks []Target
	var names []string
	for _, cluster := range c.Clusters {
		for _, s := range cluster.Services {
			names = append(names, cluster.Name+"/"+s.Name)
			if s.Name == name {
				services = append(services, Target{Cluster: cluster.Name, Service: s.Name})
			}
		}
		for _, t := range cluster.Tasks {
			if isTaskName(name, t.ID) {
				tasks = append(tasks, t.target())
			}
		}
	}
	for _, found := range [][]Target{services, tasks} {
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return Target{}, &AmbiguousError{Kind: "target", Name: name, Candidates: targetNames(found)}
		}
	}
	return Target{}, &NotFoundError{Kind: "target", Name: name, Near: near.Names(name, names, maxNear)}
}

func (k *Cluster) find(parts []string) (Target, error) {
	in := "cluster " + k.Name
	if len(parts) > 3 {
		return Target{}, &TargetFormError{Form: k.Name + "/" + strings.Join(parts, "/"), Problem: fmt.Sprintf("%d parts", len(parts)+1)}
	}
	if parts[0] == "" && len(parts) > 1 {
		return k.findFamily(parts[1], strings.Join(parts[2:], ""))
	}
	var names []string
	for _, s := range k.Services {
		if s.Name == parts[0] {
			if len(parts) == 1 {
				return Target{Cluster: k.Name, Service: s.Name}, nil
			}
			if len(parts) == 3 && parts[1] == "" {
				return k.findContainer(s.Name, parts[2])
			}
			return k.findTask(s.Name, parts[1:], "service "+k.Name+"/"+s.Name)
		}
		names = append(names, s.Name)
	}
	t, err := k.findTask("", parts, in)
	if _, missing := err.(*NotFoundError); missing && len(parts) < 3 && !k.hasTask(parts[0]) { //nolint:errorlint // made one line above, not wrapped
		return Target{}, &NotFoundError{Kind: "service", Name: parts[0], In: in, Near: near.Names(parts[0], names, maxNear)}
	}
	return t, err
}

func (k *Cluster) hasTask(name string) bool {
	return slices.ContainsFunc(k.Tasks, func(t Task) bool { return isTaskName(name, t.ID) })
}

// findTask resolves task[/container] among the tasks of a service or, when service is empty, among all tasks of the cluster.
func (k *Cluster) findTask(service string, parts []string, in string) (Target, error) {
	var found []Task
	var ids []string
	for _, t := range k.Tasks {
		if service != "" && t.Service != service {
			continue
		}
		ids = append(ids, t.ID)
		if isTaskName(parts[0], t.ID) {
			found = append(found, t)
		}
	}
	switch {
	case len(found) == 0:
		return Target{}, &NotFoundError{Kind: "task", Name: parts[0], In: in, Near: near.Names(parts[0], ids, maxNear)}
	case len(found) > 1:
		ids = ids[:0]
		for _, t := range found {
			ids = append(ids, t.ID)
		}
		return Target{}, &AmbiguousError{Kind: "task", Name: parts[0], In: in, Candidates: ids}
	case len(parts) == 1:
		return found[0].target(), nil
	}
	t := found[0].target()
	for _, c := range found[0].Containers {
		if c.Name == parts[1] {
			t.Container, t.RuntimeID = c.Name, c.RuntimeID
			return t, nil
		}
	}
	return Target{}, found[0].noContainer(parts[1])
}

// findFamily resolves a family that has tasks which no service started, and a container of such tasks.
func (k *Cluster) findFamily(family, container string) (Target, error) {
	var known, containers []string
	found := false
	for _, t := range k.Tasks {
		if t.Service != "" {
			continue
		}
		known = append(known, t.Family)
		if t.IsOf(family) {
			found = true
			containers = append(containers, t.containerNames()...)
		}
	}
	slices.Sort(known)
	slices.Sort(containers)
	switch {
	case !found:
		return Target{}, &NotFoundError{Kind: "family", Name: family, In: "cluster " + k.Name, Near: near.Names(family, slices.Compact(known), maxNear)}
	case container != "" && !slices.Contains(containers, container):
		return Target{}, &NotFoundError{Kind: "container", Name: container, In: "family " + k.Name + "//" + family, Near: near.Names(container, slices.Compact(containers), maxNear)}
	}
	return Target{Cluster: k.Name, Family: family, Container: container}, nil
}

// findContainer resolves a container that any task of a service has.
func (k *Cluster) findContainer(service, container string) (Target, error) {
	var names []string
	for _, t := range k.Tasks {
		if t.Service == service {
			names = append(names, t.containerNames()...)
		}
	}
	if !slices.Contains(names, container) {
		slices.Sort(names)
		return Target{}, &NotFoundError{
			Kind: "container", Name: container, In: "service " + k.Name + "/" + service, Near: near.Names(container, slices.Compact(names), maxNear),
		}
	}
	return Target{Cluster: k.Name, Service: service, Container: container}, nil
}

// target names the task, and its container when it has only one.
func (t Task) target() Target {
	to := Target{Cluster: t.Cluster, Service: t.Service, Task: t.ID}
	if len(t.Containers) == 1 {
		to.Container, to.RuntimeID = t.Containers[0].Name, t.Containers[0].RuntimeID
	}
	return to
}

func (t Task) noContainer(name string) *NotFoundError {
	return &NotFoundError{Kind: "container", Name: name, In: "task " + t.ID, Near: near.Names(name, t.containerNames(), maxNear)}
}

func (t Task) containerNames() []string {
	names := make([]string, len(t.Containers))
	for i, c := range t.Containers {
		names[i] = c.Name
	}
	return names
}

func (c *Catalog) clusterNames() []string {
	names := make([]string, len(c.Clusters))
	for i, k := range c.Clusters {
		names[i] = k.Name
	}
	return names
}

// minTaskName is how many characters of a task's id are enough to name the task.
const minTaskName = 4

// isTaskName reports whether name is a task's id or the beginning of it.
func isTaskName(name, id string) bool {
	return name == id || (len(name) >= minTaskName && strings.HasPrefix(id, name))
}

func targetNames(targets []Target) []string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.String()
	}
	return names
}
