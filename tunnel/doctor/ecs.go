package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/aws"
)

// stage is what a lookup of a container has to find, in this order.
type stage int

const (
	stageCluster stage = iota
	stageService
	stageTask
	stageExec
	stageAgent
	stageDone
)

// stageOf is the stage that a failed Lookup is about.
func stageOf(err error) stage {
	if e, ok := errors.AsType[*aws.NotFoundError](err); ok {
		switch e.Kind {
		case "cluster":
			return stageCluster
		case "service", "family":
			return stageService
		}
		return stageTask
	}
	if e, ok := errors.AsType[*aws.AmbiguousError](err); ok {
		if e.Kind == "cluster" {
			return stageCluster
		}
		return stageTask
	}
	if e, ok := errors.AsType[*aws.NotReadyError](err); ok {
		switch e.Cause {
		case aws.CauseDraining, aws.CauseScaledToZero, aws.CauseNoTask:
			return stageService
		case aws.CauseTaskPending, aws.CauseTaskStopping, aws.CauseDisconnected:
			return stageTask
		case aws.CauseExecOff:
			return stageExec
		case aws.CauseAgentPending, aws.CauseAgentStopped, aws.CauseAgentMissing, aws.CauseNotStarted, aws.CauseContainerOver, aws.CauseNoNetwork:
			return stageAgent
		}
	}
	if is[*aws.ServedError](err) {
		return stageService
	}
	if is[*aws.TaskGoneError](err) {
		return stageTask
	}
	return stageCluster // a call was denied, throttled, unanswered or of another account: nothing was seen
}

// judge is the finding for a stage: a failure if the error of the lookup is about this stage, else what seen returns.
func (x *examination) judge(s stage, seen func() Finding) Finding {
	if x.found.Err != nil && stageOf(x.found.Err) == s {
		f := fail(x.found.Err)
		if s >= stageService {
			f.Evidence = seen().Evidence
		}
		return f
	}
	return seen()
}

func (x *examination) clusterCheck() Check {
	after := []string{checkCredentials, checkIdentity}
	if x.named() {
		after = append(after, checkDestination)
	}
	return Check{
		ID: checkCluster, Name: "the cluster is there", After: after,
		Causes: []Cause{
			{"A8", "the ARN is of another account, region or partition than the one that is looked at", "pass the `--region`, `--profile` or `--role-arn` that leads there"},
			{"A9", "an AWS endpoint cannot be reached: DNS, timeout, `certificate signed by unknown authority`, a wrong HTTPS_PROXY", "look at the address and proxy that are named; AWS_CA_BUNDLE for a proxy that looks into TLS; NO_PROXY"},
			{"A11", "`ThrottlingException: Rate exceeded`, or AWS reports a fault of its own, after retries", "wait and try again"},
			{"B1", "AccessDeniedException on an ecs: action that is needed", "add the statement that is shown to the caller's policy"},
			{"B2", "ClusterNotFoundException, or the cluster is INACTIVE", "name one of the nearest clusters; look at `--region` and `--profile`"},
		},
		Run: func(ctx context.Context) Finding {
			x.found = x.client.Inspect(ctx, x.Query)
			return x.judge(stageCluster, func() Finding {
				c := x.found.Cluster
				if err := x.gapOf("the cluster's settings"); err != nil && c.Name == "" {
					return blind(err)
				}
				return pass(c.Name + " is " + c.Status)
			})
		},
	}
}

func (x *examination) serviceCheck() Check {
	return Check{
		ID: checkService, Name: "the service runs tasks", After: []string{checkCluster},
		Causes: []Cause{
			{"B3", "ServiceNotFoundException, or the service is DRAINING or INACTIVE", "name one of the nearest services"},
			{"B4", "no running task: scaled to zero, or its tasks stop (image, secrets, memory, health check, Spot, capacity)", "`aws ecs update-service … --desired-count 1` (a DAEMON service wants a container instance instead), or what the newest stopped task's reason calls for"},
			{"B7", "a deployment is under way: tasks come and go", "wait for its end, or expect to be moved to another task"},
		},
		Run: func(context.Context) Finding {
			return x.judge(stageService, func() Finding {
				s := x.found.Service
				switch err := x.gapOf("details of services"); {
				case s.Name == "" && err != nil:
					return blind(err)
				case s.Name == "":
					return skip("no service was named")
				}
				evidence := []string{fmt.Sprintf("%s: %d running, %d pending of %d", s.Name, s.Running, s.Pending, s.Desired)}
				if s.Deploying {
					return advise(evidence, &AdviceError{ID: "B7", Problem: "a deployment of " + s.Name + " is under way", Advice: "wait for its end" + x.waitForEnd(s) + ": a tunnel moves to another task when its own stops"})
				}
				return pass(evidence...)
			})
		},
	}
}

// waitForEnd is, in parentheses, the command that waits for the end of a deployment; for deployments that ECS does not control,
// what ends them.
func (x *examination) waitForEnd(s aws.Service) string {
	if s.Controller != "" && s.Controller != "ECS" {
		return " (" + s.Controller + " ends it when it takes the older of the two task sets away)"
	}
	return " (" + x.client.Shell().AWS("ecs", "wait", "services-stable", "--cluster", s.Cluster, "--services", s.Name) + ")"
}

