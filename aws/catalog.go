package aws

import "time"

// Catalog is what an account and region hold at one moment. It is immutable: replaced, never edited.
type Catalog struct {
	Clusters []Cluster
	Taken    time.Time
	Gaps     []error // what could not be looked at, each with its remedy; the rest of the catalog stands
}

// Cluster is an ECS cluster with what runs in it.
type Cluster struct {
	Name, ARN, Status string
	Services          []Service
	Tasks             []Task // every running task, those of services included
}

// Service is an ECS service.
type Service struct {
	Name, ARN, Cluster, Status string
	Desired, Running, Pending  int
	ExecEnabled                bool // of the service; a task started before it was switched on still has it off
	LaunchType                 string
	TaskDefinition             string // ARN
	Deploying                  bool   // more than one deployment is under way
}

// Task is an ECS task.
type Task struct {
	ID, ARN, Cluster          string
	Service                   string // empty when no service started the task
	Status, DesiredStatus     string // RUNNING, PENDING, … as ECS writes them
	Health                    string // HEALTHY, UNHEALTHY, UNKNOWN
	Connectivity              string // CONNECTED, DISCONNECTED or empty
	LaunchType                string // FARGATE, EC2, EXTERNAL, MANAGED_INSTANCES
	CapacityProvider          string // FARGATE_SPOT, …
	PlatformVersion, Platform string
	TaskDefinition            string // ARN
	ExecEnabled               bool
	StartedAt                 time.Time
	StoppedReason             string
	Containers                []Container
}

// Container is one container of a task.
type Container struct {
	Name, RuntimeID, Status, Health string
	Agent                           Agent
	Ports                           []Port // from the task definition
}

// Agent is the ExecuteCommandAgent of a container: it carries the sessions.
type Agent struct {
	Status    string // PENDING, RUNNING, STOPPED; empty when it was never injected
	Reason    string
	StartedAt time.Time
}

// Port is a port mapping of the task definition.
type Port struct {
	Container uint16
	Protocol  string // tcp or udp
	Name      string
}
