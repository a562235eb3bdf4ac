package swarm

import (
	"context"
	"time"
	_ "unsafe" // for go:linkname
)

// sleepOfSDK is how the SDK waits. Its adaptive retries work out by division for how long, and where that is cut off to nothing
// they ask again at once and wait for the clock to go on by itself, which in virtual time it never does.
//
//go:linkname sleepOfSDK github.com/aws/aws-sdk-go-v2/internal/sdk.SleepWithContext
var sleepOfSDK func(ctx context.Context, d time.Duration) error

func init() { //nolint:gochecknoinits // before any client is made
	sleep := sleepOfSDK
	sleepOfSDK = func(ctx context.Context, d time.Duration) error { return sleep(ctx, d+time.Microsecond) }
}
