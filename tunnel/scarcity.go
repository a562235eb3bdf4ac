package tunnel

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// spareDescriptors are left by connections for what must not fail because of them: a session that is resumed or
	// terminated, credentials that are renewed.
	spareDescriptors = 16
	// acceptAgain is how soon accepting is tried again at first; it doubles up to a second.
	acceptAgain = 5 * time.Millisecond
	// scarceFor is how long ago an accept that failed still counts as now: longer than the longest time between two.
	scarceFor = 2 * time.Second
	// scarceAgain is how long none may have failed for the next one to be worth a line in the log.
	scarceAgain = time.Minute
)

var errCrowded = fmt.Errorf("all but %d file descriptors are in use", spareDescriptors)

// scarcity is how the process is off for file descriptors. The zero value is one that has enough. Safe for concurrent use.
type scarcity struct{ last atomic.Pointer[time.Time] }

// note takes down that a connection could not be accepted, and says so if that is news.
func (s *scarcity) note(log *slog.Logger, err error) {
	now := time.Now()
	if last := s.last.Swap(&now); last == nil || now.Sub(*last) > scarceAgain {
		log.Warn("new connections wait for file descriptors", "error", err, "remedy", "close some, or raise the limit with ulimit -n")
	}
}

// now reports whether connections wait for descriptors.
func (s *scarcity) now() bool {
	last := s.last.Load()
	return last != nil && time.Since(*last) < scarceFor
}
