package aws

import (
	"sync"
	"time"
)

const (
	// unreachedFor is how long a container to which Session Manager had no connection comes after the other containers of its
	// task, and its task after the other tasks of the service.
	unreachedFor = time.Minute
	// maxUnreached is how many are remembered before all are forgotten.
	maxUnreached = 1_000
)

// unreached are the containers for which Session Manager has answered TargetNotConnected, whatever ECS says about their agents.
// It is safe for concurrent use.
type unreached struct {
	mu sync.Mutex
	at map[string]time.Time // by id of the target
}

func (s *unreached) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil || len(s.at) >= maxUnreached {
		s.at = map[string]time.Time{}
	}
	s.at[id] = time.Now()
}

func (s *unreached) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.at[id]
	if ok && time.Since(at) > unreachedFor {
		delete(s.at, id)
		return false
	}
	return ok
}

func (s *unreached) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.at, id)
}
