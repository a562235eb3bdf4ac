package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"culvert/internal/need"
	"culvert/internal/origin"
	"culvert/ui/cli"
	"culvert/ui/screen"
)

// What culvert ci github writes is a workflow, with inputs that the action has.
func TestTheWrittenWorkflowPassesActionlint(t *testing.T) {
	actionlint := need.Tool(t, "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")
	t.Chdir("..")
	root := t.TempDir()
	copyTo(t, root, "action.yml")
	for _, script := range glob(t, "deploy/action/*.js") {
		copyTo(t, filepath.Join(root, filepath.Dir(script)), script)
	}
	workflows := filepath.Join(root, ".github", "workflows")
	if err := os.MkdirAll(filepath.Join(root, ".git"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(workflows, 0o750); err != nil {
		t.Fatal(err)
	}
	args := []string{"ci", "github", "--target", "automation/squid", "-L", "3128", "-D", "0", "--via", "*.internal"}
	for _, input := range screen.WorkflowInputs() {
		switch input {
		case "role-arn":
			args = append(args, "--role-arn", "arn:aws:iam::111122223333:role/x")
		case "region", "profile", "endpoint-url", "probe", "wait", "lanes", "spread", "keep-alive", "proxy-password-file":
			args = append(args, "--"+input, map[string]string{"region": "eu-west-1", "profile": "x", "endpoint-url": "https://x.example", "probe": "tcp", "wait": "90s", "lanes": "2", "spread": "no", "keep-alive": "5m", "proxy-password-file": "x"}[input])
		default:
			t.Errorf("nobody says what %s is given", input)
		}
	}
	var out, problems bytes.Buffer
	if code := cli.Run(t.Context(), cli.Process{Args: args, Stdout: &out, Stderr: &problems, Build: cli.Build{Action: origin.Step()}}); code != 0 {
		t.Fatalf("exit code %d: %s", code, &problems)
	}
	write(t, filepath.Join(workflows, "tunnel.yml"), strings.ReplaceAll(out.String(), origin.Action(), "./"))
	cmd := exec.CommandContext(t.Context(), actionlint, "-no-color")
	cmd.Dir = root
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("actionlint: %v\n%s\n%s", err, said, &out)
	}
}
