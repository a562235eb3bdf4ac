//go:build unix

package emulator

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"culvert/internal/need"
)

// executed has the aws CLI run a command through the real session-manager-plugin. typed is what is typed on it; said is
// what they print.
func executed(t *testing.T, e *Emulator, command string) (typed io.Writer, said *lockedBuffer, ended <-chan struct{}) {
	t.Helper()
	cli, plugin := need.Command(t, "aws"), need.Plugin(t)
	cmd := exec.CommandContext(t.Context(), cli, "ecs", "execute-command", "--cluster", "one_small_cluster", "--task", onlyTask(t, e), "--interactive", "--command", command)
	cmd.Env = append(os.Environ(), e.Env()...)
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(plugin)+string(os.PathListSeparator)+os.Getenv("PATH"), "AWS_CONFIG_FILE=/dev/null")
	said = &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = said, said
	typed, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	t.Cleanup(func() { killGroup(cmd); <-done })
	return typed, said, done
}

// sees waits until something was printed.
func sees(t *testing.T, said *lockedBuffer, text string) {
	t.Helper()
	need.Eventually(t, fmt.Sprintf("%q in %q", text, said.String()), func() bool { return strings.Contains(said.String(), text) })
}

func TestPluginRunsAShellInAContainer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for name, kms := range map[string]bool{"plain": false, "encrypted": true} {
		t.Run(name, func(t *testing.T) {
			e := oneContainer(t, map[uint16]string{8080: ""})
			e.Fault(func(f *Faults) { f.KMS = kms })
			typed, said, ended := executed(t, e, "/bin/sh")
			sees(t, said, "# ")
			for _, step := range [][2]string{
				{"stty size\n", "100 300"}, // there is no terminal here: what it takes then
				{"echo 'Grüße 世界'\n", "\nGrüße 世界"},
				{"cat /etc/os-release\n", "culvert's emulator"},
				{"sleep 600\n", "sleep 600"}, {"\x03", "^C"},
				{"echo code $?\n", "code 130"},
			} {
				if _, err := io.WriteString(typed, step[0]); err != nil {
					t.Fatal(err)
				}
				sees(t, said, step[1])
			}
			if _, err := io.WriteString(typed, "\x04"); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Fatalf("the plugin still runs: %s", said.String())
			}
			sees(t, said, "Exiting session with sessionId: ecs-execute-command-")
			if left := e.Sessions(); len(left) > 0 {
				t.Errorf("%d sessions are left", len(left))
			}
		})
	}
}

func TestPluginSaysThatACommandCannotBeStarted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	e := oneContainer(t, map[uint16]string{8080: ""})
	_, said, ended := executed(t, e, "bash -l")
	<-ended
	if want := `Unable to start command: Failed to start pty: exec: "bash": executable file not found in $PATH`; !strings.Contains(said.String(), want) {
		t.Errorf("got %q, want it to say %q", said.String(), want)
	}
}

func TestAWSCommandLineIsRefusedCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	e := oneContainer(t, map[uint16]string{8080: ""})
	task := onlyTask(t, e)
	c := awsCLI(t, e)
	run := func(more ...string) []string {
		return append([]string{"ecs", "execute-command", "--command", "sh", "--task", task, "--cluster", "one_small_cluster"}, more...)
	}
	c.env = append(c.env, "PATH="+filepath.Dir(need.Plugin(t))+string(os.PathListSeparator)+os.Getenv("PATH"))
	c.refused(t, "InvalidParameterException", run("--non-interactive")...)
	c.refused(t, "InvalidParameterException", run("--interactive", "--container", "other")...)
	c.refused(t, "ClusterNotFoundException", run("--interactive", "--cluster", "other")...)
	if err := e.SetAgent(task, "STOPPED", "it crashed"); err != nil {
		t.Fatal(err)
	}
	c.refused(t, "InvalidParameterException", run("--interactive")...)
	if n := len(e.Sessions()); n > 0 {
		t.Errorf("%d sessions were opened", n)
	}
}

func TestACommandNeedsItsOwnPermissionOnClusterAndTask(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	const cluster, task = `"arn:aws:ecs:eu-west-1:111122223333:cluster/one_small_cluster"`, `"arn:aws:ecs:eu-west-1:111122223333:task/one_small_cluster/*"`
	for name, c := range map[string]struct {
		policy  string
		refused string
	}{
		"both":              {document(statement("Allow", `"ecs:ExecuteCommand"`, "["+cluster+","+task+"]", "")), ""},
		"this container":    {document(statement("Allow", `"ecs:ExecuteCommand"`, "["+cluster+","+task+"]", `"StringEquals":{"ecs:container-name":"app"}`)), ""},
		"another container": {document(statement("Allow", `"ecs:ExecuteCommand"`, "["+cluster+","+task+"]", `"StringEquals":{"ecs:container-name":"db"}`)), "cluster/"},
		"no task":           {document(statement("Allow", `"ecs:ExecuteCommand"`, cluster, "")), "task/one_small_cluster/"},
		"no cluster":        {document(statement("Allow", `"ecs:ExecuteCommand"`, task, "")), "cluster/one_small_cluster"},
		"forwards alone":    {document(statement("Allow", `"ssm:StartSession"`, `"*"`, "")), "ecs:ExecuteCommand"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ecs.NewFromConfig(as(t, e, "ci", c.policy)).ExecuteCommand(t.Context(), &ecs.ExecuteCommandInput{
				Cluster: aws.String("one_small_cluster"), Task: aws.String(onlyTask(t, e)), Container: aws.String("app"), Command: aws.String("true"), Interactive: true,
			})
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("got %v, want a session", err)
			case c.refused != "" && (code(err) != "AccessDeniedException" || !strings.Contains(err.Error(), c.refused)):
				t.Errorf("got %v, want AccessDeniedException that names %q", err, c.refused)
			}
		})
	}
}
