package aws

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/internal/say"
)

// automation is the fleet of most stories here: a squid service of two tasks beside others.
func automation(t *testing.T) *fleet {
	t.Helper()
	f := newFleet(t, "automation", "shop", "data")
	f.service("automation", "squid", 2)
	f.task("automation", "squid", nil, "squid")
	f.task("automation", "squid", nil, "squid")
	return f
}

func TestLookupSpreadsOverTheServicesReadyTasks(t *testing.T) {
	isolate(t)
	f := automation(t)
	f.task("automation", "squid", agent("PENDING", ""), "squid")
	f.task("automation", "squid", set("connectivity", "DISCONNECTED"), "squid")
	f.task("automation", "squid", set("enableExecuteCommand", false), "squid")
	f.task("automation", "squid", set("lastStatus", "PENDING"), "squid")
	f.task("automation", "other", nil, "squid")
	c := f.connect(t)
	picked := map[string]int{}
	for range 60 {
		got, err := c.Lookup(t.Context(), Query{Cluster: "automation", Service: "squid", Port: 3128})
		if err != nil {
			t.Fatal(text(err))
		}
		if got.Service != "squid" || got.Container != "squid" || got.RuntimeID != got.Task+"-squid" || got.Cluster != "automation" {
			t.Fatalf("got %+v", got)
		}
		picked[got.Task]++
	}
	if len(picked) != 2 {
		t.Errorf("got %v, want both ready tasks and no other", picked)
	}
	for action, want := range map[string]int{"ListClusters": 0, "DescribeServices": 0, "DescribeTaskDefinition": 0, "DescribeTasks": 60, "ListTasks": 180} { // pages of two
		if got := len(f.calls(action)); got != want {
			t.Errorf("got %d calls of %s, want %d", got, action, want)
		}
	}
	for _, call := range f.calls("ListTasks") { // peers dropped it on the second page
		if call["serviceName"] != "squid" {
			t.Fatalf("got a page without the service: %v", call)
		}
	}
}

func TestLookupPrefersHealthyAndNewestDeployment(t *testing.T) {
	isolate(t)
	f := automation(t)
	f.services[0]["deployments"] = []map[string]any{{"id": "ecs-svc/2", "status": "PRIMARY"}, {"id": "ecs-svc/1", "status": "ACTIVE"}}
	for range 2 {
		f.task("automation", "squid", all(set("healthStatus", "UNHEALTHY"), set("startedBy", "ecs-svc/2")), "squid")
		f.task("automation", "squid", all(set("healthStatus", "HEALTHY"), set("startedBy", "ecs-svc/1"), set("startedAt", float64(time.Now().Unix()+60))), "squid")
	}
	want := f.task("automation", "squid", all(set("healthStatus", "HEALTHY"), set("startedBy", "ecs-svc/2")), "squid")
	c := f.connect(t)
	for range 10 {
		got, err := c.Lookup(t.Context(), Query{Cluster: "automation", Service: "squid"})
		if err != nil || got.Task != want {
			t.Fatalf("got %v, %v; want the healthy task of the newest deployment, %s", got, err, want)
		}
	}
	// Who may not describe services gets the deployment that started last.
	f.refuse["DescribeServices automation"] = deniedBy("DescribeServices")
	got, err := c.Lookup(t.Context(), Query{Cluster: "automation", Service: "squid"})
	if err != nil || got.Task == want {
		t.Errorf("got %v, %v; want a task of the deployment that started last", got, err)
	}
}

func TestLookupNamesTheContainer(t *testing.T) {
	isolate(t)
	f := newFleet(t, "automation")
	f.service("automation", "web", 1)
	f.service("automation", "meshed", 1)
	f.ports[arnOf("task-definition", "web:1")] = map[string]int{"proxy": 3128, "app": 8080}
	f.task("automation", "web", nil, "proxy", "app", "log")
	f.task("automation", "meshed", nil, "app", "ecs-service-connect-x1", "aws-guardduty-agent-y")
	c := f.connect(t)
	for _, test := range []struct {
		query Query
		want  string // container, or what the error says
		bad   bool
	}{
		{Query{Service: "web", Port: 3128}, "proxy", false},
		{Query{Service: "web", Port: 8080}, "app", false},
		{Query{Service: "web", Port: 8080, Container: "log"}, "log", false},
		{Query{Service: "web", Port: 5432}, "--container: app, log, proxy", true},
		{Query{Service: "web", Shell: true}, "--container: app, log, proxy", true},
		{Query{Service: "web"}, "app", false}, // for a host behind the task
		{Query{Service: "web", Container: "prxy"}, "the nearest are: proxy", true},
		{Query{Service: "meshed", Port: 1}, "app", false},
	} {
		test.query.Cluster = "automation"
		got, err := c.Lookup(t.Context(), test.query)
		switch {
		case test.bad && err == nil:
			t.Errorf("%+v: got %v, want an error", test.query, got)
		case test.bad:
			mustSay(t, err, test.want)
		case err != nil || got.Container != test.want:
			t.Errorf("%+v: got %v, %v; want container %s", test.query, got, err, test.want)
		}
	}
}

