package emulator

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// tag is a tag of a task or a service, in ECS's form.
type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// mostTags is how many tags a resource can have.
const mostTags = 50

// tagForm is the form of keys and values (ECS API Reference, Tag).
var tagForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`) }) //nolint:gochecknoglobals // compiled when it is needed

func newTags(list []tag) map[string]string {
	tags := map[string]string{}
	for _, t := range list {
		tags[t.Key] = t.Value
	}
	return tags
}

// tagsView lists tags by their keys; an empty list when there are none.
func tagsView(tags map[string]string) []tag {
	list := make([]tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, tag{key, tags[key]})
	}
	return list
}

// checkTags refuses tags that ECS does not accept in addition to the tags that are there.
func checkTags(list []tag, there map[string]string) error {
	all := maps.Clone(there)
	if all == nil {
		all = map[string]string{}
	}
	for _, t := range list {
		switch {
		case t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256:
			return invalidParameter("Tag keys must have 1 to 128 characters, values at most 256.")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return invalidParameter("Tag keys cannot start with aws:.")
		case !tagForm().MatchString(t.Key) || !tagForm().MatchString(t.Value):
			return invalidParameter("Some tags contain invalid characters. Valid characters: UTF-8 letters, spaces, numbers and _ . / = + - : @.")
		}
		all[t.Key] = t.Value
	}
	if len(all) > mostTags {
		return invalidParameter("The number of tags exceeds the limit of %d.", mostTags)
	}
	return nil
}

// tagged finds the tags of what an ARN names: a task or a service of the account.
func (a *account) tagged(arn string) (tags *map[string]string, err error) {
	kind, path, _ := strings.Cut(strings.TrimPrefix(arn, a.arn("ecs", "")), "/")
	cluster, name, _ := strings.Cut(path, "/")
	if c := a.findCluster(cluster); c != nil && strings.HasPrefix(arn, "arn:") && a.owns(arn) {
		switch kind {
		case "task":
			if t := c.find(name); t != nil {
				return &t.tags, nil
			}
			return nil, invalidParameter("The specified task is inactive or does not exist. Specify an active task and try again.")
		case "service":
			if s, err := a.findService(cluster, name); err == nil {
				return &s.tags, nil
			}
			return nil, invalidParameter("The specified service is inactive or does not exist. Specify an active service and try again.")
		}
	}
	return nil, invalidParameter("The specified resource %s is not known.", arn)
}

// Tag sets a tag of a task, as TagResource does.
func (e *Emulator) Tag(taskID, key, value string) error {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.findTask(taskID)
	if t == nil {
		return fmt.Errorf("tag: there is no task %s", taskID)
	}
	setTags(&t.tags, []tag{{key, value}})
	return nil
}

// setTags adds tags to those of a resource, which may have none yet.
func setTags(of *map[string]string, list []tag) {
	if *of == nil {
		*of = map[string]string{}
	}
	maps.Copy(*of, newTags(list))
}

// Tags are the sorted keys of a service's tags.
func (e *Emulator) Tags(cluster, service string) []string {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.findService(cluster, service)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.tags))
}

// Desired is the desired number of tasks of a service.
func (e *Emulator) Desired(cluster, service string) int {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.findService(cluster, service)
	if err != nil {
		return 0
	}
	return s.desired
}

func (e *Emulator) tagResource(r *request, a *account) (any, error) {
	in, err := decode[struct {
		ResourceArn string
		Tags        []tag
	}](r)
	if err != nil {
		return nil, err
	}
	tags, err := a.tagged(in.ResourceArn)
	if err == nil {
		err = checkTags(in.Tags, *tags)
	}
	if err != nil {
		return nil, err
	}
	setTags(tags, in.Tags)
	return struct{}{}, nil
}

func (e *Emulator) untagResource(r *request, a *account) (any, error) {
	in, err := decode[struct {
		ResourceArn string
		TagKeys     []string
	}](r)
	if err != nil {
		return nil, err
	}
	tags, err := a.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(*tags, key)
	}
	return struct{}{}, nil
}

func (e *Emulator) listTags(r *request, a *account) (any, error) {
	in, err := decode[struct{ ResourceArn string }](r)
	if err != nil {
		return nil, err
	}
	tags, err := a.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return struct {
		Tags []tag `json:"tags"`
	}{tagsView(*tags)}, nil
}
