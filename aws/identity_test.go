package aws_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
)

const (
	callerRole = "arn:aws:iam::111122223333:role/culvert-caller"
	otherRole  = "arn:aws:iam::111122223333:role/other"
)

// run is a process in a workflow's run that assumes a role by GitHub's token.
func run(t *testing.T, e *emulator.Emulator, role, number string) *aws.Client {
	t.Helper()
	requestURL, token := e.GitHub()
	t.Setenv("AWS_ENDPOINT_URL_STS", e.URL())
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_RUN_ID", number)
	t.Setenv("GITHUB_RUN_ATTEMPT", "1")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", requestURL)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token)
	c, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), RoleARN: role})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// left is a session to the proxy that a process did not live to end.
func left(t *testing.T, c *aws.Client) string {
	t.Helper()
	found, err := c.Lookup(t.Context(), aws.Query{Cluster: "automation", Service: "squid", Port: 3128})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.StartSession(t.Context(), found, aws.PortForward(3128))
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

// deniedBy is the refusal that a call must end with.
func deniedBy(t *testing.T, what string, err error) *aws.DeniedError {
	t.Helper()
	e, ok := errors.AsType[*aws.DeniedError](err)
	if !ok {
		t.Fatalf("%s: got %v, want a refusal", what, err)
	}
	return e
}

// Under exactly the policy that is shipped for a role, a later run of it ends what a killed one left: it may not take the
// session over, nor touch that of another role, nor one of this role that is not culvert's.
func TestALaterRunEndsWhatAnEarlierOneOfItsRoleLeft(t *testing.T) {
	e := account(t)
	whole := aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "automation"}
	ofRole := whole
	ofRole.RoleID = e.RoleID("culvert-caller")
	attach := func(role string, r aws.Reach) {
		t.Helper()
		text, err := json.Marshal(aws.CallerPolicy(r))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Attach("role/"+role, text); err != nil {
			t.Fatal(err)
		}
	}
	attach("culvert-caller", ofRole)

	killed := left(t, run(t, e, callerRole, "42"))
	others := left(t, run(t, e, otherRole, "42"))
	t.Setenv("AWS_ROLE_SESSION_NAME", "somebody")
	strange := left(t, run(t, e, callerRole, "42"))
	t.Setenv("AWS_ROLE_SESSION_NAME", "") // restores it afterwards
	_ = os.Unsetenv("AWS_ROLE_SESSION_NAME")

	next := run(t, e, callerRole, "43")
	_, err := next.ResumeSession(t.Context(), killed)
	_ = deniedBy(t, "resume an earlier run's session", err)
	if err := next.TerminateSession(t.Context(), killed); err != nil {
		t.Errorf("end an earlier run's session: %v", err)
	}
	_ = deniedBy(t, "end another role's session", next.TerminateSession(t.Context(), others))
	_ = deniedBy(t, "end a session of another name", next.TerminateSession(t.Context(), strange))
	own := left(t, next)
	if _, err := next.ResumeSession(t.Context(), own); err != nil {
		t.Errorf("resume one's own session: %v", err)
	}
	if err := next.TerminateSession(t.Context(), own); err != nil {
		t.Errorf("end one's own session: %v", err)
	}

	// The policy of before: the remedy is the statement that is missing, not the one that is there.
	attach("culvert-caller", whole)
	killed = left(t, run(t, e, callerRole, "44"))
	refused := deniedBy(t, "without the statement", run(t, e, callerRole, "45").TerminateSession(t.Context(), killed))
	for _, part := range []string{"role culvert-caller", `"Sid":"EndEarlier"`, `["ROLEID:culvert-*"]`, "culvert doctor policy --region eu-west-1", "prints it"} {
		if said := say.Remedy(refused); !strings.Contains(said, part) {
			t.Errorf("got remedy %q, want %s in it", said, part)
		}
	}
	if err := run(t, e, callerRole, "44").TerminateSession(t.Context(), killed); err != nil {
		t.Errorf("the same run ends it: %v", err)
	}
}

// Where another program assumes the role and names each of its sessions anew, no statement helps.
func TestARoleThatIsRenamedIsToldSo(t *testing.T) {
	e := account(t)
	text, err := json.Marshal(aws.CallerPolicy(aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "automation"}))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Attach("role/culvert-caller", text); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ROLE_SESSION_NAME", "1700000000000000000")
	opened := left(t, run(t, e, callerRole, "42"))
	t.Setenv("AWS_ROLE_SESSION_NAME", "1700000000000000001")
	renamed := run(t, e, callerRole, "42")
	_, resuming := renamed.ResumeSession(t.Context(), opened)
	for what, err := range map[string]error{"resume": resuming, "end": renamed.TerminateSession(t.Context(), opened)} {
		said := say.Remedy(deniedBy(t, what, err))
		if !strings.Contains(said, "role_session_name") || strings.Contains(said, "Statement") || strings.Contains(said, "Effect") {
			t.Errorf("%s: got remedy %q, want what to name", what, said)
		}
	}
}

func TestIdentityKnowsTheIDOfItsRole(t *testing.T) {
	for user, want := range map[string]string{
		"AROAEXAMPLEEXAMPLE000:culvert-42-1": "AROAEXAMPLEEXAMPLE000",
		"AROAEXAMPLEEXAMPLE000:a:b":          "AROAEXAMPLEEXAMPLE000",
		"AIDAEXAMPLEEXAMPLE000":              "",
		"111122223333":                       "",
		"111122223333:federated":             "",
		"AROA*:x":                            "",
		"":                                   "",
	} {
		if got := (aws.Identity{UserID: user}).RoleID(); got != want {
			t.Errorf("%q: got %q, want %q", user, got, want)
		}
	}
	e := account(t)
	who, err := run(t, e, callerRole, "42").Identity(t.Context())
	if err != nil || who.RoleID() != e.RoleID("culvert-caller") || who.UserID != who.RoleID()+":culvert-42-1" {
		t.Errorf("got %+v, %v", who, err)
	}
}
