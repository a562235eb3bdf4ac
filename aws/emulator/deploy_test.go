package emulator

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"culvert/internal/need"
)

func small() Fleet {
	return Fleet{Clusters: []Cluster{{Name: "c", Services: []Service{{Name: "s", Count: 3, Task: one("web", "", map[uint16]string{80: ""})}}}}}
}

// target is a task's first container.
func target(t *testing.T, e *Emulator, taskID string) *container {
	t.Helper()
	e.fleet.mu.Lock()
	defer e.fleet.mu.Unlock()
	found := e.fleet.findTask(taskID)
	if found == nil {
		t.Fatalf("no task %s", taskID)
	}
	return found.containers[0]
}

func TestStoppedTaskIsReplaced(t *testing.T) {
	e := open(t, Options{Fleet: small(), Pace: 5 * time.Millisecond})
	before := e.Tasks("c", "s")
	doomed := target(t, e, before[0])
	if !doomed.agentRunning() {
		t.Fatal("agent of a running task does not run")
	}
	if err := e.StopTask(before[0], "told to"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-doomed.stopped():
	case <-time.After(10 * time.Second):
		t.Fatal("the task never stopped")
	}
	if doomed.agentRunning() {
		t.Error("agent of a stopped task runs")
	}
	after := e.Tasks("c", "s")
	if len(after) != 3 || slices.Contains(after, before[0]) {
		t.Fatalf("tasks = %v, want three without %s", after, before[0])
	}
	successor := target(t, e, after[2])
	need.Eventually(t, "the successor's agent", successor.agentRunning)
	if _, ok := e.target("ecs:c_" + after[2] + "_" + successor.runtime); !ok {
		t.Error("the successor is no target")
	}
	client := ecs.NewFromConfig(sdk(t, e))
	out := must[*ecs.DescribeTasksOutput](t)(client.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("c"), Tasks: before[:1]}))
	if one := out.Tasks[0]; *one.LastStatus != "STOPPED" || *one.StoppedReason != "told to" || one.StopCode != "UserInitiated" || one.StoppedAt == nil {
		t.Errorf("stopped task = %+v", one)
	}
}

func TestDeploymentRollsWithoutAGap(t *testing.T) {
	e := open(t, Options{Fleet: small(), Pace: 10 * time.Millisecond})
	client := ecs.NewFromConfig(sdk(t, e))
	before := e.Tasks("c", "s")
	began := must[*ecs.UpdateServiceOutput](t)(client.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("s"), ForceNewDeployment: true}))
	if n := len(began.Service.Deployments); n != 2 {
		t.Errorf("%d deployments when one begins, want the old one beside it", n)
	}
	need.Eventually(t, "the deployment", func() bool {
		out := must[*ecs.DescribeServicesOutput](t)(client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"s"}}))
		s := out.Services[0]
		if s.RunningCount < 3 {
			t.Fatalf("running tasks = %d during the deployment, want 3 at least", s.RunningCount)
		}
		return len(s.Deployments) == 1 && s.Deployments[0].RolloutState == "COMPLETED"
	})
	after := e.Tasks("c", "s")
	if len(after) != 3 || slices.ContainsFunc(after, func(id string) bool { return slices.Contains(before, id) }) {
		t.Errorf("tasks after the deployment = %v, before %v: want three new ones", after, before)
	}
	if err := e.Deploy("c", "s"); err != nil {
		t.Fatal(err)
	}
	definitions := must[*ecs.ListTaskDefinitionsOutput](t)(client.ListTaskDefinitions(t.Context(), &ecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String("s")}))
	if len(definitions.TaskDefinitionArns) != 2 {
		t.Errorf("revisions = %v, want two", definitions.TaskDefinitionArns)
	}
}

func TestServiceScalesToZeroAndBack(t *testing.T) {
	e := open(t, Options{Fleet: small(), Pace: 5 * time.Millisecond})
	client := ecs.NewFromConfig(sdk(t, e))
	for _, want := range []int{0, 2} {
		if err := e.Scale("c", "s", want); err != nil {
			t.Fatal(err)
		}
		need.Eventually(t, "scaling", func() bool {
			out := must[*ecs.DescribeServicesOutput](t)(client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"s"}}))
			return int(out.Services[0].RunningCount) == want && out.Services[0].PendingCount == 0
		})
	}
}

func TestExecSwitchedOnLaterNeedsNewTasks(t *testing.T) {
	fleet := small()
	fleet.Clusters[0].Services[0].Task.ExecOff = true
	fleet.Clusters[0].Services[0].ExecLater = true
	e := open(t, Options{Fleet: fleet, Pace: 5 * time.Millisecond})
	client := ecs.NewFromConfig(sdk(t, e))
	out := must[*ecs.DescribeServicesOutput](t)(client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"s"}}))
	if !out.Services[0].EnableExecuteCommand {
		t.Error("exec of the service is off, want on")
	}
	old := target(t, e, e.Tasks("c", "s")[0])
	if old.agentRunning() {
		t.Error("a task from before has an agent")
	}
	in := &ecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("s"), ForceNewDeployment: true, EnableExecuteCommand: aws.Bool(true)}
	if _, err := client.UpdateService(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "tasks with agents", func() bool { return target(t, e, e.Tasks("c", "s")[0]).agentRunning() })
}

func TestTaskWithoutServiceComesUp(t *testing.T) {
	e := open(t, Options{Fleet: small(), Pace: 5 * time.Millisecond})
	id, err := e.StartTask("c", one("tool", "", nil))
	if err != nil {
		t.Fatal(err)
	}
	k := target(t, e, id)
	need.Eventually(t, "its agent", k.agentRunning)
	if err := e.SetAgent(id, "STOPPED", "gone"); err != nil || k.agentRunning() {
		t.Errorf("agent runs after SetAgent STOPPED, error %v", err)
	}
}

