package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
)

// cli is the aws command line (v1) with nothing but the emulator's exports in its environment.
type cli struct {
	path string
	env  []string
}

// awsCLI finds the judge.
func awsCLI(t *testing.T, e *Emulator) cli {
	t.Helper()
	home := t.TempDir()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1",
		"AWS_CONFIG_FILE=" + filepath.Join(home, "config"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(home, "credentials"),
	}
	return cli{path: need.Command(t, "aws"), env: append(env, e.Env()...)}
}

// run returns what a command printed as JSON, or the error it printed.
func (c cli) run(t *testing.T, out any, args ...string) error {
	t.Helper()
	command := exec.CommandContext(t.Context(), c.path, append(args, "--output", "json")...)
	command.Env, command.WaitDelay = c.env, 5*time.Second
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(stdout.Bytes(), out); err != nil {
		return fmt.Errorf("%s printed %q: %w", args, stdout.String(), err)
	}
	return nil
}

func (c cli) must(t *testing.T, out any, args ...string) {
	t.Helper()
	if err := c.run(t, out, args...); err != nil {
		t.Fatalf("aws %s: %v", strings.Join(args, " "), err)
	}
}

// refused expects the error code that the command line prints in parentheses.
func (c cli) refused(t *testing.T, code string, args ...string) {
	t.Helper()
	err := c.run(t, nil, args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(err.Error(), "("+code+")") {
		t.Errorf("aws %s: %v, want (%s)", strings.Join(args, " "), err, code)
	}
}

func TestAWSCommandLineBrowsesTheAccount(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	e := open(t, Options{Fleet: Demo(), Seed: 3})
	aws := awsCLI(t, e)

	var clusters struct{ ClusterARNs []string }
	aws.must(t, &clusters, "ecs", "list-clusters")
	if len(clusters.ClusterARNs) != 3 {
		t.Errorf("clusters = %v, want three", clusters.ClusterARNs)
	}
	var described struct {
		Clusters []struct {
			ClusterName                            string
			RunningTasksCount, ActiveServicesCount int
		}
		Failures []struct{ Reason string }
	}
	aws.must(t, &described, "ecs", "describe-clusters", "--clusters", "shop", "data", "nosuch")
	if len(described.Clusters) != 2 || len(described.Failures) != 1 || described.Failures[0].Reason != "MISSING" ||
		described.Clusters[0].ClusterName != "shop" || described.Clusters[0].ActiveServicesCount != 6 || described.Clusters[0].RunningTasksCount < 50 {
		t.Errorf("described clusters = %+v", described)
	}
	var tasks struct{ TaskARNs []string }
	aws.must(t, &tasks, "ecs", "list-tasks", "--cluster", "automation", "--service-name", "squid", "--desired-status", "RUNNING")
	want := e.Tasks("automation", "squid")
	slices.Sort(want)
	if len(tasks.TaskARNs) != 2 || tasks.TaskARNs[0] != "arn:aws:ecs:eu-west-1:111122223333:task/automation/"+want[0] {
		t.Fatalf("squid tasks = %v, want %v", tasks.TaskARNs, want)
	}
	var detail struct {
		Tasks []struct {
			LastStatus, LaunchType, PlatformVersion, TaskDefinitionARN, Group string
			EnableExecuteCommand                                              bool
			StartedAt                                                         float64 // v1 prints the number that it got
			Attachments                                                       []struct {
				Details []struct{ Name, Value string }
			}
			Containers []struct {
				Name, RuntimeID, LastStatus string
				ManagedAgents               []struct{ Name, LastStatus string }
			}
		}
	}
	aws.must(t, &detail, append([]string{"ecs", "describe-tasks", "--cluster", "automation", "--tasks"}, tasks.TaskARNs...)...)
	for _, one := range detail.Tasks {
		c := one.Containers[0]
		if one.LastStatus != "RUNNING" || !one.EnableExecuteCommand || one.LaunchType != "FARGATE" || one.PlatformVersion != "1.4.0" || one.Group != "service:squid" ||
			c.Name != "squid" || c.ManagedAgents[0].LastStatus != "RUNNING" || len(c.RuntimeID) != 43 {
			t.Errorf("squid task = %+v", one)
		}
		details := map[string]string{}
		for _, d := range one.Attachments[0].Details {
			details[d.Name] = d.Value
		}
		if details["subnetId"] != subnetID || !strings.HasPrefix(details["privateIPv4Address"], "10.20.") || !strings.HasPrefix(details["networkInterfaceId"], "eni-") {
			t.Errorf("interface of a task = %v", details)
		}
		if age := time.Since(time.Unix(int64(one.StartedAt), 0)); age < time.Minute || age > 25*time.Hour {
			t.Errorf("started %s ago, want some hours", age)
		}
	}
	var definition struct {
		TaskDefinition struct {
			Family               string
			Revision             int
			ContainerDefinitions []struct {
				PortMappings []struct {
					ContainerPort int
					Protocol      string
				}
			}
		}
	}
	aws.must(t, &definition, "ecs", "describe-task-definition", "--task-definition", detail.Tasks[0].TaskDefinitionARN)
	if d := definition.TaskDefinition; d.Family != "squid" || d.Revision != 12 || d.ContainerDefinitions[0].PortMappings[0].ContainerPort != 3128 {
		t.Errorf("definition = %+v", d)
	}
	var services struct {
		Services []struct {
			ServiceName  string
			DesiredCount int
			Deployments  []struct{ Status, RolloutState string }
			Events       []struct{ Message string }

			NetworkConfiguration struct {
				AwsvpcConfiguration struct {
					Subnets, SecurityGroups []string
					AssignPublicIP          string
				}
			}
		}
	}
	aws.must(t, &services, "ecs", "describe-services", "--cluster", "shop", "--services", "web", "checkout")
	if len(services.Services) != 2 || services.Services[0].DesiredCount != 24 || len(services.Services[1].Deployments) != 2 || len(services.Services[0].Events) == 0 {
		t.Errorf("services = %+v", services.Services)
	}
	for _, s := range services.Services {
		if vpc := s.NetworkConfiguration.AwsvpcConfiguration; !slices.Equal(vpc.Subnets, []string{subnetID}) || !slices.Equal(vpc.SecurityGroups, []string{taskGroup}) || vpc.AssignPublicIP != "DISABLED" {
			t.Errorf("network of %s = %+v", s.ServiceName, vpc)
		}
	}
	var web struct {
		TaskDefinition struct {
			ContainerDefinitions []struct {
				Name                 string
				Command              []string
				Environment, Secrets []struct{ Name, Value, ValueFrom string }
				LogConfiguration     struct{ Options map[string]string }
			}
		}
	}
	aws.must(t, &web, "ecs", "describe-task-definition", "--task-definition", "web")
	if app := web.TaskDefinition.ContainerDefinitions[1]; app.Name != "app" || app.Environment[0].Value != "production" || app.Secrets[0].Name != "DB_PASSWORD" ||
		app.Secrets[0].ValueFrom == "" || len(app.Command) != 4 || app.LogConfiguration.Options["awslogs-group"] != "/ecs/app" {
		t.Errorf("definition of web's app = %+v", app)
	}
	var definitions struct{ TaskDefinitionARNs []string }
	aws.must(t, &definitions, "ecs", "list-task-definitions", "--family-prefix", "checkout")
	if len(definitions.TaskDefinitionARNs) != 2 {
		t.Errorf("revisions of checkout = %v, want 41 and 42", definitions.TaskDefinitionARNs)
	}
	aws.refused(t, "ClusterNotFoundException", "ecs", "list-tasks", "--cluster", "nosuch")
	aws.refused(t, "ServiceNotFoundException", "ecs", "list-tasks", "--cluster", "shop", "--service-name", "nosuch")
	aws.refused(t, "ClientException", "ecs", "describe-task-definition", "--task-definition", "nosuch")
}

func TestAWSCommandLineReadsEveryPage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	var services []Service
	for i := range 23 {
		services = append(services, Service{Name: fmt.Sprintf("s%02d", i), Count: 10, Task: one("c", "", nil)})
	}
	e := open(t, Options{Fleet: Fleet{Clusters: []Cluster{{Name: "big", Services: services}}}})
	aws := awsCLI(t, e)
	var listed struct{ ServiceARNs, TaskARNs []string }
	aws.must(t, &listed, "ecs", "list-services", "--cluster", "big")
	aws.must(t, &listed, "ecs", "list-tasks", "--cluster", "big")
	slices.Sort(listed.TaskARNs)
	if len(listed.ServiceARNs) != 23 || len(slices.Compact(listed.TaskARNs)) != 230 {
		t.Errorf("services, tasks = %d, %d, want 23 and 230, each once", len(listed.ServiceARNs), len(listed.TaskARNs))
	}
	if e.Calls("ListServices") != 3 || e.Calls("ListTasks") != 3 {
		t.Errorf("pages = %d, %d, want 3 and 3", e.Calls("ListServices"), e.Calls("ListTasks"))
	}
	aws.refused(t, "InvalidParameterException", "ecs", "list-tasks", "--cluster", "big", "--no-paginate", "--next-token", "madeup")
}

