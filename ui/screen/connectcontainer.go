package screen

import (
	"slices"
	"strconv"

	"culvert/aws"
)

// The forward dialog when several containers could be meant: which of them the tunnel leads to, and the ports of it.

// choices returns the containers to which a forward from a row can lead.
func choices(e entry, of *aws.Task) []aws.Container {
	switch {
	case e.container != nil:
		return []aws.Container{*e.container}
	case of != nil:
		return of.Meant()
	}
	return nil
}

// specimen returns the task of a row, or one of its service's tasks; nil when there is none.
func specimen(e entry) *aws.Task {
	if e.task != nil {
		return e.task
	}
	var best *aws.Task
	for i := range e.cluster.Tasks {
		t := &e.cluster.Tasks[i]
		if t.Service != e.service.Name || len(t.Containers) == 0 {
			continue
		}
		if best == nil || t.Deployment == e.service.Deployment && best.Deployment != e.service.Deployment {
			best = t
		}
	}
	return best
}

// preferred returns the container that is most likely meant: the first that maps a port, among those whose agent runs if there
// is one.
func preferred(containers []aws.Container) aws.Container {
	running := slices.DeleteFunc(slices.Clone(containers), func(c aws.Container) bool { return c.Agent.Status != "RUNNING" })
	if len(running) > 0 {
		containers = running
	}
	return mapper(containers)
}

// mapper returns the first container that maps a port, else the first one.
func mapper(containers []aws.Container) aws.Container {
	for _, c := range containers {
		if slices.ContainsFunc(c.Ports, isTCP) {
			return c
		}
	}
	return containers[0]
}

// serve shows to which container the tunnel will lead; that follows from port and host unless the user has chosen one.
func (d *connect) serve() {
	if d.named || d.task == nil {
		return
	}
	if found, err := d.task.Candidates(d.wanted()); err == nil {
		d.container.Set(found[0].Name)
	}
}

// wanted is the query for a container that serves what the form says.
func (d *connect) wanted() aws.Query {
	q := aws.Query{}
	if port, err := parsePort(d.port.Value()); err == nil && d.host.Value() == "" {
		q.Port = port
	}
	return q
}

func isTCP(p aws.Port) bool { return p.Protocol == "tcp" || p.Protocol == "" }

// offer has the port field offer the ports of the chosen container.
func (d *connect) offer() {
	d.port.Choice = nil
	var mapped []aws.Port
	of := d.container.Value()
	if !d.named && len(d.containers) > 0 && d.task.SharesNetwork() && !slices.ContainsFunc(preferred(d.containers).Ports, isTCP) {
		of = mapper(d.containers).Name // without a choice the tunnel goes through the preferred one
	}
	for _, c := range d.containers {
		if c.Name != of {
			continue
		}
		for _, p := range c.Ports {
			if isTCP(p) {
				mapped = append(mapped, p)
				d.port.Choice = append(d.port.Choice, strconv.Itoa(int(p.Container)))
			}
		}
	}
	d.port.About = ""
	if len(mapped) > 1 || len(mapped) == 1 && mapped[0].Last != 0 {
		d.port.About = "in the task definition: " + portList(mapped)
	}
	if len(d.port.Choice) > 0 {
		d.port.Set(d.port.Choice[0])
	}
	d.propose()
	d.check()
}

// telling reports whether a recipe has to name the container: when the user has chosen it among several, and when
// no container is known to serve the port.
func (d *connect) telling() bool {
	if d.task == nil || len(d.task.Alive()) < 2 {
		return false
	}
	_, err := d.task.Candidates(d.wanted())
	return d.named || err != nil
}
