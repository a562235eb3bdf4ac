package doctor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel/doctor"
)

// deployedBy is a service whose exec is off, under another controller than ECS.
func deployedBy(controller string) emulator.Fleet {
	f := with(func(task *emulator.Task) { task.ExecOff = true })
	f.Clusters[0].Services[0].Controller = controller
	return f
}

func withoutForce(t *testing.T, report doctor.Report) {
	t.Helper()
	for _, r := range report.Results {
		if strings.Contains(r.Remedy(), "--force-new-deployment") {
			t.Errorf("%s: %s", r.Check, r.Remedy())
		}
	}
}

func TestC1UnderCodeDeploy(t *testing.T) {
	t.Parallel()
	c := newClinic(t, deployedBy("CODE_DEPLOY"))
	withoutForce(t, c.finds("exec", "C1", "--enable-execute-command", "then deploy s anew with CodeDeploy"))
}

func TestC1UnderAnExternalController(t *testing.T) {
	t.Parallel()
	c := newClinic(t, deployedBy("EXTERNAL"))
	withoutForce(t, c.finds("exec", "C1", "--enable-execute-command", "make a new task set"))
}

func TestC1OfATaskThatARuleStarted(t *testing.T) {
	t.Parallel()
	f := healthy()
	nightly := proxyTask()
	nightly.ID, nightly.ExecOff, nightly.StartedBy = strings.Repeat("0123", 8), true, "events-rule/nightly"
	f.Clusters[0].Tasks = []emulator.Task{nightly}
	c := newClinic(t, f)
	c.options.Query = aws.Query{Cluster: "c", Task: nightly.ID}
	c.finds("exec", "C1", "set EnableExecuteCommand in the rule's ECS target", "let the EventBridge rule nightly start another task")
}

func TestB4DaemonWithoutInstances(t *testing.T) {
	t.Parallel()
	f := healthy()
	s := &f.Clusters[0].Services[0]
	s.Count, s.Daemon = 0, true
	report := newClinic(t, f).finds("service", "B4", "DAEMON service finds no container instance", "add a container instance to cluster c")
	if strings.Contains(report.First().Remedy(), "--desired-count") {
		t.Errorf("got %s, want nothing that ECS refuses", report.First().Remedy())
	}
}

func TestG3ServiceOfASingleDaemon(t *testing.T) {
	t.Parallel()
	f := healthy()
	s := &f.Clusters[0].Services[0]
	s.Count, s.Daemon = 1, true
	newClinic(t, f).warns("outlook", "G3", "wants a single task", "add a container instance to cluster c")
}

func TestC11OfAServiceUnderCodeDeploy(t *testing.T) {
	t.Parallel()
	f := with(func(task *emulator.Task) {
		task.Containers[0].Agent = emulator.Agent{Status: "STOPPED", Restarts: patience / 8}
	})
	f.Clusters[0].Services[0].Controller = "CODE_DEPLOY"
	withoutForce(t, newClinic(t, f).finds("agent", "C11", "more memory", "deploy s anew with CodeDeploy"))
}

// What is pasted acts on the account that was examined, not on the default profile's.
func TestRemediesNameProfileRegionAndEndpoint(t *testing.T) {
	bare(t)
	f := with(func(task *emulator.Task) { task.ExecOff = true })
	f.Clusters[0].Services[0].Count = 1
	c := newClinic(t, f)
	key, secret := c.account.Credentials()
	credentials := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(credentials, []byte("[base one]\naws_access_key_id = "+key+"\naws_secret_access_key = "+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", credentials)
	c.connect(aws.Options{Profile: "base one", Region: "eu-west-1", Endpoint: c.account.URL()})
	c.finds("exec", "C1", "run: aws ecs update-service --cluster c --service s --enable-execute-command --force-new-deployment --profile 'base one' --region eu-west-1 --endpoint-url "+c.account.URL())
	c.options.Query.Service = "nosuch"
	c.finds("service", "B3")
}