func TestAWSCommandLineChangesServices(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	e := open(t, Options{Fleet: small(), Pace: 5 * time.Millisecond})
	aws := awsCLI(t, e)
	before := e.Tasks("c", "s")
	var stopped struct {
		Task struct{ DesiredStatus, StoppedReason string }
	}
	aws.must(t, &stopped, "ecs", "stop-task", "--cluster", "c", "--task", before[0], "--reason", "by hand")
	if stopped.Task.DesiredStatus != "STOPPED" || stopped.Task.StoppedReason != "by hand" {
		t.Errorf("stopped task = %+v", stopped)
	}
	var updated struct {
		Service struct {
			DesiredCount         int
			EnableExecuteCommand bool
			Deployments          []struct{ Status string }
		}
	}
	aws.must(t, &updated, "ecs", "update-service", "--cluster", "c", "--service", "s", "--desired-count", "2", "--force-new-deployment", "--enable-execute-command")
	if s := updated.Service; s.DesiredCount != 2 || !s.EnableExecuteCommand || len(s.Deployments) != 2 {
		t.Errorf("updated service = %+v", s)
	}
	need.Eventually(t, "the scaled service", func() bool { return len(e.Tasks("c", "s")) == 2 })
	if err := aws.run(t, nil, "ecs", "wait", "services-stable", "--cluster", "c", "--services", "s"); err != nil {
		t.Errorf("aws ecs wait services-stable: %v", err)
	}
}