func TestLookupSaysTheNearestNames(t *testing.T) {
	isolate(t)
	f := automation(t)
	c := f.connect(t)
	known := lastPart(as[string](f.tasks[0]["taskArn"]))
	for _, test := range []struct {
		query Query
		says  []string
	}{
		{Query{Cluster: "automatoin", Service: "squid"}, []string{`no cluster "automatoin" (eu-west-1, account 111122223333)`, "the nearest are: automation"}},
		{Query{Cluster: "automation", Service: "sqiud"}, []string{`no service "sqiud" in cluster automation`, "the nearest are: squid"}},
		{Query{Cluster: "automation", Service: "squid", Task: "ffff"}, []string{`no task "ffff" in service automation/squid`, known}},
		{Query{Cluster: "automation", Service: "squid", Task: strings.Repeat("f", 32)}, []string{"no task", known}},
		{Query{Cluster: "automation", Service: "squid", Task: known[:28]}, []string{"may be any of several"}},
		{Query{Service: "sqiud"}, []string{`no service "sqiud"`, "automation/squid"}},
		{Query{}, []string{"several clusters to choose from", "--cluster: automation, data, shop"}},
	} {
		_, err := c.Lookup(t.Context(), test.query)
		if err == nil {
			t.Errorf("%+v: got no error", test.query)
			continue
		}
		mustSay(t, err, test.says...)
	}
}

func TestLookupWithoutClusterFindsTheOnlyOne(t *testing.T) {
	isolate(t)
	f := automation(t)
	c := f.connect(t)
	got, err := c.Lookup(t.Context(), Query{Service: "squid"})
	if err != nil || got.Cluster != "automation" {
		t.Errorf("got %v, %v; want cluster automation", got, err)
	}
	got, err = c.Lookup(t.Context(), Query{Task: lastPart(as[string](f.tasks[1]["taskArn"]))})
	if err != nil || got.Cluster != "automation" || got.Service != "squid" {
		t.Errorf("got %v, %v; want the task with its service", got, err)
	}
	f.service("shop", "squid", 1)
	_, err = c.Lookup(t.Context(), Query{Service: "squid"})
	mustSay(t, err, "--target: automation/squid, shop/squid")
}

func TestLookupWithoutServiceTakesTheOnlyReadyOne(t *testing.T) {
	isolate(t)
	f := automation(t)
	c := f.connect(t)
	got, err := c.Lookup(t.Context(), Query{Cluster: "automation"})
	if err != nil || got.Service != "squid" {
		t.Errorf("got %v, %v; want the only service", got, err)
	}
	f.task("automation", "reports", nil, "app")
	_, err = c.Lookup(t.Context(), Query{Cluster: "automation"})
	mustSay(t, err, "--service: reports, squid")
}

func TestLookupTakesARNs(t *testing.T) {
	isolate(t)
	f := automation(t)
	c := f.connect(t)
	id := lastPart(as[string](f.tasks[0]["taskArn"]))
	for _, query := range []Query{
		{Cluster: arnOf("cluster", "automation"), Service: "squid"},
		{Service: arnOf("service", "automation/squid")},
		{Task: arnOf("task", "automation/"+id)},
	} {
		if got, err := c.Lookup(t.Context(), query); err != nil || got.Cluster != "automation" || got.Service != "squid" {
			t.Errorf("%+v: got %v, %v", query, got, err)
		}
	}
	_, err := c.Lookup(t.Context(), Query{Cluster: "arn:aws:ecs:us-east-1:111122223333:cluster/automation", Service: "squid"})
	mustSay(t, err, "in account 111122223333, us-east-1", "pass --region us-east-1")
	_, err = c.Lookup(t.Context(), Query{Cluster: "arn:aws:ecs:eu-west-1:999999999999:cluster/elsewhere", Service: "squid"})
	mustSay(t, err, "you are in account 111122223333, eu-west-1", "account 999999999999", "--role-arn of account 999999999999")
	_, err = c.Lookup(t.Context(), Query{Cluster: "arn:aws:s3:::bucket"})
	mustSay(t, err, "not the ARN of an ECS")
}