func (x *examination) taskCheck() Check {
	return Check{
		ID: checkTask, Name: "a task is running", After: []string{checkService},
		Causes: []Cause{
			{"B5", "the task is on its way up (PROVISIONING, PENDING, ACTIVATING) or down (DEACTIVATING … STOPPED)", "wait, or name another task"},
			{"B6", "connectivity DISCONNECTED: ECS has lost contact with the task", "name another task"},
		},
		Run: func(context.Context) Finding {
			return x.judge(stageTask, func() Finding {
				t := x.found.Task
				if t.ID == "" {
					if err := x.gapOf("details of tasks"); err != nil {
						return blind(err)
					}
					return pass()
				}
				evidence := []string{t.ID + " is " + t.Status}
				if t.Health != "" && t.Health != "UNKNOWN" {
					evidence = append(evidence, "health "+t.Health)
				}
				return pass(evidence...)
			})
		},
	}
}

func (x *examination) execCheck() Check {
	return Check{
		ID: checkExec, Name: "ECS Exec is on for the task", After: []string{checkTask},
		Causes: []Cause{
			{"C1", "enableExecuteCommand is false on the task, though perhaps not on its service", "`aws ecs update-service … --enable-execute-command --force-new-deployment` (Terraform: enable_execute_command = true); under CODE_DEPLOY or EXTERNAL control a deployment of that kind; for a task without a service its rule, schedule, state machine, job definition, or `aws ecs run-task`"},
		},
		Run: func(context.Context) Finding {
			return x.judge(stageExec, func() Finding { return pass() })
		},
	}
}

func (x *examination) agentCheck() Check {
	return Check{
		ID: checkAgent, Name: "the container's exec agent runs", After: []string{checkExec},
		Causes: []Cause{
			{"C2", "no agent, on a Fargate platform before 1.4.0 (Windows 1.0.0) or an ECS agent before 1.50.2", "use a newer platform and deploy anew"},
			{"C3", "ExecuteCommandAgent is PENDING, STOPPED or missing", "wait a minute when PENDING; else readonlyRootFilesystem, task role, keys in the environment, route to ssmmessages, memory"},
			{"C4", "ExecuteCommandAgent is STOPPED and the task has no task role", "give the task definition a task role with the four ssmmessages actions"},
			{"C11", "ExecuteCommandAgent is started again and again: its lastStartedAt changes while it is watched", "more memory for the task; else as for C3"},
			{"C6", "the container has no runtimeId: it has not started", "wait, or look at the container's reason"},
			{"C12", "the container that is named has run to its end (STOPPED), as an init container does", "leave `--container` out, or name one that runs"},
			{"C13", "the task has network mode none: neither clients nor its exec agents have a network", "set networkMode to awsvpc, bridge or host and deploy anew"},
		},
		Run: func(ctx context.Context) Finding {
			f := x.judge(stageAgent, func() Finding {
				a := x.found.Container.Agent
				if a.Status == "" {
					if err := x.gapOf("details of tasks"); err != nil {
						return blind(err)
					}
					return pass()
				}
				evidence := []string{x.found.Container.Name + ": ExecuteCommandAgent " + a.Status}
				if !a.StartedAt.IsZero() {
					evidence = append(evidence, "since "+a.StartedAt.UTC().Format(time.RFC3339))
				}
				if x.found.Instead != "" {
					evidence = append(evidence, x.found.Instead)
				}
				return pass(evidence...)
			})
			if crash := x.crashes(ctx, f.Err); crash != nil {
				f.Err = crash
			}
			return f
		},
	}
}

// definitionCheck warns of settings of the task definition that make trouble although the agent runs.
func (x *examination) definitionCheck() Check {
	return Check{
		ID: checkDefinition, Name: "the task definition suits ECS Exec", After: []string{checkAgent},
		Causes: []Cause{
			{"C7", "initProcessEnabled is off, containers share processes (pidMode task), or the cluster wants exec sessions logged or encrypted", "set linuxParameters.initProcessEnabled; give the task role the logging's permissions"},
		},
		Run: func(context.Context) Finding {
			d := x.found.Definition
			if d.ARN == "" {
				if err := x.gapOf("task definitions"); err != nil {
					return blind(err)
				}
				return skip("the task definition is not known")
			}
			var advice []*AdviceError
			if !d.Container(x.found.Target.Container).Init {
				advice = append(advice, &AdviceError{ID: "C7", Problem: "initProcessEnabled is off: processes that sessions leave behind pile up", Advice: "set linuxParameters.initProcessEnabled to true for " + x.found.Target.Container})
			}
			if d.SharedPID {
				advice = append(advice, &AdviceError{ID: "C7", Problem: "all containers share one process namespace (pidMode task): an agent may fail to start", Advice: "take pidMode out of the task definition"})
			}
			if x.found.Logged {
				advice = append(advice, &AdviceError{ID: "C7", Problem: "the cluster wants exec sessions logged or encrypted (executeCommandConfiguration)", Advice: "give the task role what the logging needs (logs:*, s3:PutObject, kms:Decrypt); port sessions are not logged"})
			}
			return advise([]string{d.ARN}, advice...)
		},
	}
}
