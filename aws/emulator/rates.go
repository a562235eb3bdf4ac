package emulator

import (
	"sync"
	"time"
)

// rates are the token buckets of ECS's API, per account and region (Amazon ECS API Reference, "Request throttling"). They are
// safe for concurrent use.
type rates struct {
	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	tokens float64
	filled time.Time
}

// rate is how many tokens a bucket holds, and how many are added in a second.
type rate struct{ burst, refill float64 }

// bucketOf is the bucket of an action. Actions without a published rate have none.
func bucketOf(action string) (name string, r rate) {
	switch action {
	case "ecs:ListClusters", "ecs:DescribeClusters":
		return "cluster reads", rate{50, 20}
	case "ecs:ListServices", "ecs:DescribeServices":
		return "service reads", rate{100, 20}
	case "ecs:ListTasks", "ecs:DescribeTasks":
		return "cluster resource reads", rate{100, 20}
	case "ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition":
		return "definition reads", rate{50, 20}
	}
	return "", rate{}
}

// take takes a token, and is false when there is none.
func (r *rates) take(action string, now time.Time) bool {
	name, rate := bucketOf(action)
	if name == "" {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets[name]
	if b == nil {
		if r.buckets == nil {
			r.buckets = map[string]*bucket{}
		}
		b = &bucket{tokens: rate.burst, filled: now}
		r.buckets[name] = b
	}
	b.tokens = min(rate.burst, b.tokens+now.Sub(b.filled).Seconds()*rate.refill)
	b.filled = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
