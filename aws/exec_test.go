package aws

import (
	"strings"
	"testing"

	"github.com/google/shlex"
)

const execUser = "User: arn:aws:sts::111122223333:assumed-role/ci/me is not authorized to perform: ecs:ExecuteCommand on resource: "

func TestACommandIsAskedOfECS(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{"ExecuteCommand": func(map[string]any) any {
		return map[string]any{"session": map[string]string{"sessionId": "ecs-execute-command-0123", "streamUrl": "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/x", "tokenValue": "secret"}}
	}})
	got, err := f.connect(t).ExecuteCommand(t.Context(), squid(), "cat /etc/passwd")
	if err != nil {
		t.Fatal(text(err))
	}
	if got.ID != "ecs-execute-command-0123" || got.Token != "secret" || !strings.HasPrefix(got.StreamURL, "wss://ssmmessages.") {
		t.Error("got another session than the answer's")
	}
	in := f.calls("ExecuteCommand")[0]
	for name, want := range map[string]any{"cluster": "automation", "task": squid().Task, "container": "squid", "command": "cat /etc/passwd", "interactive": true} {
		if in[name] != want {
			t.Errorf("got %s %v, want %v", name, in[name], want)
		}
	}
}

// taskIs answers DescribeTasks with squid's task as it is then.
func taskIs(change func(task, container, agent map[string]any)) answer {
	return func(map[string]any) any {
		agent := map[string]any{"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}
		container := map[string]any{"name": "squid", "runtimeId": squid().RuntimeID, "lastStatus": "RUNNING", "managedAgents": []any{agent}}
		task := map[string]any{
			"taskArn": "arn:aws:ecs:eu-west-1:111122223333:task/automation/" + squid().Task, "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/automation",
			"group": "service:squid", "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "enableExecuteCommand": true, "containers": []any{container},
		}
		change(task, container, agent)
		return map[string]any{"tasks": []any{task}, "failures": []any{}}
	}
}

func TestExecuteCommandRefusals(t *testing.T) {
	const noAgent = "The execute command failed because execute command was not enabled when the task was run or the execute command agent isn’t running. Wait and try again or run a new task with execute command enabled and try again."
	healthy := taskIs(func(_, _, _ map[string]any) {})
	gone := answer(func(map[string]any) any { return map[string]any{"tasks": []any{}, "failures": []any{}} })
	for _, test := range []struct {
		name     string
		refusal  refusal
		describe answer
		says     []string
	}{
		{"not granted on the cluster", refusal{Code: "AccessDeniedException", Message: execUser + "arn:aws:ecs:eu-west-1:111122223333:cluster/automation because no identity-based policy allows the ecs:ExecuteCommand action"}, nil, []string{
			"not allowed: ecs:ExecuteCommand on arn:aws:ecs:eu-west-1:111122223333:cluster/automation", "role ci",
			`{"Effect":"Allow","Action":["ecs:ExecuteCommand"],"Resource":["arn:aws:ecs:eu-west-1:111122223333:cluster/automation","arn:aws:ecs:eu-west-1:111122223333:task/automation/*"]}`,
		}},
		{"denied by the organisation", refusal{Code: "AccessDeniedException", Message: execUser + "arn:aws:ecs:eu-west-1:111122223333:task/automation/a with an explicit deny in a service control policy"}, nil, []string{"a deny outweighs every allow"}},
		{"exec is off", refusal{Code: "InvalidParameterException", Message: noAgent}, taskIs(func(task, _, _ map[string]any) { task["enableExecuteCommand"] = false }), []string{"ECS Exec is off for the task", "--enable-execute-command"}},
		{"the agent has stopped", refusal{Code: "InvalidParameterException", Message: noAgent}, taskIs(func(_, _, agent map[string]any) { agent["lastStatus"], agent["reason"] = "STOPPED", "it crashed" }), []string{"exec agent has stopped", "it crashed", "ssmmessages:CreateControlChannel"}},
		{"the task is stopping", refusal{Code: "InvalidParameterException", Message: noAgent}, taskIs(func(task, _, _ map[string]any) {
			task["lastStatus"], task["desiredStatus"] = "DEPROVISIONING", "STOPPED"
		}), []string{"the task is being stopped", "name another task"}},
		{"the task is gone", refusal{Code: "InvalidParameterException", Message: "The referenced task was not found."}, gone, []string{"task " + squid().Task + " is gone"}},
		{"looks well", refusal{Code: "InvalidParameterException", Message: noAgent}, healthy, []string{"no connection to automation/squid/", "try again"}},
		{"not connected", refusal{Code: "TargetNotConnectedException", Message: "The execute command failed due to an internal error. Try again later."}, healthy, []string{"no connection to automation/squid/", "ssmmessages.eu-west-1"}},
		{"may not look", refusal{Code: "InvalidParameterException", Message: noAgent}, nil, []string{"isn’t running", "ecs:ExecuteCommand: InvalidParameterException"}},
		{"no such cluster", refusal{Code: "ClusterNotFoundException", Message: "Cluster not found."}, nil, []string{`"automation"`}},
		{"throttled", refusal{Code: "ThrottlingException", Message: "Rate exceeded"}, nil, []string{"ecs:ExecuteCommand is throttled"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			isolate(t)
			f := newFake(t, map[string]answer{"ExecuteCommand": func(map[string]any) any { return test.refusal }, "DescribeTasks": test.describe})
			c, err := f.connectEnv(t, Options{})
			if err != nil {
				t.Fatal(text(err))
			}
			_, err = c.ExecuteCommand(t.Context(), squid(), "sh")
			mustSay(t, err, append(test.says, "execute command: ")...)
		})
	}
}

func TestSessionsOfCommandsHaveTheFormOfAWS(t *testing.T) {
	isolate(t)
	for name, session := range map[string]any{
		"none":         nil,
		"no token":     map[string]string{"sessionId": "a-1", "streamUrl": "wss://x"},
		"an odd id":    map[string]string{"sessionId": "a;rm -rf /", "streamUrl": "wss://x", "tokenValue": "t"},
		"an odd URL":   map[string]string{"sessionId": "a-1", "streamUrl": "wss://x\x1b[2J", "tokenValue": "t"},
		"a long token": map[string]string{"sessionId": "a-1", "streamUrl": "wss://x", "tokenValue": strings.Repeat("t", maxToken+1)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]answer{"ExecuteCommand": func(map[string]any) any { return map[string]any{"session": session} }})
			_, err := f.connect(t).ExecuteCommand(t.Context(), squid(), "sh")
			if e := mustBe[*AnswerError](t, err); e.Operation != "ecs:ExecuteCommand" {
				t.Errorf("got operation %s", e.Operation)
			}
		})
	}
}

