package emulator

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
