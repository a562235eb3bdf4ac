package emulator

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// mostTokens is how many client tokens of RunTask are remembered. ECS remembers each for a day.
const mostTokens = 1000

// started is what RunTask has started for a client token.
type started struct {
	token   string
	request []byte // the body of the call
	tasks   []*task
}

// runInput is the input of RunTask (ECS API Reference).
type runInput struct {
	Cluster, TaskDefinition, StartedBy, ClientToken, LaunchType, PlatformVersion string

	Count                    *int
	EnableExecuteCommand     bool
	CapacityProviderStrategy []providerView
	NetworkConfiguration     *networkView
	Tags                     []tag
	Overrides                json.RawMessage
}

type overrides struct {
	ContainerOverrides []containerOverride `json:"containerOverrides"`
	TaskRoleArn        string              `json:"taskRoleArn"`
	ExecutionRoleArn   string              `json:"executionRoleArn"`
}

// overrides parses Overrides, which is kept as it came because ECS limits its number of characters.
func (in *runInput) overrides() (o overrides) {
	_ = json.Unmarshal(in.Overrides, &o) // no overrides, or a value that is no object, override nothing
	return o
}

type containerOverride struct {
	Name        string          `json:"name"`
	Command     []string        `json:"command"`
	Environment []attributeView `json:"environment"`
}

