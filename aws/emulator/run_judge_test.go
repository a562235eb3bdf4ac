package emulator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
)

// ranTask is a task as the aws command prints it.
type ranTask struct {
	TaskARN, LastStatus, DesiredStatus, StartedBy, StoppedReason, StopCode, LaunchType string
	EnableExecuteCommand                                                               bool
	Tags                                                                               []tag
}

const runNetwork = "awsvpcConfiguration={subnets=[" + subnetID + "],securityGroups=[" + taskGroup + "],assignPublicIp=DISABLED}"

// runTask is a call of the aws command that runs the demo's own proxy.
func runTask(more ...string) []string {
	return append([]string{
		"ecs", "run-task", "--cluster", "automation", "--task-definition", "culvert-squid", "--launch-type", "FARGATE",
		"--network-configuration", runNetwork, "--enable-execute-command", "--started-by", "culvert-1",
	}, more...)
}

func describeTask(t *testing.T, aws cli, arn string) ranTask {
	t.Helper()
	var described struct{ Tasks []ranTask }
	aws.must(t, &described, "ecs", "describe-tasks", "--cluster", "automation", "--tasks", arn, "--include", "TAGS")
	if len(described.Tasks) != 1 {
		t.Fatalf("described %d tasks, want one", len(described.Tasks))
	}
	return described.Tasks[0]
}

// awaitStatus waits without the aws command, which takes a second.
func awaitStatus(t *testing.T, e *Emulator, arn, status string) {
	t.Helper()
	need.Eventually(t, "the task is "+status, func() bool {
		e.fleet.mu.Lock()
		defer e.fleet.mu.Unlock()
		return e.fleet.findTask(nameOf(arn)).status == status
	})
}

func TestAWSCommandLineRunsATask(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	e := open(t, Options{Fleet: Demo(), Pace: 5 * time.Millisecond})
	aws := awsCLI(t, e)
	var ran struct {
		Tasks    []ranTask
		Failures []struct{ Reason string }
	}
	limited := `{"containerOverrides":[{"name":"squid","command":["(sleep \"$CULVERT_TTL\"; kill $$) & exec squid"],"environment":[{"name":"CULVERT_TTL","value":"3600"}]}]}`
	asked := runTask("--client-token", "one", "--tags", "key=culvert:owner,value=AIDA", "key=culvert:run,value=1", "--overrides", limited)
	aws.must(t, &ran, asked...)
	arn := ran.Tasks[0].TaskARN
	awaitStatus(t, e, arn, "RUNNING")
	if got := describeTask(t, aws, arn); got.StartedBy != "culvert-1" || !got.EnableExecuteCommand || got.LaunchType != "FARGATE" ||
		!slices.Equal(got.Tags, []tag{{"culvert:owner", "AIDA"}, {"culvert:run", "1"}}) {
		t.Errorf("task = %+v", got)
	}

	// The same request again is the same task, another one with its token is refused with the task's ARN.
	aws.must(t, &ran, asked...)
	if ran.Tasks[0].TaskARN != arn || len(e.Running("automation")) != 1 {
		t.Errorf("the same token ran %s, want %s", ran.Tasks[0].TaskARN, arn)
	}
	aws.refused(t, "ConflictException", runTask("--client-token", "one")...)

	aws.must(t, nil, "ecs", "tag-resource", "--resource-arn", arn, "--tags", "key=culvert:user:2,value=later")
	aws.must(t, nil, "ecs", "untag-resource", "--resource-arn", arn, "--tag-keys", "culvert:run")
	var tags struct{ Tags []tag }
	aws.must(t, &tags, "ecs", "list-tags-for-resource", "--resource-arn", arn)
	if !slices.Equal(tags.Tags, []tag{{"culvert:owner", "AIDA"}, {"culvert:user:2", "later"}}) {
		t.Errorf("tags = %v", tags.Tags)
	}
	aws.refused(t, "InvalidParameterException", "ecs", "tag-resource", "--resource-arn", arn, "--tags", "key=aws:x,value=y")
	aws.refused(t, "InvalidParameterException", "ecs", "tag-resource", "--resource-arn", arn, "--tags", "key=x,value=a;b")
	aws.refused(t, "InvalidParameterException", "ecs", "tag-resource", "--resource-arn", strings.Replace(arn, "/automation/", "/automation/0", 1), "--tags", "key=x,value=y")

	// Its own limit ends it, and not before.
	e.Elapse(59 * time.Minute)
	if got := describeTask(t, aws, arn); got.DesiredStatus != "RUNNING" {
		t.Errorf("after 59 minutes: %+v", got)
	}
	e.Elapse(time.Minute)
	awaitStatus(t, e, arn, "STOPPED")
	if got := describeTask(t, aws, arn); got.StopCode != "EssentialContainerExited" {
		t.Errorf("stopped task = %+v", got)
	}

	aws.must(t, &ran, runTask()...)
	aws.must(t, nil, "ecs", "stop-task", "--cluster", "automation", "--task", ran.Tasks[0].TaskARN, "--reason", "done")
	awaitStatus(t, e, ran.Tasks[0].TaskARN, "STOPPED")
	if got := describeTask(t, aws, ran.Tasks[0].TaskARN); got.StoppedReason != "done" || got.StopCode != "UserInitiated" {
		t.Errorf("task that was stopped = %+v", got)
	}
}

