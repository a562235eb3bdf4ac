package aws

import (
	"fmt"
	"strings"
)

// Cause is why a container cannot carry a session.
type Cause int

// The causes. Those that pass by waiting come first, the quickest before the others.
const (
	CauseTaskPending   Cause = iota // the task is on its way to RUNNING
	CauseAgentPending               // the exec agent is starting; a task runs before its agent does
	CauseNotStarted                 // the container has no runtime id yet
	CauseDisconnected               // ECS has no connection to the task
	CauseNoTask                     // the service wants tasks and has none
	CauseTaskStopping               // the task is being stopped
	CauseAgentStopped               // the exec agent has given up
	CauseAgentMissing               // exec is on but the container never got an agent
	CauseContainerOver              // the container has run to its end, while its task goes on
	CauseNoNetwork                  // the task has network mode none
	CauseExecOff                    // the task was started without exec
	CauseScaledToZero               // the service wants no tasks
	CauseDraining                   // the service is being deleted, or was
)

// NotReadyError means that what was asked for exists, but cannot carry a session now.
type NotReadyError struct {
	Target   Target
	Cause    Cause
	Status   string   // of the task or service, as ECS has it
	Suspect  Suspect  // what the task and its definition say about the reason; looked for when there is no agent
	Instance Instance // the container instance of the task; looked for together with Suspect
	Reason   string   // ECS's reason for the agent, or for the newest task that has stopped
	Events   []string // of the service, newest first
	Origin   Origin   // of the tasks that were considered
	Waiting  int      // how many tasks were considered, including this one; 0 when there was none
}

func (e *NotReadyError) Error() string {
	text := orWord(e.Target.String(), "the target") + " is not ready: " + e.cause()
	if why := e.Suspect.String(); why != "" {
		text += ", " + why
	}
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	switch {
	case e.Waiting == 2:
		text += ", nor is the other task"
	case e.Waiting > 2:
		text += fmt.Sprintf(", nor are the %d other tasks", e.Waiting-1)
	}
	return text
}

func (e *NotReadyError) cause() string {
	switch e.Cause {
	case CauseTaskPending:
		return "the task is " + orWord(e.Status, "PENDING")
	case CauseAgentPending:
		return "its exec agent is still starting"
	case CauseNotStarted:
		return "the container has not started"
	case CauseDisconnected:
		return "ECS has lost contact with the task (DISCONNECTED)"
	case CauseNoTask:
		return "no task is running"
	case CauseTaskStopping:
		return "the task is being stopped (" + orWord(e.Status, "STOPPED") + ")"
	case CauseAgentStopped:
		return "its exec agent has stopped"
	case CauseAgentMissing:
		return "it has no exec agent"
	case CauseContainerOver:
		return "the container has stopped, while its task goes on"
	case CauseNoNetwork:
		return "the task has network mode none: nothing leads into it, and its exec agents cannot reach Session Manager"
	case CauseExecOff:
		return "ECS Exec is off for the task"
	case CauseScaledToZero:
		if e.Origin.IsDaemon() {
			return "the DAEMON service finds no container instance to run a task on"
		}
		return "the service is scaled to zero"
	case CauseDraining:
		return "the service is " + orWord(e.Status, "DRAINING")
	}
	return "unknown cause"
}

// Temporary reports whether waiting may help without anybody changing anything.
func (e *NotReadyError) Temporary() bool { return e.Cause <= CauseTaskStopping }

// Remedy depends on the cause.
func (e *NotReadyError) Remedy() string {
	if known := e.suspectRemedy(); known != "" {
		return known + ", then " + e.Origin.anew(e.Target)
	}
	switch e.Cause {
	case CauseTaskPending, CauseNotStarted:
		return "wait for it (--wait 5m); " + e.Origin.look(e.Target)
	case CauseAgentPending:
		return "wait: the agent needs up to a minute after the task is RUNNING (--wait 2m)"
	case CauseDisconnected:
		return "wait, or name another task; " + e.Origin.look(e.Target)
	case CauseNoTask:
		if e.Target.Service == "" && e.Target.Family != "" {
			return orWord(stopRemedy(e.Reason), "wait for it (--wait 5m), or "+e.Origin.runAnew(e.Target)) + "; " + e.Origin.look(e.Target)
		}
		return orWord(stopRemedy(e.Reason+" "+strings.Join(e.Events, " ")), "wait for it (--wait 5m)") + "; " + e.Origin.look(e.Target)
	case CauseTaskStopping:
		return "name another task, or wait for the one that replaces it"
	case CauseAgentStopped:
		return "check, in this order: readonlyRootFilesystem is off; the task role allows ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel and OpenDataChannel; " +
			"the subnet has a route to ssmmessages." + orWord(e.Origin.Shell.Region, "REGION") + " (NAT or endpoint); no AWS_ACCESS_KEY_ID in the container's environment; enough memory; then " + e.Origin.anew(e.Target)
	case CauseAgentMissing:
		return "use Fargate platform 1.4.0 (Windows: 1.0.0) or later, on EC2 the ECS agent 1.50.2 or later, then " + e.Origin.anew(e.Target)
	case CauseContainerOver:
		return "leave --container out, or name a container that runs: " + e.Origin.Shell.Culvert("list", "tasks", "-c", e.Target.Cluster, "-t", e.Target.Task)
	case CauseNoNetwork:
		return "set networkMode to awsvpc, bridge or host in the task definition, then " + e.Origin.anew(e.Target)
	case CauseExecOff:
		return e.Origin.withExec(e.Target)
	case CauseScaledToZero:
		return e.Origin.More(e.Target, 1)
	case CauseDraining:
		return "name a service that is ACTIVE: " + e.Origin.Shell.Culvert("list", "services")
	}
	return e.Origin.look(e.Target)
}

