//go:build unix

package need

import (
	"os"
	"syscall"
	"testing"
)

// OtherUser returns the number of a user that is not the test's own and owns nothing: only root can give files to it and
// run programs as it. Without root the test ends here.
func OtherUser(t testing.TB) int {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root", syscall.EPERM)
	}
	return 54321
}
