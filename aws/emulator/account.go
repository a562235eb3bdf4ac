package emulator

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"culvert/tunnel/bond"
)

// account is the state behind the API. mu guards everything in it, unless a comment says otherwise.
type account struct {
	emulator    *Emulator
	id, region  string // never change
	pace        time.Duration
	mu          sync.Mutex
	rand        *rand.Rand
	clusters    []*cluster
	definitions map[string][]*definition // by family; a revision never changes
	tokens      []started                // client tokens of RunTask, the oldest first
}

type cluster struct {
	name, status string
	services     []*service
	tasks        []*task
}

type service struct {
	name        string
	cluster     *cluster
	pattern     Task // of the tasks that it starts
	desired     int
	exec        bool
	created     time.Time
	deployments []*deployment // newest first, as ECS lists them
	events      []event       // newest first
	steady      bool
	controller  string
	daemon      bool
	tags        map[string]string
	crowded     bool // an event says that there is no room for a task, and none was placed since
	retrying    bool // it will try soon to place a task for which there was no room
}

type deployment struct {
	id               string
	status           string // PRIMARY or ACTIVE
	pattern          Task
	definition       *definition
	created, updated time.Time
	done             bool
}

type event struct {
	id, text string
	at       time.Time
}

// definition is one revision of a task definition.
type definition struct {
	family     string
	revision   int
	pattern    Task
	registered time.Time
}

type task struct {
	id         string
	cluster    *cluster
	service    *service    // nil for a task that no service started
	deployment *deployment // nil without a service
	definition *definition
	pattern    Task

	status, desired               string
	reason, code                  string
	created, started, stopping    time.Time
	ended                         time.Time
	containers                    []*container
	gone                          chan struct{} // closed when the task has stopped
	bonding                       sync.Once
	relay                         *bond.Relay // nil before the first connection to the relay
	instance, group, connectivity string

	tags  map[string]string
	limit time.Duration  // how long it runs before its own command ends it; 0 is without limit
	wrong StartFaultKind // what goes wrong when it starts
}

type container struct {
	account *account
	task    *task
	pattern Container
	runtime string
	agent   Agent
	since   time.Time // when the agent got its present status
	killed  bool      // the agent was killed, which ECS does not notice
}

