package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"culvert/internal/need"
	"culvert/internal/origin"
)

// Each system says in its own way that a port is taken, and has its own sockets: what looks at that is tested on each.
func TestEverySystemTestsWhatItDoesInItsOwnWay(t *testing.T) {
	t.Chdir("..")
	_, job, _ := strings.Cut(read(t, ".github/workflows/ci.yml"), "\n  systems:\n")
	job, _, _ = strings.Cut(job, "\n  action:\n")
	for _, part := range []string{"macos-", "windows-", "go test ", " ./tunnel ", "'PowerShell' ./ui/cli"} {
		if !strings.Contains(job, part) {
			t.Errorf("the job has no %q", part)
		}
	}
}

func TestWorkflowsAndExamplesPassActionlint(t *testing.T) {
	actionlint := need.Tool(t, "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")
	t.Chdir("..")
	root := t.TempDir()
	workflows := filepath.Join(root, ".github", "workflows")
	if err := os.MkdirAll(workflows, 0o750); err != nil {
		t.Fatal(err)
	}
	copyTo(t, root, "action.yml")
	for _, script := range glob(t, "deploy/action/*.js") {
		copyTo(t, filepath.Join(root, filepath.Dir(script)), script)
	}
	for _, file := range glob(t, ".github/workflows/*.yml") {
		copyTo(t, workflows, file)
	}
	for _, file := range glob(t, "docs/examples/*.yml") {
		// As a use of the action beside them, inputs and outputs are checked against action.yml.
		text := read(t, file)
		if !strings.Contains(text, origin.Action()) {
			t.Errorf("%s does not use the action", file)
		}
		write(t, filepath.Join(workflows, filepath.Base(file)), strings.ReplaceAll(text, origin.Action(), "./"))
	}
	lint := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), actionlint, "-no-color")
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	// It looks for the repository's root by this directory.
	if err := os.Mkdir(filepath.Join(root, ".git"), 0o750); err != nil {
		t.Fatal(err)
	}
	if out, err := lint(); err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}

	// What it found would be seen: an input that is not there, and the seed's output of a step that has none.
	wrong := strings.ReplaceAll(read(t, filepath.Join(workflows, "curl.yml")), "target:", "tarrget:")
	write(t, filepath.Join(workflows, "curl.yml"), strings.ReplaceAll(wrong, "outputs.proxy-url", "outputs.proxy"))
	out, err := lint()
	for _, want := range []string{`input "tarrget" is not defined`, `property "proxy" is not defined`} {
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("a wrong example: got %v and\n%s\nwant %q", err, out, want)
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: got %v, %v", pattern, found, err)
	}
	return found
}

func copyTo(t *testing.T, dir, file string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, filepath.Base(file)), read(t, file))
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
