package aws

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// A shared task has a tag for each of its users, which only that user sets, renews and removes. So users do not overwrite each
// other's tags, and the tag of a user that was killed runs out. Whoever leaves as the last user first tags the task as closing,
// then looks for users again; whoever comes first sets its tag, then looks at the task again. So of two that do this at the
// same time at least one sees the other: then the one that leaves does not stop the task, or the one that comes takes another
// task.
const (
	tagClosing  = "culvert:closing"
	sharePrefix = "culvert-share-"
	// beatLife is how long a user's tag counts; the user renews it every BeatEvery.
	beatLife = 10 * time.Minute
	// closingLife is how long a closing tag counts: longer than it takes to stop the task.
	closingLife = time.Minute
	// electionTime is the length of the periods in each of which all runs that find no task ask for one with the same client
	// token, so that they get the same task.
	electionTime = 10 * time.Minute
	// mostElections bounds how often join tries another token, as the task of a token has ended already.
	mostElections = 20
	joinPause     = 100 * time.Millisecond
)

// BeatEvery is how often a user of a shared task has to renew its tag with Beat.
const BeatEvery = 3 * time.Minute

// sharedTask is a task that several runs use, as it is now.
type sharedTask struct {
	id            string
	created       time.Time
	until         time.Time
	users, closed bool
	user          func(id string) bool // whether a run is, or was, one of its users
}

// join makes a run a user of a shared task: of one that runs, else of one that is started for all runs that look for one now.
func (c *Client) join(ctx context.Context, o Order, r Run) (Run, error) {
	in, err := c.runInput(ctx, o, &r)
	if err != nil {
		return r, err
	}
	who, err := c.whoami(ctx)
	if err != nil {
		return r, err
	}
	r.Share = shareName(who, in)
	in.StartedBy = &r.Share
	in.Tags = append(in.Tags, types.Tag{Key: sdk.String(tagUser + r.ID), Value: sdk.String(c.countsUntil())})
	over, err := c.listStarted(ctx, o.Cluster, r.Share, types.DesiredStatusStopped) // each of them has used up a token
	if err != nil {
		return r, err
	}
	for round := len(over); round < len(over)+mostElections; {
		task, err := c.oldest(ctx, o, r)
		if err != nil {
			return r, err
		}
		if task == "" {
			in.ClientToken = sdk.String(electionToken(r.Share, c.now(), round))
			if task, err = c.elect(ctx, o, in); err != nil {
				return r, err
			}
		}
		joined, err := c.use(ctx, o, r, task)
		if err != nil || joined.Task != "" {
			return joined, err
		}
		round++ // the task is over, or about to be
		select {
		case <-time.After(joinPause):
		case <-ctx.Done():
			return r, context.Cause(ctx)
		}
	}
	return r, &PlacementError{Definition: o.Definition, Cluster: o.Cluster, Reasons: []string{"the tasks that were to be shared have all ended"}, Shell: c.shell}
}

// shareName is the name under which all who may share a task start it: the same user or role, for the same task definition with
// the same network and capacity.
func shareName(who Identity, in *ecs.RunTaskInput) string {
	owner := who.UserID
	if role := who.RoleID(); role != "" && strings.Contains(who.UserID, ":"+roleSessionPrefix) {
		owner = role
	}
	where, _ := json.Marshal([]any{in.NetworkConfiguration, in.LaunchType, in.CapacityProviderStrategy, in.PlatformVersion}) //nolint:errchkjson // plain values
	return sharePrefix + digest(owner, sdk.ToString(in.Cluster), sdk.ToString(in.TaskDefinition), string(where))
}

func electionToken(share string, now time.Time, round int) string {
	return "culvert-" + digest(share, now.UTC().Truncate(electionTime).Format(time.RFC3339), strconv.Itoa(round))
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:10])
}

func (c *Client) countsUntil() string { return c.now().Add(beatLife).UTC().Format(time.RFC3339) }

