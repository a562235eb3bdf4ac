//go:build !unix

package screen

import "time"

// processorTime is the time that passes where the system's own measure is not at hand.
func processorTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
