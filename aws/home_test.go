package aws

import (
	"strings"
	"testing"
)

// homeOf is the home of this package's test account, as an ARN of it says.
func homeOf(arn string) Home {
	return Home{Partition: "aws", Account: "111122223333", Region: "eu-west-1", ARN: arn}
}

func TestARNOfAnotherPlaceIsRefusedBeforeAnythingIsLookedAt(t *testing.T) {
	isolate(t)
	for name, test := range map[string]struct {
		query Query
		says  []string
	}{
		"region, by its service": {Query{Service: "arn:aws:ecs:us-east-1:111122223333:service/automation/squid"},
			[]string{"you are in account 111122223333, eu-west-1; arn:aws:ecs:us-east-1", "is in account 111122223333, us-east-1", "pass --region us-east-1"}},
		"account, by its cluster": {Query{Cluster: "arn:aws:ecs:eu-west-1:999922223333:cluster/automation", Service: "squid"},
			[]string{"you are in account 111122223333, eu-west-1", "is in account 999922223333, eu-west-1", "--role-arn of account 999922223333"}},
		"account, by its task": {Query{Task: "arn:aws:ecs:eu-west-1:999922223333:task/automation/0123"},
			[]string{"is in account 999922223333, eu-west-1"}},
		"account, in the old form": {Query{Service: "arn:aws:ecs:eu-west-1:999922223333:service/squid"},
			[]string{"is in account 999922223333, eu-west-1"}},
		"both": {Query{Service: "arn:aws:ecs:us-east-1:999922223333:service/automation/squid"},
			[]string{"is in account 999922223333, us-east-1", "pass --region us-east-1 and the --profile or --role-arn of account 999922223333"}},
		"partition": {Query{Service: "arn:aws-cn:ecs:cn-north-1:111122223333:service/automation/squid"},
			[]string{"(partition aws here, aws-cn there)", "pass --region cn-north-1"}},
		"partition that the region is not of": {Query{Service: "arn:aws-cn:ecs:eu-west-1:111122223333:service/automation/squid"},
			[]string{"(partition aws here, aws-cn there)", "region eu-west-1 belongs to partition aws, not to aws-cn"}},
		"as a target": {must(ParseTarget("arn:aws:ecs:eu-west-1:999922223333:service/automation/squid")).Query(),
			[]string{"is in account 999922223333, eu-west-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := automation(t)
			c := f.connect(t)
			_, err := c.Lookup(t.Context(), test.query)
			_ = mustBe[*ElsewhereError](t, err)
			mustSay(t, err, test.says...)
			if in := c.Inspect(t.Context(), test.query); in.Err == nil || in.Cluster.Name != "" || in.Service.Name != "" {
				t.Errorf("got %+v, want an inspection that has seen nothing of the account it is not about", in)
			}
			for action := range f.seen {
				if action != "GetCallerIdentity" {
					t.Errorf("%s was called", action)
				}
			}
		})
	}
}

