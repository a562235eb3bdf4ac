package emulator

import (
	"maps"
	"slices"
)

// taskSetView is a deployment of a service that ECS does not deploy itself (ECS API Reference, "TaskSet").
type taskSetView struct {
	ID             string              `json:"id"`
	ARN            string              `json:"taskSetArn"`
	Service        string              `json:"serviceArn"`
	Cluster        string              `json:"clusterArn"`
	StartedBy      string              `json:"startedBy,omitempty"`
	Status         string              `json:"status"`
	TaskDefinition string              `json:"taskDefinition"`
	Desired        int                 `json:"computedDesiredCount"`
	Pending        int                 `json:"pendingCount"`
	Running        int                 `json:"runningCount"`
	CreatedAt      *epoch              `json:"createdAt"`
	UpdatedAt      *epoch              `json:"updatedAt"`
	LaunchType     string              `json:"launchType,omitempty"`
	Platform       string              `json:"platformVersion,omitempty"`
	Network        *networkView        `json:"networkConfiguration,omitempty"`
	Scale          map[string]any      `json:"scale"`
	Stability      string              `json:"stabilityStatus"`
	Tags           []map[string]string `json:"tags"`
}

func (d *deployment) taskSet(a *account, s *service) taskSetView {
	as := d.view(a, s)
	v := taskSetView{
		ID: d.id, ARN: a.arn("ecs", "task-set/"+s.cluster.name+"/"+s.name+"/"+d.id), Service: s.arn(a), Cluster: s.cluster.arn(a),
		Status: d.status, TaskDefinition: as.TaskDefinition, Desired: as.DesiredCount, Pending: as.PendingCount, Running: as.RunningCount,
		CreatedAt: as.CreatedAt, UpdatedAt: as.UpdatedAt, LaunchType: as.LaunchType, Platform: as.PlatformVersion, Network: as.Network,
		Scale: map[string]any{"value": 100.0, "unit": "PERCENT"}, Stability: "STABILIZING", Tags: []map[string]string{},
	}
	if s.controller == "CODE_DEPLOY" {
		v.StartedBy = "CODE_DEPLOY"
	}
	if d.done {
		v.Stability = "STEADY_STATE"
	}
	return v
}

// bindingView is a port of a container that is bound to a port of its host, which ECS shows with a task in network mode bridge.
type bindingView struct {
	BindIP        string `json:"bindIP"`
	ContainerPort uint16 `json:"containerPort,omitempty"`
	HostPort      uint16 `json:"hostPort,omitempty"`
	Range         string `json:"containerPortRange,omitempty"`
	HostRange     string `json:"hostPortRange,omitempty"`
	Protocol      string `json:"protocol"`
}

func (k *container) bindings() []bindingView {
	bindings := []bindingView{}
	if k.task.pattern.Network != "bridge" || k.status() != "RUNNING" {
		return bindings
	}
	for i, port := range slices.Sorted(maps.Keys(k.pattern.Ports)) {
		bindings = append(bindings, bindingView{BindIP: "0.0.0.0", ContainerPort: port, HostPort: 32768 + uint16(i%1000), Protocol: "tcp"})
	}
	for _, ports := range k.pattern.Ranges {
		bindings = append(bindings, bindingView{BindIP: "0.0.0.0", Range: ports, HostRange: ports, Protocol: "tcp"})
	}
	return bindings
}
