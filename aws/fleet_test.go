package aws

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fleet is an ECS account for tests that misbehave: small pages, refusals, and tasks in any state.
type fleet struct {
	*fake

	mu       sync.Mutex
	pageSize int
	services []map[string]any
	tasks    []map[string]any
	ports    map[string]map[string]int // container → port, by task definition
	refuse   map[string]refusal        // by action, or action and cluster: "ListTasks shop"
	clusters []string
}

func arnOf(kind, name string) string {
	return "arn:aws:ecs:eu-west-1:111122223333:" + kind + "/" + name
}

func newFleet(t *testing.T, clusters ...string) *fleet {
	t.Helper()
	f := &fleet{pageSize: 2, ports: map[string]map[string]int{}, refuse: map[string]refusal{}, clusters: clusters}
	f.fake = newFake(t, map[string]answer{
		"ListClusters":           f.listClusters,
		"DescribeClusters":       f.describeClusters,
		"ListServices":           f.listServices,
		"DescribeServices":       f.describeServices,
		"ListTasks":              f.listTasks,
		"DescribeTasks":          f.describeTasks,
		"DescribeTaskDefinition": f.describeDefinition,
		"GetCallerIdentity": func(map[string]any) any {
			return raw{Body: `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`}
		},
	})
	return f
}

// service adds a service.
func (f *fleet) service(cluster, name string, desired int) {
	s := map[string]any{
		"serviceName": name, "serviceArn": arnOf("service", cluster+"/"+name), "clusterArn": arnOf("cluster", cluster), "status": "ACTIVE",
		"desiredCount": desired, "runningCount": desired, "enableExecuteCommand": true,
		"deployments": []map[string]any{{"id": "ecs-svc/1", "status": "PRIMARY"}},
	}
	f.services = append(f.services, s)
}