// A policy that names one cluster's tasks and nothing else is all that a workflow needs.
func TestLeastPrivilegedCallerFindsTask(t *testing.T) {
	isolate(t)
	f := automation(t)
	for _, action := range []string{"ListClusters", "DescribeClusters", "ListServices", "DescribeServices", "DescribeTaskDefinition"} {
		f.refuse[action] = deniedBy(action)
	}
	c := f.connect(t)
	if _, err := c.Lookup(t.Context(), Query{Cluster: "automation", Service: "squid", Port: 3128}); err != nil {
		t.Error(text(err))
	}
	f.refuse["ListTasks"] = deniedBy("ListTasks")
	_, err := c.Lookup(t.Context(), Query{Cluster: "automation", Service: "squid", Port: 3128})
	mustSay(t, err, `"Action":["ecs:ListTasks"],"Resource":["*"],"Condition":{"ArnEquals":{"ecs:cluster":"arn:aws:ecs:eu-west-1:111122223333:cluster/automation"}}`)
}

func TestNotReadySaysWhyAndWhetherToWait(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(f *fleet)
		wait bool
		says []string
	}{
		{"agent starting", func(f *fleet) { f.task("a", "s", agent("PENDING", ""), "app") }, true, []string{"its exec agent is still starting", "--wait"}},
		{"task starting", func(f *fleet) { f.task("a", "s", set("lastStatus", "PROVISIONING"), "app") }, true, []string{"the task is PROVISIONING"}},
		{"contact lost", func(f *fleet) { f.task("a", "s", set("connectivity", "DISCONNECTED"), "app") }, true, []string{"DISCONNECTED"}},
		{"no runtime id", func(f *fleet) {
			f.task("a", "s", func(t map[string]any) { containersOf(t)[0]["runtimeId"] = nil }, "app")
		}, true, []string{"the container has not started"}},
		{"agent stopped", func(f *fleet) {
			f.task("a", "s", agent("STOPPED", "ExecuteCommandAgent process exited with exit code: 1"), "app")
		}, false, []string{
			"its exec agent has stopped (ExecuteCommandAgent process exited with exit code: 1)", "readonlyRootFilesystem", "ssmmessages.eu-west-1",
			"aws ecs update-service --cluster a --service s --force-new-deployment",
		}},
		{"one starting beside one stopped", func(f *fleet) {
			f.task("a", "s", agent("STOPPED", ""), "app")
			f.task("a", "s", agent("PENDING", ""), "app")
		}, true, []string{"still starting", "nor is the other task"}},
		{"agent never there", func(f *fleet) {
			f.task("a", "s", func(t map[string]any) { containersOf(t)[0]["managedAgents"] = nil }, "app")
		}, false, []string{"it has no exec agent", "1.4.0"}},
		{"exec off", func(f *fleet) {
			f.services[0]["enableExecuteCommand"] = false
			f.task("a", "s", set("enableExecuteCommand", false), "app")
		}, false, []string{"ECS Exec is off", "update-service --cluster a --service s --enable-execute-command --force-new-deployment"}},
		{"exec switched on later", func(f *fleet) { f.task("a", "s", set("enableExecuteCommand", false), "app") }, false, []string{"older than the service's setting", "--force-new-deployment"}},
		{"scaled to zero", func(f *fleet) { f.services[0]["desiredCount"] = 0 }, false, []string{"scaled to zero", "--desired-count 1"}},
		{"draining", func(f *fleet) { f.services[0]["status"] = "DRAINING" }, false, []string{"the service is DRAINING"}},
		{"no capacity", func(f *fleet) {
			f.services[0]["events"] = []map[string]any{{"message": "(service s) was unable to place a task because no container instance met all of its requirements."}}
		}, true, []string{"no task is running", "unable to place a task", "add capacity"}},
		{"tasks that stop", func(f *fleet) {
			stopped := func(at float64, reason string) func(map[string]any) {
				return all(set("desiredStatus", "STOPPED"), set("lastStatus", "STOPPED"), set("stoppedAt", at), set("stoppedReason", reason),
					func(t map[string]any) { containersOf(t)[0]["exitCode"] = 137 })
			}
			f.task("a", "s", stopped(1000, "an older story"), "app")
			f.task("a", "s", stopped(2000, "OutOfMemoryError: Container killed due to memory usage"), "app")
		}, true, []string{"no task is running (OutOfMemoryError: Container killed due to memory usage; app: exit code 137)", "more memory"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			isolate(t)
			f := newFleet(t, "a")
			f.service("a", "s", 1)
			test.make(f)
			_, err := f.connect(t).Lookup(t.Context(), Query{Cluster: "a", Service: "s"})
			_ = mustBe[*NotReadyError](t, err)
			mustSay(t, err, test.says...)
			if got := Temporary(err); got != test.wait {
				t.Errorf("got temporary %v, want %v", got, test.wait)
			}
		})
	}
}

