package emulator

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// as is a client with the keys of a user who has a policy.
func as(t *testing.T, e *Emulator, user, policy string) aws.Config {
	t.Helper()
	if err := e.Attach("user/"+user, []byte(policy)); err != nil {
		t.Fatal(err)
	}
	config := sdk(t, e)
	id, secret := e.User(user)
	config.Credentials = credentials.NewStaticCredentialsProvider(id, secret, "")
	return config
}

func statement(effect, action, resource, condition string) string {
	return `{"Effect":"` + effect + `","Action":` + action + `,"Resource":` + resource + `,"Condition":{` + condition + `}}`
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func TestPolicyDecidesByActionResourceAndCondition(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	const here, elsewhere = `"ArnEquals":{"ecs:cluster":"arn:aws:ecs:eu-west-1:111122223333:cluster/one_small_cluster"}`, `"ArnEquals":{"ecs:cluster":"arn:aws:ecs:eu-west-1:111122223333:cluster/other"}`
	for name, c := range map[string]struct {
		policy  string
		refused string // what the refusal says
	}{
		"everything":          {document(statement("Allow", `"*"`, `"*"`, "")), ""},
		"wildcards":           {document(statement("Allow", `"ECS:List?asks"`, `["arn:x","*"]`, "")), ""},
		"this cluster":        {document(statement("Allow", `"ecs:ListTasks"`, `"*"`, here)), ""},
		"any cluster":         {document(statement("Allow", `"ecs:ListTasks"`, `"*"`, `"ArnLike":{"ecs:cluster":"arn:aws:ecs:*:*:cluster/one*"}`)), ""},
		"one of two clusters": {document(statement("Allow", `"ecs:ListTasks"`, `"*"`, elsewhere), statement("Allow", `"ecs:ListTasks"`, `"*"`, here)), ""},
		"another cluster":     {document(statement("Allow", `"ecs:ListTasks"`, `"*"`, elsewhere)), "no identity-based policy allows the ecs:ListTasks action"},
		"another action":      {document(statement("Allow", `["ecs:DescribeTasks","ecs:ListTask"]`, `"*"`, "")), "no identity-based policy"},
		"another resource":    {document(statement("Allow", `"ecs:ListTasks"`, `"arn:aws:ecs:eu-west-1:111122223333:task/*"`, "")), "no identity-based policy"},
		"a key it has not":    {document(statement("Allow", `"ecs:ListTasks"`, `"*"`, `"StringEquals":{"aws:PrincipalTag/team":"qa"}`)), "no identity-based policy"},
		"if there is a key":   {document(statement("Allow", `"ecs:ListTasks"`, `"*"`, `"StringEqualsIfExists":{"aws:PrincipalTag/team":"qa"}`)), ""},
		"deny outweighs":      {document(statement("Allow", `"*"`, `"*"`, ""), statement("Deny", `"ecs:*"`, `"*"`, here)), "explicit deny"},
		"deny of another":     {document(statement("Allow", `"*"`, `"*"`, ""), statement("Deny", `"ecs:*"`, `"*"`, elsewhere)), ""},
		"a star within a part": {document(statement("Allow", `"ecs:ListTasks"`, `"*"`, `"ArnLike":{"ecs:cluster":"arn:*:cluster/one_small_cluster"}`)),
			"no identity-based policy"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ecs.NewFromConfig(as(t, e, "ci", c.policy)).ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("one_small_cluster")})
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("got %v, want an answer", err)
			case c.refused != "" && (code(err) != "AccessDeniedException" || !strings.Contains(err.Error(), c.refused) || !strings.Contains(err.Error(), "user/ci")):
				t.Errorf("got %v, want a refusal of user/ci with %q", err, c.refused)
			}
		})
	}
	if _, err := ecs.NewFromConfig(sdk(t, e)).ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("one_small_cluster")}); err != nil {
		t.Errorf("somebody without a policy: %v", err)
	}
}

