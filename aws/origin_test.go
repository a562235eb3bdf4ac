package aws

import (
	"slices"
	"strings"
	"testing"
)

// Every remedy that wants another task fits what starts it, see API_UpdateService for what a controller forbids.
func TestRemedyFitsWhatStartsTheTask(t *testing.T) {
	stopped := agent("STOPPED", "")
	off := set("enableExecuteCommand", false)
	controller := func(kind string) func(*fleet) {
		return func(f *fleet) {
			f.services[0]["deploymentController"] = map[string]any{"type": kind}
			f.services[0]["enableExecuteCommand"] = false
		}
	}
	daemon := func(f *fleet) { f.services[0]["schedulingStrategy"] = "DAEMON" }
	for name, test := range map[string]struct {
		service func(*fleet)         // changes it; nil: the task has none
		task    func(map[string]any) // nil: there is none
		says    []string
		never   []string
	}{
		"CODE_DEPLOY, agent stopped": {controller("CODE_DEPLOY"), stopped, []string{"deploy s anew with CodeDeploy", "controller is CODE_DEPLOY"}, []string{"--force-new-deployment"}},
		"CODE_DEPLOY, exec off": {controller("CODE_DEPLOY"), off,
			[]string{"run: aws ecs update-service --cluster a --service s --enable-execute-command --region eu-west-1", "then deploy s anew with CodeDeploy"}, []string{"--force-new-deployment"}},
		"EXTERNAL, agent stopped":     {controller("EXTERNAL"), stopped, []string{"make a new task set", "controller is EXTERNAL"}, []string{"--force-new-deployment"}},
		"EXTERNAL, exec off":          {controller("EXTERNAL"), off, []string{"--enable-execute-command", "make a new task set"}, []string{"--force-new-deployment"}},
		"a controller of later years": {controller("QUANTUM"), stopped, []string{"deploy s anew with what deploys it", "QUANTUM"}, []string{"--force-new-deployment"}},
		"ECS, exec off":               {controller("ECS"), off, []string{"run: aws ecs update-service --cluster a --service s --enable-execute-command --force-new-deployment --region eu-west-1"}, nil},
		"CODE_DEPLOY, exec on since": {func(f *fleet) { f.services[0]["deploymentController"] = map[string]any{"type": "CODE_DEPLOY"} }, off,
			[]string{"older than the service's setting", "with CodeDeploy"}, []string{"aws "}},
		"DAEMON without instances": {func(f *fleet) { daemon(f); f.services[0]["desiredCount"] = 0 }, nil,
			[]string{"DAEMON service finds no container instance", "add a container instance to cluster a"}, []string{"--desired-count", "scaled to zero"}},
		"DAEMON, agent stopped":  {daemon, stopped, []string{"aws ecs update-service --cluster a --service s --force-new-deployment"}, nil},
		"CODE_DEPLOY, at zero":   {func(f *fleet) { controller("CODE_DEPLOY")(f); f.services[0]["desiredCount"] = 0 }, nil, []string{"--desired-count 1"}, nil}, // it takes a number
		"RunTask, agent stopped": {nil, all(stopped, set("launchType", "FARGATE")), []string{"no service does: aws ecs run-task --cluster a --task-definition batch:1 --enable-execute-command --launch-type FARGATE --region eu-west-1"}, []string{"update-service"}},
		"RunTask, exec off":      {nil, off, []string{"start the task anew: aws ecs run-task --cluster a --task-definition batch:1 --enable-execute-command"}, []string{"update-service"}},
		"RunTask on Spot":        {nil, all(off, set("capacityProviderName", "FARGATE_SPOT"), set("launchType", "FARGATE")), []string{"--capacity-provider-strategy capacityProvider=FARGATE_SPOT"}, []string{"--launch-type"}},
		"EventBridge rule":       {nil, all(off, set("startedBy", "events-rule/nightly")), []string{"EnableExecuteCommand in the rule's ECS target", "the EventBridge rule nightly"}, []string{"aws "}},
		"EventBridge schedule":   {nil, all(stopped, set("startedBy", "chronos-schedule/nightly")), []string{"let the EventBridge schedule nightly start another task"}, []string{"aws ecs"}},
		"Step Functions":         {nil, all(off, set("startedBy", "AWS Step Functions")), []string{"ecs:runTask state"}, []string{"aws "}},
		"agent missing, RunTask": {nil, func(t map[string]any) { containersOf(t)[0]["managedAgents"] = nil }, []string{"1.4.0", "aws ecs run-task"}, []string{"update-service"}},
	} {
		t.Run(name, func(t *testing.T) {
			isolate(t)
			f := newFleet(t, "a")
			q := Query{Cluster: "a"}
			if test.service != nil {
				f.service("a", "s", 1)
				test.service(f)
				q.Service = "s"
			}
			if test.task != nil {
				f.task("a", q.Service, test.task, "app")
			}
			c := f.connect(t)
			_, err := c.Lookup(t.Context(), q)
			e := mustBe[*NotReadyError](t, err)
			mustSay(t, err, test.says...)
			for _, never := range test.never {
				if strings.Contains(text(err), never) {
					t.Errorf("got %s\nwant it to be without %q", text(err), never)
				}
			}
			if test.task == nil {
				return
			}
			// The same words by all ways: while a tunnel is open, and on the screen.
			checked := c.Check(t.Context(), e.Target)
			if got := mustBe[*NotReadyError](t, checked).Remedy(); got != e.Remedy() {
				t.Errorf("Check: got %s\nwant %s", got, e.Remedy())
			}
			shown := must(c.Discover(t.Context())).Clusters[0].Tasks[0]
			if got := mustBe[*NotReadyError](t, shown.Ready(shown.Containers[0])).Remedy(); got != e.Remedy() {
				t.Errorf("Discover: got %s\nwant %s", got, e.Remedy())
			}
		})
	}
}