// elect runs a task, or finds the one that another run has started with the same token.
func (c *Client) elect(ctx context.Context, o Order, in *ecs.RunTaskInput) (string, error) {
	id, err := c.runTask(ctx, o, in)
	if taken, ok := errors.AsType[*types.ConflictException](err); ok {
		for _, arn := range taken.ResourceIds {
			if id := lastPart(arn); isWholeTaskID(id) {
				return id, nil
			}
		}
	}
	return id, err
}

// use makes a run a user of a task, or of an older one. The Run that it returns has no Task when that is not possible.
func (c *Client) use(ctx context.Context, o Order, r Run, task string) (Run, error) {
	t, err := c.sharedTask(ctx, o.Cluster, task)
	if err != nil || !t.fit(o, c.now()) {
		return r, err
	}
	if !t.user(r.ID) {
		if err := c.tagTask(ctx, o.Cluster, task, tagUser+r.ID, c.countsUntil()); err != nil {
			return r, err
		}
	}
	again, err := c.oldest(ctx, o, r)
	switch {
	case err != nil:
		return r, err
	case again == task:
		r.Task, r.Until = task, t.until
		return r, nil
	}
	r.Task = task
	_, err = c.leave(ctx, r) // two were started at the same time, and all runs take the older one; or this one is closing
	r.Task = ""
	if err == nil && again != "" {
		return c.use(ctx, o, r, again)
	}
	return r, err
}

// fit reports whether a task can be used for at least half of the time that a new one would have.
func (t sharedTask) fit(o Order, now time.Time) bool {
	return t.id != "" && !t.closed && now.Add(o.TTL/2).Before(t.until)
}

// oldest is the oldest of the shared tasks that are fit; "" when there is none.
func (c *Client) oldest(ctx context.Context, o Order, r Run) (string, error) {
	ids, err := c.startedBy(ctx, o.Cluster, r.Share)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	tasks, err := c.sharedTasks(ctx, o.Cluster, ids)
	tasks = slices.DeleteFunc(tasks, func(t sharedTask) bool { return !t.fit(o, c.now()) })
	if err != nil || len(tasks) == 0 {
		return "", err
	}
	return slices.MinFunc(tasks, func(a, b sharedTask) int {
		return cmp.Or(a.created.Compare(b.created), strings.Compare(a.id, b.id))
	}).id, nil
}

// sharedTask describes one shared task; its id is empty when the task is over.
func (c *Client) sharedTask(ctx context.Context, cluster, id string) (sharedTask, error) {
	tasks, err := c.sharedTasks(ctx, cluster, []string{id})
	if err != nil || len(tasks) == 0 {
		return sharedTask{}, err
	}
	return tasks[0], nil
}

func (c *Client) sharedTasks(ctx context.Context, cluster string, ids []string) ([]sharedTask, error) {
	out, err := call(ctx, c, about{Cluster: cluster}, func(ctx context.Context) (*ecs.DescribeTasksOutput, error) {
		return c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: ids[:min(len(ids), taskBatch)], Include: []types.TaskField{types.TaskFieldTags}})
	})
	if err != nil {
		return nil, err
	}
	var found []sharedTask
	for _, t := range out.Tasks {
		if sdk.ToString(t.DesiredStatus) != string(types.DesiredStatusRunning) {
			continue
		}
		c.learnAccount(accountOf(sdk.ToString(t.TaskArn))) // for the ARN with which it is tagged
		tags := map[string]string{}
		for _, tag := range t.Tags {
			tags[sdk.ToString(tag.Key)] = sdk.ToString(tag.Value)
		}
		lasts := func(key string) bool {
			at, err := time.Parse(time.RFC3339, tags[key])
			return err == nil && c.now().Before(at)
		}
		until, _ := time.Parse(time.RFC3339, tags[tagUntil]) // zero when there is no such tag; then the task is not fit
		found = append(found, sharedTask{
			id: lastPart(sdk.ToString(t.TaskArn)), created: sdk.ToTime(t.CreatedAt), until: until, closed: lasts(tagClosing),
			users: slices.ContainsFunc(slices.Collect(maps.Keys(tags)), func(key string) bool { return strings.HasPrefix(key, tagUser) && lasts(key) }),
			user:  func(id string) bool { return tags[tagUser+id] != "" },
		})
	}
	return found, nil
}

