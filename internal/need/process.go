package need

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// againMark names the environment variable that is set in the process that again starts, to the name of its test.
const againMark = "CULVERT_TEST_AGAIN"

// Process runs the rest of a test in a process of its own, beside other tests. Its environment is its own there: t.Setenv is
// not for tests that run beside others. There it returns true; in the process that called it false, when that is over.
func Process(t *testing.T) bool {
	t.Helper()
	if os.Getenv(againMark) == t.Name() {
		return true
	}
	t.Parallel()
	again(t, nil)
	return false
}

// again runs a test once more in another process, and ends it as it ended there.
func again(t *testing.T, as *syscall.SysProcAttr) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("find the test's program: %v", err)
	}
	var which []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		which = append(which, "^"+regexp.QuoteMeta(part)+"$")
	}
	arguments := []string{"-test.run=" + strings.Join(which, "/"), "-test.v", "-test.count=1", fmt.Sprintf("-test.short=%t", testing.Short())}
	cmd := exec.CommandContext(t.Context(), self, arguments...)
	cmd.Env = append(os.Environ(), againMark+"="+t.Name())
	cmd.SysProcAttr = as
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	switch text := said.String(); {
	case cmd.Process == nil:
		missing(t, "a process of its own", err)
	case err != nil:
		t.Fatalf("in a process of its own: %v\n%s", err, text)
	case strings.Contains(text, "--- SKIP: "+t.Name()+" "):
		t.Skipf("in a process of its own:\n%s", text)
	case !strings.Contains(text, "--- PASS: "+t.Name()+" "):
		t.Fatalf("the process has not run the test:\n%s", text)
	default:
		t.Logf("in a process of its own:\n%s", text)
	}
}
