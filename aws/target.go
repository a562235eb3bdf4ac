package aws

// Target names a container that a session can be opened to. A Target with an empty Task stands for any running task of
// its service; only one with a RuntimeID can be handed to StartSession.
type Target struct {
	Cluster, Service, Task, Container string
	RuntimeID                         string
}

// ID returns the target in the form that StartSession takes: ecs:<cluster name>_<task id>_<container runtime id>.
func (t Target) ID() string { return "ecs:" + t.Cluster + "_" + t.Task + "_" + t.RuntimeID }

// String returns the target as a user names it: cluster/service/task/container, empty tail parts left out.
func (t Target) String() string {
	s := t.Cluster
	for _, part := range []string{t.Service, t.Task, t.Container} {
		if part != "" {
			s += "/" + part
		}
	}
	return s
}
