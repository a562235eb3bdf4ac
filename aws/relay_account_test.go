package aws_test

import (
	"errors"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
)

func squidWith(change func(*emulator.Task)) emulator.Task {
	task := emulator.Task{CPU: "1024", Memory: "2048", Containers: []emulator.Container{
		{Name: "squid", Ports: map[uint16]string{3128: emulator.Proxy}, Health: "HEALTHY"},
		{
			Name: "culvert-relay", Ports: map[uint16]string{7300: ""}, PortNames: map[uint16]string{7300: aws.RelayName}, NonEssential: true,
			ReadonlyRootFS: true, Agent: emulator.Agent{Status: "STOPPED"},
		},
	}}
	change(&task)
	return task
}

// What there is besides a relay is found as without it, and the relay with two calls at the most.
func TestARelayIsFoundByTheTaskDefinition(t *testing.T) {
	alone := func(t *emulator.Task) { t.Containers = t.Containers[:1] }
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{
		{Name: "with", Count: 2, Task: squidWith(func(*emulator.Task) {})},
		{Name: "without", Count: 1, Task: squidWith(func(t *emulator.Task) { t.Containers[1].PortNames = nil })},
		{Name: "bridge", Count: 1, Task: squidWith(func(t *emulator.Task) { t.Launch, t.Network = "EC2", "bridge" })},
		{Name: "alone", Count: 1, Task: squidWith(alone)},
		{Name: "same", Count: 1, Task: squidWith(func(t *emulator.Task) {
			alone(t)
			t.Containers[0].Ports[7300], t.Containers[0].PortNames = "", map[uint16]string{7300: aws.RelayName}
		})},
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	for service, want := range map[string]struct {
		auto, asked string // the container, or the error
	}{
		"with":    {"culvert-relay", "culvert-relay"},
		"without": {"no port mapping of its task definition is named culvert-relay", "no port mapping of its task definition is named culvert-relay"},
		"bridge":  {"each container has a network of its own in network mode bridge", "each container has a network of its own in network mode bridge"},
		"alone":   {"which has one container alone", "no port mapping"},
		"same":    {"which has one container alone", "squid"}, // it is looked for where there may be one
	} {
		for _, asked := range []bool{false, true} {
			c := connect(t, e)
			for _, q := range []aws.Query{{Cluster: "c", Service: service, Port: 3128}, {Cluster: "c", Service: service}, {Cluster: "c", Service: service, Shell: true}} {
				if found, err := c.Lookup(t.Context(), q); err != nil || found.Container != "squid" {
					t.Errorf("%s, %+v: got %s, %v; the relay is in the way", service, q, found.Container, err)
				}
			}
			c = connect(t, e) // that knows nothing yet
			at, err := c.Lookup(t.Context(), aws.Query{Cluster: "c", Service: service, Port: 3128, Container: "squid"})
			if err != nil {
				t.Fatal(err)
			}
			before, described := e.Calls("DescribeTaskDefinition"), e.Calls("DescribeTasks")
			got, err := c.Relay(t.Context(), at, asked)
			if e.Calls("DescribeTasks") != described {
				t.Errorf("%s: the task that was just found is asked for again", service)
			}
			wanted := want.auto
			if asked {
				wanted = want.asked
			}
			if err == nil && (got.Container != wanted || got.Port != 7300 || got.Affords() != 8) {
				t.Errorf("%s, asked %t: got %+v, want %s", service, asked, got, wanted)
			}
			if err != nil {
				if _, none := errors.AsType[*aws.NoRelayError](err); !none || say.Remedy(err) == "" {
					t.Errorf("%s: %v (%T) has no remedy", service, err, err)
				}
				if !strings.Contains(err.Error(), wanted) {
					t.Errorf("%s, asked %t: got %v, want %s", service, asked, err, wanted)
				}
			}
			if made := e.Calls("DescribeTaskDefinition") - before; made > 1 || !asked && service == "alone" && made != 0 {
				t.Errorf("%s, asked %t: %d calls for the definition", service, asked, made)
			}
			before = e.Calls("DescribeTaskDefinition")
			if _, _ = c.Relay(t.Context(), at, asked); e.Calls("DescribeTaskDefinition") != before {
				t.Errorf("%s: a definition that never changes is asked for again", service)
			}
		}
	}
}

// Who may not read task definitions learns which permission is missing.
func TestARelayThatMayNotBeLookedFor(t *testing.T) {
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "with", Count: 1, Task: squidWith(func(*emulator.Task) {})}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	e.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ecs:DescribeTaskDefinition", Kind: emulator.Deny}}
	})
	c := connect(t, e)
	at, err := c.Lookup(t.Context(), aws.Query{Cluster: "c", Service: "with", Port: 3128})
	if err != nil || at.Container != "squid" {
		t.Fatalf("got %v, %v", at, err)
	}
	_, err = c.Relay(t.Context(), at, false)
	if denied, ok := errors.AsType[*aws.DeniedError](err); !ok || denied.Action != "ecs:DescribeTaskDefinition" {
		t.Errorf("got %v, want what permission is missing", err)
	}
}
