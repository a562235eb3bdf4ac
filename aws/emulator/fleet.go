package emulator

import "time"

// Fleet describes the account that an Emulator starts with. Zero values are the ordinary case throughout: a Fargate
// task on the newest platform, running since yesterday, exec enabled, its agent running.
type Fleet struct {
	Region   string // eu-west-1
	Account  string // 111122223333
	Clusters []Cluster
	// Definitions are task definitions that nothing runs yet, each with its Family.
	Definitions []Task
	Hosts       map[string]string // private DNS: "name" or "name:port", an address too → loopback address "127.0.0.1:port", or "name" → an address of the private network
	Subnet      Subnet            // that the tasks are in
	Inventory   Inventory         // what the account has beside ECS
	VPC         bool              // serve the demo's private hosts, and the proxy behind Proxy
	Plan        []Planned         // what happens by itself, and when
}

// Planned is something that happens a while after the start.
type Planned struct {
	After time.Duration
	Do    func(*Emulator)
}

// Addresses for Container.Ports that stand for the servers of the private network (Fleet.VPC).
const (
	Proxy    = "vpc:proxy"     // a forward proxy that alone resolves the private hosts
	Orders   = "vpc:orders"    // what http://orders.internal/ shows
	Billing  = "vpc:billing"   // what https://billing.internal/ shows
	Postgres = "vpc:orders-db" // what orders-db.internal:5432 answers
	Web      = "vpc:web"       // a page that says it is fine
	Relay    = "vpc:relay"     // what bonds sessions (tunnel/bond): it opens the other ports of the task's definition
	TaskRole = "vpc:task-role" // what stands for the credentials of a task at 169.254.170.2
)

// Cluster is an ECS cluster.
type Cluster struct {
	Name     string
	Status   string // ACTIVE
	Services []Service
	Tasks    []Task // those that no service started
}

// Service is an ECS service: Count tasks made from Task, and those spelled out in Tasks.
type Service struct {
	Name    string
	Count   int
	Task    Task
	Tasks   []Task   // count towards the desired number as well; an empty Family is the service's
	Desired int      // when it is not what Count and Tasks add up to
	Rollout *Rollout // a deployment under way
	Steady  bool     // Life leaves the service alone
	// ExecEnabled of the service is that of Task unless ExecLater: then it was switched on after the tasks were started.
	ExecLater bool
	// Controller deploys the service: ECS, CODE_DEPLOY or EXTERNAL. UpdateService refuses what is the other two's to do.
	Controller string
	Daemon     bool // one task for every container instance: UpdateService takes no number
}

// Rollout is a deployment under way: Running and Pending tasks of the next revision beside the service's own.
type Rollout struct {
	Task             Task
	Running, Pending int
}

// Task is an ECS task, or the pattern for those of a service.
type Task struct {
	ID               string // 32 hexadecimal digits; empty: made from the seed
	Family           string // of the task definition; empty: the service's name, else the first container's
	Revision         int    // 1
	Containers       []Container
	ExecOff          bool
	Launch           string // FARGATE, EC2 or EXTERNAL
	CapacityProvider string // FARGATE_SPOT, …; the launch type goes with it
	PlatformVersion  string // 1.4.0 on Fargate
	ECSAgent         string // version on the container instance, where there is one: 1.79.0
	NoRole           bool   // the definition names no task role
	PIDMode          string // task: all containers share their processes
	Network          string // awsvpc; host, bridge, none
	OverrideRole     string // ARN, given when the task was started
	StartedBy        string // tag of whoever called RunTask; a service signs its tasks with the deployment
	Status           string // RUNNING; PENDING, STOPPED, …
	StoppedReason    string
	StopCode         string
	Connectivity     string        // CONNECTED
	Age              time.Duration // since it started; 0: some hours, by the seed
	CPU, Memory      string        // 256, 512
}

// Container is a container of a task.
type Container struct {
	Name  string
	Image string // the name, from the account's registry
	// Ports maps the ports of the task definition to real servers on loopback; "" maps one that nobody listens on.
	Ports          map[uint16]string
	Unmapped       map[uint16]string // ports that are served but not in the task definition
	Ranges         []string          // of ports in the task definition, as 3000-4000; Unmapped serves some of them
	UDP            []uint16          // mapped for udp, unserved
	PortNames      map[uint16]string // of mappings; else NAME-PORT-tcp
	Agent          Agent
	Health         string // HEALTHY, UNHEALTHY; empty: no check, UNKNOWN
	NonEssential   bool
	ReadonlyRootFS bool
	NotStarted     bool     // the container waits for another one: it has neither a runtime id nor an agent yet
	Over           bool     // it has run to its end, as one that only prepares the others does
	NoInit         bool     // initProcessEnabled is off
	Environment    []string // NAME=value
	Secrets        []string // NAME=where ECS takes the value from
	EntryPoint     []string
	Command        []string // the image's own
	Memory         int      // MiB, its hard limit; 0: the task's alone
}

// Agent is the state of a container's ExecuteCommandAgent.
type Agent struct {
	Status string // RUNNING; PENDING, STOPPED
	Reason string
	Absent bool // no agent was ever injected
	Silent bool // ECS has it RUNNING, but Session Manager has no connection to it
	// Restarts is how often the agent is started anew, since it was started first: it crashes each time.
	Restarts time.Duration
}