// leave removes a run from the users of its task, and stops the task when it was the last user.
func (c *Client) leave(ctx context.Context, r Run) (ended []string, err error) {
	if r.Task == "" { // the call that started it was not answered
		return c.leaveAny(ctx, r)
	}
	t, err := c.sharedTask(ctx, r.Cluster, r.Task)
	if err != nil || t.id == "" {
		return nil, err
	}
	if err := c.untagTask(ctx, r.Cluster, r.Task, tagUser+r.ID); err != nil {
		return nil, err
	}
	if t, err = c.sharedTask(ctx, r.Cluster, r.Task); err != nil || t.id == "" || t.users {
		return nil, err
	}
	if err := c.tagTask(ctx, r.Cluster, r.Task, tagClosing, c.now().Add(closingLife).UTC().Format(time.RFC3339)); err != nil {
		return nil, err
	}
	if t, err = c.sharedTask(ctx, r.Cluster, r.Task); err != nil || t.id == "" {
		return nil, err
	}
	if t.users { // one has come in between, and may not have seen that the task was closing
		return nil, c.untagTask(ctx, r.Cluster, r.Task, tagClosing)
	}
	if err := c.stopTask(ctx, r.Cluster, r.Task, "culvert: its last user has left"); err != nil {
		return nil, err
	}
	return []string{"task " + r.Task + ", which nobody shares any more"}, nil
}

// leaveAny leaves each task of which a run is a user.
func (c *Client) leaveAny(ctx context.Context, r Run) (ended []string, err error) {
	ids, err := c.startedBy(ctx, r.Cluster, r.Share)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	tasks, err := c.sharedTasks(ctx, r.Cluster, ids)
	for _, t := range tasks {
		if !t.user(r.ID) {
			continue
		}
		r.Task = t.id
		some, failure := c.leave(ctx, r)
		ended, err = append(ended, some...), cmp.Or(err, failure)
	}
	return ended, err
}

// Beat renews the tag of a run that shares a task; for other runs it does nothing.
func (c *Client) Beat(ctx context.Context, r Run) error {
	if r.Share == "" || r.Task == "" {
		return nil
	}
	return c.tagTask(ctx, r.Cluster, r.Task, tagUser+r.ID, c.countsUntil())
}

func (c *Client) tagTask(ctx context.Context, cluster, task, key, value string) error {
	arn := c.arn("ecs", "task/"+cluster+"/"+task)
	_, err := call(ctx, c, about{Cluster: cluster, Resource: arn}, func(ctx context.Context) (*ecs.TagResourceOutput, error) {
		return c.ecs.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: []types.Tag{{Key: &key, Value: &value}}})
	})
	return c.unlessOver(task, err)
}

func (c *Client) untagTask(ctx context.Context, cluster, task, key string) error {
	arn := c.arn("ecs", "task/"+cluster+"/"+task)
	_, err := call(ctx, c, about{Cluster: cluster, Resource: arn}, func(ctx context.Context) (*ecs.UntagResourceOutput, error) {
		return c.ecs.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{key}})
	})
	return c.unlessOver(task, err)
}

// unlessOver ignores that a task cannot be tagged because it is over: whoever looks at it next sees that.
func (c *Client) unlessOver(task string, err error) error {
	if refused, ok := errors.AsType[*FaultError](err); ok && refused.Code == "InvalidParameterException" && strings.Contains(refused.Message, "inactive") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note the use of task %s: %w", task, err)
	}
	return nil
}