func TestSessionNeedsItsDocumentAndBelongsToItsUser(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	target := onlyTarget(t, e)
	const task, sessions = `"arn:aws:ecs:eu-west-1:111122223333:task/one_small_cluster/*"`, `"arn:aws:ssm:eu-west-1:111122223333:session/*"`
	const checked = `"BoolIfExists":{"ssm:SessionDocumentAccessCheck":"true"}`
	own := statement("Allow", `["ssm:TerminateSession","ssm:ResumeSession"]`, sessions, `"StringLike":{"ssm:resourceTag/aws:ssmmessages:session-id":["${aws:userid}"]}`)
	start := &ssm.StartSessionInput{Target: &target, DocumentName: aws.String(portDocument), Parameters: parameters("portNumber", "8080")}

	_, err := ssm.NewFromConfig(as(t, e, "a", document(statement("Allow", `"ssm:StartSession"`, task, checked)))).StartSession(t.Context(), start)
	if code(err) != "AccessDeniedException" || !strings.Contains(err.Error(), "arn:aws:ssm:eu-west-1::document/"+portDocument) {
		t.Errorf("without the document: %v", err)
	}
	both := document(statement("Allow", `"ssm:StartSession"`, `[`+task+`,"arn:aws:ssm:eu-west-1::document/`+portDocument+`"]`, checked), own)
	mine := ssm.NewFromConfig(as(t, e, "a", both))
	session := must[*ssm.StartSessionOutput](t)(mine.StartSession(t.Context(), start)).SessionId

	other := ssm.NewFromConfig(as(t, e, "b", document(own)))
	if _, err := other.TerminateSession(t.Context(), &ssm.TerminateSessionInput{SessionId: session}); code(err) != "AccessDeniedException" {
		t.Errorf("somebody else ends the session: %v", err)
	}
	if _, err := mine.ResumeSession(t.Context(), &ssm.ResumeSessionInput{SessionId: session}); err != nil {
		t.Errorf("its user resumes it: %v", err)
	}
	if _, err := mine.TerminateSession(t.Context(), &ssm.TerminateSessionInput{SessionId: session}); err != nil {
		t.Errorf("its user ends it: %v", err)
	}
}

// Only users have a name: for whoever assumes a role the variable's default stands there, and without one nothing matches it.
func TestUsersHaveAName(t *testing.T) {
	const role = "arn:aws:sts::111122223333:assumed-role/ci/culvert-1"
	for _, c := range []struct{ pattern, arn, want string }{
		{"session/${aws:username}-*", "arn:aws:iam::111122223333:user/alice", "session/alice-*"},
		{"session/${aws:username, 'nobody'}-*", "arn:aws:iam::111122223333:user/alice", "session/alice-*"},
		{"session/${aws:username, 'nobody'}-*", role, "session/nobody-*"},
		{"session/${aws:username}-*", role, "session/${aws:username}-*"},
	} {
		if got := substitute(c.pattern, caller{ARN: c.arn, UserID: "ID"}); got != c.want {
			t.Errorf("%s of %s: got %s, want %s", c.pattern, c.arn, got, c.want)
		}
	}
}

func TestAPolicyThatWouldBeEnforcedWronglyIsRefused(t *testing.T) {
	e := oneContainer(t, nil)
	for name, text := range map[string]string{
		"no JSON":       `{`,
		"no statement":  document(),
		"effect":        document(statement("Permit", `"*"`, `"*"`, "")),
		"no action":     `{"Statement":[{"Effect":"Allow","Resource":"*"}]}`,
		"NotAction":     `{"Statement":[{"Effect":"Allow","NotAction":"iam:*","Action":"*","Resource":"*"}]}`,
		"operator":      document(statement("Allow", `"*"`, `"*"`, `"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`)),
		"variable":      document(statement("Allow", `"*"`, `"*"`, `"StringLike":{"aws:userid":"${aws:username}"}`)),
		"number":        document(statement("Allow", `"*"`, `[7]`, "")),
		"action object": document(statement("Allow", `{}`, `"*"`, "")),
	} {
		if err := e.Attach("user/x", []byte(text)); err == nil {
			t.Errorf("%s: no error for %s", name, text)
		}
	}
}
