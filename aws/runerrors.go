package aws

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const runAction = "ecs:RunTask"

// NoLimitError means that a task cannot be made to end by itself, so that a culvert that is killed would leave it running for
// good.
type NoLimitError struct {
	Definition string
	TTL        time.Duration
	Long       bool // with the limit, the command is longer than an override may be
}

func (e *NoLimitError) Error() string {
	if e.Long {
		return fmt.Sprintf("%s cannot carry its own limit of %s: with it, its command is longer than an override may be", e.Definition, e.TTL)
	}
	return fmt.Sprintf("%s cannot carry its own limit of %s: no essential container of it is started by a shell (sh -c), nor has the variable %s", e.Definition, e.TTL, TTLVariable)
}

// Remedy is to give a container the limit, or to do without.
func (e *NoLimitError) Remedy() string {
	return "give an essential container the variable " + TTLVariable + " and have it end after so many seconds, as a small one beside yours with a shell can: " +
		`["sh", "-c", "sleep ${` + TTLVariable + `:-infinity}"]; or pass --no-watchdog: then culvert alone stops the task, and one that is killed leaves it until the next`
}

// NoNetworkError means that neither the order nor its service says in which subnets the task is to run.
type NoNetworkError struct{ Definition, Service string }

func (e *NoNetworkError) Error() string {
	if e.Service != "" {
		return fmt.Sprintf("%s wants a network interface of its own, and the service %s has no subnets", e.Definition, e.Service)
	}
	return e.Definition + " wants a network interface of its own, and nothing says in which subnets"
}

// Remedy names the flags.
func (e *NoNetworkError) Remedy() string {
	return "name a service whose network it takes (--service), or pass --subnets and --security-groups"
}

// PlacementError means that ECS did not place a task, as the cluster has no capacity for it.
type PlacementError struct {
	Definition, Cluster string
	Reasons             []string
	Shell               Shell
}

func (e *PlacementError) Error() string {
	return fmt.Sprintf("no place for %s in cluster %s: %s", e.Definition, e.Cluster, orWord(strings.Join(e.Reasons, ", "), "no reason is given"))
}

// Temporary is false: a full cluster stays full for longer than anybody waits.
func (e *PlacementError) Temporary() bool { return false }

// Remedy depends on what is missing.
func (e *PlacementError) Remedy() string {
	all := strings.Join(e.Reasons, " ")
	switch {
	case strings.Contains(all, "RESOURCE:ENI"):
		return "the container instances have no network interface left: add one to the cluster, or use a service on Fargate for its network (--service)"
	case strings.Contains(all, "RESOURCE:"), strings.Contains(all, "ATTRIBUTE"):
		return "no container instance has room or what the task asks for: add one to the cluster, give the task less cpu and memory, or name a service on Fargate (--service)"
	case strings.Contains(all, "Capacity"):
		return stopRemedy("Capacity is unavailable")
	}
	return "see what the cluster has: " + e.Shell.AWS("ecs", "describe-clusters", "--clusters", e.Cluster, "--include", "STATISTICS")
}

// NotRunError means that ECS refuses to run a task as it was ordered.
type NotRunError struct {
	Definition, Message string
	Err                 error
}

func (e *NotRunError) Error() string { return "ECS refuses it: " + e.Message }
func (e *NotRunError) Unwrap() error { return e.Err }

// Remedy depends on what ECS says.
func (e *NotRunError) Remedy() string {
	switch {
	case strings.Contains(e.Message, "subnet"):
		return "correct --subnets: ids of subnets in the cluster's account and region"
	case strings.Contains(e.Message, "security group"):
		return "correct --security-groups: ids of groups in the VPC of the subnets"
	case strings.Contains(e.Message, "No Container Instances"):
		return "the cluster has no container instances: name a service on Fargate for its network and capacity (--service)"
	case strings.Contains(e.Message, "assume the role"), strings.Contains(e.Message, "Role is not valid"):
		return stopRemedy("unable to assume the role")
	}
	return "correct the task definition " + e.Definition + ", or name another one with --run"
}

// NoDefinitionError means that there is no such task definition.
type NoDefinitionError struct {
	Name, Region string
	Shell        Shell
	Err          error
}

func (e *NoDefinitionError) Error() string {
	return fmt.Sprintf("no task definition %q in region %s", e.Name, orWord(e.Region, "(unknown)"))
}
func (e *NoDefinitionError) Unwrap() error { return e.Err }

// Remedy lists the families that there are.
func (e *NoDefinitionError) Remedy() string {
	return "name a family with --run FAMILY: " + e.Shell.AWS("ecs", "list-task-definition-families", "--status", "ACTIVE") +
		" lists them; culvert deploy writes out a module that has one"
}

// orNoDefinition is a *NoDefinitionError where the task definition does not exist, which ECS reports with a general code, else
// err.
func (c *Client) orNoDefinition(name string, err error) error {
	if refused, ok := errors.AsType[*FaultError](err); ok && refused.Code == "ClientException" {
		return &NoDefinitionError{Name: lastPart(name), Region: c.region, Shell: c.shell, Err: err}
	}
	return err
}

// asDenied finds a missing permission in an error.
func asDenied(err error) (*DeniedError, bool) { return errors.AsType[*DeniedError](err) }

// NotStoppedError means that a task which culvert has started could not be stopped.
type NotStoppedError struct {
	Cluster, Task string
	Shell         Shell
	Err           error
}

func (e *NotStoppedError) Error() string { return fmt.Sprintf("stop task %s: %v", e.Task, e.Err) }
func (e *NotStoppedError) Unwrap() error { return e.Err }

// Remedy is the missing permission, if it is missing, and the command to stop the task by hand.
func (e *NotStoppedError) Remedy() string {
	if denied, ok := asDenied(e.Err); ok {
		return denied.Remedy() + "; this one ends by itself at the time of its tag " + tagUntil + ", unless somebody stops it: " +
			e.Shell.AWS("ecs", "stop-task", "--cluster", e.Cluster, "--task", e.Task)
	}
	return "stop it: " + e.Shell.AWS("ecs", "stop-task", "--cluster", e.Cluster, "--task", e.Task)
}
