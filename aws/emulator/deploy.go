package emulator

import (
	"fmt"
	"slices"
	"time"
)

// rememberStopped is how many stopped tasks a cluster remembers. ECS forgets them after an hour.
const rememberStopped = 50

// StopTask stops a task by its id, as the call StopTask does; its service starts another one.
func (e *Emulator) StopTask(id, reason string) error {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.findTask(id)
	if t == nil {
		return fmt.Errorf("stop task %s: there is none", id)
	}
	a.end(t, reason, "UserInitiated")
	return nil
}

// StartTask starts a task without a service and returns its id. The task is RUNNING after two paces (Options.Pace), its agent
// after three.
func (e *Emulator) StartTask(cluster string, described Task) (id string, err error) {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.findCluster(cluster)
	if c == nil {
		return "", fmt.Errorf("start task: there is no cluster %s", cluster)
	}
	t, err := a.begin(c, nil, nil, described)
	if err != nil {
		return "", fmt.Errorf("start task: %w", err)
	}
	return t.id, nil
}

// Scale sets the desired number of tasks of a service, as UpdateService does.
func (e *Emulator) Scale(cluster, service string, desired int) error {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.findService(cluster, service)
	if err != nil {
		return fmt.Errorf("scale: %w", err)
	}
	s.desired = desired
	a.settle(s)
	return nil
}

// Deploy starts a rolling deployment of a service's next revision: first new tasks start, then the old ones stop.
func (e *Emulator) Deploy(cluster, service string) error {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.findService(cluster, service)
	if err != nil {
		return fmt.Errorf("deploy: %w", err)
	}
	s.pattern.Revision = max(s.pattern.Revision, 1) + 1
	a.redeploy(s)
	return nil
}

// SetAgent sets the status of the ExecuteCommandAgent in every container of a task: RUNNING, PENDING or STOPPED.
func (e *Emulator) SetAgent(taskID, status, reason string) error {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.findTask(taskID)
	if t == nil {
		return fmt.Errorf("set agent: there is no task %s", taskID)
	}
	for _, k := range t.containers {
		if !k.pattern.Over {
			k.agent, k.since = Agent{Status: status, Reason: reason}, a.emulator.now()
		}
	}
	return nil
}

// SetAgentOf changes the agent of one container of a task.
func (e *Emulator) SetAgentOf(taskID, container string, agent Agent) error {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.findTask(taskID); t != nil {
		for _, k := range t.containers {
			if k.pattern.Name == container {
				agent.Status = or(agent.Status, "RUNNING")
				k.agent, k.since = agent, a.emulator.now()
				return nil
			}
		}
	}
	return fmt.Errorf("set agent: there is no container %s in a task %s", container, taskID)
}

// SetHealth sets the health of every container of a task: HEALTHY, UNHEALTHY or UNKNOWN.
func (e *Emulator) SetHealth(taskID, health string) error {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.findTask(taskID)
	if t == nil {
		return fmt.Errorf("set health: there is no task %s", taskID)
	}
	for _, k := range t.containers {
		k.pattern.Health = health
	}
	return nil
}

// MapPort maps a port of a task, which has to be mapped already, to another real server; to none when address is empty.
func (e *Emulator) MapPort(taskID string, port uint16, address string) error {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.findTask(taskID)
	if t == nil {
		return fmt.Errorf("map port: there is no task %s", taskID)
	}
	for _, k := range t.containers {
		if _, mapped := k.pattern.Ports[port]; mapped {
			k.pattern.Ports[port] = address
			return nil
		}
	}
	return fmt.Errorf("map port: task %s has no port %d", taskID, port)
}

// Tasks returns the ids of a service's tasks that have not been stopped, in the order in which they were started.
func (e *Emulator) Tasks(cluster, service string) []string {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.findService(cluster, service)
	if err != nil {
		return nil
	}
	var ids []string
	for _, t := range s.tasks() {
		ids = append(ids, t.id)
	}
	return ids
}

// The caller of everything below holds account.mu.

// tasks are the tasks of a service that have not been stopped.
func (s *service) tasks() []*task {
	var wanted []*task
	for _, t := range s.cluster.tasks {
		if t.service == s && t.desired == "RUNNING" {
			wanted = append(wanted, t)
		}
	}
	return wanted
}

// begin starts a task: it is PROVISIONING, after one pace PENDING, after two RUNNING, and after three its agent runs.
func (a *account) begin(c *cluster, s *service, d *deployment, described Task) (*task, error) {
	described.ID, described.Age, described.Status = "", 0, ""
	t, err := a.makeTask(c, s, d, described)
	if err != nil {
		return nil, err
	}
	t.created, t.status, t.desired = a.emulator.now(), "PROVISIONING", "RUNNING"
	for _, k := range t.containers {
		k.agent = Agent{Status: "PENDING", Absent: k.pattern.Agent.Absent}
	}
	c.tasks = append(c.tasks, t)
	a.later(1, func() {
		if t.desired == "RUNNING" {
			t.status = "PENDING"
		}
	})
	a.later(2, func() {
		reason, code, ran := t.wrong.stop(t)
		switch {
		case reason != "" && !ran:
			a.end(t, reason, code)
		case t.wrong != NeverStarts:
			a.run(t)
			a.watch(t)
		}
		if ran {
			a.end(t, reason, code)
		}
	})
	a.later(3, func() {
		if t.wrong != NeverStarts && t.wrong != NeverReady {
			a.startAgents(t)
		}
	})
	return t, nil
}