func TestAWSCommandLineKnowsWhoItIs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	e := open(t, Options{})
	aws := awsCLI(t, e)
	var who struct{ UserID, Account, ARN string }
	aws.must(t, &who, "sts", "get-caller-identity")
	if who.ARN != "arn:aws:iam::111122223333:user/demo" || who.Account != "111122223333" {
		t.Errorf("identity = %+v", who)
	}
	var assumed struct {
		Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken, Expiration string }
	}
	aws.must(t, &assumed, "sts", "assume-role", "--role-arn", "arn:aws:iam::111122223333:role/tunnel", "--role-session-name", "me")
	key := assumed.Credentials
	role := cli{path: aws.path, env: append(slices.Clone(aws.env),
		"AWS_ACCESS_KEY_ID="+key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+key.SecretAccessKey, "AWS_SESSION_TOKEN="+key.SessionToken)}
	role.must(t, &who, "sts", "get-caller-identity")
	if who.ARN != "arn:aws:sts::111122223333:assumed-role/tunnel/me" {
		t.Errorf("identity with the role = %+v", who)
	}
	token := gitHubToken(t, e, "sts.amazonaws.com")
	var web struct {
		SubjectFromWebIdentityToken string
		Credentials                 struct{ AccessKeyID string }
	}
	aws.must(t, &web, "sts", "assume-role-with-web-identity", "--role-arn", "arn:aws:iam::111122223333:role/ci", "--role-session-name", "run-1", "--web-identity-token", token)
	if web.SubjectFromWebIdentityToken != "repo:acme/shop:ref:refs/heads/main" || web.Credentials.AccessKeyID == "" {
		t.Errorf("web identity = %+v", web)
	}
	e.ExpireCredentials(key.AccessKeyID)
	role.refused(t, "ExpiredToken", "sts", "get-caller-identity")
	role.refused(t, "ExpiredTokenException", "ecs", "list-clusters")
	stranger := cli{path: aws.path, env: append(slices.Clone(aws.env), "AWS_SECRET_ACCESS_KEY=wrong")}
	stranger.refused(t, "SignatureDoesNotMatch", "sts", "get-caller-identity")
	stranger.refused(t, "InvalidSignatureException", "ecs", "list-clusters")
	stranger.env = append(stranger.env, "AWS_ACCESS_KEY_ID=AKIANOBODY")
	stranger.refused(t, "InvalidClientTokenId", "sts", "get-caller-identity")
	stranger.refused(t, "UnrecognizedClientException", "ecs", "list-clusters")
}

