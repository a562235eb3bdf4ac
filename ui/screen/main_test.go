package screen

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC //nolint:gosmopolitan // golden screens show times of day
	goleak.VerifyTestMain(m,
		// seelog, which AWS's message package logs with, starts it at import.
		goleak.IgnoreAnyFunction("github.com/cihub/seelog.(*asyncLoopLogger).processQueue"))
}
