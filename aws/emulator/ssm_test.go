package emulator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

func TestStartSessionRefusesWhatTheServiceRefuses(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	target := onlyTarget(t, e)
	for name, c := range map[string]struct {
		target, document, code, text string
		parameters                   map[string][]string
	}{
		"unknown task": {
			"ecs:one_small_cluster_0123_0123-1", portDocument, "TargetNotConnected", "ecs:one_small_cluster_0123_0123-1 is not connected.", nil,
		},
		"instance":         {"i-0123456789abcdef0", portDocument, "TargetNotConnected", "i-0123456789abcdef0 is not connected.", nil},
		"misspelled":       {target, "AWS-StartPortForwardingSessio", "InvalidDocument", "Document with name AWS-StartPortForwardingSessio does not exist.", nil},
		"shell":            {target, "", "InvalidDocument", "port forwarding only", nil},
		"bad name":         {target, "a b", "ValidationException", "at 'documentName'", nil},
		"long target":      {strings.Repeat("x", 401), portDocument, "ValidationException", "at 'target'", nil},
		"port above limit": {target, portDocument, "InvalidParameters", `"portNumber" has value "65536"`, parameters("portNumber", "65536")},
		"port name":        {target, portDocument, "InvalidParameters", `"portNumber" has value "http"`, parameters("portNumber", "http")},
		"padded port":      {target, portDocument, "InvalidParameters", `"portNumber" has value "080"`, parameters("portNumber", "080")},
		"foreign":          {target, portDocument, "InvalidParameters", `"host" is not defined`, parameters("host", "db.internal")},
		"two ports":        {target, portDocument, "InvalidParameters", "one value, not 2", map[string][]string{"portNumber": {"1", "2"}}},
		"bad host":         {target, remoteDocument, "InvalidParameters", `"host" has value "a;b"`, parameters("host", "a;b")},
	} {
		in := &ssm.StartSessionInput{Target: &c.target, Parameters: c.parameters}
		if c.document != "" {
			in.DocumentName = &c.document
		}
		_, err := ssmOf(t, e).StartSession(t.Context(), in)
		if code(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %s with %q", name, err, c.code, c.text)
		}
	}
	if _, err := ssmOf(t, e).StartSession(t.Context(), &ssm.StartSessionInput{Target: aws.String("")}); code(err) != "ValidationException" {
		t.Errorf("empty target: %v", err)
	}
	if n := len(e.Sessions()); n != 0 {
		t.Errorf("%d sessions came of it", n)
	}
}

// A session may end before StartSession has answered: what it answers then opens nothing.
func TestASessionThatEndsBeforeItIsAnsweredHasAUselessToken(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	k, found := e.target(onlyTarget(t, e))
	if !found {
		t.Fatal("there is no container")
	}
	s, err := e.data.begin(k, startOrder{DocumentName: portDocument, port: 8080}, caller{SessionName: "somebody"})
	if err != nil {
		t.Fatal(err)
	}
	e.KillSession(s.id, "")
	if _, token := s.ticket(); token == "" || s.redeem(token) {
		t.Errorf("the token %q opens a session that has ended", token)
	}
}

func TestAgentThatDoesNotRunIsNotConnected(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	target := onlyTarget(t, e)
	client := ssmOf(t, e)
	status := func() types.ConnectionStatus {
		out, err := client.GetConnectionStatus(t.Context(), &ssm.GetConnectionStatusInput{Target: &target})
		if err != nil {
			t.Fatal(err)
		}
		return out.Status
	}
	if got := status(); got != types.ConnectionStatusConnected {
		t.Errorf("status = %s, want connected", got)
	}
	if err := e.SetAgent(onlyTask(t, e), "STOPPED", "gone"); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != types.ConnectionStatusNotConnected {
		t.Errorf("status of a stopped agent = %s, want notconnected", got)
	}
	_, err := client.StartSession(t.Context(), &ssm.StartSessionInput{Target: &target, DocumentName: aws.String(portDocument)})
	if _, ok := errors.AsType[*types.TargetNotConnected](err); !ok {
		t.Errorf("start session: %v, want TargetNotConnected", err)
	}
}

