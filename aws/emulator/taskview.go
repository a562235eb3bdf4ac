package emulator

import (
	"strconv"
	"strings"
	"time"
)

// The types below have the form of the ECS API reference; their JSON names are those on the wire.

type taskView struct {
	Attachments       []attachmentView `json:"attachments"`
	Attributes        []attributeView  `json:"attributes"`
	AvailabilityZone  string           `json:"availabilityZone"`
	CapacityProvider  string           `json:"capacityProviderName,omitempty"`
	ClusterARN        string           `json:"clusterArn"`
	Connectivity      string           `json:"connectivity,omitempty"`
	ConnectivityAt    *epoch           `json:"connectivityAt,omitempty"`
	ContainerInstance string           `json:"containerInstanceArn,omitempty"`
	Containers        []containerView  `json:"containers"`
	CPU               string           `json:"cpu"`
	CreatedAt         *epoch           `json:"createdAt"`
	DesiredStatus     string           `json:"desiredStatus"`
	EnableExec        bool             `json:"enableExecuteCommand"`
	ExecutionStopped  *epoch           `json:"executionStoppedAt,omitempty"`
	Group             string           `json:"group"`
	HealthStatus      string           `json:"healthStatus"`
	LastStatus        string           `json:"lastStatus"`
	LaunchType        string           `json:"launchType"`
	Memory            string           `json:"memory"`
	Overrides         overridesView    `json:"overrides"`
	PlatformVersion   string           `json:"platformVersion,omitempty"`
	PlatformFamily    string           `json:"platformFamily,omitempty"`
	PullStartedAt     *epoch           `json:"pullStartedAt,omitempty"`
	PullStoppedAt     *epoch           `json:"pullStoppedAt,omitempty"`
	StartedAt         *epoch           `json:"startedAt,omitempty"`
	StartedBy         string           `json:"startedBy,omitempty"`
	StopCode          string           `json:"stopCode,omitempty"`
	StoppedAt         *epoch           `json:"stoppedAt,omitempty"`
	StoppedReason     string           `json:"stoppedReason,omitempty"`
	StoppingAt        *epoch           `json:"stoppingAt,omitempty"`
	Tags              []tag            `json:"tags"`
	TaskARN           string           `json:"taskArn"`
	TaskDefinition    string           `json:"taskDefinitionArn"`
	Version           int              `json:"version"`
	EphemeralStorage  map[string]int   `json:"ephemeralStorage,omitempty"`
}

type attachmentView struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Status  string          `json:"status"`
	Details []attributeView `json:"details"`
}

type attributeView struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type overridesView struct {
	Containers   []map[string]string `json:"containerOverrides"`
	Accelerators []string            `json:"inferenceAcceleratorOverrides"`
	TaskRoleARN  string              `json:"taskRoleArn,omitempty"`
}

type containerView struct {
	ContainerARN      string             `json:"containerArn"`
	TaskARN           string             `json:"taskArn"`
	Name              string             `json:"name"`
	Image             string             `json:"image"`
	RuntimeID         string             `json:"runtimeId,omitempty"`
	LastStatus        string             `json:"lastStatus"`
	ExitCode          *int               `json:"exitCode,omitempty"`
	NetworkBindings   []bindingView      `json:"networkBindings"`
	NetworkInterfaces []interfaceView    `json:"networkInterfaces"`
	HealthStatus      string             `json:"healthStatus"`
	ManagedAgents     []managedAgentView `json:"managedAgents,omitempty"`
	CPU               string             `json:"cpu"`
	MemoryReservation string             `json:"memoryReservation,omitempty"`
}

type interfaceView struct {
	AttachmentID string `json:"attachmentId"`
	Address      string `json:"privateIpv4Address"`
}

type managedAgentView struct {
	Name          string `json:"name"`
	LastStatus    string `json:"lastStatus"`
	Reason        string `json:"reason,omitempty"`
	LastStartedAt *epoch `json:"lastStartedAt,omitempty"`
}

// startedBy is ECS's startedBy: of a service's task the deployment, else what the caller of RunTask has set.
func (t *task) startedBy() string {
	if t.deployment == nil {
		return t.pattern.StartedBy
	}
	return t.deployment.id
}

// attachment and address are derived from the task's id: they only have to have the right form and stay the same.
func (t *task) attachment() string {
	return t.id[:8] + "-" + t.id[8:12] + "-4" + t.id[12:15] + "-a" + t.id[15:18] + "-" + t.id[18:30]
}

func (t *task) address() string {
	number := func(digits string) int {
		n, err := strconv.ParseUint(digits, 16, 16)
		if err != nil {
			return 0
		}
		return int(n)
	}
	return "10.20." + strconv.Itoa(number(t.id[:2])) + "." + strconv.Itoa(4+number(t.id[2:4])%250)
}

func (t *task) mac() string {
	return "0a:" + t.id[0:2] + ":" + t.id[2:4] + ":" + t.id[4:6] + ":" + t.id[6:8] + ":" + t.id[8:10]
}

