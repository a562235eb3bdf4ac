package aws_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
)

// account starts the demo account and hides the machine's own settings.
func account(t *testing.T) *emulator.Emulator {
	t.Helper()
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		for _, prefix := range []string{"AWS_", "GITHUB_", "ACTIONS_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "") // restores it afterwards
				_ = os.Unsetenv(name)
			}
		}
	}
	t.Setenv("HOME", t.TempDir())
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Demo()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func connect(t *testing.T, e *emulator.Emulator) *aws.Client {
	t.Helper()
	id, secret := e.Credentials()
	c, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDemoAccountIsSeenWhole(t *testing.T) {
	e := account(t)
	c := connect(t, e)
	got, err := c.Discover(t.Context())
	if err != nil || len(got.Gaps) > 0 {
		t.Fatalf("got %v, gaps %v", err, got.Gaps)
	}
	services, tasks, ready := 0, 0, 0
	for _, k := range got.Clusters {
		services += len(k.Services)
		tasks += len(k.Tasks)
		for _, task := range k.Tasks {
			for _, container := range task.Containers {
				if task.Ready(container) == nil {
					ready++
				}
			}
		}
	}
	if len(got.Clusters) != 3 || services < 12 || tasks <= 100 || ready <= 100 {
		t.Errorf("got %d clusters, %d services, %d tasks, %d ready containers", len(got.Clusters), services, tasks, ready)
	}
	target, err := got.Find("squid")
	if err != nil || target.Cluster != "automation" {
		t.Errorf("got %v, %v", target, err)
	}
	id, err := c.Identity(t.Context())
	if err != nil || id.Account != "111122223333" {
		t.Errorf("got %+v, %v", id, err)
	}
}

func TestDemoEnvironmentIsEnough(t *testing.T) {
	e := account(t)
	for _, pair := range e.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	c, err := aws.Connect(t.Context(), aws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Overridden() || c.Region() != "eu-west-1" {
		t.Errorf("got overridden %v, region %s", c.Overridden(), c.Region())
	}
	if _, err := c.Lookup(t.Context(), aws.Query{Cluster: "automation", Service: "squid", Port: 3128}); err != nil {
		t.Error(err)
	}
}

func TestDemoServicesThatAreNotReadySayWhy(t *testing.T) {
	c := connect(t, account(t))
	for service, says := range map[string]struct {
		cause     string
		temporary bool
	}{
		"reports": {"ECS Exec is off", false},
		"batch":   {"exec agent is still starting", true},
		"sqiud":   {"no service", false},
	} {
		_, err := c.Lookup(t.Context(), aws.Query{Cluster: "automation", Service: service})
		if err == nil || !strings.Contains(err.Error(), says.cause) || aws.Temporary(err) != says.temporary {
			t.Errorf("%s: got %v, temporary %v; want %q, %v", service, err, aws.Temporary(err), says.cause, says.temporary)
		}
	}
}

// upgrade asks for the websocket of a session and returns the status of the answer.
func upgrade(t *testing.T, c *aws.Client, s aws.Session, sign bool) int {
	t.Helper()
	if err := c.CheckStreamURL(s.StreamURL); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(s.StreamURL, "ws", "http", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if sign {
		if err := c.SignUpgrade(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

func TestDemoSessionFromStartToEnd(t *testing.T) {
	e := account(t)
	c := connect(t, e)
	target, err := c.Lookup(t.Context(), aws.Query{Cluster: "automation", Service: "squid", Port: 3128})
	if err != nil {
		t.Fatal(err)
	}
	session, err := c.StartSession(t.Context(), target, aws.PortForward(3128))
	if err != nil {
		t.Fatal(err)
	}
	if got := upgrade(t, c, session, false); got < 400 {
		t.Errorf("got status %d without a signature, want a refusal", got)
	}
	if got := upgrade(t, c, session, true); got != http.StatusSwitchingProtocols {
		t.Errorf("got status %d with our signature, want 101", got)
	}
	resumed, err := c.ResumeSession(t.Context(), session.ID)
	if err != nil || resumed.Token == "" || resumed.Token == session.Token {
		t.Errorf("got %v, %v; want a new token", resumed, err)
	}
	for range 2 {
		if err := c.TerminateSession(t.Context(), session.ID); err != nil {
			t.Error(err)
		}
	}
	if resumed, err = c.ResumeSession(t.Context(), session.ID); err != nil || resumed.Token != "" {
		t.Errorf("got %v, %v; want no token once it is over", resumed, err)
	}
	err = c.TerminateSession(t.Context(), "nobody-0123456789abcdef0")
	if err != nil {
		t.Error(err)
	}
}

func TestDemoTaskThatStopsHasSuccessor(t *testing.T) {
	e := account(t)
	c := connect(t, e)
	target, err := c.Lookup(t.Context(), aws.Query{Cluster: "automation", Service: "squid"})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.StopTask(target.Task, "a test stopped it"); err != nil {
		t.Fatal(err)
	}
	err = c.Check(t.Context(), target)
	gone, ok := errors.AsType[*aws.TaskGoneError](err)
	if !ok || !strings.Contains(gone.Reason, "a test stopped it") {
		t.Errorf("got %v, want the reason", err)
	}
	next, err := c.Successor(t.Context(), target)
	if err != nil || next.Task == target.Task || next.Service != "squid" {
		t.Errorf("got %v, %v; want the other task", next, err)
	}
}

func TestDemoRefusalsBecomeRemedies(t *testing.T) {
	e := account(t)
	c := connect(t, e)
	target, err := c.Lookup(t.Context(), aws.Query{Cluster: "automation", Service: "squid"})
	if err != nil {
		t.Fatal(err)
	}
	start := func(kind emulator.APIFaultKind, times int) error {
		e.Fault(func(f *emulator.Faults) {
			f.API = []emulator.APIFault{{Action: "ssm:StartSession", Kind: kind, Times: times}}
		})
		s, err := c.StartSession(t.Context(), target, aws.PortForward(3128))
		if err == nil {
			err = c.TerminateSession(t.Context(), s.ID)
		}
		return err
	}
	if denied, ok := errors.AsType[*aws.DeniedError](start(emulator.Deny, 0)); !ok || denied.Action != "ssm:StartSession" || !strings.Contains(denied.Remedy(), "arn:aws:ecs:eu-west-1:111122223333:task/automation/*") {
		t.Errorf("got %v", denied)
	}
	if denied, ok := errors.AsType[*aws.DeniedError](start(emulator.DenyByPolicy, 0)); !ok || !strings.Contains(denied.Why, "explicit deny") {
		t.Errorf("got %v", denied)
	}
	for name, kind := range map[string]emulator.APIFaultKind{"throttled": emulator.Throttle, "a fault of AWS's": emulator.ServerError, "cut off": emulator.Unreachable} {
		if err := start(kind, 1); err != nil {
			t.Errorf("%s once: got %v, want the second attempt to work", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	e.Fault(func(f *emulator.Faults) { f.API = []emulator.APIFault{{Action: "*", Kind: emulator.Throttle}} })
	if _, err := c.Discover(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the caller's deadline while AWS throttles", err)
	}
}

func TestDemoRoleThroughGitHub(t *testing.T) {
	e := account(t)
	requestURL, requestToken := e.GitHub()
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_RUN_ID", "4711")
	t.Setenv("GITHUB_RUN_ATTEMPT", "1")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", requestURL)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", requestToken)
	c, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), EndpointTrusted: true, RoleARN: "arn:aws:iam::111122223333:role/ci"})
	if err != nil {
		t.Fatal(err)
	}
	id, err := c.Identity(t.Context())
	if err != nil || !strings.HasSuffix(id.ARN, "assumed-role/ci/culvert-4711-1") {
		t.Errorf("got %+v, %v", id, err)
	}
}

func TestDemoKeyForEncryptedSession(t *testing.T) {
	c := connect(t, account(t))
	plain, sealed, err := c.GenerateDataKey(t.Context(), "arn:aws:kms:eu-west-1:111122223333:key/1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9", map[string]string{"aws:ssm:SessionId": "s", "aws:ssm:TargetId": "t"})
	if err != nil || len(plain) != 64 || len(sealed) == 0 {
		t.Errorf("got %d and %d bytes, %v", len(plain), len(sealed), err)
	}
}

// The screen, which has a catalog, says what the doctor and headless say, which look again.
func TestScreenAndLookupSayTheSame(t *testing.T) {
	fleet := emulator.Demo()
	old := func(change func(*emulator.Task)) emulator.Task {
		task := emulator.Task{Containers: []emulator.Container{{Name: "app", Agent: emulator.Agent{Status: "STOPPED"}}}}
		change(&task)
		return task
	}
	fleet.Clusters = append(fleet.Clusters, emulator.Cluster{Name: "sick", Services: []emulator.Service{
		{Name: "readonly", Count: 1, Controller: "CODE_DEPLOY", Task: old(func(t *emulator.Task) { t.Containers[0].ReadonlyRootFS = true })},
		{Name: "keys", Count: 1, Task: old(func(t *emulator.Task) { t.Containers[0].Environment = []string{"AWS_ACCESS_KEY_ID=A"} })},
		{Name: "old", Count: 1, Task: old(func(t *emulator.Task) { t.PlatformVersion = "1.3.0" })},
	}})
	e, err := emulator.Start(emulator.Options{Fleet: fleet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	c := connect(t, e)
	catalog, err := c.Discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, cluster := range catalog.Clusters {
		for _, task := range cluster.Tasks {
			if len(task.Containers) != 1 || task.Status != "RUNNING" {
				continue
			}
			shown, unready := errors.AsType[*aws.NotReadyError](task.Ready(task.Containers[0]))
			if !unready || shown.Temporary() {
				continue
			}
			seen++
			_, err := c.Lookup(t.Context(), aws.Query{Cluster: cluster.Name, Task: task.ID})
			found, ok := errors.AsType[*aws.NotReadyError](err)
			if !ok || found.Remedy() != shown.Remedy() || found.Error() != shown.Error() {
				t.Errorf("%s/%s: the screen says\n%v → %s\nLookup\n%v → %s", cluster.Name, task.Service, shown, shown.Remedy(), err, found.Remedy())
			}
		}
	}
	if seen < 8 {
		t.Errorf("compared %d tasks only", seen)
	}
}
