package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"culvert/aws"
	"culvert/aws/emulator"
)

// containersFleet is an account of tasks with several containers, in every network mode, and of tasks without a service.
func containersFleet() emulator.Fleet {
	app := emulator.Container{Name: "app", Ports: map[uint16]string{8080: emulator.Web}}
	with := func(change func(*emulator.Container)) emulator.Container {
		c := app
		change(&c)
		return c
	}
	stopped := func(c *emulator.Container) { c.Agent = emulator.Agent{Status: "STOPPED", Reason: "it crashed"} }
	sidecar := emulator.Container{Name: "xray", NonEssential: true}
	prepare := emulator.Container{Name: "a-prepare", Over: true, NonEssential: true}
	shared := func(containers ...emulator.Container) emulator.Task { return emulator.Task{Containers: containers} }
	on := func(network string, containers ...emulator.Container) emulator.Task {
		return emulator.Task{Containers: containers, Network: network, Launch: "EC2"}
	}
	service := func(name string, count int, t emulator.Task) emulator.Service {
		return emulator.Service{Name: name, Count: count, Task: t, Steady: true}
	}
	deployed := func(name, controller string, two bool) emulator.Service {
		s := service(name, 1, shared(app))
		s.Controller = controller
		if two {
			next := s.Task
			next.Revision = 2
			s.Rollout = &emulator.Rollout{Task: next, Running: 1}
		}
		return s
	}
	job := func(family string, age time.Duration, starter string) emulator.Task {
		t := shared(app)
		t.Family, t.Age, t.StartedBy = family, age, starter
		return t
	}
	served := job("served", time.Hour, "")
	return emulator.Fleet{VPC: true, Clusters: []emulator.Cluster{
		{Name: "task", Services: []emulator.Service{
			service("unmapped", 1, shared(with(func(c *emulator.Container) { c.Ports, c.Unmapped = nil, c.Ports }), sidecar, prepare)),
			service("pid", 2, func() emulator.Task { t := shared(with(stopped), sidecar); t.PIDMode = "task"; return t }()),
			service("readonly", 2, shared(with(func(c *emulator.Container) { stopped(c); c.ReadonlyRootFS = true }), sidecar, prepare)),
			service("absent", 1, shared(with(func(c *emulator.Container) { c.Agent.Absent = true }), sidecar)),
			service("silent", 2, shared(with(func(c *emulator.Container) { c.Agent.Silent = true }), sidecar)),
			service("mute", 2, shared(with(func(c *emulator.Container) { c.Agent.Silent = true }),
				emulator.Container{Name: "xray", NonEssential: true, Agent: emulator.Agent{Silent: true}})),
			service("lone", 1, shared(app, prepare)),
			service("meshed", 1, shared(with(stopped), emulator.Container{Name: "ecs-service-connect-Xy1"}, emulator.Container{Name: "aws-guardduty-agent-z"})),
			service("bridge", 1, on("bridge", app, sidecar, prepare)),
			service("bridge-stopped", 1, on("bridge", with(stopped), sidecar)),
			service("bridge-unmapped", 1, on("bridge", with(func(c *emulator.Container) { c.Ports, c.Unmapped = nil, c.Ports }), sidecar, prepare)),
			service("host", 1, on("host", with(stopped), sidecar)),
			service("none", 1, on("none", app)),
			service("ranged", 1, shared(with(func(c *emulator.Container) {
				c.Ports, c.Ranges, c.Unmapped = map[uint16]string{22: ""}, []string{"3000-4000"}, map[uint16]string{3500: emulator.Web}
			}), sidecar)),
			service("bridge-ranged", 1, on("bridge", sidecar, with(func(c *emulator.Container) {
				c.Ports, c.Ranges, c.Unmapped = nil, []string{"3000-4000"}, map[uint16]string{3500: emulator.Web}
			}))),
			deployed("blue", "CODE_DEPLOY", true), deployed("tool", "EXTERNAL", true), deployed("calm", "CODE_DEPLOY", false),
			service("served", 1, served),
		}},
		{Name: "jobs", Services: []emulator.Service{service("etl", 1, job("etl", time.Minute, ""))}, Tasks: []emulator.Task{
			job("etl", time.Hour, "events-rule/nightly"), job("etl", 10*time.Minute, "chronos-schedule/nightly"), job("batch-job", 10*time.Minute, ""),
		}},
	}}
}

// containers starts the account of containersFleet and points the story's environment at it.
func containers(ts *testscript.TestScript, _ bool, _ []string) {
	e, err := emulator.Start(emulator.Options{Fleet: containersFleet(), Pace: 20 * time.Millisecond})
	ts.Check(err)
	ts.Defer(e.Close)
	storyOf(ts).account = e
	for _, v := range e.Env() {
		name, value, _ := strings.Cut(v, "=")
		ts.Setenv(name, value)
	}
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), e.CACertificate(), 0o600))
}

// job starts a task that no service looks after, whose id is $TASK then, or ends one.
//
//	job start FAMILY | stop TASK
func job(ts *testscript.TestScript, _ bool, args []string) {
	e := storyOf(ts).account
	switch args[0] {
	case "start":
		t := emulator.Task{Family: args[1], Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{8080: emulator.Web}}}}
		id, err := e.StartTask("jobs", t)
		ts.Check(err)
		ts.Setenv("TASK", id)
		key, secret := e.Credentials()
		c, err := aws.Connect(context.Background(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: key, Secret: secret}})
		ts.Check(err)
		eventually(ts, func() error { // its agent takes a moment
			_, err := c.Again(context.Background(), aws.Target{Cluster: "jobs", Task: id})
			return err
		})
	case "stop":
		ts.Check(e.StopTask(args[1], "the test is done with it"))
	default:
		ts.Fatalf("unknown word %q", args[0])
	}
}
