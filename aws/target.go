package aws

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Target names a container that a session can be opened to. A Target with an empty Task stands for any running task of
// its service; only one with a RuntimeID can be handed to StartSession.
type Target struct {
	Cluster, Service, Task, Container string
	RuntimeID                         string
}

// ID returns the target in the form that StartSession takes: ecs:<cluster name>_<task id>_<container runtime id>.
func (t Target) ID() string { return "ecs:" + t.Cluster + "_" + t.Task + "_" + t.RuntimeID }

// String returns the target as a user names it: cluster/service/task/container, empty parts left out.
func (t Target) String() string {
	parts := []string{t.Cluster, t.Service, t.Task, t.Container}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "/")
}

// TaskARN is the ARN of a target's task; empty for a target without one, and as long as the account is not known.
func (c *Client) TaskARN(t Target) string {
	if t.Task == "" || t.Cluster == "" || c.accountID() == "" {
		return ""
	}
	return c.arn("ecs", "task/"+t.Cluster+"/"+t.Task)
}

// ParseTarget reads cluster/service[/task[/container]], or the ARN of a service or task. It only parses: whether there
// is such a thing Lookup and Catalog.Find know.
func ParseTarget(name string) (Target, error) {
	if strings.HasPrefix(name, "arn:") {
		ref, err := parseARN(name)
		if err != nil || ref.Kind == "cluster" {
			return Target{}, &TargetFormError{Form: name, Problem: "not the ARN of an ECS service or task"}
		}
		return Target{Cluster: ref.Cluster, Service: ref.Service, Task: ref.Task}, nil
	}
	parts := strings.Split(name, "/")
	if len(parts) < 2 || len(parts) > 4 {
		return Target{}, &TargetFormError{Form: name, Problem: fmt.Sprintf("%d parts", len(parts))}
	}
	if slices.Contains(parts, "") {
		return Target{}, &TargetFormError{Form: name, Problem: "an empty part"}
	}
	parts = append(parts, "", "")
	return Target{Cluster: parts[0], Service: parts[1], Task: parts[2], Container: parts[3]}, nil
}

// TargetFormError is a target that cannot be parsed.
type TargetFormError struct{ Form, Problem string }

func (e *TargetFormError) Error() string { return fmt.Sprintf("target %q: %s", e.Form, e.Problem) }

// Remedy says how a target is written.
func (e *TargetFormError) Remedy() string {
	return "write cluster/service, cluster/service/task or cluster/service/task/container"
}

// reference is what an ECS ARN names.
type reference struct {
	Kind                   string // cluster, service or task
	Account, Region        string
	Cluster, Service, Task string
}

// parseARN reads the ARN of a cluster, service or task; those of before 2018 have no cluster in them.
func parseARN(text string) (reference, error) {
	a, err := arn.Parse(text)
	if err != nil {
		return reference{}, fmt.Errorf("parse %q: %w", text, err)
	}
	parts := strings.Split(a.Resource, "/")
	ref := reference{Kind: parts[0], Account: a.AccountID, Region: a.Region}
	switch {
	case a.Service != "ecs" || len(parts) < 2 || len(parts) > 3:
		return reference{}, fmt.Errorf("parse %q: not of ECS", text)
	case ref.Kind == "cluster" && len(parts) == 2:
		ref.Cluster = parts[1]
	case ref.Kind == "service":
		ref.Service = parts[len(parts)-1]
	case ref.Kind == "task":
		ref.Task = parts[len(parts)-1]
	default:
		return reference{}, fmt.Errorf("parse %q: neither cluster, service nor task", text)
	}
	if len(parts) == 3 {
		ref.Cluster = parts[1]
	}
	return ref, nil
}

// lastPart is the name in an ARN of ECS, or the text itself.
func lastPart(text string) string { return text[strings.LastIndex(text, "/")+1:] }
