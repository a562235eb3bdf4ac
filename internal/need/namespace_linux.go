package need

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// insideMark is set in the process that Namespace starts.
const insideMark = "CULVERT_INSIDE_NAMESPACE"

// Namespace runs the rest of a test in a process of its own that has its own network, with nothing but a loopback
// device that is down, and its own mounts. There it returns true; in the process that called it false, when that is over.
func Namespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideMark) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		missing(t, "root", syscall.EPERM)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("find the test's program: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), insideMark+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	switch {
	case cmd.Process == nil:
		missing(t, "network namespaces", err)
	case err != nil:
		t.Fatalf("inside the namespace: %v\n%s", err, said.String())
	}
	t.Logf("inside the namespace:\n%s", said.String())
	return false
}
