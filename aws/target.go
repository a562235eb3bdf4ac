package aws

import (
	"fmt"
	"slices"
	"strings"
)

// Target names a container to which a session can be opened. A Target with an empty Task stands for any running task of its
// service, or for the newest of its family; only one with a RuntimeID can be passed to StartSession.
type Target struct {
	Cluster, Service, Task, Container string
	Family                            string // of the task definition, where no service started the task: other tasks of the family can replace it
	RuntimeID                         string
	AnyContainer                      bool   // the user did not name Container: another one that serves Port will do as well
	Port                              uint16 // port of the task itself, for AnyContainer; 0 when the forward goes to another host
	Home                              Home   // of a target that was written as an ARN, see ParseTarget; not set by Lookup
}

// Query is a query for the container of the target.
func (t Target) Query() Query {
	return Query{Cluster: t.Cluster, Service: t.Service, Family: t.Family, Task: t.Task, Container: t.Container, Home: t.Home}
}

// Wanted is the query that the target answers, in any task: it leaves out what the user did not name.
func (t Target) Wanted() Query {
	q := Query{Cluster: t.Cluster, Service: t.Service, Family: t.Family, Container: t.Container, Port: t.Port}
	if t.AnyContainer {
		q.Container = ""
	}
	return q
}

// ID returns the target in the form that StartSession takes: ecs:<cluster name>_<task id>_<container runtime id>.
func (t Target) ID() string { return "ecs:" + t.Cluster + "_" + t.Task + "_" + t.RuntimeID }

// String returns the target as a user names it: cluster/service/task/container without empty parts. A container of any task is
// cluster/service//container, and without a service it is cluster//family/container, as ParseTarget reads them.
func (t Target) String() string {
	if t.Family != "" && t.Service == "" && t.Task == "" {
		return strings.TrimSuffix(t.Cluster+"//"+t.Family+"/"+t.Container, "/")
	}
	if t.Service != "" && t.Task == "" && t.Container != "" {
		return strings.TrimPrefix(t.Cluster+"/"+t.Service, "/") + "//" + t.Container
	}
	parts := []string{t.Cluster, t.Service, t.Task, t.Container}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "/")
}

// TaskARN is the ARN of a target's task; empty when the target has none, or when the account is not known.
func (c *Client) TaskARN(t Target) string {
	if t.Task == "" || t.Cluster == "" || c.accountID() == "" {
		return ""
	}
	return c.arn("ecs", "task/"+t.Cluster+"/"+t.Task)
}

// ParseTarget reads cluster/service[/task[/container]], where an empty task is any task of the service;
// cluster//family[/container] for tasks that no service started; or the ARN of a service or task, whose account and region it
// keeps in Home. It only parses: whether there is such a thing is for Lookup and Catalog.Find to say.
func ParseTarget(name string) (Target, error) {
	if isARN(name) {
		ref, err := parseARN(name)
		if err != nil {
			return Target{}, err
		}
		switch ref.Kind {
		case "cluster":
			return Target{}, &TargetFormError{Form: name, Problem: "not the ARN of an ECS service or task, but of a cluster"}
		case taskDefinition:
			return Target{}, &TargetFormError{Form: name, Problem: fmt.Sprintf("not the ARN of an ECS service or task: it names a %q, which goes to --family beside --cluster", ref.Kind)}
		}
		return Target{Cluster: ref.Cluster, Service: ref.Service, Task: ref.Task, Home: ref.Home}, nil
	}
	parts := strings.Split(name, "/")
	if len(parts) < 2 || len(parts) > 4 {
		return Target{}, &TargetFormError{Form: name, Problem: fmt.Sprintf("%d parts", len(parts))}
	}
	for i, part := range parts {
		anyTask, noService := i == 2 && len(parts) == 4 && parts[1] != "", i == 1 && len(parts) > 2
		if part == "" && !anyTask && !noService {
			return Target{}, &TargetFormError{Form: name, Problem: "an empty part"}
		}
	}
	parts = append(parts, "", "")
	if parts[1] == "" {
		return Target{Cluster: parts[0], Family: parts[2], Container: parts[3]}, nil
	}
	return Target{Cluster: parts[0], Service: parts[1], Task: parts[2], Container: parts[3]}, nil
}

// TargetFormError means that a target cannot be parsed.
type TargetFormError struct{ Form, Problem string }

func (e *TargetFormError) Error() string { return fmt.Sprintf("target %q: %s", e.Form, e.Problem) }

// Remedy says how a target is written.
func (e *TargetFormError) Remedy() string {
	if isARN(e.Form) {
		return "write arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/SERVICE, or task/CLUSTER/TASK or cluster/CLUSTER where one of those is meant, or plain names"
	}
	return "write cluster/service, cluster/service/task or cluster/service/task/container; cluster/service//container is that container of any task, cluster//family the newest task of that task definition which no service started"
}

// lastPart is the name at the end of an ECS ARN, or the text itself.
func lastPart(text string) string { return text[strings.LastIndex(text, "/")+1:] }
