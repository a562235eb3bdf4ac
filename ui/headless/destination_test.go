package headless

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// What happens to hosts is like what happens to connections: there may be any number of it, and a terminal is told of what is
// open, not of what is about to be.
func TestStepsOfDestinationsAreLeftOutFirst(t *testing.T) {
	step := func(state, destination string) stateEvent {
		return stateEvent{head: newHead(time.Now(), "state", 1), State: state, Remote: "any host", Destination: destination}
	}
	for event, minor := range map[any]bool{step("open", "a.internal:80"): true, step("open", ""): false, trafficEvent{}: true, closedEvent{}: false} {
		if isMinor(event) != minor {
			t.Errorf("%+v: may be left out is %t", event, !minor)
		}
	}
	var out bytes.Buffer
	p := &printer{outbox: newOutbox(&out), people: newPeople(true)}
	failed := step("handshaking", "c.internal:80")
	failed.Error = "no answer"
	for _, e := range []stateEvent{step("starting", ""), step("starting", "a.internal:80"), step("handshaking", "a.internal:80"), step("open", "b.internal:80"), failed} {
		p.event(e)
	}
	if _, err := p.close(); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	if strings.Contains(got, "a.internal") || !strings.Contains(got, "b.internal:80") || !strings.Contains(got, "c.internal:80: no answer") || strings.Count(got, "\n") != 3 {
		t.Errorf("got\n%s", got)
	}
}
