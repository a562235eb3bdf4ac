package headless_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/ui/headless"
)

// What --wait has ended is said with what was in the way; that a deadline is a deadline is no news.
func TestUnreadySaysWhatWasInTheWay(t *testing.T) {
	t.Parallel()
	in := &aws.OverdueError{Err: &aws.UnreachableError{Address: "ssm:443", Proxy: "proxy:3128", Err: context.DeadlineExceeded}, Over: context.DeadlineExceeded}
	for _, row := range []struct {
		err          error
		says, remedy string
	}{
		{nil, "forward 1 was not ready within 5s", "--wait"},
		{context.DeadlineExceeded, "forward 1 was not ready within 5s", "--wait"},
		{fmt.Errorf("find credentials: %w", context.DeadlineExceeded), "forward 1 was not ready within 5s", "--wait"},
		{in, "forward 1 was not ready within 5s: reach ssm:443 through the proxy proxy:3128: context deadline exceeded", "HTTPS_PROXY"},
	} {
		e := &headless.UnreadyError{Forward: "1", Wait: 5 * time.Second, Err: row.err}
		if e.Error() != row.says || !strings.Contains(e.Remedy(), row.remedy) {
			t.Errorf("%v: got %q, remedy %q; want %q and %q", row.err, e.Error(), e.Remedy(), row.says, row.remedy)
		}
	}
}
