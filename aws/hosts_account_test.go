package aws_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
)

// Each service that lists hosts takes a permission of its own. One that is missing is named, and the others are asked.
func TestHostsThatMayNotBeListedAreNamedByTheirPermission(t *testing.T) {
	e := account(t)
	c := connect(t, e)
	whole := c.AccountHosts(t.Context())
	if len(whole.Hosts) != 3 || len(whole.Gaps) > 0 {
		t.Fatalf("got %v and %v, want the demo's three hosts", whole.Hosts, whole.Gaps)
	}
	for action, hides := range map[string]string{
		"rds:DescribeDBInstances": "orders-db", "rds:DescribeDBClusters": "", "rds:DescribeDBProxies": "",
		"elasticache:DescribeCacheClusters": "sessions", "elasticache:DescribeReplicationGroups": "sessions", "elasticache:DescribeServerlessCaches": "",
		"memorydb:DescribeClusters": "", "es:ListDomainNames": "", "kafka:ListClustersV2": "", "mq:ListBrokers": "", "redshift:DescribeClusters": "",
		"redshift-serverless:ListWorkgroups": "", "elasticloadbalancing:DescribeLoadBalancers": "web", "elasticloadbalancing:DescribeListeners": "web",
		"servicediscovery:ListNamespaces": "", "eks:ListClusters": "",
	} {
		e.Fault(func(f *emulator.Faults) { f.API = []emulator.APIFault{{Action: action, Kind: emulator.Deny}} })
		got := c.AccountHosts(t.Context())
		var names []string
		for _, h := range got.Hosts {
			names = append(names, h.Name)
		}
		want := slices.DeleteFunc([]string{"orders-db", "sessions", "web"}, func(name string) bool { return name == hides })
		if !slices.Equal(names, want) {
			t.Errorf("without %s: got %q, want %q", action, names, want)
		}
		if len(got.Gaps) != 1 {
			t.Errorf("without %s: got %v, want one gap", action, got.Gaps)
			continue
		}
		denied, ok := errors.AsType[*aws.DeniedError](got.Gaps[0])
		if !ok || denied.Action != action || !strings.Contains(say.Remedy(got.Gaps[0]), `"`+action+`"`) {
			t.Errorf("without %s: got %v, remedy %q", action, got.Gaps[0], say.Remedy(got.Gaps[0]))
		}
	}
}

func TestTheWayToAHostOfTheAccountIsJudged(t *testing.T) {
	e := account(t)
	c := connect(t, e)
	catalog, err := c.Look(t.Context(), aws.Sight{Cluster: "automation", Parts: aws.Services | aws.Tasks}, func(*aws.Catalog) {})
	if err != nil {
		t.Fatal(err)
	}
	hosts := c.AccountHosts(t.Context()).Hosts
	ways, err := c.Ways(t.Context(), catalog, hosts)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, h := range hosts {
		for _, w := range ways[i] {
			got = append(got, fmt.Sprintf("%s by %s/%s: %s", h.Name, w.Cluster, w.Service, w.Verdict))
			if w.Missing != nil && !strings.Contains(w.Missing.Terraform(), `resource "aws_vpc_security_group_ingress_rule"`) {
				t.Errorf("got %s", w.Missing.Terraform())
			}
		}
	}
	want := []string{"orders-db by automation/squid: admitted", "sessions by automation/squid: no rule", "web by automation/squid: admitted"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	e.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ec2:DescribeSecurityGroups", Kind: emulator.Deny}}
	})
	ways, err = c.Ways(t.Context(), catalog, hosts)
	denied, ok := errors.AsType[*aws.DeniedError](err)
	if !ok || denied.Action != "ec2:DescribeSecurityGroups" || ways[0][0].Verdict != aws.Unchecked {
		t.Errorf("without ec2:DescribeSecurityGroups: got %v, %v", ways, err)
	}
}

// What a task definition holds beside hosts and ports is nobody's: a password in a URL least of all.
func TestHostsOfAnEnvironmentBringNoSecretWithThem(t *testing.T) {
	const secret = "hunter2"
	app := emulator.Container{
		Name: "app", Ports: map[uint16]string{80: ""},
		Environment: []string{
			"DATABASE_URL=postgres://orders:" + secret + "@orders-db.internal:5432/" + secret, "DSN=host=other.internal password=" + secret,
			"REDIS_HOST=cache.internal", "REDIS_PORT=6380", "API_TOKEN=" + secret,
		},
		Secrets: []string{"MONGO_URL=arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/mongo-Ab12Cd:url::"},
	}
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{
		Name: "shop", Services: []emulator.Service{{Name: "web", Count: 1, Task: emulator.Task{Containers: []emulator.Container{app}}}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	id, key := e.Credentials()
	var log bytes.Buffer
	c, err := aws.Connect(t.Context(), aws.Options{
		Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: key},
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := c.Look(t.Context(), aws.Sight{Parts: aws.Services | aws.Tasks}, func(*aws.Catalog) {})
	if err != nil {
		t.Fatal(err)
	}
	got := c.NamedHosts(t.Context(), catalog)
	var hosts []string
	for _, h := range got.Hosts {
		hosts = append(hosts, string(h.Kind)+" "+h.Address()+" by "+h.Mentions[0].Variable)
	}
	want := []string{"redis cache.internal:6380 by REDIS_HOST", "postgres orders-db.internal:5432 by DATABASE_URL", " other.internal by DSN"}
	if !slices.Equal(hosts, want) {
		t.Errorf("got %q, want %q", hosts, want)
	}
	if len(got.Unread) != 1 || got.Unread[0].Variable != "MONGO_URL" || got.Unread[0].Secret != "prod/mongo" {
		t.Errorf("got %+v, want the variable that a secret sets", got.Unread)
	}
	text, err := json.Marshal(got) //nolint:musttag // all that is in it, whatever it is called
	if err != nil || strings.Contains(string(text)+log.String(), secret) {
		t.Errorf("%v, or a secret in\n%s\n%s", err, text, log.String())
	}
}