func TestPortsReachRealServers(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	fleet := Fleet{Clusters: []Cluster{{Name: "c_with_bars", Tasks: []Task{{Containers: []Container{
		{Name: "app", Ports: map[uint16]string{80: listener.Addr().String(), 81: ""}},
		{Name: "sidecar", Unmapped: map[uint16]string{82: listener.Addr().String()}},
	}}}}}}
	e := open(t, Options{Fleet: fleet})
	k := e.fleet.clusters[0].tasks[0].containers[0]
	if found, ok := e.container("c_with_bars", k.task.id, k.runtime); !ok || found != k {
		t.Error("the container is not found by its target")
	}
	for port, want := range map[uint16]bool{80: true, 81: false, 82: true, 83: false} {
		conn, err := k.dial(t.Context(), port)
		if (err == nil) != want {
			t.Errorf("dial port %d: error %v, want success %v", port, err, want)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	if err := e.MapPort(k.task.id, 81, listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	conn, err := k.dial(t.Context(), 81)
	if err != nil {
		t.Fatalf("dial port 81 once it is mapped: %v", err)
	}
	_ = conn.Close()
}

func TestLifeGoesOnAndStops(t *testing.T) {
	e := open(t, Options{Fleet: Demo(), Life: 2 * time.Millisecond, Pace: time.Millisecond})
	var before []string
	for _, service := range []string{"web", "search", "mail", "recommend"} {
		before = append(before, e.Tasks("shop", service)...)
	}
	squid := e.Tasks("automation", "squid")
	need.Eventually(t, "a change", func() bool {
		var now []string
		for _, service := range []string{"web", "search", "mail", "recommend"} {
			now = append(now, e.Tasks("shop", service)...)
		}
		return !slices.Equal(before, now)
	})
	if !slices.Equal(e.Tasks("automation", "squid"), squid) {
		t.Error("life touched a steady service")
	}
	e.Close()
	e.Close()
}

func TestBadFleetsAreRefused(t *testing.T) {
	for name, fleet := range map[string]Fleet{
		"a cluster without a name":   {Clusters: []Cluster{{}}},
		"a task without containers":  {Clusters: []Cluster{{Name: "c", Tasks: []Task{{}}}}},
		"a container without a name": {Clusters: []Cluster{{Name: "c", Tasks: []Task{{Containers: []Container{{}}}}}}},
		"a task id that is none":     {Clusters: []Cluster{{Name: "c", Tasks: []Task{{ID: "abc", Containers: []Container{{Name: "x"}}}}}}},
		"a host outside":             {Hosts: map[string]string{"a.internal": "192.0.2.1:80"}},
	} {
		if e, err := Start(Options{Fleet: fleet}); err == nil {
			e.Close()
			t.Errorf("%s: started", name)
		}
	}
	if e, err := Start(Options{Listen: "0.0.0.0:0"}); err == nil {
		e.Close()
		t.Error("an address beyond loopback: started")
	}
}

// As API_UpdateService has it: what another controller deploys is not for ECS to deploy, and a daemon has no number.
func TestServiceRefusesWhatItsKindForbids(t *testing.T) {
	fleet := small()
	pattern := fleet.Clusters[0].Services[0].Task
	fleet.Clusters[0].Services = []Service{
		{Name: "blue", Count: 1, Task: pattern, Controller: "CODE_DEPLOY", Steady: true},
		{Name: "foreign", Count: 1, Task: pattern, Controller: "EXTERNAL", Steady: true},
		{Name: "daemon", Count: 1, Task: pattern, Daemon: true, Steady: true},
	}
	e := open(t, Options{Fleet: fleet})
	client := ecs.NewFromConfig(sdk(t, e))
	for _, test := range []struct {
		in      ecs.UpdateServiceInput
		refused string
	}{
		{ecs.UpdateServiceInput{Service: aws.String("blue"), ForceNewDeployment: true}, "Cannot force a new deployment on services with a CODE_DEPLOY deployment controller"},
		{ecs.UpdateServiceInput{Service: aws.String("blue"), EnableExecuteCommand: aws.Bool(true)}, ""},
		{ecs.UpdateServiceInput{Service: aws.String("blue"), DesiredCount: aws.Int32(2)}, ""},
		{ecs.UpdateServiceInput{Service: aws.String("foreign"), ForceNewDeployment: true}, "EXTERNAL deployment controller"},
		{ecs.UpdateServiceInput{Service: aws.String("daemon"), DesiredCount: aws.Int32(2)}, "does not support a desired count"},
		{ecs.UpdateServiceInput{Service: aws.String("daemon"), ForceNewDeployment: true}, ""},
	} {
		test.in.Cluster = aws.String("c")
		_, err := client.UpdateService(t.Context(), &test.in)
		if (err == nil) != (test.refused == "") || err != nil && !strings.Contains(err.Error(), test.refused) {
			t.Errorf("%s: got %v, want %q", *test.in.Service, err, test.refused)
		}
	}
	out := must[*ecs.DescribeServicesOutput](t)(client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"blue", "daemon"}}))
	if blue, daemon := out.Services[0], out.Services[1]; blue.DeploymentController.Type != "CODE_DEPLOY" || daemon.SchedulingStrategy != "DAEMON" {
		t.Errorf("got %s and %s", blue.DeploymentController.Type, daemon.SchedulingStrategy)
	}
}
