package aws

import (
	"testing"
	"testing/synctest"
	"time"
)

// What a lookup has found is used once, and soon: later ECS is asked again.
func TestFoundTaskIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l foundTasks
		at := Target{Cluster: "a", Task: "1"}
		for _, c := range []struct {
			after time.Duration
			good  bool
		}{{0, true}, {foundFor, true}, {foundFor + time.Second, false}} {
			l.keep(Task{ID: "1", Cluster: "a"})
			time.Sleep(c.after)
			if _, found := l.find(at); found != c.good {
				t.Errorf("after %s: found is %v, want %v", c.after, found, c.good)
			}
			if _, found := l.find(at); found {
				t.Errorf("after %s: found a second time", c.after)
			}
		}
	})
}
