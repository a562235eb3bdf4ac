//go:build linux

package action_test

import (
	"maps"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"culvert/internal/need"
)

// written is the part of a workflow that culvert ci github has written: the action's inputs, and the step behind it.
func written(t *testing.T, command ...string) (with map[string]string, script string, env map[string]string) {
	t.Helper()
	args := append([]string{"ci", "github", "-c", "automation", "-s", "squid", "-L", "0:3128", "--region", "eu-west-1", "--role-arn", "arn:aws:iam::111122223333:role/tests", "--"}, command...)
	out, err := exec.CommandContext(t.Context(), program(t), args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct {
		Jobs map[string]struct {
			Permissions map[string]string
			Steps       []struct {
				ID, Uses, Run string
				With, Env     map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(out, &workflow); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	job := workflow.Jobs["test"]
	if len(job.Steps) != 3 || job.Steps[1].ID != "tunnel" || job.Permissions["id-token"] != "write" {
		t.Fatalf("got\n%s", out)
	}
	return job.Steps[1].With, job.Steps[2].Run, job.Steps[2].Env
}

// The workflow that culvert ci github writes goes through the tunnel, and leaves nothing, cancelled or not.
func TestTheWrittenWorkflowRuns(t *testing.T) {
	need.Command(t, "curl")
	for name, command := range map[string][]string{"ends": {"curl", "-sSf", orders}, "is cancelled": {"sleep", "600"}} {
		t.Run(name, func(t *testing.T) {
			e := account(t)
			url, token := e.GitHub()
			j := newJob(t, "AWS_ENDPOINT_URL="+e.URL(), "ACTIONS_ID_TOKEN_REQUEST_URL="+url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+token)
			with, script, env := written(t, command...)
			given := map[string]string{"path": program(t)}
			maps.Copy(given, with)
			for input := range with {
				if !strings.Contains(strings.Join(inputs(t), " ")+" ", input+" ") {
					t.Errorf("the action has no input %s", input)
				}
			}
			u := j.use(given)
			main := u.main()
			if main.code != 0 {
				t.Fatalf("main ends with %d\n%s", main.code, main.log.String())
			}
			for variable, expression := range env {
				env[variable] = regexp.MustCompile(`\$\{\{ steps\.tunnel\.outputs\.([a-z-]+) \}\}`).ReplaceAllStringFunc(expression, func(e string) string {
					return main.outputs[strings.TrimSuffix(strings.TrimPrefix(e, "${{ steps.tunnel.outputs."), " }}")]
				})
			}
			step := j.start(env, "bash", "-e", "-c", script)
			if name == "ends" {
				if step.end(); step.code != 0 || !strings.Contains(step.log.String(), "Orders") {
					t.Errorf("the step ends with %d\n%s", step.code, step.log.String())
				}
			} else {
				step.cancel()
			}
			if post := u.post(); post.code != 0 {
				t.Errorf("post ends with %d", post.code)
			}
			j.nothingIsLeft()
			j.sessionsEnd(e)
		})
	}
}
