package emulator

import (
	"fmt"
	"slices"
	"strings"
)

// ecsAction is the handler of an action of ECS.
func (e *Emulator) ecsAction(action string) (handler, bool) {
	var run func(*request, *account) (any, error)
	switch action {
	case "ExecuteCommand": // it locks the account itself
		return e.executeCommand, true
	case "ListClusters":
		run = e.listClusters
	case "DescribeClusters":
		run = e.describeClusters
	case "ListServices":
		run = e.listServices
	case "DescribeServices":
		run = e.describeServices
	case "ListTasks":
		run = e.listTasks
	case "DescribeTasks":
		run = e.describeTasks
	case "DescribeContainerInstances":
		run = e.describeContainerInstances
	case "ListTaskDefinitions":
		run = e.listTaskDefinitions
	case "DescribeTaskDefinition":
		run = e.describeTaskDefinition
	case "UpdateService":
		run = e.updateService
	case "RunTask":
		run = e.runTask
	case "StopTask":
		run = e.haltTask
	case "TagResource":
		run = e.tagResource
	case "UntagResource":
		run = e.untagResource
	case "ListTagsForResource":
		run = e.listTags
	default:
		return nil, false
	}
	return func(r *request) (any, error) {
		if err := e.data.admit(r, "ecs", action, e.ecsResource(action, r)); err != nil {
			return nil, err
		}
		if action == "RunTask" {
			if err := e.mayRun(r); err != nil {
				return nil, err
			}
		}
		a := e.fleet
		if r.Region != a.region {
			// The account has nothing in other regions.
			a = &account{emulator: e, id: a.id, region: r.Region, pace: a.pace}
		}
		a.mu.Lock()
		answer, err := run(r, a)
		a.mu.Unlock()
		if action == "RunTask" {
			e.dawdle(r)
		}
		return answer, err
	}, true
}

// ecsResource is the resource for which IAM checks a call (service authorization reference of ECS).
func (e *Emulator) ecsResource(action string, r *request) string {
	in, err := decode[struct {
		Cluster           string
		Clusters, Tasks   []string
		Instances         []string `json:"containerInstances"`
		Services          []string
		Service, Task     string
		ContainerInstance string
		TaskDefinition    string
		ResourceArn       string
	}](r)
	if err != nil {
		return "*"
	}
	a := e.fleet
	cluster := nameOf(in.Cluster)
	arn := func(kind, name string) string {
		return "arn:aws:ecs:" + r.Region + ":" + a.id + ":" + kind + "/" + cluster + "/" + nameOf(name)
	}
	switch {
	case action == "DescribeClusters" && len(in.Clusters) > 0:
		return "arn:aws:ecs:" + r.Region + ":" + a.id + ":cluster/" + nameOf(in.Clusters[0])
	case action == "DescribeServices" && len(in.Services) > 0:
		return arn("service", in.Services[0])
	case action == "UpdateService":
		return arn("service", in.Service)
	case action == "RunTask":
		return a.resolved(in.TaskDefinition)
	case in.ResourceArn != "":
		return in.ResourceArn
	case action == "DescribeTasks" && len(in.Tasks) > 0:
		return arn("task", in.Tasks[0])
	case action == "StopTask":
		return arn("task", in.Task)
	case action == "DescribeContainerInstances" && len(in.Instances) > 0:
		return arn("container-instance", in.Instances[0])
	}
	return "*"
}

// nameOf is the last part of an ARN, or the name itself; no name stands for the cluster called default.
func nameOf(nameOrARN string) string {
	if nameOrARN == "" {
		return "default"
	}
	return nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:]
}

func invalidParameter(format string, args ...any) error {
	return &apiError{Code: "InvalidParameterException", Message: fmt.Sprintf(format, args...)}
}

// mustFind finds the cluster that a call names.
func (a *account) mustFind(nameOrARN string) (*cluster, error) {
	if c := a.findCluster(nameOf(nameOrARN)); c != nil && a.owns(nameOrARN) {
		if c.status == "INACTIVE" {
			return nil, &apiError{Code: "ClusterNotFoundException", Message: "The referenced cluster was inactive."}
		}
		return c, nil
	}
	return nil, &apiError{Code: "ClusterNotFoundException", Message: "Cluster not found."}
}

// owns reports whether a name or ARN can be of this account and region.
func (a *account) owns(nameOrARN string) bool {
	return !strings.HasPrefix(nameOrARN, "arn:") || strings.HasPrefix(nameOrARN, a.arn("ecs", ""))
}