func TestBatchStartsItsTasksItself(t *testing.T) {
	for _, cluster := range []string{"AWSBatch-ci-0b9f-1c2d", "ci_Batch_0b9f-1c2d"} {
		e := &NotReadyError{Target: Target{Cluster: cluster, Task: "t"}, Cause: CauseExecOff}
		mustSay(t, e, "enableExecuteCommand in the job definition", "let AWS Batch start another task")
	}
}

// A caller who may not describe services is told what is right for most.
func TestRemedyIsTheUsualOneWhereTheServiceIsNotKnown(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a")
	f.service("a", "s", 1)
	f.task("a", "s", agent("STOPPED", ""), "app")
	f.refuse["DescribeServices"] = deniedBy("DescribeServices")
	_, err := f.connect(t).Lookup(t.Context(), Query{Cluster: "a", Service: "s"})
	mustSay(t, err, "aws ecs update-service --cluster a --service s --force-new-deployment --region eu-west-1")
}

func TestAgentOfAnExternalInstanceIsNotUpdatedByECS(t *testing.T) {
	sh := Shell{Region: "eu-west-1"}
	if got, want := (Instance{ARN: arnOf("container-instance", "a/0123")}).Remedy(sh, "a"), "run: aws ecs update-container-agent --cluster a --container-instance 0123 --region eu-west-1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (Instance{External: true}).Remedy(sh, "a"); strings.Contains(got, "aws ") {
		t.Errorf("got %s, want no command that ECS refuses", got)
	}
}

func TestEveryRemedyLeadsToTheAccountInForce(t *testing.T) {
	sh := Shell{Profile: "base", Region: "eu-west-1", Endpoint: "https://ecs.internal"}
	const flags = " --profile base --region eu-west-1 --endpoint-url https://ecs.internal"
	service := Target{Cluster: "a", Service: "s", Task: "t"}
	errs := []remedied{
		&NotFoundError{Kind: "service", Name: "x", Shell: sh},
		&NotFoundError{Kind: "service", Name: "x", Region: "eu-west-1", Shell: sh},
		&DocumentError{Document: "d", Region: "eu-west-1", Shell: sh},
		&RejectedKeyError{Profile: "base", Region: "eu-west-1", Shell: sh},
		&TaskGoneError{Target: Target{Cluster: "a", Task: "t"}, Shell: sh},
	}
	for cause := CauseTaskPending; cause <= CauseDraining; cause++ {
		for _, target := range []Target{service, {Cluster: "a", Task: "t"}} {
			errs = append(errs, &NotReadyError{Target: target, Cause: cause, Origin: Origin{Shell: sh}})
		}
	}
	for suspect := SuspectPlatform; suspect <= SuspectKeys; suspect++ {
		errs = append(errs, &NotReadyError{Target: service, Cause: CauseAgentStopped, Suspect: suspect, Origin: Origin{Shell: sh}})
	}
	for _, err := range errs {
		remedy := err.Remedy()
		for _, program := range []string{"aws ", "culvert "} {
			if strings.Count(remedy, program) != strings.Count(remedy, flags) && strings.Contains(remedy, program) {
				t.Errorf("%T: %s", err, remedy)
			}
		}
	}
	if slices.ContainsFunc(errs, func(e remedied) bool { return e.Remedy() == "" }) {
		t.Error("one has no remedy")
	}
}
