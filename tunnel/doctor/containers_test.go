package doctor_test

import (
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// beside is an account whose tasks have a sidecar, and what else change makes of them.
func beside(change func(*emulator.Task)) emulator.Fleet {
	return with(func(task *emulator.Task) {
		task.Containers = append(task.Containers, emulator.Container{Name: "xray", NonEssential: true})
		change(task)
	})
}

func TestC12ContainerIsOver(t *testing.T) {
	t.Parallel()
	c := newClinic(t, beside(func(task *emulator.Task) { task.Containers[1].Over = true }))
	c.options.Query.Container = "xray"
	c.finds("agent", "C12", "xray is not ready: the container has stopped, while its task goes on (exit code 0)", "leave --container out", "culvert list tasks -c c -t ")
}

func TestC13NoNetwork(t *testing.T) {
	t.Parallel()
	for _, container := range []string{"", "app"} {
		c := newClinic(t, onEC2(func(task *emulator.Task) { task.Network = "none" }))
		c.options.Query.Container = container
		c.finds("agent", "C13", "network mode none", "set networkMode to awsvpc, bridge or host in the task definition, then aws ecs update-service")
	}
}

func TestTheDoctorTakesTheContainerThatATunnelTakes(t *testing.T) {
	t.Parallel()
	stopped := emulator.Agent{Status: "STOPPED", Reason: "it crashed"}
	for name, test := range map[string]struct {
		change   func(*emulator.Task)
		remote   tunnel.Endpoint
		want     string // container
		evidence string
	}{
		"pidMode":    {func(t *emulator.Task) { t.PIDMode, t.Containers[0].Agent = "task", stopped }, tunnel.Endpoint{Port: 3128}, "xray", "app maps port 3128: its exec agent has stopped"},
		"read-only":  {func(t *emulator.Task) { t.Containers[0].ReadonlyRootFS, t.Containers[0].Agent = true, stopped }, tunnel.Endpoint{Port: 3128}, "xray", "xray shares its network"},
		"unmapped":   {func(t *emulator.Task) { t.Containers[0].Ports, t.Containers[0].Unmapped = nil, t.Containers[0].Ports }, tunnel.Endpoint{Port: 3128}, "app", "app: ExecuteCommandAgent RUNNING"},
		"host":       {func(t *emulator.Task) { t.Network, t.Launch, t.Containers[0].Agent = "host", "EC2", stopped }, tunnel.Endpoint{Port: 3128}, "xray", "xray: ExecuteCommandAgent RUNNING"},
		"a host":     {func(*emulator.Task) {}, tunnel.Endpoint{Host: "orders.internal", Port: 80}, "app", "app: ExecuteCommandAgent RUNNING"},
		"bridge":     {func(t *emulator.Task) { t.Network, t.Launch = "bridge", "EC2" }, tunnel.Endpoint{Port: 3128}, "app", "app: ExecuteCommandAgent RUNNING"},
		"one silent": {func(t *emulator.Task) { t.Containers[0].Agent.Silent = true }, tunnel.Endpoint{Port: 3128}, "xray", ""},
	} {
		c := newClinic(t, beside(test.change))
		c.options.Spec.Remote = test.remote
		c.options.Query.Port = 0
		if test.remote.Host == "" {
			c.options.Query.Port = test.remote.Port
		}
		report := c.examine()
		if report.First() != nil || report.Target.Container != test.want {
			t.Errorf("%s: got container %q, want %q\n%s", name, report.Target.Container, test.want, summary(report))
		}
		if got := strings.Join(resultOf(t, report, "agent").Finding.Evidence, "; "); !strings.Contains(got, test.evidence) {
			t.Errorf("%s: got %q, want %q", name, got, test.evidence)
		}
	}
	c := newClinic(t, beside(func(t *emulator.Task) { t.Network, t.Launch, t.Containers[0].Agent = "bridge", "EC2", stopped }))
	c.finds("agent", "C3", "app is not ready: its exec agent has stopped")
}

func TestTheDoctorKnowsFamiliesAndTaskSets(t *testing.T) {
	t.Parallel()
	f := healthy()
	f.Clusters[0].Tasks = []emulator.Task{func() emulator.Task { t := proxyTask(); t.Family = "nightly"; return t }()}
	s := &f.Clusters[0].Services[0]
	s.Controller, s.Rollout = "CODE_DEPLOY", &emulator.Rollout{Task: func() emulator.Task { t := proxyTask(); t.Revision = 2; return t }(), Running: 1}
	c := newClinic(t, f)
	r := resultOf(t, c.examine(), "service")
	if r.Cause != "B7" || strings.Contains(r.Remedy(), "services-stable") || !strings.Contains(r.Remedy(), "CODE_DEPLOY ends it") {
		t.Errorf("got %s: %v → %s", r.Cause, r.Finding.Err, r.Remedy())
	}
	c.options.Query = aws.Query{Cluster: "c", Family: "nightly", Port: 3128}
	report := c.examine()
	if report.First() != nil || report.Target.Family != "nightly" || report.Target.Service != "" {
		t.Errorf("got %+v\n%s", report.Target, summary(report))
	}
	if r := resultOf(t, report, "service"); r.Finding.Verdict != doctor.Skipped {
		t.Errorf("got %v %s, want no service", r.Finding.Verdict, r.Finding.Why)
	}
	c.brisk().options.Query.Family = "nihgtly"
	c.finds("service", "B3", `no family "nihgtly" in cluster c`, "nightly")
	c.options.Query.Family = "s"
	c.finds("service", "B3", "every running task of family s in cluster c was started by a service", "name the service: c/s")
}
