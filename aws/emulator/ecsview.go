package emulator

import (
	"strconv"
	"strings"
	"time"
)

// The types below have the form of the ECS API reference; their JSON names are those on the wire.

type failure struct {
	ARN    string `json:"arn"`
	Reason string `json:"reason"`
}

func (a *account) missing(kind, path string) failure {
	return failure{ARN: a.arn("ecs", kind+"/"+path), Reason: "MISSING"}
}

type clusterView struct {
	ClusterARN                  string   `json:"clusterArn"`
	ClusterName                 string   `json:"clusterName"`
	Status                      string   `json:"status"`
	ContainerInstances          int      `json:"registeredContainerInstancesCount"`
	RunningTasks                int      `json:"runningTasksCount"`
	PendingTasks                int      `json:"pendingTasksCount"`
	ActiveServices              int      `json:"activeServicesCount"`
	Statistics                  []string `json:"statistics"`
	Tags                        []string `json:"tags"`
	Settings                    []string `json:"settings"`
	CapacityProviders           []string `json:"capacityProviders"`
	DefaultCapacityProviderPlan []string `json:"defaultCapacityProviderStrategy"`
}

func (c *cluster) arn(a *account) string { return a.arn("ecs", "cluster/"+c.name) }

func (c *cluster) view(a *account) clusterView {
	v := clusterView{
		ClusterARN: c.arn(a), ClusterName: c.name, Status: c.status, ActiveServices: len(c.services),
		Statistics: []string{}, Tags: []string{}, Settings: []string{},
		CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}, DefaultCapacityProviderPlan: []string{},
	}
	for _, t := range c.tasks {
		if t.instance != "" && t.desired == "RUNNING" {
			v.ContainerInstances++
		}
	}
	v.RunningTasks, v.PendingTasks = tally(c.tasks)
	return v
}

// tally counts the tasks that run and those that are being started.
func tally(tasks []*task) (running, pending int) {
	for _, t := range tasks {
		switch t.status {
		case "RUNNING":
			running++
		case "PROVISIONING", "PENDING", "ACTIVATING":
			pending++
		}
	}
	return running, pending
}

type serviceView struct {
	ServiceARN           string            `json:"serviceArn"`
	ServiceName          string            `json:"serviceName"`
	ClusterARN           string            `json:"clusterArn"`
	LoadBalancers        []string          `json:"loadBalancers"`
	ServiceRegistries    []string          `json:"serviceRegistries"`
	Status               string            `json:"status"`
	DesiredCount         int               `json:"desiredCount"`
	RunningCount         int               `json:"runningCount"`
	PendingCount         int               `json:"pendingCount"`
	LaunchType           string            `json:"launchType,omitempty"`
	CapacityProviders    []providerView    `json:"capacityProviderStrategy,omitempty"`
	PlatformVersion      string            `json:"platformVersion,omitempty"`
	PlatformFamily       string            `json:"platformFamily,omitempty"`
	TaskDefinition       string            `json:"taskDefinition,omitempty"`
	Deployments          []deploymentView  `json:"deployments"`
	TaskSets             []taskSetView     `json:"taskSets,omitempty"`
	Events               []eventView       `json:"events"`
	CreatedAt            *epoch            `json:"createdAt,omitempty"`
	PlacementConstraints []string          `json:"placementConstraints"`
	PlacementStrategy    []string          `json:"placementStrategy"`
	SchedulingStrategy   string            `json:"schedulingStrategy"`
	DeploymentController map[string]string `json:"deploymentController"`
	Network              *networkView      `json:"networkConfiguration,omitempty"`
	ManagedTags          bool              `json:"enableECSManagedTags"`
	PropagateTags        string            `json:"propagateTags"`
	EnableExecuteCommand bool              `json:"enableExecuteCommand"`
	Tags                 []tag             `json:"tags,omitempty"`
}

type providerView struct {
	CapacityProvider string `json:"capacityProvider"`
	Weight           int    `json:"weight"`
	Base             int    `json:"base"`
}

type networkView struct {
	VPC vpcView `json:"awsvpcConfiguration"`
}

type vpcView struct {
	Subnets []string `json:"subnets"`
	Groups  []string `json:"securityGroups"`
	Public  string   `json:"assignPublicIp"`
}

// network is the network of a service whose tasks have network interfaces of their own. All are in one subnet and one security
// group.
func network(pattern Task) *networkView {
	if !pattern.attached() {
		return nil
	}
	return &networkView{vpcView{Subnets: []string{subnetID}, Groups: []string{taskGroup}, Public: "DISABLED"}}
}

// attached reports whether a task has a network interface of its own.
func (t Task) attached() bool { return or(t.Network, "awsvpc") == "awsvpc" }

