package emulator

import "time"

// Fleet describes the account that an Emulator starts with. Zero values stand for the usual case everywhere: a Fargate task on
// the newest platform that has been running for some hours, with exec enabled and its agent running.
type Fleet struct {
	Region   string // empty for eu-west-1
	Account  string // empty for 111122223333
	Clusters []Cluster
	// Definitions are task definitions of which nothing runs yet; each needs a Family.
	Definitions []Task
	Hosts       map[string]string // private DNS: "name", "name:port" or an address → loopback address "127.0.0.1:port"; or "name" → an address of the private network
	Subnet      Subnet            // the network of the tasks
	Inventory   Inventory         // what the account has besides ECS
	VPC         bool              // serves the demo's private hosts, and the proxy behind Proxy
	Plan        []Planned         // what happens by itself, and when
}

// Planned is something that happens some time after the start.
type Planned struct {
	After time.Duration
	Do    func(*Emulator)
}

// Addresses for Container.Ports that stand for the servers of the private network (Fleet.VPC).
const (
	Proxy    = "vpc:proxy"     // a forward proxy, which alone can resolve the private hosts
	Orders   = "vpc:orders"    // what http://orders.internal/ shows
	Billing  = "vpc:billing"   // what https://billing.internal/ shows
	Postgres = "vpc:orders-db" // what orders-db.internal:5432 answers
	Web      = "vpc:web"       // a page that says that all is well
	Relay    = "vpc:relay"     // a relay that bonds sessions (tunnel/bond): it connects to the other ports of the task's definition
	TaskRole = "vpc:task-role" // the credentials of a task, as at 169.254.170.2
)

// Cluster is an ECS cluster.
type Cluster struct {
	Name     string
	Status   string // empty for ACTIVE
	Services []Service
	Tasks    []Task // tasks that no service started
}

// Service is an ECS service: Count tasks made from Task, and those listed in Tasks.
type Service struct {
	Name    string
	Count   int
	Task    Task
	Tasks   []Task   // these count towards the desired number as well; an empty Family is the service's
	Desired int      // when it differs from the number of tasks in Count and Tasks
	Rollout *Rollout // a deployment under way
	Steady  bool     // Life leaves the service alone
	// ExecLater says that exec was enabled for the service after its tasks were started. Otherwise the service has it if Task
	// has.
	ExecLater bool
	// Controller deploys the service: ECS, CODE_DEPLOY or EXTERNAL. UpdateService refuses what only the other two can do.
	Controller string
	Daemon     bool // one task on every container instance: UpdateService refuses a number
}

// Rollout is a deployment under way: Running and Pending tasks of the next revision beside the service's own.
type Rollout struct {
	Task             Task
	Running, Pending int
}

// Task is an ECS task, or the pattern for the tasks of a service.
type Task struct {
	ID               string // 32 hexadecimal digits; empty for one made from the seed
	Family           string // of the task definition; empty for the service's name, else the first container's
	Revision         int    // 0 for 1
	Containers       []Container
	ExecOff          bool
	Launch           string // FARGATE, EC2 or EXTERNAL; empty for FARGATE
	CapacityProvider string // FARGATE_SPOT, …; it determines the launch type
	PlatformVersion  string // empty for 1.4.0 on Fargate
	ECSAgent         string // version of the ECS agent on the container instance, if there is one; empty for 1.79.0
	NoRole           bool   // the task definition names no task role
	PIDMode          string // "task": all containers share a process namespace
	Network          string // awsvpc, host, bridge or none; empty for awsvpc
	OverrideRole     string // ARN of a task role that was given when the task was started
	StartedBy        string // set by whoever called RunTask; for the tasks of a service ECS sets the deployment
	Status           string // RUNNING, PENDING, STOPPED, …; empty for RUNNING
	StoppedReason    string
	StopCode         string
	Connectivity     string        // empty for CONNECTED
	Age              time.Duration // since the start of the task; 0 for some hours, by the seed
	CPU, Memory      string        // empty for 256 and 512
}

// Container is a container of a task.
type Container struct {
	Name  string
	Image string // empty for NAME:latest in the account's registry
	// Ports maps the ports of the task definition to real servers on loopback; nobody listens on a port that is mapped to "".
	Ports          map[uint16]string
	Unmapped       map[uint16]string // ports that are served, but are not in the task definition
	Ranges         []string          // ranges of ports in the task definition, such as 3000-4000; Unmapped may serve some of them
	UDP            []uint16          // ports mapped for udp, which nothing serves
	PortNames      map[uint16]string // names of port mappings; others are NAME-PORT-tcp
	Agent          Agent
	Health         string // HEALTHY, UNHEALTHY; empty for UNKNOWN, without a health check
	NonEssential   bool
	ReadonlyRootFS bool
	NotStarted     bool     // the container waits for another one: it has no runtime id and no agent yet
	Over           bool     // the container has run to its end, as one does that only prepares the others
	NoInit         bool     // initProcessEnabled is off
	Environment    []string // NAME=value
	Secrets        []string // NAME=ARN, of where ECS takes the value from
	EntryPoint     []string
	Command        []string // of the task definition
	Memory         int      // MiB, the container's hard limit; 0 when only the task has one
}

// Agent is the state of a container's ExecuteCommandAgent.
type Agent struct {
	Status string // RUNNING, PENDING or STOPPED; empty for RUNNING
	Reason string
	Absent bool // the container never got an agent
	Silent bool // ECS says RUNNING, but Session Manager has no connection to the agent
	// Restarts is how often the agent crashes and is started again; 0 is never.
	Restarts time.Duration
}
