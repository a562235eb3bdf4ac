package aws_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
)

// as is a client of a user.
func as(t *testing.T, e *emulator.Emulator, user string) *aws.Client {
	t.Helper()
	id, secret := e.User(user)
	c, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func order() aws.Order {
	return aws.Order{Cluster: "automation", Definition: "culvert-squid", Service: "squid", TTL: time.Hour}
}

// What a culvert has left that was killed on another machine is found by its tags: the caller's own, once its time is over.
func TestOnlyOwnTasksAreStoppedWhenTheirTimeIsOver(t *testing.T) {
	e := account(t)
	mine, others := as(t, e, "me"), as(t, e, "somebody")
	start := func(c *aws.Client, at time.Time) string {
		t.Helper()
		r, err := c.Start(t.Context(), order(), aws.NewRun(order(), at))
		if err != nil {
			t.Fatal(err)
		}
		return r.Task
	}
	now := time.Now()
	over, fresh, late, foreign := start(mine, now.Add(-2*time.Hour)), start(mine, now), start(mine, now.Add(-time.Hour-time.Minute)), start(others, now.Add(-2*time.Hour))
	ended, err := mine.EndExpired(t.Context(), "automation", "culvert-squid")
	if err != nil || !slices.Equal(ended, []string{over}) {
		t.Errorf("ended %v, %v; want %s", ended, err, over)
	}
	left := e.Running("automation")
	slices.Sort(left)
	want := []string{fresh, late, foreign}
	slices.Sort(want)
	if !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}

// A call that is repeated, because its answer was lost, starts no second task.
func TestAStartThatIsRepeatedIsOneTask(t *testing.T) {
	e := account(t)
	c := connect(t, e)
	run := aws.NewRun(order(), time.Now())
	first, err := c.Start(t.Context(), order(), run)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Start(t.Context(), order(), run)
	if err != nil || again.Task != first.Task || len(e.Running("automation")) != 1 {
		t.Errorf("again %s, %v; want %s alone", again.Task, err, first.Task)
	}
	run.Task = "" // as for whoever never heard the answer
	ended, err := c.EndRun(t.Context(), run, "test")
	if err != nil || !slices.Equal(ended, []string{"task " + first.Task}) {
		t.Errorf("ended %v, %v; want %s", ended, err, first.Task)
	}
}

// The watchdog is put around the container's own command, whatever shell starts it and however.
func TestTheWatchdogEndsTheCommand(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		entry, command []string
	}{
		"entry point": {[]string{"/bin/sh", "-c"}, []string{`echo "up $0 $1"; exec sleep 1000`, "a b", `c"d`}},
		"command":     {nil, []string{"sh", "-c", `echo "up $0 $1"; sleep 1000`, "a b", `c"d`}},
		"stubborn":    {[]string{"bash", "-c"}, []string{`echo "up $0 $1"; exec sleep 1000`, "a b", `c"d`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entry, command := aws.UnderWatchdog(test.entry, test.command)
			words := slices.Concat(entry, command)
			run := func(ttl string) (*exec.Cmd, *strings.Builder) {
				cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
				var out strings.Builder
				cmd.Stdout, cmd.WaitDelay = &out, time.Second
				cmd.Env = append(os.Environ(), aws.TTLVariable+"="+ttl)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				return cmd, &out
			}
			cmd, out := run("1")
			_ = cmd.Wait() // its code is that of the signal
			if out.String() != "up a b c\"d\n" {
				t.Errorf("printed %q, want its arguments as they were", out)
			}
			if code := cmd.ProcessState.ExitCode(); code != 128+15 {
				t.Errorf("ended with %d, want that of SIGTERM", code)
			}
			// And ECS's signal reaches the command before that.
			cmd, _ = run("1000")
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = cmd.Wait()
			}()
			need.Eventually(t, "the command ends at ECS's signal", func() bool {
				_ = cmd.Process.Signal(os.Interrupt)
				select {
				case <-ended:
					return true
				default:
					return false
				}
			})
		})
	}
	for _, words := range [][2][]string{{nil, {"squid", "-N"}}, {{"/entrypoint.sh"}, {"sh", "-c", "x"}}, {{"sh", "-c"}, nil}, {{"sh", "-ec"}, {"x"}}} {
		if _, command := aws.UnderWatchdog(words[0], words[1]); command != nil {
			t.Errorf("%q is started by no shell whose command can be changed, got %q", words, command)
		}
	}
}