func (t *task) view(a *account) taskView {
	v := taskView{
		Attachments: t.attachments(a),
		Attributes:  []attributeView{{"ecs.cpu-architecture", "x86_64"}}, AvailabilityZone: a.region + string("abc"[t.id[0]%3]),
		CapacityProvider: t.pattern.CapacityProvider, ClusterARN: t.cluster.arn(a), Containers: []containerView{},
		CPU: or(t.pattern.CPU, "256"), Memory: or(t.pattern.Memory, "512"), CreatedAt: when(t.created), DesiredStatus: t.desired,
		EnableExec: !t.pattern.ExecOff, ExecutionStopped: when(t.ended), Group: t.group, HealthStatus: t.health(), LastStatus: t.status,
		LaunchType: launch(t.pattern), Overrides: overridesView{Containers: []map[string]string{}, Accelerators: []string{}, TaskRoleARN: t.pattern.OverrideRole},
		PlatformVersion: platformVersion(t.pattern), PlatformFamily: platformFamily(t.pattern), StartedAt: when(t.started),
		StartedBy: t.startedBy(), StopCode: t.code, StoppedAt: when(t.ended), StoppedReason: t.reason, StoppingAt: when(t.stopping),
		Tags: []tag{}, TaskARN: t.arn(a), TaskDefinition: t.definition.arn(a), Version: t.version(),
	}
	if t.instance != "" {
		v.ContainerInstance = a.arn("ecs", "container-instance/"+t.cluster.name+"/"+t.instance)
	} else {
		v.EphemeralStorage = map[string]int{"sizeInGiB": 20}
	}
	if !t.started.IsZero() {
		v.Connectivity, v.ConnectivityAt = t.connectivity, when(t.created.Add(9*time.Second))
		v.PullStartedAt, v.PullStoppedAt = when(t.created.Add(12*time.Second)), when(t.created.Add(22*time.Second))
	}
	for _, k := range t.containers {
		v.Containers = append(v.Containers, k.view(a))
	}
	return v
}

// attachments are the task's network interface; there is one only in network mode awsvpc.
func (t *task) attachments(a *account) []attachmentView {
	if !t.pattern.attached() {
		return []attachmentView{}
	}
	return []attachmentView{{ID: t.attachment(), Type: "ElasticNetworkInterface", Status: "ATTACHED", Details: []attributeView{
		{"subnetId", subnetID}, {"networkInterfaceId", "eni-" + t.id[:17]}, {"macAddress", t.mac()},
		{"privateDnsName", "ip-" + strings.ReplaceAll(t.address(), ".", "-") + "." + a.region + ".compute.internal"}, {"privateIPv4Address", t.address()},
	}}}
}

// health is unhealthy when one essential container is, and healthy when none is and a health check says that one is healthy.
func (t *task) health() string {
	health := "UNKNOWN"
	for _, k := range t.containers {
		switch {
		case k.pattern.NonEssential || t.status != "RUNNING":
		case k.pattern.Health == "UNHEALTHY":
			return "UNHEALTHY"
		case k.pattern.Health == "HEALTHY":
			health = "HEALTHY"
		}
	}
	return health
}

// version grows with each change of the task that ECS reports.
func (t *task) version() int {
	version := 1
	for _, at := range []time.Time{t.started, t.stopping, t.ended} {
		if !at.IsZero() {
			version += 2
		}
	}
	return version
}

func (k *container) view(a *account) containerView {
	t := k.task
	v := containerView{
		ContainerARN: a.arn("ecs", "container/"+t.cluster.name+"/"+t.id+"/"+t.attachment()), TaskARN: t.arn(a), Name: k.pattern.Name,
		Image: k.image(a), RuntimeID: k.runtime, LastStatus: k.status(), NetworkBindings: k.bindings(), NetworkInterfaces: []interfaceView{},
		HealthStatus: "UNKNOWN", CPU: "0",
	}
	if t.status == "RUNNING" {
		v.HealthStatus = or(k.pattern.Health, "UNKNOWN")
		if t.pattern.attached() {
			v.NetworkInterfaces = append(v.NetworkInterfaces, interfaceView{t.attachment(), t.address()})
		}
	}
	if v.LastStatus == "STOPPED" {
		code := 0
		v.ExitCode = &code
	}
	if !t.pattern.ExecOff && !k.agent.Absent && !k.pattern.NotStarted {
		agent := managedAgentView{Name: "ExecuteCommandAgent", LastStatus: k.agent.Status, Reason: k.agent.Reason}
		started := k.since
		if every := k.agent.Restarts; every > 0 {
			started = started.Add(a.emulator.now().Sub(started).Truncate(every))
		}
		if k.agent.Status != "PENDING" || k.agent.Restarts > 0 {
			agent.LastStartedAt = when(started)
		}
		v.ManagedAgents = []managedAgentView{agent}
	}
	return v
}

func (k *container) image(a *account) string {
	return or(k.pattern.Image, a.id+".dkr.ecr."+a.region+".amazonaws.com/"+k.pattern.Name+":latest")
}

// status is the container's status, which follows that of its task.
func (k *container) status() string {
	switch {
	case k.pattern.NotStarted && k.task.status != "STOPPED":
		return "PENDING"
	case k.pattern.Over && k.task.status == "RUNNING":
		return "STOPPED"
	}
	switch k.task.status {
	case "RUNNING", "DEACTIVATING":
		return "RUNNING"
	case "STOPPED":
		return "STOPPED"
	}
	return "PENDING"
}
