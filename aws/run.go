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

// The tags of a task that culvert has started: of which run it is, whose, and until when it may run.
const (
	tagRun   = "culvert:run"
	tagOwner = "culvert:owner"
	tagUntil = "culvert:until"
)

const (
	runPrefix = "culvert-"
	// untilSlack is how long after its time a task is still left alone: it began a little later than it was asked for, and
	// ends by itself.
	untilSlack = 10 * time.Minute
)

// Run is a task that was started for the time of a tunnel.
type Run struct {
	ID            string // 16 hexadecimal digits
	Cluster, Task string // of the task the id; empty as long as it is not known
	Service       string // that is to run, instead of a task of its own; then neither Task nor Family
	Share         string // what a task is started under that several use; empty: it is the run's own
	Idle          bool   // Service runs anyway: there is nothing to end
	Family        string
	Until         time.Time // when it ends by itself
	Unwatched     bool      // it does not, and is to be ended then
}

// StartedBy is what ECS is told about who has started the task: it can be listed by that.
func (r Run) StartedBy() string { return runPrefix + r.ID }

// NewRun names a run before it is begun, so that it can be looked for whatever becomes of its beginning.
func NewRun(o Order, now time.Time) Run {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	r := Run{ID: hex.EncodeToString(id), Cluster: o.Cluster, Until: now.Add(o.TTL)}
	if o.Definition == "" {
		r.Service = o.Service
	}
	return r
}

// Start raises the order's service, or runs the order's task under the name of a run. The task is on its way then: Lookup says when it is ready. The call
// may be repeated for the same run. When it fails, or ctx ends it, there may be a task all the same: EndRun finds it.
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

// runTask returns the id of the task that is on its way.
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

// NotStarted reports whether an error of Start means that there is no task: AWS has refused, or was not asked.
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

// runInput is what RunTask is asked.
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

// maxOverrides is how many characters the overrides of a task may have (ECS API Reference, TaskOverride), with room for how
// they are written.
const maxOverrides = 8192 - 500

func lengthOf(o *types.ContainerOverride) int { return len(strings.Join(o.Command, `","`)) }

// whoami is who the credentials belong to, asked once.
func (c *Client) whoami(ctx context.Context) (Identity, error) {
	if known := c.identity.Load(); known != nil {
		return *known, nil
	}
	return c.Identity(ctx)
}

// EndRun stops what was started for a run, and says what that was. Without a task's id it looks for what was started under
// the run's name, which is there once RunTask has answered, and may be some moments before. A service is scaled to zero when
// nobody else uses it.
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

// startedBy lists the tasks that were started under a name and are meant to run.
func (c *Client) startedBy(ctx context.Context, cluster, name string) ([]string, error) {
	return c.listStarted(ctx, cluster, name, types.DesiredStatusRunning)
}

// listStarted lists the first of the tasks that were started under a name.
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

// stopTask stops a task; one that is gone already is no error.
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

// EndExpired stops the caller's own tasks of a family whose time is over, as tags tell it: those of a culvert that was killed
// on another machine, and that do not end by themselves. It tells which.
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

// tagged is a task of some culvert, as its tags tell.
type tagged struct {
	task, owner string
	until       time.Time
}

// isOf reports whether a task is somebody's own: the user's, or the same role's, under whichever name its sessions have.
func (t tagged) isOf(who Identity) bool {
	role, _, _ := strings.Cut(t.owner, ":")
	return t.owner == who.UserID || who.RoleID() != "" && role == who.RoleID() && strings.Contains(t.owner, ":"+roleSessionPrefix)
}

// mostRuns bounds the tasks of a family that are looked at.
const mostRuns = 300

// runsOf are the tasks of a family that some culvert has started and that are meant to run.
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

// orRunRefused names what RunTask refuses where ECS's words are not enough.
func (c *Client) orRunRefused(o Order, err error) error {
	refused, ok := errors.AsType[*FaultError](err)
	if !ok || refused.Temporary() {
		return err
	}
	return &NotRunError{Definition: o.Definition, Message: cmp.Or(refused.Message, refused.Code), Err: err}
}
