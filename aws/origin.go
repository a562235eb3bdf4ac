package aws

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Origin is what starts tasks like one that is looked at, as far as it is known: a remedy that wants another task, or one
// with another setting, has to fit it. The zero value is a service as most are.
type Origin struct {
	Shell      Shell
	Controller string // of a service's deployments: ECS, CODE_DEPLOY, EXTERNAL; empty when not known
	Scheduling string // of a service: REPLICA, DAEMON; empty when not known
	ExecOn     bool   // the service has exec on; a task that is older than that has not

	// Of a task that no service started.
	StartedBy  string // as ECS writes it: a tag of whoever called RunTask
	Definition string // family:revision
	Launch     string // FARGATE, EC2, EXTERNAL, MANAGED_INSTANCES
	Capacity   string // provider, which then stands in place of Launch
}

// with adds what is known of a service.
func (o Origin) with(s Service) Origin {
	o.Controller, o.Scheduling, o.ExecOn = s.Controller, s.Scheduling, s.ExecEnabled
	return o
}

// Origin is that of a service's tasks.
func (c *Client) Origin(s Service) Origin { return Origin{Shell: c.shell}.with(s) }

// IsDaemon reports whether ECS itself decides how many tasks there are: one for every container instance.
func (o Origin) IsDaemon() bool { return o.Scheduling == "DAEMON" }

// rolls reports whether ECS deploys the service by itself, so that UpdateService can force it to (API_UpdateService: under
// other controllers it refuses all that calls for other tasks).
func (o Origin) rolls() bool { return o.Controller == "" || o.Controller == "ECS" }

// anew is how other tasks with the present settings come about.
func (o Origin) anew(t Target) string {
	if t.Service == "" {
		return o.runAnew(t)
	}
	if !o.rolls() {
		return o.deploy(t)
	}
	return o.update(t, "--force-new-deployment")
}

// deploy is a deployment that is not ECS's own.
func (o Origin) deploy(t Target) string {
	switch o.Controller {
	case "CODE_DEPLOY":
		return fmt.Sprintf("deploy %s anew with CodeDeploy: its deployment controller is CODE_DEPLOY, under which ECS forces no deployment", t.Service)
	case "EXTERNAL":
		return fmt.Sprintf("have the tool that deploys %s make a new task set: its deployment controller is EXTERNAL, under which ECS forces no deployment", t.Service)
	}
	return fmt.Sprintf("deploy %s anew with what deploys it: its deployment controller is %s, under which ECS forces no deployment", t.Service, o.Controller)
}

// withExec is how tasks come about that have exec on.
func (o Origin) withExec(t Target) string {
	switch {
	case t.Service == "":
		return o.runWithExec(t)
	case o.ExecOn:
		return "the task is older than the service's setting: " + o.anew(t)
	case o.rolls():
		return "run: " + o.update(t, "--enable-execute-command", "--force-new-deployment")
	}
	return "run: " + o.update(t, "--enable-execute-command") + ", which changes no task yet; then " + o.deploy(t)
}

// More is how a service comes to n tasks.
func (o Origin) More(t Target, n int) string {
	if o.IsDaemon() {
		return fmt.Sprintf("add a container instance to cluster %s that meets the placement constraints of %s: a DAEMON service runs one task on each, and takes no number", t.Cluster, t.Service)
	}
	return "run: " + o.update(t, "--desired-count", strconv.Itoa(n))
}

func (o Origin) update(t Target, flags ...string) string {
	return o.Shell.AWS(slices.Concat([]string{"ecs", "update-service", "--cluster", t.Cluster, "--service", t.Service}, flags)...)
}

// look is where ECS shows more.
func (o Origin) look(t Target) string {
	switch {
	case t.Service == "" && t.Task == "" && t.Family != "":
		family, _, _ := strings.Cut(t.Family, ":")
		return "see: " + o.Shell.AWS("ecs", "list-tasks", "--cluster", t.Cluster, "--family", family, "--desired-status", "STOPPED")
	case t.Service == "":
		return "see: " + o.Shell.AWS("ecs", "describe-tasks", "--cluster", t.Cluster, "--tasks", orWord(t.Task, "TASK"))
	}
	return "see: " + o.Shell.AWS("ecs", "describe-services", "--cluster", t.Cluster, "--services", t.Service)
}

// starter is who else than a person calls RunTask, as it signs its tasks.
type starter struct {
	who     string // that starts the task, for a sentence
	setting string // where it says whether exec is on
}

// starter knows EventBridge's rules and schedules, Step Functions and AWS Batch; the zero value is anybody else. Batch does
// not sign, but makes clusters of its own (AWS Batch User Guide, "Compute environments").
func (o Origin) starter(cluster string) starter {
	rule, isRule := strings.CutPrefix(o.StartedBy, "events-rule/")
	schedule, isSchedule := strings.CutPrefix(o.StartedBy, "chronos-schedule/")
	switch {
	case isRule:
		return starter{"the EventBridge rule " + rule, "EnableExecuteCommand in the rule's ECS target (EcsParameters)"}
	case isSchedule:
		return starter{"the EventBridge schedule " + schedule, "EnableExecuteCommand in the schedule's target (EcsParameters)"}
	case o.StartedBy == "AWS Step Functions":
		return starter{"a state machine of Step Functions", "EnableExecuteCommand in the parameters of its ecs:runTask state"}
	case strings.HasPrefix(cluster, "AWSBatch-"), strings.Contains(cluster, "_Batch_"):
		return starter{"AWS Batch", "enableExecuteCommand in the job definition"}
	}
	return starter{}
}

func (o Origin) runAnew(t Target) string {
	if s := o.starter(t.Cluster); s.who != "" {
		return "let " + s.who + " start another task: no service does"
	}
	return "start the task anew, no service does: " + o.run(t)
}

func (o Origin) runWithExec(t Target) string {
	if s := o.starter(t.Cluster); s.who != "" {
		return "set " + s.setting + ", and let " + s.who + " start another task"
	}
	return "start the task anew: " + o.run(t)
}

// run is RunTask; what ECS does not tell of a task that runs has to be added.
func (o Origin) run(t Target) string {
	words := []string{"ecs", "run-task", "--cluster", t.Cluster, "--task-definition", orWord(o.Definition, "TASK_DEFINITION"), "--enable-execute-command"}
	switch {
	case o.Capacity != "":
		words = append(words, "--capacity-provider-strategy", "capacityProvider="+o.Capacity)
	case o.Launch != "":
		words = append(words, "--launch-type", o.Launch)
	}
	return o.Shell.AWS(words...) + " (with the --network-configuration and --overrides that it had)"
}