func TestSessionsAreListedWhileTheyLiveAndAfterwards(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	client := ssmOf(t, e)
	var ids []string
	for range 3 {
		ids = append(ids, *begin(t, e, "portNumber", "8080").SessionId)
	}
	if !strings.HasPrefix(ids[0], "demo-") || len(ids[0]) < len("demo-")+17 {
		t.Errorf("session id %q, want the user's name and 17 characters or more", ids[0])
	}
	pages := ssm.NewDescribeSessionsPaginator(client, &ssm.DescribeSessionsInput{State: types.SessionStateActive, MaxResults: aws.Int32(2)})
	var listed []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Sessions {
			listed = append(listed, *s.SessionId)
			if *s.Target != onlyTarget(t, e) || *s.DocumentName != portDocument || s.StartDate == nil || s.EndDate != nil {
				t.Errorf("session %+v", s)
			}
		}
	}
	if want := ids[2] + ids[1] + ids[0]; strings.Join(listed, "") != want {
		t.Errorf("listed %v, want the newest first of %v", listed, ids)
	}
	for range 2 { // it may be repeated
		if _, err := client.TerminateSession(t.Context(), &ssm.TerminateSessionInput{SessionId: &ids[1]}); err != nil {
			t.Fatal(err)
		}
	}
	past, err := client.DescribeSessions(t.Context(), &ssm.DescribeSessionsInput{
		State: types.SessionStateHistory, Filters: []types.SessionFilter{{Key: types.SessionFilterKeyTargetId, Value: aws.String(onlyTarget(t, e))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(past.Sessions) != 1 || *past.Sessions[0].SessionId != ids[1] || past.Sessions[0].Status != types.SessionStatusTerminated || past.Sessions[0].EndDate == nil {
		t.Errorf("history = %+v, want the terminated %s", past.Sessions, ids[1])
	}
	if n := len(e.Sessions()); n != 2 {
		t.Errorf("%d active sessions, want 2", n)
	}
	resumed, err := client.ResumeSession(t.Context(), &ssm.ResumeSessionInput{SessionId: &ids[1]})
	if err != nil || resumed.TokenValue != nil {
		t.Errorf("resume of an ended session: token %v (%v), want an answer without", resumed, err)
	}
	for name, err := range map[string]error{
		"resume":    second(client.ResumeSession(t.Context(), &ssm.ResumeSessionInput{SessionId: aws.String("demo-nothing")})),
		"terminate": second(client.TerminateSession(t.Context(), &ssm.TerminateSessionInput{SessionId: aws.String("demo-nothing")})),
	} {
		if code(err) != "DoesNotExistException" {
			t.Errorf("%s of an unknown session: %v, want DoesNotExistException", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestResumeCanBeRefused(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	id := begin(t, e, "portNumber", "8080").SessionId
	client := ssmOf(t, e)
	for how, want := range map[Resuming]string{ResumeDenied: "AccessDeniedException", ResumeUnknown: "DoesNotExistException"} {
		e.Fault(func(f *Faults) { f.ResumeWith = how })
		if _, err := client.ResumeSession(t.Context(), &ssm.ResumeSessionInput{SessionId: id}); code(err) != want {
			t.Errorf("resume: %v, want %s", err, want)
		}
	}
	e.Fault(func(f *Faults) { f.ResumeWith = ResumeWithoutToken })
	if out, err := client.ResumeSession(t.Context(), &ssm.ResumeSessionInput{SessionId: id}); err != nil || out.TokenValue != nil {
		t.Errorf("resume: %+v (%v), want an answer without a token", out, err)
	}
}

func TestAPIFaults(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: ""})
	client := ssmOf(t, e)
	start := func() error {
		return second(client.StartSession(t.Context(), &ssm.StartSessionInput{Target: aws.String(onlyTarget(t, e)), DocumentName: aws.String(portDocument)}))
	}
	document := "arn:aws:ssm:eu-west-1::document/" + portDocument
	e.Fault(func(f *Faults) { f.API = []APIFault{{Action: "ssm:StartSession", Resource: document, Kind: Deny}} })
	want := "User: arn:aws:iam::111122223333:user/demo is not authorized to perform: ssm:StartSession on resource: " + document +
		" because no identity-based policy allows the ssm:StartSession action"
	if err := start(); code(err) != "AccessDeniedException" || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("denied document: %v, want %q", err, want)
	}
	e.Fault(func(f *Faults) { f.API = []APIFault{{Action: "ssm:*", Kind: Throttle, Times: 2}} })
	for i := range 2 {
		if err := start(); code(err) != "ThrottlingException" {
			t.Errorf("call %d: %v, want ThrottlingException", i, err)
		}
	}
	if err := start(); err != nil {
		t.Errorf("after the throttle: %v", err)
	}
	e.Fault(func(f *Faults) { f.API = []APIFault{{Action: "*", Kind: ServerError, Until: e.now().Add(time.Hour)}} })
	if err := start(); code(err) != "InternalServerError" {
		t.Errorf("server error: %v", err)
	}
	e.Fault(func(f *Faults) { f.API = []APIFault{{Action: "*", Kind: Unreachable}} })
	var refusal smithy.APIError
	if err := start(); err == nil || errors.As(err, &refusal) {
		t.Errorf("unreachable: %v, want no answer at all", err)
	}
	e.Fault(func(f *Faults) { f.API = []APIFault{{Action: "ssm:StartSession", Kind: Deny, Until: e.now()}} })
	if err := start(); err != nil {
		t.Errorf("after the fault's end: %v", err)
	}
}

func TestKMSDecryptsWhatItMadeInTheSameContextOnly(t *testing.T) {
	e := oneContainer(t, nil)
	client := kms.NewFromConfig(sdk(t, e))
	made, err := client.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{
		KeyId: aws.String(e.data.keyARN()), NumberOfBytes: aws.Int32(64), EncryptionContext: map[string]string{"a": "b"},
	})
	if err != nil || len(made.Plaintext) != 64 {
		t.Fatalf("generate: %d bytes (%v), want 64", len(made.Plaintext), err)
	}
	got, err := client.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: made.CiphertextBlob, EncryptionContext: map[string]string{"a": "b"}})
	if err != nil || string(got.Plaintext) != string(made.Plaintext) {
		t.Errorf("decrypt: %v, want the key again", err)
	}
	var wrong *kmstypes.InvalidCiphertextException
	if _, err := client.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: made.CiphertextBlob}); !errors.As(err, &wrong) {
		t.Errorf("decrypt without the context: %v, want InvalidCiphertextException", err)
	}
	var missing *kmstypes.NotFoundException
	if _, err := client.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: aws.String("other"), NumberOfBytes: aws.Int32(64)}); !errors.As(err, &missing) {
		t.Errorf("unknown key: %v, want NotFoundException", err)
	}
}
