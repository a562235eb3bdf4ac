package aws

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Suspect is the first thing in a task or its definition that can keep the exec agent from running.
type Suspect int

// The suspects, in the order in which they are looked for (AWS's ECS Exec Checker, and the ECS Developer Guide, "ECS Exec").
const (
	SuspectNone         Suspect = iota
	SuspectPlatform             // the Fargate platform is older than ECS Exec
	SuspectECSAgent             // the ECS agent of the container instance is older than ECS Exec
	SuspectReadonlyRoot         // the agent cannot write its files
	SuspectNoRole               // no task role: the agent has no credentials
	SuspectKeys                 // keys in the container's environment stand in for the task role
)

// String is a clause that follows "its exec agent has stopped"; empty for SuspectNone.
func (s Suspect) String() string {
	switch s {
	case SuspectNone:
	case SuspectPlatform:
		return "and the task's Fargate platform is older than ECS Exec"
	case SuspectECSAgent:
		return "and the ECS agent of its container instance is older than ECS Exec"
	case SuspectReadonlyRoot:
		return "and the container has readonlyRootFilesystem on"
	case SuspectNoRole:
		return "and the task has no task role"
	case SuspectKeys:
		return "and the container's environment holds AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY"
	}
	return ""
}

func (e *NotReadyError) suspectRemedy() string {
	container := orWord(e.Target.Container, "the container")
	switch e.Suspect {
	case SuspectNone:
	case SuspectECSAgent:
		return e.Instance.Remedy(e.Origin.Shell, e.Target.Cluster) + " (it has " + e.Instance.AgentVersion + ", ECS Exec needs 1.50.2)"
	case SuspectPlatform:
		return "use Fargate platform 1.4.0 (Windows: 1.0.0) or later (Terraform: platform_version = \"LATEST\")"
	case SuspectReadonlyRoot:
		return fmt.Sprintf("set readonlyRootFilesystem to false for %s in the task definition, or mount writable volumes at /managed-agents, /var/lib/amazon/ssm and /var/log/amazon/ssm", container)
	case SuspectNoRole:
		return "give the task definition a task role (taskRoleArn; Terraform: task_role_arn) that ecs-tasks.amazonaws.com may assume, with the statement " + statementJSON(TaskRolePolicy().Statement[0])
	case SuspectKeys:
		return fmt.Sprintf("take AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY out of %s's environment: its agent uses them instead of the task role", container)
	}
	return ""
}

// suspect looks for what keeps the agent of e from running, as far as the caller may ask.
func (c *Client) suspect(ctx context.Context, e *NotReadyError, t Task) Suspect {
	if e.Cause != CauseAgentStopped && e.Cause != CauseAgentMissing {
		return SuspectNone
	}
	if e.Suspect != SuspectNone {
		return e.Suspect
	}
	if t.Instance != "" {
		var err error
		if e.Instance, err = c.instance(ctx, t); err != nil {
			c.log.Debug("the container instance is not known", "error", err)
		}
		if e.Instance.Old() {
			return SuspectECSAgent
		}
	}
	if e.Cause == CauseAgentMissing {
		return SuspectNone // no agent was tried
	}
	d, err := c.definition(ctx, t.TaskDefinition)
	if err != nil {
		c.log.Debug("the task definition is not known", "error", err)
		return SuspectNone
	}
	return d.suspect(t, e.Target.Container)
}

// suspect is what in a definition can keep the agent of a container from running.
func (d Definition) suspect(t Task, name string) Suspect {
	container := d.Container(name)
	switch {
	case container.ReadonlyRoot:
		return SuspectReadonlyRoot
	case d.TaskRole == "" && t.RoleOverride == "":
		return SuspectNoRole
	case container.Keys:
		return SuspectKeys
	}
	return SuspectNone
}

// oldPlatform reports whether a task's Fargate platform version is known to be older than ECS Exec.
func oldPlatform(t Task) bool {
	if t.Instance != "" {
		return false
	}
	first, rest, _ := strings.Cut(t.PlatformVersion, ".")
	major, err := strconv.Atoi(first)
	if err != nil || strings.HasPrefix(strings.ToLower(t.Platform), "windows") {
		return false
	}
	second, _, _ := strings.Cut(rest, ".")
	minor, err := strconv.Atoi(second)
	return err == nil && (major < 1 || major == 1 && minor < 4)
}
