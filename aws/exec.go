package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"culvert/internal/say"
)

const execAction = "ecs:ExecuteCommand"

// ExecuteCommand starts a command in a container and returns the session that carries its terminal. t must come from Lookup,
// command from CommandLine. The call is one of ECS, not of Session Manager, with a permission of its own: a caller who may
// forward ports need not have it.
func (c *Client) ExecuteCommand(ctx context.Context, t Target, command string) (Session, error) {
	if t.Cluster == "" || t.Task == "" || t.Container == "" || t.RuntimeID == "" {
		return Session{}, &NotReadyError{Target: t, Cause: CauseNotStarted}
	}
	at := about{Cluster: t.Cluster, Resource: c.arn("ecs", "task/"+t.Cluster+"/"+t.Task), Target: t}
	out, err := call(ctx, c, at, func(ctx context.Context) (*ecs.ExecuteCommandOutput, error) {
		return c.ecs.ExecuteCommand(ctx, &ecs.ExecuteCommandInput{
			Cluster: &t.Cluster, Task: &t.Task, Container: &t.Container, Command: &command, Interactive: true, // ECS has no other kind
		})
	})
	if err != nil {
		return Session{}, fmt.Errorf("execute command: %w", c.whyNoCommand(ctx, t, err))
	}
	c.learnSkew(out.ResultMetadata)
	var s Session
	if out.Session != nil {
		s = Session{ID: sdk.ToString(out.Session.SessionId), StreamURL: sdk.ToString(out.Session.StreamUrl), Token: sdk.ToString(out.Session.TokenValue)}
	}
	if err := s.check(execAction); err != nil {
		return Session{}, fmt.Errorf("execute command: %w", err)
	}
	return s, nil
}

// whyNoCommand looks at the task when ECS's refusal does not say which state is wrong: it has one text for a task without exec
// and for an agent that does not run, and none that tells either from a task that is gone.
func (c *Client) whyNoCommand(ctx context.Context, t Target, err error) error {
	fault, ok := errors.AsType[*FaultError](err)
	if !ok || (fault.Code != "InvalidParameterException" && fault.Code != "TargetNotConnectedException") {
		return err
	}
	tasks, lookErr := c.describeTasks(ctx, t.Cluster, []string{t.Task})
	if lookErr != nil {
		return err
	}
	if len(tasks) == 0 {
		return &TaskGoneError{Target: t, Shell: c.shell}
	}
	for _, container := range tasks[0].Containers {
		if container.Name != t.Container {
			continue
		}
		if unready, ok := errors.AsType[*NotReadyError](tasks[0].Ready(container)); ok {
			c.addOrigin(ctx, unready)
			c.addShell(unready)
			return unready
		}
	}
	if fault.Code == "TargetNotConnectedException" || strings.Contains(fault.Message, "agent") {
		return &NotConnectedError{Target: t, Region: c.region, Account: c.accountID(), Err: err}
	}
	return err
}

// CommandLine writes a program and its arguments as the one text that ECS takes, so that the agent gets the same words from it.
// No shell reads that text: in a container the agent splits it with google/shlex (amazon-ssm-agent,
// agent/session/shell/shell_unix.go), which knows the quotes of a POSIX shell, and nothing else of one.
func CommandLine(words []string) (string, error) {
	quoted := make([]string, len(words))
	for i, word := range words {
		if !utf8.ValidString(word) || strings.ContainsRune(word, 0) {
			return "", &CommandWordError{Word: word, Number: i + 1}
		}
		quoted[i] = say.Word(word)
	}
	return strings.Join(quoted, " "), nil
}

// CommandWordError is a word of a command that cannot be passed to ECS.
type CommandWordError struct {
	Word   string
	Number int // the program is 1
}

func (e *CommandWordError) Error() string {
	return fmt.Sprintf("word %d of the command, %q, is no text: ECS takes UTF-8 without zero bytes", e.Number, say.Brief(e.Word))
}

// Remedy is another way to get such bytes into the container.
func (e *CommandWordError) Remedy() string {
	return "write the bytes in the container, for instance with printf and octal escapes behind sh -c"
}
