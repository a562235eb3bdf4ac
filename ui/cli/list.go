package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/headless"
)

// The words that culvert list takes.
const (
	listClusters = "clusters"
	listServices = "services"
	listTasks    = "tasks"
	listHosts    = "hosts"
)

// list prints what can be reached.
func (a *app) list() *cobra.Command {
	var aim aim
	cmd := &cobra.Command{
		Use:       "list [clusters|services|tasks|hosts]",
		Short:     "List what can be reached, services unless told otherwise",
		Args:      atMost(1, listClusters, listServices, listTasks, listHosts),
		ValidArgs: []string{listClusters, listServices, listTasks, listHosts},
		RunE: func(cmd *cobra.Command, args []string) error {
			what := listServices
			if len(args) > 0 {
				what = args[0]
			}
			if what == listHosts {
				return a.printHosts(cmd.Context(), &aim)
			}
			return a.printList(cmd.Context(), what, &aim)
		},
	}
	cmd.Flags().AddFlagSet(aim.flags())
	a.completeTargets(cmd, &aim)
	return cmd
}

func (a *app) printList(ctx context.Context, what string, aim *aim) error {
	named, err := aim.names()
	if err != nil {
		return err
	}
	a.shared.goHome(named)
	acc, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer acc.close()
	within, cancel := context.WithDeadline(ctx, acc.begun.Add(a.shared.wait))
	defer cancel()
	if err := acc.client.CheckHome(within, named.Home); err != nil {
		return a.late(ctx, err)
	}
	looking, obstacle := acc.client.Watch(within)
	shown := a.progress(reading(obstacle))
	catalog, err := acc.client.Look(looking, sightOf(what, named), func(*aws.Catalog) {})
	shown.stop()
	if err != nil {
		return a.late(ctx, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(catalog.Clusters) == 0 && len(catalog.Gaps) > 0 {
		return catalog.Gaps[0] // there is nothing else to show
	}
	wanted := selection{aws.Target{Cluster: named.Cluster, Service: named.Service, Family: named.Family, Task: named.Task, Container: named.Container}}
	l := newListing(acc.client.Region(), what, wanted.filter(catalog), catalog.Gaps)
	if len(l.Clusters)+len(l.Services)+len(l.Tasks) == 0 {
		if err := wanted.absent(within, acc.client, catalog); err != nil {
			return a.late(ctx, err)
		}
		if len(l.Gaps) > 0 {
			return catalog.Gaps[0] // what was named may be in the part that could not be read
		}
	}
	if a.shared.output == outputJSON {
		return a.writeJSON(l)
	}
	for _, gap := range l.Gaps {
		a.noticef("not listed: %s; remedy: %s", gap.Error, gap.Remedy)
	}
	if isTerminal(a.Stdout) {
		l.shorten()
	}
	return a.write(l.table(what))
}

// reading returns the text of a progress: how long the account has been read, and the error for which calls are being repeated.
func reading(obstacle func() error) func(after time.Duration) string {
	return func(after time.Duration) string {
		text := "reading what there is, " + seconds(after)
		if met := obstacle(); met != nil {
			text += ": " + say.Line(met.Error())
		}
		return text
	}
}

// selection narrows a list; empty fields admit all.
type selection struct{ aws.Target }

func admits(wanted, name string) bool { return wanted == "" || wanted == name }

// filter returns the part of a catalog that is selected.
func (s selection) filter(c *aws.Catalog) []aws.Cluster {
	var clusters []aws.Cluster
	for _, cluster := range c.Clusters {
		if !admits(s.Cluster, cluster.Name) {
			continue
		}
		narrow := cluster
		narrow.Services, narrow.Tasks = nil, nil
		for _, service := range cluster.Services {
			if s.Family == "" && admits(s.Service, service.Name) {
				narrow.Services = append(narrow.Services, service)
			}
		}
		for _, task := range cluster.Tasks {
			if admits(s.Service, task.Service) && s.admitsFamily(task) && strings.HasPrefix(task.ID, s.Task) {
				narrow.Tasks = append(narrow.Tasks, s.containers(task))
			}
		}
		clusters = append(clusters, narrow)
	}
	return clusters
}

// admitsFamily reports whether a task is of the selected family and no service has started it; true when no family is selected.
func (s selection) admitsFamily(t aws.Task) bool {
	return s.Family == "" || t.Service == "" && t.IsOf(s.Family)
}

func (s selection) containers(t aws.Task) aws.Task {
	all := t.Containers
	t.Containers = nil
	for _, c := range all {
		if admits(s.Container, c.Name) {
			t.Containers = append(t.Containers, c)
		}
	}
	return t
}

// missing returns the error for a selection that nothing in the catalog matches, with the nearest names. It returns nil when the
// named cluster exists but is empty.
func (s selection) missing(c *aws.Catalog) error {
	named := s.Target
	switch {
	case named == (aws.Target{}):
		return nil
	case named.Cluster != "" && named.Service == "" && named.Task == "" && named.Family == "":
		for _, cluster := range c.Clusters {
			if cluster.Name == named.Cluster {
				return nil
			}
		}
		named.Service = "*" // no service has this name, but Find looks for the cluster first
	}
	_, err := c.Find(strings.TrimPrefix(named.String(), "/"))
	return err
}

// listing is the list as it is printed. The fields of the JSON form are never renamed.
type listing struct {
	Region   string        `json:"region"`
	Clusters []clusterRow  `json:"clusters,omitempty"`
	Services []serviceRow  `json:"services,omitempty"`
	Tasks    []taskRow     `json:"tasks,omitempty"`
	Gaps     []listTrouble `json:"gaps,omitempty"`
}

type listTrouble struct {
	Error  string `json:"error"`
	Remedy string `json:"remedy"`
}

type clusterRow struct {
	Cluster   string `json:"cluster"`
	Status    string `json:"status"`
	Services  int    `json:"services"`
	Tasks     int    `json:"tasks"`
	Ready     int    `json:"ready"`     // tasks with a container that sessions can be opened to
	Reachable int    `json:"reachable"` // the same number, under its former name
}

type serviceRow struct {
	Cluster   string   `json:"cluster"`
	Service   string   `json:"service"`
	Status    string   `json:"status"`
	Desired   int      `json:"desired"`
	Running   int      `json:"running"`
	Pending   int      `json:"pending"`
	Ready     int      `json:"ready"`
	Reachable int      `json:"reachable"`
	Exec      bool     `json:"exec"`
	State     string   `json:"state"`          // in a word: steady, deploying, …
	ExecOff   int      `json:"tasks_exec_off"` // tasks with ECS Exec off, whatever the service has
	Deploying bool     `json:"deploying"`
	Launch    string   `json:"launch_type,omitempty"`
	Ports     []uint16 `json:"ports"`
	Ranges    []string `json:"port_ranges,omitempty"` // mapped ranges of ports, which Ports does not have

	listed int // how many tasks were found
}

type taskRow struct {
	Cluster   string   `json:"cluster"`
	Service   string   `json:"service,omitempty"`
	Family    string   `json:"family,omitempty"`
	Task      string   `json:"task"`
	Container string   `json:"container"`
	Status    string   `json:"status"`
	Exec      bool     `json:"exec"`
	Agent     string   `json:"agent,omitempty"`
	Reason    string   `json:"reason,omitempty"` // why the agent does not run
	Health    string   `json:"health,omitempty"`
	Ready     bool     `json:"ready"`
	Reachable bool     `json:"reachable"`
	Ports     []uint16 `json:"ports"`
	Ranges    []string `json:"port_ranges,omitempty"`
}

func newListing(region, what string, clusters []aws.Cluster, gaps []error) listing {
	l := listing{Region: region}
	for _, gap := range gaps {
		l.Gaps = append(l.Gaps, listTrouble{Error: gap.Error(), Remedy: say.Remedy(gap)})
	}
	for _, c := range clusters {
		switch what {
		case listClusters:
			ready := readyTasks(c.Tasks)
			l.Clusters = append(l.Clusters, clusterRow{
				Cluster: c.Name, Status: c.Status, Services: max(len(c.Services), c.Counts.Services), Tasks: len(c.Tasks), Ready: ready, Reachable: ready,
			})
		case listServices:
			for _, s := range c.Services {
				l.Services = append(l.Services, newServiceRow(s, c.Tasks))
			}
		case listTasks:
			for _, t := range c.Tasks {
				l.Tasks = append(l.Tasks, newTaskRows(t)...)
			}
		}
	}
	return l
}

func newServiceRow(s aws.Service, all []aws.Task) serviceRow {
	var tasks []aws.Task
	off := 0
	for _, t := range all {
		if t.Service == s.Name {
			tasks = append(tasks, t)
			if t.Status != "" && !t.ExecEnabled {
				off++
			}
		}
	}
	ports, ranges := []uint16{}, []string(nil)
	if len(tasks) > 0 {
		ports, ranges = portsOf(tasks[0].Meant()...)
	}
	ready := readyTasks(tasks)
	return serviceRow{
		Cluster: s.Cluster, Service: s.Name, Status: s.Status, Desired: s.Desired, Running: s.Running, Pending: s.Pending,
		Ready: ready, Reachable: ready, Exec: s.ExecEnabled, ExecOff: off, listed: len(tasks), State: s.State(), Deploying: s.Deploying, Launch: s.LaunchType, Ports: ports, Ranges: ranges,
	}
}

func newTaskRows(t aws.Task) []taskRow {
	rows := make([]taskRow, 0, len(t.Containers))
	for _, c := range t.Containers {
		ready := t.Ready(c) == nil
		ports, ranges := portsOf(c)
		rows = append(rows, taskRow{
			Cluster: t.Cluster, Service: t.Service, Family: t.Family, Task: t.ID, Container: c.Name, Status: t.Status, Exec: t.ExecEnabled,
			Agent: c.Agent.Status, Reason: c.Agent.Reason, Health: c.Health, Ready: ready, Reachable: ready, Ports: ports, Ranges: ranges,
		})
	}
	return rows
}

// readyTasks is the number of tasks with a container to which sessions can be opened.
func readyTasks(tasks []aws.Task) int {
	n := 0
	for _, t := range tasks {
		if slices.ContainsFunc(t.Containers, func(c aws.Container) bool { return t.Ready(c) == nil }) {
			n++
		}
	}
	return n
}

// portsOf returns the mapped ports of containers, and the mapped ranges of ports, without those of UDP.
func portsOf(containers ...aws.Container) (ports []uint16, ranges []string) {
	ports = []uint16{}
	for _, c := range containers {
		for _, p := range c.Ports {
			switch {
			case p.Protocol == "udp":
			case p.Last != 0:
				ranges = append(ranges, p.String())
			default:
				ports = append(ports, p.Container)
			}
		}
	}
	return ports, ranges
}

// table returns the list in columns. Its texts come from elsewhere, so each is made safe to show.
func (l listing) table(what string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				_, _ = fmt.Fprint(w, "\t")
			}
			_, _ = fmt.Fprint(w, say.Line(orDash(fmt.Sprint(c))))
		}
		_, _ = fmt.Fprintln(w)
	}
	switch what {
	case listClusters:
		row("CLUSTER", "READY", "TASKS", "SERVICES", "STATUS")
		for _, c := range l.Clusters {
			row(c.Cluster, c.Ready, c.Tasks, c.Services, strings.ToLower(c.Status))
		}
	case listServices:
		row("CLUSTER", "SERVICE", "READY", "RUNNING", "EXEC", "STATE", "PORTS")
		for _, s := range l.Services {
			row(s.Cluster, s.Service, s.Ready, fmt.Sprintf("%d/%d", s.Running, s.Desired), s.execText(), s.State, portList(s.Ports, s.Ranges))
		}
	case listTasks:
		loose := slices.ContainsFunc(l.Tasks, func(t taskRow) bool { return t.Service == "" })
		if loose {
			row("CLUSTER", "SERVICE", "TASK", "CONTAINER", "FAMILY", "STATUS", "AGENT", "PORTS", "NOTE")
		} else {
			row("CLUSTER", "SERVICE", "TASK", "CONTAINER", "STATUS", "AGENT", "PORTS", "NOTE")
		}
		for _, t := range l.Tasks {
			if loose {
				row(t.Cluster, t.Service, t.Task, t.Container, t.Family, strings.ToLower(t.Status), strings.ToLower(t.Agent), portList(t.Ports, t.Ranges), t.note())
				continue
			}
			row(t.Cluster, t.Service, t.Task, t.Container, strings.ToLower(t.Status), strings.ToLower(t.Agent), portList(t.Ports, t.Ranges), t.note())
		}
	}
	_ = w.Flush() // a write to memory does not fail
	return trimLines(b.String())
}

