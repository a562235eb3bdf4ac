//go:build linux

package action_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"culvert/internal/need"
)

// In a container job each step is started by docker exec: its parent is in no process list, and what it leaves goes on beside it.
func TestTheStepsOfAContainerMeetInIt(t *testing.T) {
	t.Parallel()
	e := account(t)
	j := newJob(t, e.Env()...)
	if os.Geteuid() != 0 {
		t.Skip("makes a process namespace, which takes root")
	}
	container := exec.CommandContext(context.Background(), need.Command(t, "unshare"), "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sleep", "600")
	if err := container.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = container.Process.Kill()
		_ = container.Wait()
	})
	var first []byte
	j.waitFor("the container runs", func() bool {
		first, _ = os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", container.Process.Pid))
		return len(bytes.TrimSpace(first)) > 0
	})
	pid := string(bytes.TrimSpace(first))
	j.waitFor("it has a process list of its own", func() bool {
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		return string(name) == "sleep\n"
	})
	inside := []string{need.Command(t, "nsenter"), "--target", pid, "--pid", "--mount", "--"}

	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128"})
	u.within = inside
	main := u.main()
	if main.code != 0 {
		t.Fatalf("main ends with %d", main.code)
	}
	curl := slices.Concat(inside, []string{need.Command(t, "curl"), "-sS", "--fail", "-x", main.outputs["proxy-url"], orders})
	if got := j.start(nil, curl[0], curl[1:]...).end(); got.code != 0 {
		t.Errorf("curl ends with %d", got.code)
	}
	if post := u.post(); post.code != 0 || strings.Contains(post.log.String(), "::warning") || !strings.Contains(post.summary, "orders.internal") {
		t.Errorf("post ends with %d and the summary %q", post.code, post.summary)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}