// stopRemedy is what to do about the common reasons of ECS for a task that does not stay (ECS Developer Guide, "Stopped tasks
// error messages" and "Service event messages"); "" for other reasons.
func stopRemedy(reason string) string {
	for _, known := range []struct{ words, remedy string }{
		{"CannotPullContainer", "correct the image's name, the execution role's right to pull it, or the route to its registry"},
		{"ResourceInitializationError", "give the task a route to ECR, Secrets Manager and CloudWatch Logs (NAT or endpoints) and its execution role the permissions"},
		{"FreeAddresses", "the subnet has no free address left: name others with --subnets, or free some"},
		{"OutOfMemory", "give the task more memory"},
		{"health check", "correct the health check or what it tests: ECS stops the tasks that fail it"},
		{"Capacity is unavailable", "wait for Fargate capacity, or add FARGATE beside FARGATE_SPOT or another subnet"},
		{"Spot", "the Spot capacity was taken back: ECS starts another task; a base of 1 on FARGATE avoids the gap"},
		{"unable to place a task", "add capacity to the cluster: ECS finds no place for the task"},
		{"unable to assume the role", "let the role's trust policy name ecs-tasks.amazonaws.com"},
		{"Essential container in task exited", "read the container's log: it ends by itself"},
	} {
		if strings.Contains(reason, known.words) {
			return known.remedy
		}
	}
	return ""
}

// NotConnectedError means that Session Manager has no connection to the container's agent.
type NotConnectedError struct {
	Target          Target
	Tried           []string // other containers of the task to which it has no connection either
	Region, Account string
	Err             error
}

func (e *NotConnectedError) Error() string {
	text := fmt.Sprintf("Session Manager has no connection to %s", e.Target)
	if len(e.Tried) > 0 {
		text += ", nor to its container " + strings.Join(e.Tried, ", ")
	}
	return text + " (TargetNotConnected)"
}
func (e *NotConnectedError) Unwrap() error { return e.Err }

// Temporary is true: the agent may still be registering, or another task may be about to replace this one.
func (e *NotConnectedError) Temporary() bool { return true }

// Remedy names the reasons that are left when the task looks ready.
func (e *NotConnectedError) Remedy() string {
	return fmt.Sprintf("the task may have been replaced or its agent may still be registering: try again; else check that it is in %s of account %s and has a route to ssmmessages.%s",
		e.Region, orWord(e.Account, "(unknown)"), e.Region)
}

// TaskGoneError means that a task has stopped or is stopping.
type TaskGoneError struct {
	Target Target
	Status string // STOPPED, DEPROVISIONING, …; empty when ECS no longer knows the task
	Reason string // ECS's stoppedReason, and the reasons of the containers
	Shell  Shell
}

// Over reports whether the containers of the task have ended, and all sessions with them.
func (e *TaskGoneError) Over() bool {
	switch e.Status {
	case "", "DEPROVISIONING", "STOPPED", "DELETED":
		return true
	}
	return false
}

func (e *TaskGoneError) Error() string {
	text := fmt.Sprintf("task %s is gone", e.Target.Task)
	if e.Status != "" {
		text = fmt.Sprintf("task %s is %s", e.Target.Task, e.Status)
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Remedy depends on why ECS stopped the task.
func (e *TaskGoneError) Remedy() string {
	if known := stopRemedy(e.Reason); known != "" {
		return known
	}
	if e.Target.Service == "" {
		return "name another task: " + e.Shell.Culvert("list", "tasks")
	}
	return "name the service instead of the task, then any running task of it will do: " + e.Target.Cluster + "/" + e.Target.Service
}

// Ready is nil when a container of the task can carry a session, else a *NotReadyError.
func (t Task) Ready(c Container) error {
	e := &NotReadyError{Target: Target{Cluster: t.Cluster, Service: t.Service, Task: t.ID, Container: c.Name}, Status: t.Status, Origin: t.Origin, Waiting: 1}
	switch {
	case t.stopping():
		e.Cause, e.Reason = CauseTaskStopping, t.StoppedReason
	case !t.ExecEnabled:
		e.Cause = CauseExecOff
	case t.Status != "RUNNING":
		e.Cause = CauseTaskPending
	case t.Connectivity == "DISCONNECTED":
		e.Cause = CauseDisconnected
	case c.over():
		e.Cause, e.Reason = CauseContainerOver, c.Reason
	case c.Agent.Status == "" && c.Status == "PENDING":
		e.Cause, e.Reason = CauseNotStarted, c.Reason
	case c.Agent.Status == "":
		e.Cause, e.Reason = CauseAgentMissing, c.Reason
		if oldPlatform(t) {
			e.Suspect = SuspectPlatform
		}
	case c.Agent.Status == "STOPPED":
		e.Cause, e.Reason, e.Suspect = CauseAgentStopped, c.Agent.Reason, c.Suspect
		if oldPlatform(t) {
			e.Suspect = SuspectPlatform
		}
	case c.Agent.Status != "RUNNING":
		e.Cause, e.Reason = CauseAgentPending, c.Agent.Reason
	case c.RuntimeID == "":
		e.Cause, e.Reason = CauseNotStarted, c.Reason
	default:
		return nil
	}
	return e
}

// stopping reports whether the task is being stopped or has stopped (ECS Developer Guide, "Task lifecycle").
func (t Task) stopping() bool {
	switch t.Status {
	case "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED", "DELETED":
		return true
	}
	return t.DesiredStatus == "STOPPED"
}