func TestAWSCommandLineSeesStartsFail(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	e := open(t, Options{Fleet: Demo(), Pace: 5 * time.Millisecond})
	aws := awsCLI(t, e)
	for kind, want := range map[StartFaultKind]string{
		NoCapacity: "Capacity is unavailable", NoImage: "CannotPullContainerError", NoAddresses: "InsufficientFreeAddresses", Crashes: "Essential container",
	} {
		e.Fault(func(f *Faults) { f.Starts = []StartFault{{Kind: kind, Times: 1}} })
		var ran struct{ Tasks []ranTask }
		aws.must(t, &ran, runTask()...)
		awaitStatus(t, e, ran.Tasks[0].TaskARN, "STOPPED")
		if got := describeTask(t, aws, ran.Tasks[0].TaskARN).StoppedReason; !strings.Contains(got, want) {
			t.Errorf("stopped reason %q, want %q", got, want)
		}
	}
	e.Fault(func(f *Faults) { f.Starts = []StartFault{{Family: "culvert-squid", Kind: NoMemory}} })
	var ran struct {
		Tasks    []ranTask
		Failures []struct{ Reason string }
	}
	aws.must(t, &ran, runTask()...)
	if len(ran.Tasks) != 0 || len(ran.Failures) != 1 || ran.Failures[0].Reason != "RESOURCE:MEMORY" {
		t.Errorf("without memory: %+v", ran)
	}
	bare := []string{"ecs", "run-task", "--cluster", "automation", "--task-definition", "culvert-squid"}
	aws.refused(t, "InvalidParameterException", bare...)
	aws.refused(t, "InvalidParameterException", append(bare, "--network-configuration", "awsvpcConfiguration={subnets=[subnet-0]}")...)
	aws.refused(t, "InvalidParameterException", append(bare, "--network-configuration", "awsvpcConfiguration={subnets=["+subnetID+"],securityGroups=[sg-0]}")...)
	aws.refused(t, "InvalidParameterException", runTask("--overrides", `{"containerOverrides":[{"name":"nobody","command":["x"]}]}`)...)
	aws.refused(t, "ClientException", "ecs", "run-task", "--cluster", "automation", "--task-definition", "nothing")
}

// What RunTask asks for beside itself: tags on creation, and the roles that are passed on.
func TestAWSCommandLineRunsWhatAPolicyAllows(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	e := open(t, Options{Fleet: Demo(), Pace: 5 * time.Millisecond})
	base := awsCLI(t, e)
	statements := map[string]string{
		"run":  `{"Effect":"Allow","Action":"ecs:RunTask","Resource":"arn:aws:ecs:eu-west-1:111122223333:task-definition/culvert-squid:*","Condition":{"StringEquals":{"aws:RequestTag/culvert:owner":"${aws:userid}"}}}`,
		"tag":  `{"Effect":"Allow","Action":"ecs:TagResource","Resource":"arn:aws:ecs:eu-west-1:111122223333:task/automation/*","Condition":{"StringEquals":{"ecs:CreateAction":"RunTask"}}}`,
		"pass": `{"Effect":"Allow","Action":"iam:PassRole","Resource":["arn:aws:iam::111122223333:role/culvert-squid-task","arn:aws:iam::111122223333:role/ecsTaskExecutionRole"],"Condition":{"StringEquals":{"iam:PassedToService":"ecs-tasks.amazonaws.com"}}}`,
		"stop": `{"Effect":"Allow","Action":"ecs:StopTask","Resource":"arn:aws:ecs:eu-west-1:111122223333:task/automation/*","Condition":{"StringEquals":{"aws:ResourceTag/culvert:owner":"${aws:userid}"}}}`,
	}
	as := func(user string, without string) (cli, string) {
		var all []string
		for name, s := range statements {
			if name != without {
				all = append(all, s)
			}
		}
		if err := e.Attach("user/"+user, []byte(`{"Statement":[`+strings.Join(all, ",")+`]}`)); err != nil {
			t.Fatal(err)
		}
		key, secret := e.User(user)
		return cli{path: base.path, env: append(slices.Clone(base.env), "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret)}, "AIDA" + strings.ToUpper(user)
	}
	for _, missing := range []string{"run", "tag", "pass"} {
		aws, id := as("without-"+missing, missing)
		aws.refused(t, "AccessDeniedException", runTask("--tags", "key=culvert:owner,value="+id)...)
	}
	aws, id := as("whole", "")
	aws.refused(t, "AccessDeniedException", runTask("--tags", "key=culvert:owner,value=somebody")...)
	aws.refused(t, "AccessDeniedException", runTask()...)
	var ran, others struct{ Tasks []ranTask }
	aws.must(t, &ran, runTask("--tags", "key=culvert:owner,value="+id)...)
	base.must(t, &others, runTask("--tags", "key=culvert:owner,value=somebody")...)
	aws.refused(t, "AccessDeniedException", "ecs", "stop-task", "--cluster", "automation", "--task", others.Tasks[0].TaskARN)
	aws.refused(t, "AccessDeniedException", "ecs", "tag-resource", "--resource-arn", ran.Tasks[0].TaskARN, "--tags", "key=a,value=b")
	aws.must(t, nil, "ecs", "stop-task", "--cluster", "automation", "--task", ran.Tasks[0].TaskARN)
	if left := e.Running("automation"); len(left) != 1 {
		t.Errorf("running %v, want somebody's alone", left)
	}
}