// task adds a ready task with the containers named; change may be nil. It returns the task's id.
func (f *fleet) task(cluster, service string, change func(map[string]any), containers ...string) string {
	id := fmt.Sprintf("%032x", len(f.tasks)+0xabcd0000)
	var list []map[string]any
	for _, name := range containers {
		list = append(list, map[string]any{
			"name": name, "runtimeId": id + "-" + name, "lastStatus": "RUNNING",
			"managedAgents": []map[string]any{{"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}},
		})
	}
	t := map[string]any{
		"taskArn": arnOf("task", cluster+"/"+id), "clusterArn": arnOf("cluster", cluster), "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
		"enableExecuteCommand": true, "healthStatus": "UNKNOWN", "connectivity": "CONNECTED", "containers": list,
		"taskDefinitionArn": arnOf("task-definition", orWord(service, "batch")+":1"), "startedAt": float64(time.Now().Unix()),
	}
	if service != "" {
		t["group"], t["startedBy"] = "service:"+service, "ecs-svc/1"
	}
	if change != nil {
		change(t)
	}
	f.tasks = append(f.tasks, t)
	return id
}

// agent sets the status of the exec agents of a task.
func agent(status, reason string) func(map[string]any) {
	return func(t map[string]any) {
		for _, c := range containersOf(t) {
			c["managedAgents"] = []map[string]any{{"name": "ExecuteCommandAgent", "lastStatus": status, "reason": reason}}
		}
	}
}

func set(field string, value any) func(map[string]any) {
	return func(t map[string]any) { t[field] = value }
}

func all(changes ...func(map[string]any)) func(map[string]any) {
	return func(t map[string]any) {
		for _, change := range changes {
			change(t)
		}
	}
}

func (f *fleet) refused(action, cluster string) (refusal, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.refuse[action]; ok {
		return r, true
	}
	r, ok := f.refuse[action+" "+cluster]
	return r, ok
}

// page cuts a list, with tokens that are positions.
func (f *fleet) page(field string, in map[string]any, arns []string) any {
	start := 0
	if token, ok := in["nextToken"].(string); ok {
		start, _ = strconv.Atoi(token)
	}
	end := min(start+f.pageSize, len(arns))
	out := map[string]any{field: arns[start:end]}
	if end < len(arns) {
		out["nextToken"] = strconv.Itoa(end)
	}
	return out
}

func (f *fleet) listClusters(in map[string]any) any {
	if r, ok := f.refused("ListClusters", ""); ok {
		return r
	}
	var arns []string
	for _, name := range f.clusters {
		arns = append(arns, arnOf("cluster", name))
	}
	return f.page("clusterArns", in, arns)
}

func (f *fleet) describeClusters(in map[string]any) any {
	if r, ok := f.refused("DescribeClusters", ""); ok {
		return r
	}
	var out []map[string]any
	for _, name := range f.clusters {
		if contains(in["clusters"], name) {
			out = append(out, map[string]any{"clusterName": name, "clusterArn": arnOf("cluster", name), "status": "ACTIVE"})
		}
	}
	return map[string]any{"clusters": out}
}

// cluster refuses what was asked to be refused and clusters that are not there.
func (f *fleet) cluster(action string, in map[string]any) (string, *refusal) {
	name, _ := in["cluster"].(string)
	if r, ok := f.refused(action, name); ok {
		return name, &r
	}
	if !slices.Contains(f.clusters, name) {
		return name, &refusal{Code: "ClusterNotFoundException", Message: "Cluster not found."}
	}
	return name, nil
}

func (f *fleet) listServices(in map[string]any) any {
	cluster, r := f.cluster("ListServices", in)
	if r != nil {
		return *r
	}
	var arns []string
	for _, s := range f.services {
		if arn := as[string](s["serviceArn"]); strings.HasPrefix(arn, arnOf("service", cluster+"/")) {
			arns = append(arns, arn)
		}
	}
	return f.page("serviceArns", in, arns)
}

func (f *fleet) describeServices(in map[string]any) any {
	cluster, r := f.cluster("DescribeServices", in)
	if r != nil {
		return *r
	}
	if n := len(as[[]any](in["services"])); n > serviceBatch {
		return refusal{Code: "InvalidParameterException", Message: fmt.Sprintf("%d services", n)}
	}
	var out []map[string]any
	for _, s := range f.services {
		if s["clusterArn"] == arnOf("cluster", cluster) && (contains(in["services"], as[string](s["serviceArn"])) || contains(in["services"], as[string](s["serviceName"]))) {
			out = append(out, s)
		}
	}
	return map[string]any{"services": out}
}

func (f *fleet) listTasks(in map[string]any) any {
	cluster, r := f.cluster("ListTasks", in)
	if r != nil {
		return *r
	}
	service, _ := in["serviceName"].(string)
	if service != "" && !slices.ContainsFunc(f.services, func(s map[string]any) bool { return s["serviceName"] == service }) {
		return refusal{Code: "ServiceNotFoundException", Message: "Service not found."}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var arns []string
	for _, t := range f.tasks {
		if t["clusterArn"] == arnOf("cluster", cluster) && t["desiredStatus"] == orWord(fmt.Sprint(in["desiredStatus"]), "RUNNING") &&
			(service == "" || t["group"] == "service:"+service) {
			arns = append(arns, as[string](t["taskArn"]))
		}
	}
	return f.page("taskArns", in, arns)
}

func (f *fleet) describeTasks(in map[string]any) any {
	cluster, r := f.cluster("DescribeTasks", in)
	if r != nil {
		return *r
	}
	if n := len(as[[]any](in["tasks"])); n > taskBatch {
		return refusal{Code: "InvalidParameterException", Message: fmt.Sprintf("%d tasks", n)}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []map[string]any
	for _, t := range f.tasks {
		if arn := as[string](t["taskArn"]); t["clusterArn"] == arnOf("cluster", cluster) && (contains(in["tasks"], arn) || contains(in["tasks"], lastPart(arn))) {
			out = append(out, t)
		}
	}
	return map[string]any{"tasks": out}
}

func (f *fleet) describeDefinition(in map[string]any) any {
	if r, ok := f.refused("DescribeTaskDefinition", ""); ok {
		return r
	}
	var containers []map[string]any
	for name, port := range f.ports[fmt.Sprint(in["taskDefinition"])] {
		containers = append(containers, map[string]any{"name": name, "portMappings": []map[string]any{{"containerPort": port, "protocol": "tcp"}}})
	}
	return map[string]any{"taskDefinition": map[string]any{"containerDefinitions": containers, "taskRoleArn": "arn:aws:iam::111122223333:role/task"}}
}

func contains(list any, value string) bool {
	values, _ := list.([]any)
	return slices.Contains(values, any(value))
}

// as is a type assertion that says what it met.
func as[T any](v any) T {
	t, ok := v.(T)
	if !ok {
		panic(fmt.Sprintf("%T is no %T", v, t))
	}
	return t
}

func containersOf(t map[string]any) []map[string]any { return as[[]map[string]any](t["containers"]) }
