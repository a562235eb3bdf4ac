package emulator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"culvert/internal/need"
)

// A service for whose task there is no room has an event that says so, once, and no task until there is room.
func TestServiceWithoutRoomForATaskSaysSoAndTriesAgain(t *testing.T) {
	e := open(t, Options{Fleet: small(), Pace: time.Millisecond})
	client := ecs.NewFromConfig(sdk(t, e))
	events := func() (said int) {
		out := must[*ecs.DescribeServicesOutput](t)(client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"s"}}))
		for _, event := range out.Services[0].Events {
			if strings.HasPrefix(*event.Message, "(service s) was unable to place a task because ") {
				said++
			}
		}
		return said
	}
	before := e.Tasks("c", "s")
	e.Fault(func(f *Faults) { f.Starts = []StartFault{{Family: "s", Kind: NoMemory}} })
	if err := e.Scale("c", "s", 4); err != nil {
		t.Fatal(err)
	}
	if now := e.Tasks("c", "s"); !slices.Equal(now, before) || events() != 1 {
		t.Errorf("tasks = %v and %d events without room, want %v and one", now, events(), before)
	}
	e.Fault(func(f *Faults) { f.Starts = []StartFault{{Family: "s", Kind: NoMemory, Times: 3}} })
	need.Eventually(t, "the task that there was no room for", func() bool { return len(e.Tasks("c", "s")) == 4 })
	if left := e.Faults().Starts; len(left) > 0 || events() != 1 {
		t.Errorf("left of the fault is %v, with %d events; want three starts that failed and one event", left, events())
	}
	e.Fault(func(f *Faults) { f.Starts = []StartFault{{Family: "s", Kind: NoMemory, Times: 1}} })
	if err := e.Scale("c", "s", 5); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "the task after the next lack of room", func() bool { return len(e.Tasks("c", "s")) == 5 })
	if events() != 2 {
		t.Errorf("%d events after a task was placed and there was no room again, want two", events())
	}
}

// Every task can be tagged, whatever has started it.
func TestTaskThatRunTaskDidNotStartIsTagged(t *testing.T) {
	e := open(t, Options{Fleet: small()})
	alone, err := e.StartTask("c", one("tool", "", nil))
	if err != nil {
		t.Fatal(err)
	}
	client := ecs.NewFromConfig(sdk(t, e))
	for _, id := range []string{e.Tasks("c", "s")[0], alone} {
		if err := e.Tag(id, "owner", "me"); err != nil {
			t.Fatal(err)
		}
		out := must[*ecs.ListTagsForResourceOutput](t)(client.ListTagsForResource(t.Context(), &ecs.ListTagsForResourceInput{ResourceArn: aws.String("arn:aws:ecs:eu-west-1:111122223333:task/c/" + id)}))
		if len(out.Tags) != 1 || *out.Tags[0].Key != "owner" || *out.Tags[0].Value != "me" {
			t.Errorf("tags of task %s = %v, want the one that was set", id, out.Tags)
		}
	}
}