// startedByForm is the form of startedBy.
var startedByForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_/:.-]{0,128}$`) }) //nolint:gochecknoglobals // compiled when it is needed

// runTask starts tasks that belong to no service, as a person, a schedule or AWS Batch does.
func (e *Emulator) runTask(r *request, a *account) (any, error) {
	in, err := decode[runInput](r)
	if err != nil {
		return nil, err
	}
	c, err := a.mustFind(in.Cluster)
	if err != nil {
		return nil, err
	}
	d := a.findDefinition(in.TaskDefinition)
	if d == nil {
		return nil, &apiError{Code: "ClientException", Message: "TaskDefinition not found."}
	}
	count, pattern, err := in.pattern(d)
	if err != nil {
		return nil, err
	}
	out := struct {
		Tasks    []taskView `json:"tasks"`
		Failures []failure  `json:"failures"`
	}{[]taskView{}, []failure{}}
	begun, err := a.begunWith(in.ClientToken, r.Body)
	if err != nil {
		return nil, err
	}
	if begun == nil {
		wrong := a.nextStart(d.family)
		if reason, refused := wrong.refusal(); refused {
			out.Failures = append(out.Failures, failure{ARN: a.arn("ecs", "container-instance/"+c.name), Reason: reason})
			return out, nil
		}
		for range count {
			t, err := a.begin(c, nil, nil, pattern)
			if err != nil {
				return nil, invalidParameter("%s", err)
			}
			t.tags, t.limit, t.wrong = newTags(in.Tags), in.limit(d), wrong
			begun = append(begun, t)
		}
		a.keepToken(in.ClientToken, r.Body, begun)
	}
	for _, t := range begun {
		out.Tasks = append(out.Tasks, t.view(a))
	}
	return out, nil
}

// pattern is how many tasks are to run and what they are. Its error is ECS's, in ECS's words.
func (in *runInput) pattern(d *definition) (count int, pattern Task, err error) {
	count = 1
	if in.Count != nil {
		count = *in.Count
	}
	pattern = d.pattern
	pattern.Family, pattern.Revision = d.family, d.revision
	pattern.ExecOff, pattern.StartedBy = !in.EnableExecuteCommand, in.StartedBy
	if in.LaunchType != "" {
		pattern.Launch, pattern.CapacityProvider = in.LaunchType, ""
	}
	if len(in.CapacityProviderStrategy) > 0 {
		pattern.Launch, pattern.CapacityProvider = "", in.CapacityProviderStrategy[0].CapacityProvider
	}
	pattern.OverrideRole = in.overrides().TaskRoleArn
	switch {
	case count < 1 || count > 10:
		err = invalidParameter("Count must be between 1 and 10.")
	case !startedByForm().MatchString(in.StartedBy):
		err = invalidParameter("Invalid identifier: startedBy must be at most 128 letters, numbers, hyphens, slashes and underscores.")
	case len(in.ClientToken) > 64:
		err = invalidParameter("clientToken must be at most 64 characters.")
	case in.LaunchType != "" && len(in.CapacityProviderStrategy) > 0:
		err = invalidParameter("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	case pattern.attached() && in.NetworkConfiguration == nil:
		err = invalidParameter("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	case !pattern.attached() && in.NetworkConfiguration != nil:
		err = invalidParameter("Network Configuration is not valid for the given networkMode of this task definition.")
	default:
		err = in.checkNetwork()
	}
	if err == nil {
		err = checkTags(in.Tags, nil)
	}
	for _, o := range in.overrides().ContainerOverrides {
		if err == nil && !slices.ContainsFunc(pattern.Containers, func(c Container) bool { return c.Name == o.Name }) {
			err = invalidParameter("Override for container named %s is not a container in the TaskDefinition.", o.Name)
		}
	}
	if err == nil && len(in.Overrides) > 8192 {
		err = invalidParameter("Container Overrides length must be at most 8192")
	}
	return count, pattern, err
}

func (in *runInput) checkNetwork() error {
	if in.NetworkConfiguration == nil {
		return nil
	}
	vpc := in.NetworkConfiguration.VPC
	if len(vpc.Subnets) == 0 {
		return invalidParameter("subnets can not be empty.")
	}
	for _, id := range vpc.Subnets {
		if id != subnetID {
			return invalidParameter("Error retrieving subnet information for [%s]: The subnet ID '%s' does not exist (ErrorCode: InvalidSubnetID.NotFound)", id, id)
		}
	}
	for _, id := range vpc.Groups {
		if id != taskGroup && id != doorGroup {
			return invalidParameter("Error retrieving security group information for [%s]: The security group '%s' does not exist (ErrorCode: InvalidGroup.NotFound)", id, id)
		}
	}
	return nil
}

// dawdle delays the answer of RunTask (Faults.RunTakes).
func (e *Emulator) dawdle(r *request) {
	late := time.NewTimer(e.Faults().RunTakes)
	defer late.Stop()
	select {
	case <-late.C:
	case <-r.HTTP.Context().Done():
	}
}

// limit is how long the task's own command lets it run; 0 when it does not limit itself. Commands are not run here, so only the
// convention is known by which culvert asks for a limit: an essential container that gets CULVERT_TTL ends by itself after so
// many seconds if its definition has that variable, or if its command is run by a shell and sleeps for so long.
func (in *runInput) limit(d *definition) time.Duration {
	for _, o := range in.overrides().ContainerOverrides {
		i := slices.IndexFunc(d.pattern.Containers, func(c Container) bool { return c.Name == o.Name && !c.NonEssential })
		if i < 0 {
			continue
		}
		c := d.pattern.Containers[i]
		own := slices.ContainsFunc(c.Environment, func(v string) bool { return strings.HasPrefix(v, "CULVERT_TTL=") })
		shell := len(c.EntryPoint) == 2 && c.EntryPoint[1] == "-c" && len(o.Command) > 0 && strings.Contains(o.Command[0], `sleep "$CULVERT_TTL"`)
		for _, v := range o.Environment {
			if seconds, err := strconv.Atoi(v.Value); v.Name == "CULVERT_TTL" && err == nil && (own || shell) {
				return time.Duration(seconds) * time.Second
			}
		}
	}
	return 0
}

// begunWith finds the tasks that a client token has started; nil for a new token. It refuses a token that was used with another
// request.
func (a *account) begunWith(token string, body []byte) ([]*task, error) {
	for _, s := range a.tokens {
		switch {
		case token == "" || s.token != token:
		case bytes.Equal(s.request, body):
			return s.tasks, nil
		default:
			conflict := &apiError{Code: "ConflictException", Message: "The provided clientToken is already in use with a different RunTask request."}
			for _, t := range s.tasks {
				conflict.Resources = append(conflict.Resources, t.arn(a))
			}
			return nil, conflict
		}
	}
	return nil, nil
}

func (a *account) keepToken(token string, body []byte, tasks []*task) {
	if token == "" {
		return
	}
	a.tokens = append(a.tokens, started{token, bytes.Clone(body), tasks})
	a.tokens = a.tokens[max(0, len(a.tokens)-mostTokens):]
}

// watch ends a task when its own limit is over.
func (a *account) watch(t *task) {
	if t.limit == 0 {
		return
	}
	a.emulator.clock.after(t.limit, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.expire(t)
	})
}

// expire ends a task whose limit is over, as if its essential container had ended by itself.
func (a *account) expire(t *task) {
	if t.desired == "RUNNING" && !t.started.IsZero() && a.emulator.now().Sub(t.started) >= t.limit {
		a.end(t, "Essential container in task exited", "EssentialContainerExited")
	}
}

// Elapse makes the running tasks older by a time. Tasks that reach their own limit by that end.
func (e *Emulator) Elapse(by time.Duration) {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.clusters {
		for _, t := range c.tasks {
			if t.started.IsZero() || t.desired != "RUNNING" {
				continue
			}
			t.started = t.started.Add(-by)
			if t.limit > 0 {
				a.expire(t)
			}
		}
	}
}

// Running returns the ids of the tasks that no service started and that have not been stopped, oldest first.
func (e *Emulator) Running(cluster string) []string {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	if c := a.findCluster(cluster); c != nil {
		for _, t := range c.tasks {
			if t.service == nil && t.desired == "RUNNING" {
				ids = append(ids, t.id)
			}
		}
	}
	return ids
}
