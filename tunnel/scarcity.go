package tunnel

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// spareDescriptors is how many file descriptors connections leave for what must not fail because of them: resuming and
	// terminating sessions, renewing credentials.
	spareDescriptors = 16
	// acceptAgain is the first pause after an accept that failed; the pause doubles with each failure in a row, up to a second.
	acceptAgain = 5 * time.Millisecond
	// scarceFor is how long after a failed accept descriptors still count as scarce. It is longer than the longest pause between
	// two accepts.
	scarceFor = 2 * time.Second
	// scarceAgain is how long no accept must have failed for the next failure to be worth a line in the log.
	scarceAgain = time.Minute
)

var errCrowded = fmt.Errorf("all but %d file descriptors are in use", spareDescriptors)

// scarcity remembers when the process was last short of file descriptors. The zero value has never been. Safe for concurrent use.
type scarcity struct{ last atomic.Pointer[time.Time] }

// note notes that a connection could not be accepted, and logs it when that has not happened for scarceAgain.
func (s *scarcity) note(log *slog.Logger, err error) {
	now := time.Now()
	if last := s.last.Swap(&now); last == nil || now.Sub(*last) > scarceAgain {
		log.Warn("new connections wait for file descriptors", "error", err, "remedy", "close some, or raise the limit with ulimit -n")
	}
}

// now reports whether connections wait for file descriptors.
func (s *scarcity) now() bool {
	last := s.last.Load()
	return last != nil && time.Since(*last) < scarceFor
}