// newAccount builds the account that the fleet describes.
func newAccount(e *Emulator, o Options) (*account, error) {
	a := &account{
		emulator: e, id: o.Fleet.Account, region: o.Fleet.Region, pace: o.Pace,
		rand:        rand.New(rand.NewPCG(o.Seed, 1)), //nolint:gosec // ids are to be repeatable
		definitions: map[string][]*definition{},
	}
	if a.id == "" {
		a.id = "111122223333"
	}
	if a.region == "" {
		a.region = "eu-west-1"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, described := range o.Fleet.Definitions {
		a.define(described)
	}
	for _, described := range o.Fleet.Clusters {
		if described.Name == "" {
			return nil, errors.New("build fleet: a cluster without a name")
		}
		c := &cluster{name: described.Name, status: or(described.Status, "ACTIVE")}
		a.clusters = append(a.clusters, c)
		for _, s := range described.Services {
			if err := a.addService(c, s); err != nil {
				return nil, fmt.Errorf("build fleet: service %s/%s: %w", c.name, s.Name, err)
			}
		}
		for _, t := range described.Tasks {
			if err := a.addTask(c, nil, nil, t); err != nil {
				return nil, fmt.Errorf("build fleet: task in %s: %w", c.name, err)
			}
		}
	}
	return a, nil
}

func (a *account) addService(c *cluster, described Service) error {
	if described.Task.Family == "" {
		described.Task.Family = described.Name
	}
	now := a.emulator.now()
	s := &service{
		name: described.Name, cluster: c, pattern: described.Task, steady: described.Steady,
		exec: !described.Task.ExecOff || described.ExecLater, created: now.Add(-90 * 24 * time.Hour),
		controller: or(described.Controller, "ECS"), daemon: described.Daemon,
	}
	c.services = append(c.services, s)
	current := a.deploy(s, described.Task)
	current.created, current.updated = now.Add(-26*time.Hour), now.Add(-26*time.Hour+4*time.Minute)
	current.done = true
	for range described.Count {
		if err := a.addTask(c, s, current, described.Task); err != nil {
			return err
		}
	}
	for _, t := range described.Tasks {
		if t.Family == "" {
			t.Family = described.Task.Family
		}
		if err := a.addTask(c, s, current, t); err != nil {
			return err
		}
	}
	s.desired = described.Count
	for _, t := range described.Tasks {
		if t.Status != "STOPPED" {
			s.desired++
		}
	}
	if described.Desired != 0 {
		s.desired = described.Desired
	}
	if r := described.Rollout; r != nil {
		if r.Task.Family == "" {
			r.Task.Family = described.Task.Family
		}
		s.pattern = r.Task
		next := a.deploy(s, r.Task)
		next.created, next.updated = now.Add(-3*time.Minute), now.Add(-20*time.Second)
		for i := range r.Running + r.Pending {
			t := r.Task
			t.Age = time.Duration(2+i) * 15 * time.Second
			if i >= r.Running {
				t.Status = "PENDING"
			}
			if err := a.addTask(c, s, next, t); err != nil {
				return err
			}
		}
	}
	a.note(s, now.Add(-6*time.Hour), "has reached a steady state.")
	return nil
}

// deploy adds a new primary deployment to a service.
func (a *account) deploy(s *service, pattern Task) *deployment {
	now := a.emulator.now()
	for _, old := range s.deployments {
		old.status = "ACTIVE"
	}
	d := &deployment{
		id: fmt.Sprintf("ecs-svc/%019d", a.rand.Int64()), status: "PRIMARY", pattern: pattern,
		definition: a.define(pattern), created: now, updated: now,
	}
	s.deployments = slices.Insert(s.deployments, 0, d)
	return d
}

// define registers a pattern as a revision of its family, unless that revision exists.
func (a *account) define(pattern Task) *definition {
	revision := max(pattern.Revision, 1)
	for _, d := range a.definitions[pattern.Family] {
		if d.revision == revision {
			return d
		}
	}
	d := &definition{family: pattern.Family, revision: revision, pattern: pattern, registered: a.emulator.now().Add(-30 * 24 * time.Hour)}
	a.definitions[pattern.Family] = append(a.definitions[pattern.Family], d)
	slices.SortFunc(a.definitions[pattern.Family], func(x, y *definition) int { return x.revision - y.revision })
	return d
}

// addTask adds a task in the state that its pattern describes.
func (a *account) addTask(c *cluster, s *service, d *deployment, pattern Task) error {
	t, err := a.makeTask(c, s, d, pattern)
	if err != nil {
		return err
	}
	now := a.emulator.now()
	age := pattern.Age
	if age == 0 {
		age = 20*time.Minute + time.Duration(a.rand.IntN(23*3600))*time.Second
	}
	t.created = now.Add(-age - 35*time.Second)
	t.status, t.desired = or(pattern.Status, "RUNNING"), "RUNNING"
	switch t.status {
	case "RUNNING":
		t.started = now.Add(-age)
	case "STOPPED":
		t.desired, t.started = "STOPPED", now.Add(-age)
		t.reason, t.code = pattern.StoppedReason, or(pattern.StopCode, "EssentialContainerExited")
		t.stopping, t.ended = now.Add(-2*time.Minute), now.Add(-time.Minute)
		close(t.gone)
	}
	for _, k := range t.containers {
		k.agent, k.since = k.pattern.Agent, t.created.Add(40*time.Second)
		k.agent.Status = or(k.agent.Status, "RUNNING")
		k.finish()
		switch t.status {
		case "RUNNING":
			k.start(a)
		case "STOPPED":
			k.runtime, k.agent.Status = a.runtimeID(t), "STOPPED"
		default:
			k.agent.Status = "PENDING"
		}
	}
	c.tasks = append(c.tasks, t)
	return nil
}

// makeTask makes a task that is not in the cluster yet.
func (a *account) makeTask(c *cluster, s *service, d *deployment, pattern Task) (*task, error) {
	if len(pattern.Containers) == 0 {
		return nil, errors.New("a task without containers")
	}
	if pattern.Family == "" {
		pattern.Family = pattern.Containers[0].Name
	}
	if pattern.ID != "" && !isTaskID(pattern.ID) {
		return nil, fmt.Errorf("task id %q is not 32 hexadecimal digits", pattern.ID)
	}
	t := &task{
		id: or(pattern.ID, a.hex(32)), cluster: c, service: s, deployment: d, definition: a.define(pattern), pattern: pattern,
		group: "family:" + pattern.Family, connectivity: or(pattern.Connectivity, "CONNECTED"), gone: make(chan struct{}),
	}
	if s != nil {
		t.group = "service:" + s.name
	}
	if launch(pattern) != "FARGATE" {
		t.instance = a.hex(32)
	}
	for _, described := range pattern.Containers {
		if described.Name == "" {
			return nil, errors.New("a container without a name")
		}
		described.Ports = maps.Clone(described.Ports)
		t.containers = append(t.containers, &container{account: a, task: t, pattern: described})
	}
	return t, nil
}

func isTaskID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

// launch is the launch type of a task; its capacity provider may imply it.
func launch(pattern Task) string {
	if strings.HasPrefix(pattern.CapacityProvider, "FARGATE") {
		return "FARGATE"
	}
	if pattern.Launch == "" && pattern.CapacityProvider != "" {
		return "EC2"
	}
	return or(pattern.Launch, "FARGATE")
}

// runtimeID is a new container id in the form of its platform: on Fargate the task's id and ten digits, with Docker 64
// hexadecimal digits.
func (a *account) runtimeID(t *task) string {
	if launch(t.pattern) == "FARGATE" {
		return fmt.Sprintf("%s-%010d", t.id, a.rand.Uint64N(10_000_000_000))
	}
	return a.hex(64)
}

func (a *account) hex(digits int) string {
	const alphabet = "0123456789abcdef"
	id := make([]byte, digits)
	for i := range id {
		id[i] = alphabet[a.rand.IntN(len(alphabet))]
	}
	return string(id)
}

// note adds an event to a service, in ECS's form: "(service NAME) …".
func (a *account) note(s *service, at time.Time, text string) {
	id := a.hex(32)
	id = id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
	s.events = slices.Insert(s.events, 0, event{id: id, at: at, text: "(service " + s.name + ") " + text})
	s.events = s.events[:min(len(s.events), 100)] // as ECS does
}

func (a *account) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + a.region + ":" + a.id + ":" + resource
}

// user is an IAM user of the account as the caller of an API.
func (a *account) user(name string) caller {
	return caller{ARN: "arn:aws:iam::" + a.id + ":user/" + name, UserID: "AIDADEMOUSER00000001", SessionName: name}
}

func (a *account) findCluster(name string) *cluster {
	for _, c := range a.clusters {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (c *cluster) find(id string) *task {
	for _, t := range c.tasks {
		if t.id == id {
			return t
		}
	}
	return nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
