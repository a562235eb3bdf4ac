package screen

import (
	"errors"
	"slices"
	"strings"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// depth is how far into an account the browser has gone.
type depth int

const (
	atClusters depth = iota
	atServices
	atTasks
	atContainers
	deepest
)

// String names the rows of a depth.
func (l depth) String() string {
	return [...]string{"clusters", "services", "tasks", "containers", ""}[l]
}

// entry is a row of the browser. It points into a catalog, which never changes.
type entry struct {
	cluster   *aws.Cluster
	service   *aws.Service // nil for a cluster, and for tasks that no service started
	task      *aws.Task
	container *aws.Container

	loose bool               // the row stands for all tasks that no service started
	flat  bool               // the row is one among the services of all clusters
	tasks int                // how many tasks the cluster or service has
	ready int                // how many of them can carry a tunnel
	off   int                // for how many of them ECS Exec is off
	cause *aws.NotReadyError // why the row cannot carry a tunnel; of several tasks the reason that will go away first
	known bool               // cause and ready are known, as ECS has told the details
	ports string
}

// id is the identity of a row, which stays the same whatever happens to it.
func (e entry) id() string {
	switch {
	case e.container != nil:
		return e.container.Name
	case e.task != nil:
		return e.task.ID
	case e.service != nil && e.flat:
		return e.cluster.Name + "/" + e.service.Name
	case e.service != nil:
		return e.service.Name
	case e.loose:
		return "/"
	}
	return e.cluster.Name
}

// execOff reports whether ECS Exec is on for a service but off for all of its tasks, as they were started before it was switched
// on.
func (e entry) execOff() bool {
	return e.service != nil && e.service.ExecEnabled && e.tasks > 0 && e.off == e.tasks
}

// name is how a row is called on screen.
func (e entry) name() string {
	switch {
	case e.loose:
		return "tasks of no service"
	case e.flat:
		return say.Line(e.service.Name)
	}
	return say.Line(e.id())
}

// target is where a forward from this row leads; false for a cluster, and for the tasks without a service.
func (e entry) target() (aws.Target, bool) {
	t := aws.Target{Cluster: e.cluster.Name}
	if e.service != nil {
		t.Service = e.service.Name
	}
	if e.task != nil {
		t.Service, t.Task = e.task.Service, e.task.ID
		if t.Service == "" {
			t.Family = e.task.Family // so that another task of the family takes the task's place
		}
	}
	if e.container != nil {
		t.Container, t.RuntimeID = e.container.Name, e.container.RuntimeID
	}
	return t, t.Service != "" || t.Task != ""
}

// again finds the same row in another catalog; false where that does not have it.
func (e entry) again(c *aws.Catalog) (entry, bool) {
	i := slices.IndexFunc(c.Clusters, func(k aws.Cluster) bool { return k.Name == e.cluster.Name })
	if i < 0 {
		return entry{}, false
	}
	var rows []entry
	if e.task != nil {
		rows = taskEntries(&c.Clusters[i], e.task.Service, e.task.Service == "")
	} else {
		rows = serviceEntries(&c.Clusters[i])
	}
	e.flat = false
	at := slices.IndexFunc(rows, func(row entry) bool { return row.id() == e.id() })
	if at < 0 {
		return entry{}, false
	}
	return rows[at], true
}

// pinned reports whether a forward stays with its task: it does when the user has chosen one task of a service.
// For a task that no service started, the tunnel goes on to other tasks of its family.
func pinned(to aws.Target) bool { return to.Task != "" && to.Family == "" }

// entryOf returns the row of the browser to which a tunnel leads, as far as the catalog has it; a nil catalog has nothing.
func entryOf(c *aws.Catalog, spec tunnel.Spec) entry {
	to := spec.Target
	e := entry{cluster: &aws.Cluster{Name: to.Cluster}, service: &aws.Service{Name: to.Service}}
	if c != nil {
		if i := slices.IndexFunc(c.Clusters, func(k aws.Cluster) bool { return k.Name == to.Cluster }); i >= 0 {
			e.cluster = &c.Clusters[i]
		}
	}
	if to.Service != "" && !spec.Pinned {
		for _, known := range serviceEntries(e.cluster) {
			if known.id() == to.Service {
				return known
			}
		}
		return e
	}
	for _, known := range taskEntries(e.cluster, to.Service, to.Service == "") {
		if known.id() == to.Task || to.Task == "" && known.task.IsOf(to.Family) {
			return known
		}
	}
	e.task = &aws.Task{ID: to.Task, Service: to.Service, Family: to.Family}
	return e
}

func clusterEntries(c *aws.Catalog) []entry {
	entries := make([]entry, len(c.Clusters))
	for i := range c.Clusters {
		k := &c.Clusters[i]
		e := entry{cluster: k, tasks: len(k.Tasks)}
		for j := range k.Tasks {
			if readiness(&k.Tasks[j]) == nil && k.Tasks[j].Status != "" {
				e.ready++
			}
		}
		entries[i] = e
	}
	return entries
}

// serviceEntries returns the rows for the services of a cluster; tasks without a service have one row together, the last.
func serviceEntries(k *aws.Cluster) []entry {
	entries := make([]entry, 0, len(k.Services)+1)
	byName := make(map[string]int, len(k.Services))
	for i := range k.Services {
		byName[k.Services[i].Name] = i
		entries = append(entries, entry{cluster: k, service: &k.Services[i]})
	}
	loose := entry{cluster: k, loose: true}
	for i := range k.Tasks {
		t := &k.Tasks[i]
		e := &loose
		if at, ok := byName[t.Service]; ok {
			e = &entries[at]
		}
		e.tasks++
		if t.Status != "" && !t.ExecEnabled {
			e.off++
		}
		cause := readiness(t)
		switch {
		case t.Status == "":
		case cause == nil:
			e.ready++
		case e.cause == nil || cause.Cause < e.cause.Cause:
			e.cause = cause
		}
		if e.ports == "" {
			e.ports = taskPorts(t)
		}
	}
	if loose.tasks > 0 {
		entries = append(entries, loose)
	}
	return entries
}

// taskEntries returns the rows for the tasks of a service, or for those of the cluster that no service started.
func taskEntries(k *aws.Cluster, service string, loose bool) []entry {
	var entries []entry
	var own *aws.Service
	known := make(map[string]bool, len(k.Services))
	for i := range k.Services {
		known[k.Services[i].Name] = true
		if k.Services[i].Name == service && !loose {
			own = &k.Services[i]
		}
	}
	for i := range k.Tasks {
		t := &k.Tasks[i]
		if loose && known[t.Service] || !loose && t.Service != service {
			continue
		}
		entries = append(entries, entry{cluster: k, service: own, task: t, cause: readiness(t), known: t.Status != "", ports: taskPorts(t)})
	}
	return entries
}

func containerEntries(k *aws.Cluster, t *aws.Task) []entry {
	entries := make([]entry, len(t.Containers))
	for i := range t.Containers {
		c := &t.Containers[i]
		e := entry{cluster: k, task: t, container: c, known: true, ports: portList(c.Ports)}
		e.cause, _ = errors.AsType[*aws.NotReadyError](t.Ready(*c))
		entries[i] = e
	}
	return entries
}

// readiness is why no container of a task can carry a session, of several reasons the one that will go away first; nil when
// one can.
func readiness(t *aws.Task) *aws.NotReadyError {
	var why *aws.NotReadyError
	for _, c := range t.Containers {
		cause, unready := errors.AsType[*aws.NotReadyError](t.Ready(c))
		if !unready {
			return nil
		}
		if why == nil || cause.Cause < why.Cause {
			why = cause
		}
	}
	if why == nil {
		return &aws.NotReadyError{Target: aws.Target{Cluster: t.Cluster, Service: t.Service, Task: t.ID}, Cause: aws.CauseTaskPending, Status: t.Status, Origin: t.Origin}
	}
	return why
}

func taskPorts(t *aws.Task) string {
	meant := t.Meant()
	switch len(meant) {
	case 0:
		return ""
	case 1:
		return portList(meant[0].Ports)
	}
	var all []aws.Port
	for _, c := range meant {
		all = append(all, c.Ports...)
	}
	return portList(all)
}

func portList(ports []aws.Port) string {
	var b strings.Builder
	for _, p := range ports {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(p.String())
		if p.Protocol != "tcp" && p.Protocol != "" {
			b.WriteString("/" + say.Line(p.Protocol))
		}
	}
	return b.String()
}

// launch says on what capacity a task runs, in the words that people use.
func launch(launchType, provider string) string {
	switch {
	case strings.HasSuffix(provider, "_SPOT"):
		return "Spot"
	case launchType == "FARGATE":
		return "Fargate"
	case launchType == "MANAGED_INSTANCES":
		return "managed"
	case launchType == "EXTERNAL":
		return "external"
	}
	return say.Line(launchType)
}

// revision is the family and revision in the ARN of a task definition.
func revision(arn string) string { return say.Line(arn[strings.LastIndexByte(arn, '/')+1:]) }

// causeWord says in a word or two what keeps a task or container from carrying a session, for a table.
func causeWord(e *aws.NotReadyError) string {
	switch e.Cause {
	case aws.CauseTaskPending:
		return "task " + strings.ToLower(say.Line(orPending(e.Status)))
	case aws.CauseAgentPending:
		return "agent starting"
	case aws.CauseNotStarted:
		return "not started"
	case aws.CauseDisconnected:
		return "disconnected"
	case aws.CauseNoTask:
		return "no task"
	case aws.CauseTaskStopping:
		return "stopping"
	case aws.CauseAgentStopped:
		return "agent stopped"
	case aws.CauseAgentMissing:
		return "no agent"
	case aws.CauseContainerOver:
		return "stopped"
	case aws.CauseNoNetwork:
		return "no network"
	case aws.CauseExecOff:
		return "exec off"
	case aws.CauseScaledToZero:
		return "scaled to zero"
	case aws.CauseDraining:
		return "draining"
	}
	return "not ready"
}

func orPending(status string) string {
	if status == "" || status == "RUNNING" {
		return "pending"
	}
	return status
}

// proxyPort is Squid's port.
const proxyPort = 3128

// likelyPort is the port of a row to which people will probably forward: a proxy's if the row has one, else its first port.
func (e entry) likelyPort() uint16 {
	var tasks []aws.Task
	switch {
	case e.task != nil:
		tasks = []aws.Task{*e.task}
	case e.service != nil:
		for _, t := range e.cluster.Tasks {
			if t.Service == e.service.Name {
				tasks = append(tasks, t)
			}
		}
	}
	likely := uint16(0)
	for _, t := range tasks {
		for _, c := range t.Containers {
			if e.container != nil && c.Name != e.container.Name {
				continue
			}
			for _, port := range c.Ports {
				switch {
				case port.Protocol != "tcp":
				case port.Container == proxyPort:
					return proxyPort
				case likely == 0 || port.Container < likely:
					likely = port.Container
				}
			}
		}
	}
	if likely == 0 {
		return proxyPort
	}
	return likely
}
