package aws

import (
	"fmt"
	"testing"
)

// A look shows every port, even if the client forgets the task definitions that it knows in the middle of it.
func TestLookNeedsNoMoreThanTheDefinitionsThatAreRemembered(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a")
	for i := range 5 {
		name := fmt.Sprintf("s%d", i)
		f.ports[arnOf("task-definition", name+":1")] = map[string]int{"web": 80}
		f.service("a", name, 1)
		f.task("a", name, nil, "web")
	}
	c := f.connect(t)
	for i := range maxDefinitions - 2 {
		c.definitions.keep(Definition{ARN: arnOf("task-definition", fmt.Sprintf("old:%d", i))})
	}
	for _, task := range must(c.Discover(t.Context())).Clusters[0].Tasks {
		if len(task.Containers[0].Ports) != 1 {
			t.Errorf("the task of %s has no port", task.Service)
		}
	}
	for i := range 2 * maxDefinitions {
		c.definitions.keep(Definition{ARN: arnOf("task-definition", fmt.Sprintf("new:%d", i))})
		if n := len(c.definitions.known); n > maxDefinitions {
			t.Fatalf("%d task definitions are remembered, want %d at most", n, maxDefinitions)
		}
	}
}

// A family whose last revision was deregistered after somebody asked about it is said to be missing.
func TestFamilyThatIsDeregisteredIsForgotten(t *testing.T) {
	isolate(t)
	registered := true
	f := newFake(t, map[string]answer{
		"ListTasks": func(map[string]any) any { return map[string]any{"taskArns": []string{}} },
		"DescribeTaskDefinition": func(map[string]any) any {
			if !registered {
				return refusal{Code: "ClientException", Message: "Unable to describe task definition."}
			}
			return map[string]any{"taskDefinition": map[string]any{"family": "etl", "revision": 1, "taskDefinitionArn": arnOf("task-definition", "etl:1")}}
		},
	})
	c, q := f.connect(t), Query{Cluster: "a", Family: "etl"}
	_ = mustBe[*NotReadyError](t, c.whyNoFamily(t.Context(), q))
	registered = false
	_ = mustBe[*NotFoundError](t, c.whyNoFamily(t.Context(), q))
}