func (e *Emulator) listClusters(r *request, a *account) (any, error) {
	in, err := decode[paging](r)
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, c := range a.clusters {
		if c.status == "ACTIVE" {
			arns = append(arns, c.arn(a))
		}
	}
	slices.Sort(arns)
	part, next, err := e.page("clusters", in, 100, arns)
	return struct {
		ClusterARNs []string `json:"clusterArns"`
		NextToken   *string  `json:"nextToken,omitempty"`
	}{part, next}, err
}

func (e *Emulator) describeClusters(r *request, a *account) (any, error) {
	in, err := decode[struct{ Clusters []string }](r)
	if err != nil {
		return nil, err
	}
	if len(in.Clusters) > 100 {
		return nil, invalidParameter("Clusters cannot have more than 100 elements.")
	}
	if len(in.Clusters) == 0 {
		in.Clusters = []string{"default"}
	}
	out := struct {
		Clusters []clusterView `json:"clusters"`
		Failures []failure     `json:"failures"`
	}{[]clusterView{}, []failure{}}
	for _, name := range in.Clusters {
		c := a.findCluster(nameOf(name))
		if c == nil || !a.owns(name) {
			out.Failures = append(out.Failures, a.missing("cluster", nameOf(name)))
			continue
		}
		out.Clusters = append(out.Clusters, c.view(a))
	}
	return out, nil
}

func (e *Emulator) listServices(r *request, a *account) (any, error) {
	in, err := decode[struct {
		paging

		Cluster, LaunchType string
	}](r)
	if err != nil {
		return nil, err
	}
	c, err := a.mustFind(in.Cluster)
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, s := range c.services {
		if in.LaunchType == "" || in.LaunchType == s.launchType() {
			arns = append(arns, s.arn(a))
		}
	}
	slices.Sort(arns)
	part, next, err := e.page("services "+c.name+" "+in.LaunchType, in.paging, 10, arns)
	return struct {
		ServiceARNs []string `json:"serviceArns"`
		NextToken   *string  `json:"nextToken,omitempty"`
	}{part, next}, err
}

func (e *Emulator) describeServices(r *request, a *account) (any, error) {
	in, err := decode[struct {
		Cluster           string
		Services, Include []string
	}](r)
	if err != nil {
		return nil, err
	}
	c, err := a.mustFind(in.Cluster)
	if err != nil {
		return nil, err
	}
	switch {
	case len(in.Services) == 0:
		return nil, invalidParameter("Services cannot be empty.")
	case len(in.Services) > 10:
		return nil, invalidParameter("Services cannot have more than 10 elements.")
	}
	out := struct {
		Services []serviceView `json:"services"`
		Failures []failure     `json:"failures"`
	}{[]serviceView{}, []failure{}}
	for _, name := range in.Services {
		s, err := a.findService(c.name, nameOf(name))
		if err != nil || !a.owns(name) {
			out.Failures = append(out.Failures, a.missing("service", c.name+"/"+nameOf(name)))
			continue
		}
		v := s.view(a)
		if slices.Contains(in.Include, "TAGS") {
			v.Tags = tagsView(s.tags)
		}
		out.Services = append(out.Services, v)
	}
	return out, nil
}

func (e *Emulator) listTasks(r *request, a *account) (any, error) {
	in, err := decode[struct {
		paging

		Cluster, ServiceName, DesiredStatus, Family, LaunchType, ContainerInstance, StartedBy string
	}](r)
	if err != nil {
		return nil, err
	}
	c, err := a.mustFind(in.Cluster)
	if err != nil {
		return nil, err
	}
	desired := or(in.DesiredStatus, "RUNNING")
	if !slices.Contains([]string{"RUNNING", "PENDING", "STOPPED"}, desired) {
		return nil, invalidParameter("Invalid desiredStatus: %s", desired)
	}
	if in.ServiceName != "" {
		if _, err := a.findService(c.name, nameOf(in.ServiceName)); err != nil {
			return nil, &apiError{Code: "ServiceNotFoundException", Message: "Service not found."}
		}
	}
	var arns []string
	for _, t := range c.tasks {
		switch {
		case t.desired != desired, // no task ever has the desired status PENDING, so that filter finds nothing, as with ECS
			in.ServiceName != "" && (t.service == nil || t.service.name != nameOf(in.ServiceName)),
			in.Family != "" && t.definition.family != in.Family,
			in.LaunchType != "" && launch(t.pattern) != in.LaunchType,
			in.ContainerInstance != "" && t.instance != nameOf(in.ContainerInstance),
			in.StartedBy != "" && t.startedBy() != in.StartedBy:
			continue
		}
		arns = append(arns, t.arn(a))
	}
	slices.Sort(arns)
	list := strings.Join([]string{"tasks", c.name, in.ServiceName, desired, in.Family, in.LaunchType, in.ContainerInstance, in.StartedBy}, " ")
	part, next, err := e.page(list, in.paging, 100, arns)
	return struct {
		TaskARNs  []string `json:"taskArns"`
		NextToken *string  `json:"nextToken,omitempty"`
	}{part, next}, err
}