func TestWhoTheCallerIsCostsOneCallAndOnlyForAnARN(t *testing.T) {
	isolate(t)
	f := automation(t)
	c := f.connect(t)
	for range 3 {
		if _, err := c.Lookup(t.Context(), Query{Cluster: "automation", Service: "squid"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.calls("GetCallerIdentity")); n != 0 {
		t.Errorf("got %d calls for a plain name, want none", n)
	}
	for range 3 {
		if _, err := c.Lookup(t.Context(), Query{Service: arnOf("service", "automation/squid")}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.calls("GetCallerIdentity")); n != 1 {
		t.Errorf("got %d calls for an ARN, want one", n)
	}
}

func TestARNIsNotTakenOnTrustWhenTheCallerIsNotKnown(t *testing.T) {
	isolate(t)
	f := automation(t)
	f.answers["GetCallerIdentity"] = func(map[string]any) any { return refusal{Code: "Throttling", Message: "Rate exceeded"} }
	c, err := f.connectEnv(t, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Lookup(t.Context(), Query{Service: arnOf("service", "automation/squid")})
	mustSay(t, err, "whose account this is cannot be found out", "sts:GetCallerIdentity is throttled")
	f.answers["GetCallerIdentity"] = func(map[string]any) any {
		return raw{Body: `<GetCallerIdentityResponse><GetCallerIdentityResult></GetCallerIdentityResult></GetCallerIdentityResponse>`}
	}
	_, err = c.Lookup(t.Context(), Query{Service: arnOf("service", "automation/squid")})
	mustSay(t, err, "it names no account")
	if len(f.calls("ListTasks")) > 0 {
		t.Error("tasks were listed although nobody knows of which account")
	}
}

func TestARNAloneNamesItsCluster(t *testing.T) {
	isolate(t)
	f := automation(t)
	f.service("shop", "web", 1)
	f.task("shop", "web", nil, "app", "proxy")
	c := f.connect(t)
	id := lastPart(as[string](f.tasks[0]["taskArn"]))
	for name, query := range map[string]Query{
		"service":              {Service: arnOf("service", "automation/squid")},
		"task":                 {Task: arnOf("task", "automation/"+id)},
		"task with container":  {Task: arnOf("task", "automation/"+id), Container: "squid"},
		"cluster twice":        {Cluster: "automation", Service: arnOf("service", "automation/squid")},
		"service in old form":  {Service: arnOf("service", "squid")},
		"task in old form":     {Task: arnOf("task", id)},
		"old form and cluster": {Cluster: arnOf("cluster", "automation"), Service: arnOf("service", "squid")},
	} {
		if got, err := c.Lookup(t.Context(), query); err != nil || got.Cluster != "automation" || got.Service != "squid" {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestNamesThatContradictEachOtherAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		query Query
		says  []string
	}{
		"regions":  {Query{Cluster: arnOf("cluster", "a"), Service: "arn:aws:ecs:us-east-1:111122223333:service/a/s"}, []string{"eu-west-1, and account 111122223333, us-east-1"}},
		"accounts": {Query{Cluster: arnOf("cluster", "a"), Task: "arn:aws:ecs:eu-west-1:999922223333:task/a/t"}, []string{"account 111122223333, eu-west-1, and account 999922223333, eu-west-1"}},
		"partitions": {Query{Service: arnOf("service", "a/s"), Task: "arn:aws-cn:ecs:eu-west-1:111122223333:task/a/t"},
			[]string{"and account 111122223333, eu-west-1 of partition aws-cn"}},
		"clusters":      {Query{Cluster: "a", Task: arnOf("task", "b/t")}, []string{"a and " + arnOf("task", "b/t"), "cluster a, and cluster b"}},
		"cluster ARNs":  {Query{Cluster: arnOf("cluster", "a"), Service: arnOf("service", "b/s")}, []string{arnOf("cluster", "a") + " and " + arnOf("service", "b/s")}},
		"two ARNs":      {Query{Service: arnOf("service", "a/s"), Task: arnOf("task", "b/t")}, []string{arnOf("service", "a/s") + " and " + arnOf("task", "b/t")}},
		"with a target": {Query{Cluster: arnOf("cluster", "a"), Service: "s", Home: Home{Partition: "aws", Account: "999922223333", Region: "eu-west-1", ARN: "arn:x"}}, []string{"arn:x and "}},
	} {
		_, err := test.query.Parse()
		if err == nil {
			t.Errorf("%s: got no error", name)
			continue
		}
		_ = mustBe[*ContradictionError](t, err)
		mustSay(t, err, append(test.says, "leave one of the two out")...)
	}
}

func TestMalformedARNSaysWhatIsWrongWithIt(t *testing.T) {
	for form, says := range map[string]string{
		"arn:aws:ecs:eu-west-1::service/a/s":                         `its account is "", not twelve digits`,
		"arn:aws:ecs:eu-west-1:11112222333:service/a/s":              "not twelve digits",
		"arn:aws:ecs::111122223333:service/a/s":                      `"" is no AWS region`,
		"arn:aws:ecs:Ireland:111122223333:service/a/s":               `"Ireland" is no AWS region`,
		"arn:amazon:ecs:eu-west-1:111122223333:service/a/s":          `"amazon" is no partition`,
		"arn::ecs:eu-west-1:111122223333:service/a/s":                `"" is no partition`,
		"arn:aws:ec2:eu-west-1:111122223333:instance/i-1":            `its service is "ec2"`,
		"arn:aws:ecs:eu-west-1:111122223333:task-definition/squid:1": `it names a "task-definition"`,
		"arn:aws:ecs:eu-west-1:111122223333:container/a/t/c":         `it names a "container"`,
		"arn:aws:ecs:eu-west-1:111122223333:task/":                   `"" is no name of a task`,
		"arn:aws:ecs:eu-west-1:111122223333:task/a/":                 `"" is no name of a task`,
		"arn:aws:ecs:eu-west-1:111122223333:task//t":                 `"" is no name of a task`,
		"arn:aws:ecs:eu-west-1:111122223333:task/a/t/x":              "3 names behind task/",
		"arn:aws:ecs:eu-west-1:111122223333:service/a/$(id)":         "is no name of a service",
		"arn:aws:ecs:eu-west-1:111122223333:service":                 `"" is no name of a service`,
		"arn:aws:ecs:eu-west-1:111122223333":                         "5 parts of 6",
		"arn:":                                                       "2 parts of 6",
		"arn:aws:ecs:eu-west-1:111122223333:cluster/a":               "but of a cluster",
	} {
		_, err := ParseTarget(form)
		if err == nil {
			t.Errorf("%s: got no error", form)
			continue
		}
		_ = mustBe[*TargetFormError](t, err)
		mustSay(t, err, says, "write arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/SERVICE")
	}
	_, err := Query{Service: arnOf("task", "a/t")}.Parse()
	mustSay(t, err, "the ARN of a task, where a service is to be named")
	_, err = Query{Cluster: "a", Service: "s", Container: arnOf("task", "a/t")}.Parse()
	mustSay(t, err, "where a container is to be named")
}

func TestEveryRegionHasItsPartition(t *testing.T) {
	for region, want := range map[string]string{
		"eu-west-1": "aws", "ap-southeast-7": "aws", "mx-central-1": "aws", "cn-northwest-1": "aws-cn", "us-gov-east-1": "aws-us-gov", "us-iso-west-1": "aws-iso",
		"us-isob-east-1": "aws-iso-b", "eu-isoe-west-1": "aws-iso-e", "us-isof-south-1": "aws-iso-f", "eusc-de-east-1": "aws-eusc",
	} {
		if got := partitionOf(region); got != want {
			t.Errorf("%s: got %s, want %s", region, got, want)
		}
		arn := "arn:" + want + ":ecs:" + region + ":111122223333:service/a/s"
		if got, err := ParseTarget(arn); err != nil || got.Home.Partition != want || got.Home.Region != region {
			t.Errorf("%s: got %+v, %v", arn, got, err)
		}
	}
}

func TestCatalogDoesNotAnswerForAnotherAccount(t *testing.T) {
	c := catalogOf(t)
	for _, form := range []string{"arn:aws:ecs:us-east-1:111122223333:service/automation/squid", "arn:aws:ecs:eu-west-1:999922223333:service/squid"} {
		_, err := c.Find(form)
		_ = mustBe[*ElsewhereError](t, err)
		if !strings.Contains(err.Error(), form) {
			t.Errorf("got %v, want it to name %s", err, form)
		}
	}
}