func TestNamedTaskThatStoppedSaysWhy(t *testing.T) {
	isolate(t)
	f := automation(t)
	id := f.task("automation", "squid", all(set("desiredStatus", "STOPPED"), set("lastStatus", "DEPROVISIONING"), set("stoppedReason", "Your Spot Task was interrupted.")), "squid")
	_, err := f.connect(t).Lookup(t.Context(), Query{Cluster: "automation", Task: id})
	_ = mustBe[*TaskGoneError](t, err)
	mustSay(t, err, "is DEPROVISIONING: Your Spot Task was interrupted.", "FARGATE")
}

func TestSuccessorIsAnotherTaskOfTheService(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a")
	f.service("a", "s", 3)
	first := f.task("a", "s", nil, "app", "log")
	c := f.connect(t)
	now := Target{Cluster: "a", Service: "s", Task: first, Container: "app", RuntimeID: first + "-app"}

	got, err := c.Successor(t.Context(), now)
	if err != nil || got != now {
		t.Errorf("got %v, %v; want the task itself while it is the only one", got, err)
	}
	f.task("a", "s", agent("PENDING", ""), "app", "log")
	if got, err = c.Successor(t.Context(), now); err != nil || got != now {
		t.Errorf("got %v, %v; want the task itself while the other is not ready", got, err)
	}
	second := f.task("a", "s", nil, "app", "log")
	want := Target{Cluster: "a", Service: "s", Task: second, Container: "app", RuntimeID: second + "-app"}
	for range 10 {
		if got, err = c.Successor(t.Context(), now); err != nil || got != want {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
	}
	f.tasks = nil
	_, err = c.Successor(t.Context(), now)
	if !Temporary(err) {
		t.Errorf("got %v, want a temporary error: the service wants tasks", text(err))
	}
	_, err = c.Successor(t.Context(), Target{Cluster: "a", Task: first, Container: "app"})
	_ = mustBe[*TaskGoneError](t, err)
}

func TestCheckTellsGoneFromNotReady(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a")
	f.service("a", "s", 1)
	c := f.connect(t)
	target := func(id string) Target {
		return Target{Cluster: "a", Service: "s", Task: id, Container: "app", RuntimeID: id + "-app"}
	}
	good := f.task("a", "s", nil, "app", "log")
	if err := c.Check(t.Context(), target(good)); err != nil {
		t.Error(text(err))
	}
	err := c.Check(t.Context(), target(strings.Repeat("9", 32)))
	_ = mustBe[*TaskGoneError](t, err)
	for _, change := range []func(map[string]any){set("desiredStatus", "STOPPED"), set("lastStatus", "STOPPED"), set("lastStatus", "PENDING")} {
		err := c.Check(t.Context(), target(f.task("a", "s", all(change, set("stoppedReason", "Scaling activity initiated by deployment ecs-svc/1")), "app")))
		_ = mustBe[*TaskGoneError](t, err)
		mustSay(t, err, "Scaling activity", "a/s")
	}
	restarted := target(good)
	restarted.RuntimeID = "another"
	err = c.Check(t.Context(), restarted)
	_ = mustBe[*TaskGoneError](t, err)
	mustSay(t, err, "container app was restarted")
	err = c.Check(t.Context(), target(f.task("a", "s", agent("STOPPED", "x"), "app")))
	_ = mustBe[*NotReadyError](t, err)
}

func catalogOf(t *testing.T) *Catalog {
	t.Helper()
	isolate(t)
	f := automation(t)
	f.service("shop", "web", 1)
	f.service("data", "web", 1)
	f.task("data", "", nil, "job")
	f.task("shop", "web", nil, "app", "proxy")
	return must(f.connect(t).Discover(t.Context()))
}

func TestFindTakesEveryFormOfName(t *testing.T) {
	c := catalogOf(t)
	id := func(n int) string { return fmt.Sprintf("%032x", n+0xabcd0000) }
	for name, want := range map[string]Target{
		"automation/squid":                   {Cluster: "automation", Service: "squid"},
		"squid":                              {Cluster: "automation", Service: "squid"},
		"shop/web/" + id(3):                  {Cluster: "shop", Service: "web", Task: id(3)},
		"shop/web/" + id(3) + "/proxy":       {Cluster: "shop", Service: "web", Task: id(3), Container: "proxy", RuntimeID: id(3) + "-proxy"},
		"automation/squid/" + id(0):          {Cluster: "automation", Service: "squid", Task: id(0), Container: "squid", RuntimeID: id(0) + "-squid"},
		"shop/web//proxy":                    {Cluster: "shop", Service: "web", Container: "proxy"},
		"data/" + id(2):                      {Cluster: "data", Task: id(2), Container: "job", RuntimeID: id(2) + "-job"},
		"data/" + id(2) + "/job":             {Cluster: "data", Task: id(2), Container: "job", RuntimeID: id(2) + "-job"},
		id(2):                                {Cluster: "data", Task: id(2), Container: "job", RuntimeID: id(2) + "-job"},
		arnOf("service", "automation/squid"): {Cluster: "automation", Service: "squid"},
		arnOf("task", "data/"+id(2)):         {Cluster: "data", Task: id(2), Container: "job", RuntimeID: id(2) + "-job"},
	} {
		if got, err := c.Find(name); err != nil || got != want {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, want)
		}
	}
	for name, says := range map[string][]string{
		"web":                          {"may be any of several", "data/web, shop/web"},
		"sqiud":                        {`no target "sqiud"`, "automation/squid"},
		"shp/web":                      {`no cluster "shp"`, "the nearest are: shop"},
		"shop/wbe":                     {`no service "wbe" in cluster shop`, "the nearest are: web"},
		"shop/web/ffffffff":            {`no task "ffffffff" in service shop/web`},
		"automation/squid/0000":        {`task "0000" may be any of several`},
		"shop/web/" + id(3) + "/porxy": {`no container "porxy" in task`, "the nearest are: proxy"},
		"shop/web//porxy":              {`no container "porxy" in service shop/web`, "the nearest are: proxy"},
		"a/b/c/d/e":                    {"no cluster"},
		"shop/b/c/d/e":                 {"5 parts", "cluster/service/task/container"},
		"":                             {"no target"},
	} {
		_, err := c.Find(name)
		if err == nil {
			t.Errorf("%s: got no error", name)
			continue
		}
		mustSay(t, err, says...)
	}
}

