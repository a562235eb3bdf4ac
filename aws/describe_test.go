package aws_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
)

func TestDetailsHoldWhatECSTellsAndNoSecret(t *testing.T) {
	e := account(t)
	c := connect(t, e)
	at := aws.Target{Cluster: "shop", Service: "web", Task: e.Tasks("shop", "web")[0]}
	got := c.Describe(t.Context(), at)
	if len(got.Gaps) > 0 {
		t.Fatalf("got gaps %v, want none", got.Gaps)
	}
	if s := got.Service; s.Name != "web" || len(s.Events) == 0 || s.Events[0].At.IsZero() || len(s.Deployments) != 1 || s.Deployments[0].Status != "PRIMARY" ||
		s.Deployments[0].Running != 24 || s.Deployments[0].Rollout != "COMPLETED" || len(s.Network.Subnets) != 1 || len(s.Network.Groups) != 1 || s.Network.PublicAddress {
		t.Errorf("service: got %+v", s)
	}
	if task := got.Task; task.ID != at.Task || task.Address == "" || task.Subnet != got.Service.Network.Subnets[0] || !strings.Contains(task.Containers[0].Image, "/app:latest") {
		t.Errorf("task: got %+v", task)
	}
	d := got.Definition
	i := slices.IndexFunc(d.Containers, func(c aws.ContainerDetails) bool { return c.Name == "app" })
	if i < 0 || !slices.Equal(d.Containers[i].Environment, []string{"NODE_ENV", "ORDERS_URL", "FEATURES"}) || !slices.Equal(d.Containers[i].Secrets, []string{"DB_PASSWORD"}) ||
		d.Containers[i].Ports[0].Container != 3000 || d.NetworkMode != "awsvpc" || d.ExecutionRole == "" {
		t.Errorf("definition: got %+v", d)
	}
	for _, hush := range []string{"production", "gabions", "secretsmanager", "not-for-your-eyes"} {
		if strings.Contains(d.JSON, hush) {
			t.Errorf("%s is shown:\n%s", hush, d.JSON)
		}
	}
	if !strings.Contains(d.JSON, `"family": "web"`) || !strings.Contains(d.JSON, `"--port=3000"`) || !strings.Contains(d.JSON, `"name": "FEATURES"`) {
		t.Errorf("JSON: got %s", d.JSON)
	}
	asked := e.Calls("DescribeTaskDefinition")
	c.Describe(t.Context(), aws.Target{Cluster: "shop", Service: "web"})
	if now := e.Calls("DescribeTaskDefinition"); now != asked {
		t.Errorf("a task definition that cannot change was asked for %d times", now)
	}
}

func TestDetailsThatMayNotBeSeenAreNamed(t *testing.T) {
	e := account(t)
	c := connect(t, e)
	e.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ecs:DescribeTaskDefinition", Kind: emulator.Deny}}
	})
	got := c.Describe(t.Context(), aws.Target{Cluster: "automation", Service: "squid"})
	if got.Service.Name != "squid" || got.Definition.JSON != "" || len(got.Gaps) != 1 {
		t.Fatalf("got %+v, want the service and one gap", got)
	}
	denied, ok := errors.AsType[*aws.DeniedError](got.Gaps[0])
	if !ok || denied.Action != "ecs:DescribeTaskDefinition" || !strings.Contains(say.Remedy(got.Gaps[0]), `"ecs:DescribeTaskDefinition"`) {
		t.Errorf("got %v with remedy %q, want the permission by its name", got.Gaps[0], say.Remedy(got.Gaps[0]))
	}
}
