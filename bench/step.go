//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// nameRecipe is the step that workflows have where there is no culvert.
const nameRecipe = "recipe"

const (
	stepMetric   = "step"
	stepToSquid  = "step-squid"
	stepAnswered = "the destination answered"
)

// Steps of a workflow that open a port to the task, in bash as a runner starts them. They end with a question through that port.
const (
	// recipeStep finds the task and the runtime id of its container, leaves the session to the background, and hopes
	// that ten seconds are enough.
	recipeStep = `
task=$(aws ecs list-tasks --cluster "$CLUSTER" --service-name "$SERVICE" --query 'taskArns[0]' --output text | cut -d/ -f3)
runtime=$(aws ecs describe-tasks --cluster "$CLUSTER" --tasks "$task" --query 'tasks[0].containers[0].runtimeId' --output text)
trap 'trap "" INT; kill -INT 0; wait' EXIT
aws ssm start-session --target "ecs:${CLUSTER}_${task}_${runtime}" --document-name AWS-StartPortForwardingSession \
  --parameters "portNumber=$PORT,localPortNumber=$LOCAL" &
sleep 10
`
	culvertStep = `
trap '"$PROGRAM" down' EXIT
"$PROGRAM" up --target "$CLUSTER/$SERVICE" -L "127.0.0.1:$LOCAL:$PORT"
`
	question = `
exec 3<>"/dev/tcp/127.0.0.1/$LOCAL"
printf "$ASK" >&3
read -r -N ${#ANSWER} -t 20 answer <&3
[ "$answer" = "$ANSWER" ]
echo '` + stepAnswered + `'
exec 3>&-
`
)

func recipe() subject {
	return subject{nameRecipe, usualRemote(), startStep(recipeStep, wordEcho+`\n!`, "!")}
}

func culvertUp() subject {
	return subject{nameCulvert, usualRemote(), startStep(culvertStep, wordEcho+`\n!`, "!")}
}

// upToSquid is culvertUp to a server that says what it is.
func upToSquid() subject {
	start := startStep(culvertStep, `GET / HTTP/1.0\r\n\r\n`, "HTTP")
	return subject{nameCulvert, remote{service, proxyPort}, func(ctx context.Context, w *world, to remote) (*client, error) {
		if _, err := w.openSite(w.programs.browser.squid); err != nil {
			return nil, err
		}
		return start(ctx, w, to)
	}}
}

// startStep starts a step that asks ask, as printf writes it; it is ready when it got the answer, and then cleans up and ends by
// itself.
func startStep(open, ask, answer string) func(context.Context, *world, remote) (*client, error) {
	return func(ctx context.Context, w *world, to remote) (*client, error) {
		local, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		var path []string
		for _, program := range []string{w.programs.plugin, w.programs.cli} {
			path = append(path, filepath.Dir(program))
		}
		env := []string{
			"PATH=" + strings.Join(append(path, os.Getenv("PATH")), string(os.PathListSeparator)), "PROGRAM=" + w.programs.culvert,
			"CLUSTER=" + cluster, "SERVICE=" + to.service, "PORT=" + strconv.Itoa(int(to.port)), "LOCAL=" + strconv.Itoa(local),
			"ASK=" + ask, "ANSWER=" + answer, "XDG_RUNTIME_DIR=" + w.scratch, "XDG_STATE_HOME=" + w.scratch,
		}
		return launch(ctx, w, local, marks{stepAnswered}, env, "bash", "-euo", "pipefail", "-c", open+question)
	}
}

// steps take the time from a step's start to the answer to its question.
func steps(metric string) func(*bench, context.Context, subject) error {
	return func(b *bench, ctx context.Context, s subject) error { return b.step(ctx, metric, s) }
}

func (b *bench) step(ctx context.Context, metric string, s subject) error {
	c, err := s.start(ctx, b.world)
	if err != nil {
		return err
	}
	defer c.stop()
	if err := c.ready(ctx); err != nil {
		return err
	}
	took := time.Since(c.began)
	timer := time.NewTimer(readyWithin)
	defer timer.Stop()
	select {
	case <-c.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("the step has not ended %s after its answer: %s", readyWithin, c.said.tail())
	}
	b.results.add(metric, s.name, took.Seconds())
	return nil
}