func TestParseTargetKnowsItsForms(t *testing.T) {
	for form, want := range map[string]Target{
		"a/s":                   {Cluster: "a", Service: "s"},
		"a/s/t":                 {Cluster: "a", Service: "s", Task: "t"},
		"a/s/t/c":               {Cluster: "a", Service: "s", Task: "t", Container: "c"},
		"a/s//c":                {Cluster: "a", Service: "s", Container: "c"},
		"a//f":                  {Cluster: "a", Family: "f"},
		"a//f:3":                {Cluster: "a", Family: "f:3"},
		"a//f/c":                {Cluster: "a", Family: "f", Container: "c"},
		arnOf("service", "a/s"): {Cluster: "a", Service: "s", Home: homeOf(arnOf("service", "a/s"))},
		arnOf("task", "a/t"):    {Cluster: "a", Task: "t", Home: homeOf(arnOf("task", "a/t"))},
		arnOf("task", "t"):      {Task: "t", Home: homeOf(arnOf("task", "t"))},
	} {
		got, err := ParseTarget(form)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", form, got, err, want)
		}
		if text := got.String(); !isARN(form) && text != form {
			t.Errorf("%s: String() is %s", form, text)
		}
	}
	for _, form := range []string{"", "a", "a/", "/s", "a//", "a//f/", "//f", "a/s/", "a/s//", "/s//c", "a///c", "a///", "a/s/t/", "a/s/t/c/x", "arn:aws:s3:::x", arnOf("cluster", "a")} {
		_, err := ParseTarget(form)
		if err == nil {
			t.Errorf("%q: got no error", form)
			continue
		}
		_ = mustBe[*TargetFormError](t, err)
	}
}

// What a search that found nothing advises is about the account that was searched.
func TestWhatIsNotFoundIsLookedForInTheSameAccount(t *testing.T) {
	home := isolate(t)
	write(t, filepath.Join(home, "config"), "[profile ours]\nregion = eu-west-1\n")
	write(t, filepath.Join(home, "credentials"), "[ours]\naws_access_key_id = A\naws_secret_access_key = b\n")
	f := newFleet(t)
	c, err := Connect(t.Context(), Options{Profile: "ours", Endpoint: f.URL})
	if err != nil {
		t.Fatal(text(err))
	}
	_, err = c.Lookup(t.Context(), Query{Service: "squid"})
	if got, want := say.Remedy(err), "culvert list --profile ours --region eu-west-1"; !strings.Contains(got, want) {
		t.Errorf("got %v with the advice %q, want %q in it", err, got, want)
	}
}
