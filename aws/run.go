package aws

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The tags of a task that culvert has started: for which run, by whom, and until when it may run.
const (
	tagRun   = "culvert:run"
	tagOwner = "culvert:owner"
	tagUntil = "culvert:until"
)

const (
	runPrefix = "culvert-"
	// untilSlack is how long after the end of its time a task is left alone. It starts a little later than it is ordered, and
	// ends by itself.
	untilSlack = 10 * time.Minute
)

// Run is a task, or the use of a service, for the time of a tunnel.
type Run struct {
	ID            string // 16 hexadecimal digits
	Cluster, Task string // Task is the task's id; empty while it is not known
	Service       string // the service that is to run instead of a task of its own; then there is no Task and no Family
	Share         string // the name under which a task is started that several runs use; empty when the task is the run's own
	Idle          bool   // Service runs anyway, so there is nothing to end
	Family        string
	Until         time.Time // when the task ends by itself
	Unwatched     bool      // the task does not end by itself, and has to be ended at Until
}

// StartedBy is the startedBy of the run's task, by which ECS can list it.
func (r Run) StartedBy() string { return runPrefix + r.ID }

// NewRun makes a run before it is started, so that its task can be found whatever happens during the start.
func NewRun(o Order, now time.Time) Run {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	r := Run{ID: hex.EncodeToString(id), Cluster: o.Cluster, Until: now.Add(o.TTL)}
	if o.Definition == "" {
		r.Service = o.Service
	}
	return r
}

// Start raises the order's service, or runs the order's task under the name of the run. It does not wait for the task: Lookup
// says when that is ready. The call may be repeated for the same run. When it fails, or ctx ends it, a task may have been
// started all the same: EndRun finds it.
func (c *Client) Start(ctx context.Context, o Order, r Run) (Run, error) {
	switch {
	case r.Service != "":
		return c.Raise(ctx, r)
	case o.Share:
		return c.join(ctx, o, r)
	}
	in, err := c.runInput(ctx, o, &r)
	if err != nil {
		return r, err
	}
	r.Task, err = c.runTask(ctx, o, in)
	return r, err
}

// runTask calls RunTask and returns the id of the new task.
func (c *Client) runTask(ctx context.Context, o Order, in *ecs.RunTaskInput) (string, error) {
	out, err := call(ctx, c, about{Cluster: o.Cluster, Resource: sdk.ToString(in.TaskDefinition)}, func(ctx context.Context) (*ecs.RunTaskOutput, error) {
		return c.ecs.RunTask(ctx, in)
	})
	if err != nil {
		return "", fmt.Errorf("run %s: %w", o.Definition, c.orRunRefused(o, err))
	}
	if len(out.Tasks) == 0 {
		e := &PlacementError{Definition: o.Definition, Cluster: o.Cluster, Shell: c.shell}
		for _, f := range out.Failures[:min(len(out.Failures), maxListed)] {
			e.Reasons = append(e.Reasons, orWord(sdk.ToString(f.Reason), "no reason")+detailOf(f))
		}
		return "", e
	}
	id := lastPart(sdk.ToString(out.Tasks[0].TaskArn))
	if !isWholeTaskID(id) {
		return "", &AnswerError{Operation: runAction, Problem: "the task has no id"}
	}
	c.learnAccount(accountOf(sdk.ToString(out.Tasks[0].TaskArn)))
	return id, nil
}

// NotStarted reports whether an error of Start means that no task was started, as AWS has refused it or was not asked.
func NotStarted(err error) bool {
	_, odd := errors.AsType[*AnswerError](err)
	_, known := errors.AsType[remedied](err)
	return known && !odd && !Temporary(err) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

func detailOf(f types.Failure) string {
	if detail := sdk.ToString(f.Detail); detail != "" {
		return " (" + detail + ")"
	}
	return ""
}

// runInput is the input of RunTask for an order. It sets Family and Unwatched of the run.
func (c *Client) runInput(ctx context.Context, o Order, r *Run) (*ecs.RunTaskInput, error) {
	if err := o.checkHome(ctx, c); err != nil {
		return nil, err
	}
	definition, err := c.definitionOf(ctx, o.Definition)
	if err != nil {
		return nil, err
	}
	r.Family = sdk.ToString(definition.Family)
	at, err := c.placementOf(ctx, o, definition)
	if err != nil {
		return nil, err
	}
	who, err := c.whoami(ctx)
	if err != nil {
		return nil, err
	}
	in := &ecs.RunTaskInput{
		Cluster: &o.Cluster, TaskDefinition: definition.TaskDefinitionArn, ClientToken: sdk.String(r.StartedBy()), StartedBy: sdk.String(r.StartedBy()),
		EnableExecuteCommand: true, NetworkConfiguration: at.network, LaunchType: at.launch, CapacityProviderStrategy: at.providers, PlatformVersion: at.platform,
		Tags: []types.Tag{
			{Key: sdk.String(tagRun), Value: &r.ID},
			{Key: sdk.String(tagOwner), Value: &who.UserID},
			{Key: sdk.String(tagUntil), Value: sdk.String(r.Until.UTC().Format(time.RFC3339))},
		},
	}
	limit := watchdog(definition, o.TTL)
	switch {
	case limit != nil && lengthOf(limit) <= maxOverrides:
		in.Overrides = &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{*limit}}
	case !o.Unwatched:
		return nil, &NoLimitError{Definition: r.Family, TTL: o.TTL, Long: limit != nil}
	}
	r.Unwatched = in.Overrides == nil
	return in, nil
}

// maxOverrides is how many characters the overrides of a task may have (ECS API Reference, TaskOverride), less some for their
// JSON.
const maxOverrides = 8192 - 500

func lengthOf(o *types.ContainerOverride) int { return len(strings.Join(o.Command, `","`)) }