func (a *account) run(t *task) {
	if t.desired != "RUNNING" {
		return
	}
	t.status, t.started = "RUNNING", a.emulator.now()
	for _, k := range t.containers {
		k.since = t.started
		k.start(a)
	}
}

// start gives the container its id, unless its pattern keeps it from starting.
func (k *container) start(a *account) {
	if !k.pattern.NotStarted {
		k.runtime = a.runtimeID(k.task)
	}
}

// finish stops the agent of a container that has run to its end.
func (k *container) finish() {
	if k.pattern.Over {
		k.agent.Status = "STOPPED"
	}
}

func (a *account) startAgents(t *task) {
	if t.desired != "RUNNING" {
		return
	}
	for _, k := range t.containers {
		k.agent, k.since = k.pattern.Agent, a.emulator.now()
		k.agent.Status = or(k.agent.Status, "RUNNING")
		k.finish()
	}
	if t.service != nil {
		a.settle(t.service)
	}
}

// end stops a task: it is DEACTIVATING at once, and STOPPED after a pace.
func (a *account) end(t *task, reason, code string) {
	if t.desired == "STOPPED" {
		return
	}
	t.desired, t.status, t.stopping = "STOPPED", "DEACTIVATING", a.emulator.now()
	t.reason, t.code = or(reason, "Task stopped by user"), code
	a.later(1, func() { a.bury(t) })
	if t.service != nil {
		a.settle(t.service)
	}
}

func (a *account) bury(t *task) {
	t.status, t.ended = "STOPPED", a.emulator.now()
	for _, k := range t.containers {
		k.agent.Status, k.since = "STOPPED", t.ended
	}
	close(t.gone)
	superfluous := -rememberStopped
	for _, one := range t.cluster.tasks {
		if one.status == "STOPPED" {
			superfluous++
		}
	}
	t.cluster.tasks = slices.DeleteFunc(t.cluster.tasks, func(one *task) bool {
		if one.status != "STOPPED" || superfluous <= 0 {
			return false
		}
		superfluous--
		return true
	})
}

// later makes a change after some paces, with the lock held.
func (a *account) later(paces int, change func()) {
	a.emulator.clock.after(time.Duration(paces)*a.pace, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		change()
	})
}

// redeploy makes the present pattern of a service its primary deployment.
func (a *account) redeploy(s *service) {
	d := a.deploy(s, s.pattern)
	a.note(s, d.created, "has begun a deployment (deployment "+d.id+").")
	a.settle(s)
}

// settle starts and stops tasks of a service to get to its desired number, within ECS's default limits, at least 100 % and at
// most 200 % of that: first it starts the missing tasks of the primary deployment, then it stops superfluous ones, those of
// older deployments first.
func (a *account) settle(s *service) {
	primary := s.deployments[0]
	var fresh, old []*task
	ready := 0
	for _, t := range s.tasks() {
		if t.deployment == primary {
			fresh = append(fresh, t)
			if t.status == "RUNNING" && t.containers[0].agent.Status != "PENDING" {
				ready++
			}
			continue
		}
		old = append(old, t)
	}
	room := min(s.desired-len(fresh), 2*s.desired-len(fresh)-len(old))
	for range max(room, 0) {
		wrong := a.nextStart(primary.pattern.Family)
		if _, refused := wrong.refusal(); refused {
			a.unplaced(s)
			break
		}
		t, err := a.begin(s.cluster, s, primary, primary.pattern)
		if err != nil {
			return // cannot happen: there are tasks of this pattern
		}
		t.wrong, s.crowded = wrong, false
		a.note(s, t.created, "has started 1 tasks: (task "+t.id+").")
	}
	reason := "Scaling activity initiated by (deployment " + primary.id + ")"
	for len(old) > max(s.desired-ready, 0) {
		a.retire(s, old[0], reason)
		old = old[1:]
	}
	for len(fresh) > s.desired {
		a.retire(s, fresh[0], reason)
		fresh = fresh[1:]
	}
	if len(old) == 0 && ready >= s.desired && !primary.done {
		primary.done, primary.updated = true, a.emulator.now()
		s.deployments = s.deployments[:1]
		a.note(s, primary.updated, "(deployment "+primary.id+") deployment completed.")
	}
}

// retire ends a task without settling its service again.
func (a *account) retire(s *service, t *task, reason string) {
	t.desired, t.status, t.stopping = "STOPPED", "DEACTIVATING", a.emulator.now()
	t.reason, t.code = reason, "ServiceSchedulerInitiated"
	a.note(s, t.stopping, "has stopped 1 running tasks: (task "+t.id+").")
	a.later(1, func() { a.bury(t) })
}

func (a *account) findTask(id string) *task {
	for _, c := range a.clusters {
		if t := c.find(id); t != nil {
			return t
		}
	}
	return nil
}

func (a *account) findService(cluster, name string) (*service, error) {
	if c := a.findCluster(cluster); c != nil {
		for _, s := range c.services {
			if s.name == name {
				return s, nil
			}
		}
	}
	return nil, fmt.Errorf("there is no service %s/%s", cluster, name)
}