// shorten cuts the ids of tasks to a length that still tells them apart. -t takes such ids as well.
func (l listing) shorten() {
	ids := make([]string, len(l.Tasks))
	for i, t := range l.Tasks {
		ids[i] = t.Task
	}
	n := telling(ids)
	for i := range l.Tasks {
		l.Tasks[i].Task = l.Tasks[i].Task[:min(len(l.Tasks[i].Task), n)]
	}
}

// telling is how many characters of ids are needed to tell them apart, at least headless.ShortestID.
func telling(ids []string) int {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	n := headless.ShortestID
	for i := 1; i < len(ids); i++ {
		for n < len(ids[i]) && n < len(ids[i-1]) && ids[i][:n] == ids[i-1][:n] {
			n++
		}
	}
	return n
}

// execText says whether a service has ECS Exec on. It also says when all its tasks have it off nevertheless, as they were started
// before it was turned on.
func (s serviceRow) execText() string {
	if s.Exec && s.ExecOff > 0 && s.ExecOff == s.listed {
		return "on, tasks off"
	}
	return onOff(s.Exec)
}

func (t taskRow) note() string {
	switch {
	case !t.Exec:
		return "exec is off"
	case t.Reason != "":
		return t.Reason
	case t.Health == "UNHEALTHY":
		return "unhealthy"
	}
	return ""
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func portList(ports []uint16, ranges []string) string {
	texts := make([]string, len(ports), len(ports)+len(ranges))
	for i, p := range ports {
		texts[i] = strconv.FormatUint(uint64(p), 10)
	}
	return strings.Join(append(texts, ranges...), ",")
}

// trimLines drops the blanks that pad the last column.
func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}