// A role keeps its id whoever assumes it and however, and its keys live as short as the account says.
func TestAWSCommandLineFindsOneIDForARole(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	e := open(t, Options{})
	e.Fault(func(f *Faults) { f.RoleLife = time.Minute })
	aws := awsCLI(t, e)
	const tunnel = "arn:aws:iam::111122223333:role/tunnel"
	var assumed struct {
		AssumedRoleUser struct{ AssumedRoleID string }
		Credentials     struct{ Expiration time.Time }
	}
	check := func(how, session string, args ...string) {
		t.Helper()
		aws.must(t, &assumed, args...)
		if got, want := assumed.AssumedRoleUser.AssumedRoleID, e.RoleID("tunnel")+":"+session; got != want {
			t.Errorf("%s: assumed role id %s, want %s", how, got, want)
		}
		if left := time.Until(assumed.Credentials.Expiration); left > time.Minute || left < 0 {
			t.Errorf("%s: keys for %s, want a minute", how, left)
		}
	}
	check("first", "one", "sts", "assume-role", "--role-arn", tunnel, "--role-session-name", "one")
	check("again", "two", "sts", "assume-role", "--role-arn", tunnel, "--role-session-name", "two", "--duration-seconds", "7200")
	check("by token", "run-1", "sts", "assume-role-with-web-identity", "--role-arn", tunnel, "--role-session-name", "run-1",
		"--web-identity-token", gitHubToken(t, e, "sts.amazonaws.com"))
	if id := e.RoleID("tunnel"); !regexp.MustCompile(`^AROA[A-Z0-9]{17}$`).MatchString(id) || id == e.RoleID("another") {
		t.Errorf("role id %s, another has %s", id, e.RoleID("another"))
	}

	portal, role := e.SSO("Developer")
	var login struct {
		RoleCredentials struct {
			AccessKeyID, SecretAccessKey, SessionToken string
			Expiration                                 int64
		}
	}
	aws.must(t, &login, "sso", "get-role-credentials", "--role-name", "Developer", "--account-id", "111122223333", "--access-token", portal)
	key := login.RoleCredentials
	if left := time.Until(time.UnixMilli(key.Expiration)); left > time.Minute || left < 0 {
		t.Errorf("keys from SSO for %s, want a minute", left)
	}
	var who struct{ UserID, ARN string }
	loggedIn := cli{path: aws.path, env: append(slices.Clone(aws.env),
		"AWS_ACCESS_KEY_ID="+key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+key.SecretAccessKey, "AWS_SESSION_TOKEN="+key.SessionToken)}
	loggedIn.must(t, &who, "sts", "get-caller-identity")
	name := strings.TrimPrefix(role, "role/")
	if who.UserID != e.RoleID(name)+":"+ssoUser || who.ARN != "arn:aws:sts::111122223333:assumed-role/"+name+"/"+ssoUser {
		t.Errorf("identity by SSO = %+v", who)
	}
	aws.refused(t, "UnauthorizedException", "sso", "get-role-credentials", "--role-name", "Developer", "--account-id", "111122223333", "--access-token", "old")
	aws.refused(t, "ForbiddenException", "sso", "get-role-credentials", "--role-name", "Developer", "--account-id", "999999999999", "--access-token", portal)
}

func TestAWSCommandLineAsksAboutSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	e := open(t, Options{Fleet: Demo()})
	aws := awsCLI(t, e)
	for service, want := range map[string]string{"squid": "connected", "reports": "notconnected"} {
		k := target(t, e, e.Tasks("automation", service)[0])
		var got struct{ Status string }
		aws.must(t, &got, "ssm", "get-connection-status", "--target", "ecs:automation_"+k.task.id+"_"+k.runtime)
		if got.Status != want {
			t.Errorf("connection status of %s = %s, want %s", service, got.Status, want)
		}
	}
	var active struct{ Sessions []struct{ SessionID string } }
	aws.must(t, &active, "ssm", "describe-sessions", "--state", "Active")
	if len(active.Sessions) != 0 {
		t.Errorf("active sessions = %v, want none", active.Sessions)
	}
	aws.refused(t, "DoesNotExistException", "ssm", "terminate-session", "--session-id", "demo-0123456789abcdef0")
	aws.refused(t, "DoesNotExistException", "ssm", "resume-session", "--session-id", "demo-0123456789abcdef0")
}