// The agent takes the text apart with this very library.
func FuzzCommandLineComesApartAsItWas(f *testing.F) {
	for _, word := range []string{"", " ", "a b", "it's", `"`, `\`, "#", "a#b", "$HOME", "\n", "\t", "ü世界", "'''", `\'`, "--", "~", "*", "a\r\nb", "\u00a0"} {
		f.Add(word, word)
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		line, err := CommandLine([]string{"program", one, other})
		if err != nil {
			_ = mustBe[*CommandWordError](t, err)
			return
		}
		got, err := shlex.Split(line)
		if err != nil || len(got) != 3 || got[0] != "program" || got[1] != one || got[2] != other {
			t.Errorf("%q, %q come back from %q as %q and %v", one, other, line, got, err)
		}
	})
}

func TestWhatIsNoTextIsNoCommand(t *testing.T) {
	for _, word := range []string{"a\x00b", "\xff"} {
		_, err := CommandLine([]string{"echo", word})
		mustSay(t, err, "word 2 of the command", "UTF-8")
	}
}

func TestPolicyForCommandsIsAskedFor(t *testing.T) {
	reach := Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "automation", Browse: true, RemoteHosts: true, RoleID: "AROAEXAMPLE"}
	if got := statementJSON(CallerPolicy(reach)); strings.Contains(got, "ExecuteCommand") {
		t.Errorf("a policy that nobody asked a shell for has one: %s", got)
	}
	reach.Exec, reach.Container = true, "squid"
	if got, want := statementJSON(CallerPolicy(reach)), `{"Sid":"Exec","Effect":"Allow","Action":["ecs:ExecuteCommand"],"Resource":["arn:aws:ecs:eu-west-1:111122223333:cluster/automation","arn:aws:ecs:eu-west-1:111122223333:task/automation/*"],"Condition":{"StringEquals":{"ecs:container-name":"squid"}}}`; !strings.Contains(got, want) {
		t.Errorf("got %s, want it to have %s", got, want)
	}
}