type deploymentView struct {
	ID                 string         `json:"id"`
	Status             string         `json:"status"`
	TaskDefinition     string         `json:"taskDefinition"`
	DesiredCount       int            `json:"desiredCount"`
	PendingCount       int            `json:"pendingCount"`
	RunningCount       int            `json:"runningCount"`
	FailedTasks        int            `json:"failedTasks"`
	CreatedAt          *epoch         `json:"createdAt"`
	UpdatedAt          *epoch         `json:"updatedAt"`
	LaunchType         string         `json:"launchType,omitempty"`
	CapacityProviders  []providerView `json:"capacityProviderStrategy,omitempty"`
	PlatformVersion    string         `json:"platformVersion,omitempty"`
	PlatformFamily     string         `json:"platformFamily,omitempty"`
	Network            *networkView   `json:"networkConfiguration,omitempty"`
	RolloutState       string         `json:"rolloutState"`
	RolloutStateReason string         `json:"rolloutStateReason"`
}

type eventView struct {
	ID        string `json:"id"`
	CreatedAt *epoch `json:"createdAt"`
	Message   string `json:"message"`
}

func (s *service) arn(a *account) string {
	return a.arn("ecs", "service/"+s.cluster.name+"/"+s.name)
}

// launchType is empty for a service with a capacity provider strategy, as with ECS.
func (s *service) launchType() string {
	if s.pattern.CapacityProvider != "" {
		return ""
	}
	return launch(s.pattern)
}

func (s *service) view(a *account) serviceView {
	v := serviceView{
		ServiceARN: s.arn(a), ServiceName: s.name, ClusterARN: s.cluster.arn(a), Status: "ACTIVE",
		LoadBalancers: []string{}, ServiceRegistries: []string{}, PlacementConstraints: []string{}, PlacementStrategy: []string{},
		DesiredCount: s.desired, LaunchType: s.launchType(), CapacityProviders: providers(s.pattern),
		PlatformVersion: platformVersion(s.pattern), PlatformFamily: platformFamily(s.pattern),
		TaskDefinition: s.deployments[0].definition.arn(a), CreatedAt: when(s.created), SchedulingStrategy: "REPLICA",
		DeploymentController: map[string]string{"type": s.controller}, PropagateTags: "NONE", EnableExecuteCommand: s.exec,
		Deployments: []deploymentView{}, Events: []eventView{}, Network: network(s.pattern),
	}
	v.RunningCount, v.PendingCount = tally(s.tasks())
	if s.daemon {
		v.SchedulingStrategy = "DAEMON"
	}
	for _, d := range s.deployments {
		if s.controller == "ECS" {
			v.Deployments = append(v.Deployments, d.view(a, s))
		} else {
			v.TaskSets = append(v.TaskSets, d.taskSet(a, s))
		}
	}
	if s.controller == "EXTERNAL" { // then its task sets have these
		v.TaskDefinition, v.LaunchType, v.PlatformVersion, v.PlatformFamily, v.Network = "", "", "", "", nil
	}
	for _, e := range s.events {
		v.Events = append(v.Events, eventView{ID: e.id, CreatedAt: when(e.at), Message: e.text})
	}
	return v
}

func (d *deployment) view(a *account, s *service) deploymentView {
	var mine []*task
	for _, t := range s.tasks() {
		if t.deployment == d {
			mine = append(mine, t)
		}
	}
	v := deploymentView{
		ID: d.id, Status: d.status, TaskDefinition: d.definition.arn(a), DesiredCount: s.desired, CreatedAt: when(d.created),
		UpdatedAt: when(d.updated), LaunchType: s.launchType(), CapacityProviders: providers(d.pattern),
		PlatformVersion: platformVersion(d.pattern), PlatformFamily: platformFamily(d.pattern),
		Network: network(d.pattern), RolloutState: "IN_PROGRESS", RolloutStateReason: "ECS deployment " + d.id + " in progress.",
	}
	v.RunningCount, v.PendingCount = tally(mine)
	if d.status != "PRIMARY" {
		v.DesiredCount = len(mine)
	}
	if d.done {
		v.RolloutState, v.RolloutStateReason = "COMPLETED", "ECS deployment "+d.id+" completed."
	}
	return v
}

func providers(pattern Task) []providerView {
	if pattern.CapacityProvider == "" {
		return nil
	}
	return []providerView{{CapacityProvider: pattern.CapacityProvider, Weight: 1}}
}

func platformVersion(pattern Task) string {
	if launch(pattern) != "FARGATE" {
		return ""
	}
	return or(pattern.PlatformVersion, "1.4.0")
}

func platformFamily(pattern Task) string {
	if launch(pattern) != "FARGATE" {
		return ""
	}
	return "Linux"
}

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