// whoami is whom the credentials belong to. STS is asked once.
func (c *Client) whoami(ctx context.Context) (Identity, error) {
	if known := c.identity.Load(); known != nil {
		return *known, nil
	}
	return c.Identity(ctx)
}

// EndRun stops what was started for a run, and says what that was. When the task's id is not known, it looks for tasks that
// were started under the run's name: there is one once RunTask has answered, and perhaps some moments earlier. A service is
// scaled to zero when nobody else uses it.
func (c *Client) EndRun(ctx context.Context, r Run, why string) (ended []string, err error) {
	switch {
	case r.Idle:
		return nil, nil
	case r.Service != "":
		return c.lower(ctx, r)
	case r.Share != "":
		return c.leave(ctx, r)
	}
	tasks := []string{r.Task}
	if r.Task == "" {
		if tasks, err = c.startedBy(ctx, r.Cluster, r.StartedBy()); err != nil {
			return nil, err
		}
	}
	for _, task := range tasks {
		if err := c.stopTask(ctx, r.Cluster, task, why); err != nil {
			return ended, err
		}
		ended = append(ended, "task "+task)
	}
	return ended, nil
}

// startedBy lists the tasks that were started under a name and have not been stopped.
func (c *Client) startedBy(ctx context.Context, cluster, name string) ([]string, error) {
	return c.listStarted(ctx, cluster, name, types.DesiredStatusRunning)
}

// listStarted lists the first tasks that were started under a name.
func (c *Client) listStarted(ctx context.Context, cluster, name string, status types.DesiredStatus) ([]string, error) {
	out, err := call(ctx, c, about{Cluster: cluster}, func(ctx context.Context) (*ecs.ListTasksOutput, error) {
		return c.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &cluster, StartedBy: &name, DesiredStatus: status})
	})
	if err != nil {
		return nil, err
	}
	var tasks []string
	for _, arn := range out.TaskArns[:min(len(out.TaskArns), pageSize)] {
		tasks = append(tasks, lastPart(arn))
	}
	return tasks, nil
}

// stopTask stops a task. It is no error when the task has gone already.
func (c *Client) stopTask(ctx context.Context, cluster, task, why string) error {
	_, err := call(ctx, c, about{Cluster: cluster, Resource: c.arn("ecs", "task/"+cluster+"/"+task)}, func(ctx context.Context) (*ecs.StopTaskOutput, error) {
		return c.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: &cluster, Task: &task, Reason: &why})
	})
	if refused, ok := errors.AsType[*FaultError](err); ok && refused.Code == "InvalidParameterException" && strings.Contains(refused.Message, "not found") {
		return nil
	}
	if err != nil {
		return &NotStoppedError{Cluster: cluster, Task: task, Shell: c.shell, Err: err}
	}
	return nil
}

// EndExpired stops the caller's own tasks of a family whose time is over by their tags: those that do not end by themselves,
// and whose culvert was killed, perhaps on another machine. ended are their ids.
func (c *Client) EndExpired(ctx context.Context, cluster, family string) (ended []string, err error) {
	who, err := c.whoami(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := c.runsOf(ctx, cluster, family)
	for _, t := range tasks {
		if !t.isOf(who) || c.now().Before(t.until.Add(untilSlack)) {
			continue
		}
		if err := c.stopTask(ctx, cluster, t.task, "culvert: its time is over"); err != nil {
			return ended, err
		}
		ended = append(ended, t.task)
	}
	return ended, err
}

// tagged is a task that a culvert has started, as its tags tell.
type tagged struct {
	task, owner string
	until       time.Time
}

// isOf reports whether somebody owns the task: the same user, or the same role if culvert has named its session.
func (t tagged) isOf(who Identity) bool {
	role, _, _ := strings.Cut(t.owner, ":")
	return t.owner == who.UserID || who.RoleID() != "" && role == who.RoleID() && strings.Contains(t.owner, ":"+roleSessionPrefix)
}

// mostRuns bounds how many tasks of a family are described.
const mostRuns = 300

// runsOf are the tasks of a family that a culvert has started and that have not been stopped.
func (c *Client) runsOf(ctx context.Context, cluster, family string) ([]tagged, error) {
	var arns []string
	err := c.listFamily(ctx, cluster, family, types.DesiredStatusRunning, func(page []string) { arns = append(arns, page...) })
	if err != nil {
		return nil, err
	}
	var found []tagged
	for arns = arns[:min(len(arns), mostRuns)]; len(arns) > 0; arns = arns[min(len(arns), taskBatch):] {
		batch := arns[:min(len(arns), taskBatch)]
		out, err := call(ctx, c, about{Cluster: cluster}, func(ctx context.Context) (*ecs.DescribeTasksOutput, error) {
			return c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: batch, Include: []types.TaskField{types.TaskFieldTags}})
		})
		if err != nil {
			return found, err
		}
		for _, t := range out.Tasks {
			tags := map[string]string{}
			for _, tag := range t.Tags {
				tags[sdk.ToString(tag.Key)] = sdk.ToString(tag.Value)
			}
			until, err := time.Parse(time.RFC3339, tags[tagUntil])
			if id := lastPart(sdk.ToString(t.TaskArn)); err == nil && tags[tagRun] != "" && isWholeTaskID(id) {
				found = append(found, tagged{task: id, owner: tags[tagOwner], until: until})
			}
		}
	}
	return found, nil
}

// orRunRefused is a *NotRunError where ECS refuses the order itself, else err.
func (c *Client) orRunRefused(o Order, err error) error {
	refused, ok := errors.AsType[*FaultError](err)
	if !ok || refused.Temporary() {
		return err
	}
	return &NotRunError{Definition: o.Definition, Message: cmp.Or(refused.Message, refused.Code), Err: err}
}
