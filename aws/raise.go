package aws

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The tags of a service that culvert has scaled up from zero: that it has, and who uses it, each until when. A user's tag is
// its own to set and to remove, so that no two of them overwrite each other, and one that was killed is none any more after
// its time.
const (
	tagRaised = "culvert:raised"
	tagUser   = "culvert:user:"
)

const updateServiceAction = "ecs:UpdateService"

// Raise has the service of a run want one task, where it wants none, and notes the run as a user of it. A service that runs
// anyway is left as it is: then the run has nothing to end.
func (c *Client) Raise(ctx context.Context, r Run) (Run, error) {
	s, err := c.serviceOf(ctx, r.Cluster, r.Service)
	switch {
	case err != nil:
		return r, err
	case s.SchedulingStrategy == types.SchedulingStrategyDaemon:
		return r, &DaemonError{Cluster: r.Cluster, Service: r.Service}
	case s.DesiredCount > 0 && !raised(s):
		r.Idle = true
		return r, nil
	}
	if err := c.tag(ctx, r, s, tagUser+r.ID, r.Until.UTC().Format(time.RFC3339)); err != nil {
		return r, err
	}
	// Looked at again: the last user before may have been about to scale it down, and has not seen this one.
	if s, err = c.serviceOf(ctx, r.Cluster, r.Service); err != nil || s.DesiredCount > 0 {
		return r, err
	}
	if err := c.tag(ctx, r, s, tagRaised, r.ID); err != nil {
		return r, err
	}
	return r, c.scale(ctx, r, 1)
}

// lower takes a run from the users of its service, and scales that to zero when it was the last one, culvert had scaled it up
// and nobody has scaled it since. It says what it has done.
func (c *Client) lower(ctx context.Context, r Run) (ended []string, err error) {
	s, err := c.serviceOf(ctx, r.Cluster, r.Service)
	if err != nil {
		return nil, err
	}
	if err := c.untag(ctx, r, s, tagUser+r.ID); err != nil {
		return nil, err
	}
	if s, err = c.serviceOf(ctx, r.Cluster, r.Service); err != nil || !raised(s) || c.used(s) {
		return nil, err
	}
	if s.DesiredCount != 1 { // somebody's decision, which is not to be undone
		return nil, c.untag(ctx, r, s, tagRaised)
	}
	if err := c.scale(ctx, r, 0); err != nil {
		return nil, err
	}
	if s, err = c.serviceOf(ctx, r.Cluster, r.Service); err != nil {
		return nil, err
	}
	if c.used(s) { // by one that came in between
		return nil, c.scale(ctx, r, 1)
	}
	return []string{"service " + r.Cluster + "/" + r.Service + ": it is scaled to zero again"}, c.untag(ctx, r, s, append(users(s), tagRaised)...)
}

func raised(s types.Service) bool {
	return slices.ContainsFunc(s.Tags, func(t types.Tag) bool { return sdk.ToString(t.Key) == tagRaised })
}

// users are the tags of all users of a service, those that were killed included.
func users(s types.Service) []string {
	var keys []string
	for _, t := range s.Tags {
		if key := sdk.ToString(t.Key); strings.HasPrefix(key, tagUser) {
			keys = append(keys, key)
		}
	}
	return keys
}

// used reports whether somebody uses a service, as far as culvert was told to start it.
func (c *Client) used(s types.Service) bool {
	return slices.ContainsFunc(s.Tags, func(t types.Tag) bool {
		until, err := time.Parse(time.RFC3339, sdk.ToString(t.Value))
		return strings.HasPrefix(sdk.ToString(t.Key), tagUser) && err == nil && c.now().Before(until)
	})
}

func (c *Client) tag(ctx context.Context, r Run, s types.Service, key, value string) error {
	_, err := call(ctx, c, about{Cluster: r.Cluster, Service: r.Service, Resource: sdk.ToString(s.ServiceArn)}, func(ctx context.Context) (*ecs.TagResourceOutput, error) {
		return c.ecs.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: s.ServiceArn, Tags: []types.Tag{{Key: &key, Value: &value}}})
	})
	if err != nil {
		return fmt.Errorf("note the use of service %s: %w", r.Service, err)
	}
	return nil
}

func (c *Client) untag(ctx context.Context, r Run, s types.Service, keys ...string) error {
	_, err := call(ctx, c, about{Cluster: r.Cluster, Service: r.Service, Resource: sdk.ToString(s.ServiceArn)}, func(ctx context.Context) (*ecs.UntagResourceOutput, error) {
		return c.ecs.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: s.ServiceArn, TagKeys: keys})
	})
	if err != nil {
		return fmt.Errorf("end the use of service %s: %w", r.Service, err)
	}
	return nil
}

// scale has a service want so many tasks.
func (c *Client) scale(ctx context.Context, r Run, desired int32) error {
	at := about{Cluster: r.Cluster, Service: r.Service, Resource: c.arn("ecs", "service/"+r.Cluster+"/"+r.Service)}
	_, err := call(ctx, c, at, func(ctx context.Context) (*ecs.UpdateServiceOutput, error) {
		return c.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: &r.Cluster, Service: &r.Service, DesiredCount: &desired})
	})
	if err != nil {
		return &NotScaledError{Cluster: r.Cluster, Service: r.Service, Desired: int(desired), Shell: c.shell, Err: err}
	}
	return nil
}

// NotScaledError means that a service could not be scaled.
type NotScaledError struct {
	Cluster, Service string
	Desired          int
	Shell            Shell
	Err              error
}

func (e *NotScaledError) Error() string {
	return fmt.Sprintf("scale service %s/%s to %d: %v", e.Cluster, e.Service, e.Desired, e.Err)
}
func (e *NotScaledError) Unwrap() error { return e.Err }

// Remedy is the permission where that is missing, else to do it by hand.
func (e *NotScaledError) Remedy() string {
	by := "scale it: " + e.Shell.AWS("ecs", "update-service", "--cluster", e.Cluster, "--service", e.Service, "--desired-count", strconv.Itoa(e.Desired))
	if denied, ok := asDenied(e.Err); ok {
		return denied.Remedy() + "; or " + by
	}
	return by
}

// Temporary is that of the cause.
func (e *NotScaledError) Temporary() bool { return Temporary(e.Err) }

// DaemonError means that a service runs a task on each container instance, and takes no number.
type DaemonError struct{ Cluster, Service string }

func (e *DaemonError) Error() string {
	return fmt.Sprintf("service %s/%s is a DAEMON service: it cannot be scaled", e.Cluster, e.Service)
}

// Remedy does without.
func (e *DaemonError) Remedy() string {
	return "leave --start out: it runs wherever there is a container instance"
}