func (e *Emulator) describeTasks(r *request, a *account) (any, error) {
	in, err := decode[struct {
		Cluster        string
		Tasks, Include []string
	}](r)
	if err != nil {
		return nil, err
	}
	c, err := a.mustFind(in.Cluster)
	if err != nil {
		return nil, err
	}
	switch {
	case len(in.Tasks) == 0:
		return nil, invalidParameter("Tasks cannot be empty.")
	case len(in.Tasks) > 100:
		return nil, invalidParameter("Tasks cannot have more than 100 elements.")
	}
	out := struct {
		Tasks    []taskView `json:"tasks"`
		Failures []failure  `json:"failures"`
	}{[]taskView{}, []failure{}}
	for _, id := range in.Tasks {
		t := c.find(nameOf(id))
		if t == nil || !a.owns(id) {
			out.Failures = append(out.Failures, a.missing("task", c.name+"/"+nameOf(id)))
			continue
		}
		v := t.view(a)
		if slices.Contains(in.Include, "TAGS") {
			v.Tags = tagsView(t.tags)
		}
		out.Tasks = append(out.Tasks, v)
	}
	return out, nil
}

func (e *Emulator) updateService(r *request, a *account) (any, error) {
	in, err := decode[struct {
		Cluster, Service     string
		TaskDefinition       string
		DesiredCount         *int
		ForceNewDeployment   bool
		EnableExecuteCommand *bool
	}](r)
	if err != nil {
		return nil, err
	}
	c, err := a.mustFind(in.Cluster)
	if err != nil {
		return nil, err
	}
	s, err := a.findService(c.name, nameOf(in.Service))
	if err != nil {
		return nil, &apiError{Code: "ServiceNotFoundException", Message: "Service not found."}
	}
	switch {
	case s.controller != "ECS" && in.ForceNewDeployment:
		return nil, invalidParameter("Cannot force a new deployment on services with a %s deployment controller.", s.controller)
	case s.controller != "ECS" && in.TaskDefinition != "":
		return nil, invalidParameter("Unable to update task definition on services with a %s deployment controller.", s.controller)
	case s.daemon && in.DesiredCount != nil:
		return nil, invalidParameter("The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and try again.")
	}
	if in.TaskDefinition != "" {
		d := a.findDefinition(in.TaskDefinition)
		if d == nil {
			return nil, &apiError{Code: "ClientException", Message: "TaskDefinition not found."}
		}
		off := s.pattern.ExecOff
		s.pattern = d.pattern
		s.pattern.ExecOff = off
	}
	if in.EnableExecuteCommand != nil {
		s.exec, s.pattern.ExecOff = *in.EnableExecuteCommand, !*in.EnableExecuteCommand
	}
	if in.DesiredCount != nil {
		if *in.DesiredCount < 0 {
			return nil, invalidParameter("desiredCount must not be negative.")
		}
		s.desired = *in.DesiredCount
	}
	if in.ForceNewDeployment || in.TaskDefinition != "" {
		a.redeploy(s)
	} else {
		a.settle(s)
	}
	return struct {
		Service serviceView `json:"service"`
	}{s.view(a)}, nil
}

func (e *Emulator) haltTask(r *request, a *account) (any, error) {
	in, err := decode[struct{ Cluster, Task, Reason string }](r)
	if err != nil {
		return nil, err
	}
	c, err := a.mustFind(in.Cluster)
	if err != nil {
		return nil, err
	}
	t := c.find(nameOf(in.Task))
	if t == nil || !a.owns(in.Task) {
		return nil, invalidParameter("The referenced task was not found.")
	}
	a.end(t, in.Reason, "UserInitiated")
	return struct {
		Task taskView `json:"task"`
	}{t.view(a)}, nil
}
