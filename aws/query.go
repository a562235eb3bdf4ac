package aws

import (
	"cmp"
	"fmt"
)

// Query says which container is wanted, as far as the user has said. Names may be ARNs.
type Query struct {
	Cluster, Service, Task, Container string
	Family                            string // of the definition, or family:revision, for the newest of its tasks that no service started
	Port                              uint16 // the port of the task itself that is wanted; 0 when the forward goes to another host
	Shell                             bool   // a command is to run in the container: when there are several, the user has to choose
	Home                              Home   // where the names are; Parse sets it from those that are ARNs
}

// Target is what the query asks for, as far as the user said.
func (q Query) Target() Target {
	return Target{Cluster: q.Cluster, Service: q.Service, Family: q.Family, Task: q.Task, Container: q.Container}
}

// Parse replaces ARNs by the names in them, and sets Home to where they are. It fails with a *TargetFormError for an ARN that
// is not of the right kind, and with a *ContradictionError for names that cannot all be right. A query that has been parsed
// stays as it is.
func (q Query) Parse() (Query, error) {
	cluster := q.Cluster // as it was written
	for _, name := range []struct {
		kind string
		at   *string
	}{{"cluster", &q.Cluster}, {"service", &q.Service}, {"task", &q.Task}, {"container", &q.Container}, {taskDefinition, &q.Family}} {
		text := *name.at
		if !isARN(text) {
			continue
		}
		ref, err := parseARN(text)
		switch {
		case err != nil:
			return q, err
		case ref.Kind != name.kind:
			return q, &TargetFormError{Form: text, Problem: fmt.Sprintf("the ARN of a %s, where a %s is to be named", ref.Kind, name.kind)}
		case q.Home.known() && q.Home.differs(ref.Home):
			return q, &ContradictionError{One: q.Home.ARN, Other: text, Of: [2]string{q.Home.String(), ref.Home.String()}}
		}
		*name.at = cmp.Or(ref.Task, ref.Service, ref.Family, ref.Cluster)
		if ref.Cluster != "" {
			if q.Cluster != "" && q.Cluster != ref.Cluster {
				return q, &ContradictionError{One: cluster, Other: text, Of: [2]string{"cluster " + q.Cluster, "cluster " + ref.Cluster}}
			}
			if q.Cluster == "" {
				cluster = text
			}
			q.Cluster = ref.Cluster
		}
		if !q.Home.known() {
			q.Home = ref.Home
		}
	}
	return q, nil
}

// ContradictionError means that two names are of different accounts, regions or clusters.
type ContradictionError struct {
	One, Other string    // as they were written
	Of         [2]string // where they are: accounts and regions, or clusters
}

func (e *ContradictionError) Error() string {
	return fmt.Sprintf("%s and %s contradict each other: %s, and %s", e.One, e.Other, e.Of[0], e.Of[1])
}

// Remedy is to leave one out.
func (e *ContradictionError) Remedy() string {
	return "leave one of the two out: the ARN of a service or task names account, region and cluster by itself"
}
