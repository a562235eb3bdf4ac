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

// The tags of a service that culvert has scaled up from zero: one that says so, and one for each user, with the time until
// which it uses the service. Only the user sets and removes its own tag, so that users do not overwrite each other, and the tag
// of one that was killed is void after its time.
const (
	tagRaised = "culvert:raised"
	tagUser   = "culvert:user:"
)

const updateServiceAction = "ecs:UpdateService"

// Raise has the service of a run want one task, if it wants none, and notes the run as a user of the service. A service that
// runs already, and not by culvert's doing, is left as it is: then the run has nothing to end (Run.Idle).
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
	// The service is read again: its last user may have been about to scale it down, and not have seen the new user's tag.
	if s, err = c.serviceOf(ctx, r.Cluster, r.Service); err != nil || s.DesiredCount > 0 {
		return r, err
	}
	if err := c.tag(ctx, r, s, tagRaised, r.ID); err != nil {
		return r, err
	}
	return r, c.scale(ctx, r, 1)
}

// lower removes a run from the users of its service, and scales the service to zero if that was the last user, culvert had
// scaled it up, and nobody has scaled it since. ended says what it has done.
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
	if s.DesiredCount != 1 { // somebody has scaled it on purpose, which is not undone
		return nil, c.untag(ctx, r, s, tagRaised)
	}
	if err := c.scale(ctx, r, 0); err != nil {
		return nil, err
	}
	if s, err = c.serviceOf(ctx, r.Cluster, r.Service); err != nil {
		return nil, err
	}
	if c.used(s) { // a user has come in between
		return nil, c.scale(ctx, r, 1)
	}
	return []string{"service " + r.Cluster + "/" + r.Service + ": it is scaled to zero again"}, c.untag(ctx, r, s, append(users(s), tagRaised)...)
}

func raised(s types.Service) bool {
	return slices.ContainsFunc(s.Tags, func(t types.Tag) bool { return sdk.ToString(t.Key) == tagRaised })
}

// users are the keys of the tags of all users of a service, including those that were killed.
func users(s types.Service) []string {
	var keys []string
	for _, t := range s.Tags {
		if key := sdk.ToString(t.Key); strings.HasPrefix(key, tagUser) {
			keys = append(keys, key)
		}
	}
	return keys
}

// used reports whether the service has a user whose time is not over.
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

// scale sets the number of tasks that a service wants.
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

// Remedy is the missing permission, if it is missing, and the command to scale the service by hand.
func (e *NotScaledError) Remedy() string {
	by := "scale it: " + e.Shell.AWS("ecs", "update-service", "--cluster", e.Cluster, "--service", e.Service, "--desired-count", strconv.Itoa(e.Desired))
	if denied, ok := asDenied(e.Err); ok {
		return denied.Remedy() + "; or " + by
	}
	return by
}

// Temporary is what the cause is.
func (e *NotScaledError) Temporary() bool { return Temporary(e.Err) }

// DaemonError means that a service cannot be scaled, as it runs one task on each container instance.
type DaemonError struct{ Cluster, Service string }

func (e *DaemonError) Error() string {
	return fmt.Sprintf("service %s/%s is a DAEMON service: it cannot be scaled", e.Cluster, e.Service)
}

// Remedy is to do without --start.
func (e *DaemonError) Remedy() string {
	return "leave --start out: it runs wherever there is a container instance"
}
