package aws

import (
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestCandidatesAreRanked looks at tasks alone: what ECS and the definition say is in them already.
func TestCandidatesAreRanked(t *testing.T) {
	container := func(name, agent string, change ...func(*Container)) Container {
		c := Container{Name: name, RuntimeID: name + "-1", Status: "RUNNING", Agent: Agent{Status: agent}, Essential: true}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	maps := func(ports ...Port) func(*Container) { return func(c *Container) { c.Ports = ports } }
	single := func(port uint16) Port { return Port{Container: port, Protocol: "tcp"} }
	over := func(c *Container) { c.Status, c.Agent.Status = "STOPPED", "STOPPED" }
	spare := func(c *Container) { c.Essential = false }
	app, sidecar := container("app", "RUNNING", maps(single(80))), container("xray", "RUNNING", spare)
	for name, test := range map[string]struct {
		network    string
		query      Query
		containers []Container
		want       string // names in their order, or what the error says
	}{
		"the one that maps":         {"awsvpc", Query{Port: 80}, []Container{container("a", "RUNNING"), app}, "app a"},
		"then the essential one":    {"awsvpc", Query{Port: 81}, []Container{container("a", "RUNNING", spare), container("b", "RUNNING")}, "b a"},
		"then by name":              {"host", Query{Port: 81}, []Container{container("b", "RUNNING"), container("a", "RUNNING")}, "a b"},
		"udp maps nothing":          {"awsvpc", Query{Port: 80}, []Container{container("b", "RUNNING", maps(Port{Container: 80, Protocol: "udp"})), container("a", "RUNNING")}, "a b"},
		"AWS's own last":            {"awsvpc", Query{Port: 80}, []Container{container("ecs-service-connect-x", "RUNNING", maps(single(80))), sidecar}, "xray ecs-service-connect-x"},
		"a sidecar alone":           {"awsvpc", Query{Port: 80}, []Container{container("app", "STOPPED", maps(single(80))), sidecar}, "xray"},
		"a sidecar, no agent":       {"host", Query{Port: 80}, []Container{container("app", "", maps(single(80))), sidecar}, "xray"},
		"an init container":         {"awsvpc", Query{Port: 81}, []Container{container("a", "RUNNING", over), app}, "app"},
		"an init container, bridge": {"bridge", Query{Port: 81}, []Container{container("a", "RUNNING", over), app}, "app"},
		"a host behind":             {"bridge", Query{}, []Container{sidecar, app}, "app xray"},
		"a host behind, stopped":    {"bridge", Query{}, []Container{sidecar, container("app", "STOPPED")}, "xray"},
		"bridge":                    {"bridge", Query{Port: 80}, []Container{sidecar, app}, "app"},
		"bridge, not its agent":     {"bridge", Query{Port: 80}, []Container{sidecar, container("app", "STOPPED", maps(single(80)))}, "app is not ready: its exec agent has stopped"},
		"bridge, unmapped":          {"bridge", Query{Port: 81}, []Container{sidecar, app}, "in network mode bridge, and port 81 is mapped by none"},
		"bridge, mapped twice":      {"bridge", Query{Port: 80}, []Container{container("b", "RUNNING", maps(single(80))), app}, "is mapped by all of them"},
		"Windows":                   {"default", Query{Port: 80}, []Container{sidecar, app}, "app"},
		"not known":                 {"", Query{Port: 81}, []Container{sidecar, app}, "several containers"},
		"none":                      {"none", Query{Port: 80}, []Container{app}, "network mode none"},
		"none, named":               {"none", Query{Container: "app"}, []Container{app}, "network mode none"},
		"none, a shell":             {"none", Query{Shell: true}, []Container{app}, "network mode none"},
		"a range, first":            {"bridge", Query{Port: 3000}, []Container{sidecar, container("app", "RUNNING", maps(Port{Container: 3000, Last: 4000, Protocol: "tcp"}))}, "app"},
		"a range, last":             {"bridge", Query{Port: 4000}, []Container{sidecar, container("app", "RUNNING", maps(Port{Container: 3000, Last: 4000, Protocol: "tcp"}))}, "app"},
		"a range, behind":           {"bridge", Query{Port: 4001}, []Container{sidecar, container("app", "RUNNING", maps(Port{Container: 3000, Last: 4000, Protocol: "tcp"}))}, "port 4001 is mapped by none"},
		"named":                     {"awsvpc", Query{Port: 80, Container: "xray"}, []Container{sidecar, app}, "xray"},
		"named, stopped":            {"awsvpc", Query{Port: 80, Container: "app"}, []Container{container("app", "STOPPED"), sidecar}, "its exec agent has stopped"},
		"named, over":               {"awsvpc", Query{Container: "app"}, []Container{container("app", "RUNNING", over), sidecar}, "the container has stopped, while its task goes on"},
		"named, AWS's own":          {"awsvpc", Query{Container: "aws-guardduty-agent-x"}, []Container{container("aws-guardduty-agent-x", "RUNNING"), app}, "aws-guardduty-agent-x"},
		"a shell":                   {"awsvpc", Query{Shell: true}, []Container{sidecar, app}, "several containers"},
		"a shell, one stopped":      {"awsvpc", Query{Shell: true}, []Container{sidecar, container("app", "STOPPED")}, "several containers"},
		"a shell, one over":         {"awsvpc", Query{Shell: true}, []Container{container("a", "RUNNING", over), app}, "app"},
		"a shell, one AWS's own":    {"awsvpc", Query{Shell: true}, []Container{container("aws-guardduty-agent-x", "RUNNING"), app}, "app"},
		"all stopped":               {"awsvpc", Query{Port: 80}, []Container{container("a", "STOPPED"), container("app", "PENDING", maps(single(80)))}, "app is not ready: its exec agent is still starting"},
		"no container":              {"awsvpc", Query{Port: 80}, nil, "is not ready"},
	} {
		task := Task{ID: "t", Cluster: "c", Service: "s", Status: "RUNNING", ExecEnabled: true, NetworkMode: test.network, Containers: test.containers}
		found, err := task.Candidates(test.query)
		names := make([]string, len(found))
		for i, c := range found {
			names[i] = c.Name
		}
		if err != nil {
			names = []string{err.Error()}
		}
		if got := strings.Join(names, " "); got != test.want && (err == nil || !strings.Contains(test.want, " ") || !strings.Contains(got, test.want)) {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestNetworkModeIsKnownWithoutTheDefinition(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a")
	f.service("a", "s", 1)
	f.refuse["DescribeTaskDefinition"] = refusal{Code: "AccessDeniedException", Message: "User: arn:aws:sts::111122223333:assumed-role/ci/x is not authorized to perform: ecs:DescribeTaskDefinition on resource: * because no identity-based policy allows it"}
	attached := []map[string]any{{"type": "ElasticNetworkInterface", "details": []map[string]any{{"name": "subnetId", "value": "subnet-1"}}}}
	disk := []map[string]any{{"type": "AmazonElasticBlockStorage", "details": []map[string]any{{"name": "roleArn", "value": "arn:aws:iam::1:role/x"}}}}
	bound := func(t map[string]any) {
		containersOf(t)[1]["networkBindings"] = []map[string]any{
			{"bindIP": "0.0.0.0", "containerPort": 3128, "hostPort": 32768, "protocol": "tcp"}, {"bindIP": "::", "containerPort": 3128, "hostPort": 32768, "protocol": "tcp"},
		}
	}
	for name, test := range map[string]struct {
		change func(map[string]any)
		port   uint16
		want   string
	}{
		"an interface":              {set("attachments", attached), 3128, "a"},
		"Fargate, not attached yet": {set("launchType", "FARGATE"), 3128, "a"},
		"another attachment":        {set("attachments", disk), 3128, ""},
		"bound to the host":         {all(set("launchType", "EC2"), set("containerInstanceArn", arnOf("container-instance", "a/i")), bound), 3128, "b"},
		"another port is":           {all(set("launchType", "EC2"), bound), 3129, ""},
		"on EC2":                    {set("launchType", "EC2"), 3128, ""},
		"on EC2, for another host":  {set("launchType", "EC2"), 0, "a"},
	} {
		f.tasks = nil
		f.task("a", "s", test.change, "a", "b")
		got, err := f.connect(t).Lookup(t.Context(), Query{Cluster: "a", Service: "s", Port: test.port})
		if test.want == "" {
			_ = mustBe[*DeniedError](t, err)
			mustSay(t, err, "which of the containers a, b maps port", "ecs:DescribeTaskDefinition", `"Action":["ecs:DescribeTaskDefinition"]`)
			if Temporary(err) {
				t.Errorf("%s: %v is temporary", name, err)
			}
			continue
		}
		if err != nil || got.Container != test.want || !got.AnyContainer || got.Port != test.port {
			t.Errorf("%s: got %+v, %v; want any container, now %s", name, got, err, test.want)
		}
	}
}

func TestAPortMappingMayBeARange(t *testing.T) {
	for _, test := range []struct {
		single int32
		span   string
		want   string
		ok     bool
	}{
		{80, "", "80", true}, {0, "3000-4000", "3000-4000", true}, {0, "1-65535", "1-65535", true}, {0, "80-80", "80", true},
		{0, "4000-3000", "", false}, {0, "0-10", "", false}, {0, "80-65536", "", false}, {0, "", "", false}, {70_000, "", "", false}, {-1, "", "", false},
		{0, "80-", "", false}, {0, "-80", "", false}, {0, "a-b", "", false}, {0, "80-90-100", "", false}, {0, "+80-90", "", false},
	} {
		got, ok := portFrom(test.single, test.span, "")
		if ok != test.ok || ok && (got.String() != test.want || got.Protocol != "tcp") {
			t.Errorf("%d %q: got %v, %t; want %s, %t", test.single, test.span, got, ok, test.want, test.ok)
		}
	}
}

// What ECS tells only of the task sets of a service under EXTERNAL control stands with the service all the same.
func TestTaskSetsAreTheDeploymentsOfAnExternalService(t *testing.T) {
	set := func(id, status string) types.TaskSet {
		return types.TaskSet{Id: sdk.String(id), Status: sdk.String(status), TaskDefinition: sdk.String("web:" + id), LaunchType: types.LaunchTypeFargate, ComputedDesiredCount: 2, RunningCount: 1}
	}
	external := types.Service{
		ServiceName: sdk.String("web"), Status: sdk.String("ACTIVE"), DeploymentController: &types.DeploymentController{Type: types.DeploymentControllerTypeExternal},
		TaskSets: []types.TaskSet{set("1", "ACTIVE"), set("2", "PRIMARY")},
	}
	got := serviceFrom(external, "c")
	if got.State() != "deploying" || got.TaskDefinition != "web:2" || got.Deployment != "2" || got.LaunchType != "FARGATE" || len(got.Deployments) != 2 || got.Deployments[0].Desired != 2 {
		t.Errorf("got %+v, want the PRIMARY task set's definition and two deployments", got)
	}
	external.TaskSets = external.TaskSets[1:]
	if got = serviceFrom(external, "c"); got.State() != "steady" {
		t.Errorf("with one task set: got %s, want steady", got.State())
	}
}
