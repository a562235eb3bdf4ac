package aws

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Origin is what starts tasks like the one in question, as far as that is known: a remedy that needs another task, or another
// setting, depends on it. The zero value stands for a service that ECS deploys.
type Origin struct {
	Shell      Shell
	Controller string // of a service's deployments: ECS, CODE_DEPLOY, EXTERNAL; empty when not known
	Scheduling string // of a service: REPLICA, DAEMON; empty when not known
	ExecOn     bool   // the service has exec on; tasks that it started before do not have it

	// The following are of a task that no service started.
	StartedBy  string // as ECS has it: set by whoever called RunTask
	Definition string // family:revision
	Launch     string // FARGATE, EC2, EXTERNAL, MANAGED_INSTANCES
	Capacity   string // capacity provider, which then replaces Launch
}

// with adds what a service's description tells.
func (o Origin) with(s Service) Origin {
	o.Controller, o.Scheduling, o.ExecOn = s.Controller, s.Scheduling, s.ExecEnabled
	return o
}

// Origin is the origin of a service's tasks.
func (c *Client) Origin(s Service) Origin { return Origin{Shell: c.shell}.with(s) }

// IsDaemon reports whether ECS decides how many tasks there are: one on every container instance.
func (o Origin) IsDaemon() bool { return o.Scheduling == "DAEMON" }

// rolls reports whether ECS deploys the service, so that UpdateService can force a deployment. Under other controllers it
// refuses every change that needs other tasks (API_UpdateService).
func (o Origin) rolls() bool { return o.Controller == "" || o.Controller == "ECS" }

// anew is the advice for getting other tasks with the present settings.
func (o Origin) anew(t Target) string {
	if t.Service == "" {
		return o.runAnew(t)
	}
	if !o.rolls() {
		return o.deploy(t)
	}
	return o.update(t, "--force-new-deployment")
}

// deploy is the advice for a deployment that is not made by ECS.
func (o Origin) deploy(t Target) string {
	switch o.Controller {
	case "CODE_DEPLOY":
		return fmt.Sprintf("deploy %s anew with CodeDeploy: its deployment controller is CODE_DEPLOY, under which ECS forces no deployment", t.Service)
	case "EXTERNAL":
		return fmt.Sprintf("have the tool that deploys %s make a new task set: its deployment controller is EXTERNAL, under which ECS forces no deployment", t.Service)
	}
	return fmt.Sprintf("deploy %s anew with what deploys it: its deployment controller is %s, under which ECS forces no deployment", t.Service, o.Controller)
}

// withExec is the advice for getting tasks that have exec on.
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

// More is the advice for getting n tasks of a service.
func (o Origin) More(t Target, n int) string {
	if o.IsDaemon() {
		return fmt.Sprintf("add a container instance to cluster %s that meets the placement constraints of %s: a DAEMON service runs one task on each, and takes no number", t.Cluster, t.Service)
	}
	return "run: " + o.update(t, "--desired-count", strconv.Itoa(n))
}

func (o Origin) update(t Target, flags ...string) string {
	return o.Shell.AWS(slices.Concat([]string{"ecs", "update-service", "--cluster", t.Cluster, "--service", t.Service}, flags)...)
}

// look is the advice where ECS shows more.
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

// starter is what, other than a person, has called RunTask, as startedBy tells.
type starter struct {
	who     string // in words, for a sentence
	setting string // where exec is switched on in it
}

// starter recognises EventBridge's rules and schedules, Step Functions and AWS Batch; it is zero for anything else. Batch sets
// no startedBy, but makes clusters of its own (AWS Batch User Guide, "Compute environments").
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

// run is the command that calls RunTask. What ECS does not tell about a running task has to be added by the user.
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
