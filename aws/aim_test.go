package aws_test

import (
	"errors"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
)

// aimed is the demo account, and a client of it.
func aimed(t *testing.T) (*emulator.Emulator, *aws.Client) {
	t.Helper()
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Demo()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	id, secret := e.Credentials()
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	return e, client
}

func TestAimFindsTheWayWithinWhatIsNamed(t *testing.T) {
	t.Parallel()
	e, client := aimed(t)
	task := e.Tasks("automation", "squid")[1]
	for _, c := range []struct {
		within    aws.Query
		name      string
		want      string // the address, and through what
		unchecked string
	}{
		{aws.Query{}, "orders-db", "orders-db.internal:5432 through shop/web", ""},
		{aws.Query{Cluster: "automation"}, "orders-db", "orders-db.internal:5432 through automation/squid", ""},
		{aws.Query{Service: "airflow"}, "orders-db", "orders-db.internal:5432 through data/airflow", ""},
		{aws.Query{Cluster: "automation", Task: task}, "orders-db", "orders-db.internal:5432 through automation/" + task, ""},
		{aws.Query{Cluster: "automation", Service: "squid", Task: task[:8]}, "orders-db", "orders-db.internal:5432 through automation/squid/" + task[:8], ""},
		{aws.Query{Cluster: "data", Family: "etl-nightly"}, "orders-db", "orders-db.internal:5432 through data//etl-nightly", "no service started its task"},
		{aws.Query{Cluster: "automation"}, "orders-db:6432", "orders-db.internal:6432 through automation/squid", "another port"},
		{aws.Query{Cluster: "automation"}, "orders.internal", "orders.internal:80 through automation/squid", "where the host is was not said"}, // that shop names
	} {
		aims, err := client.Aim(t.Context(), c.within, c.name)
		if err != nil {
			t.Errorf("%s within %q: %v", c.name, c.within.Target(), err)
			continue
		}
		a := aims[0]
		if got := a.Host.Address() + " through " + a.Through.Target().String(); got != c.want {
			t.Errorf("%s within %q: got %s, want %s", c.name, c.within.Target(), got, c.want)
		}
		switch {
		case c.unchecked == "" && a.Unchecked != nil:
			t.Errorf("%s within %q: %v", c.name, c.within.Target(), a.Unchecked)
		case c.unchecked != "" && (a.Unchecked == nil || !strings.Contains(a.Unchecked.Error(), c.unchecked)):
			t.Errorf("%s within %q: got %v, want %q", c.name, c.within.Target(), a.Unchecked, c.unchecked)
		}
	}
}

// Several names cost one look.
func TestAimAsksOnceForAllNames(t *testing.T) {
	t.Parallel()
	e, client := aimed(t)
	aims, err := client.Aim(t.Context(), aws.Query{}, "orders-db", "web", "orders-db.internal:5432")
	if err != nil || len(aims) != 3 {
		t.Fatalf("got %d, %v", len(aims), err)
	}
	if n := e.Calls("DescribeDBInstances"); n != 1 {
		t.Errorf("the databases were listed %d times", n)
	}
}

func TestAimSaysWhyNot(t *testing.T) {
	t.Parallel()
	deny := func(actions ...string) func(*emulator.Faults) {
		return func(f *emulator.Faults) {
			for _, action := range actions {
				f.API = append(f.API, emulator.APIFault{Action: action, Kind: emulator.Deny})
			}
		}
	}
	for name, c := range map[string]struct {
		within       aws.Query
		fault        func(*emulator.Faults)
		to           string
		says, remedy string
		temporary    bool
	}{
		"no rule":                  {to: "sessions", says: "no way to sessions", remedy: "authorize-security-group-ingress"},
		"unknown":                  {to: "order-db", says: `no destination "order-db"`, remedy: "the nearest are: orders-db"},
		"perhaps among the denied": {fault: deny("rds:DescribeDBInstances"), to: "orders-db", says: "not everything could be asked: list databases: rds:DescribeDBInstances is not allowed", remedy: `"rds:DescribeDBInstances"`},
		"perhaps in a definition":  {fault: deny("ecs:DescribeTaskDefinition"), to: "orders.internal", says: "list task definitions: ", remedy: "ecs:DescribeTaskDefinition"},
		"many denied": {
			fault: deny("rds:DescribeDBInstances", "rds:DescribeDBClusters", "rds:DescribeDBProxies", "elasticache:DescribeReplicationGroups", "elasticloadbalancing:DescribeLoadBalancers"),
			to:    "orders-db", says: "list caches: elasticache:DescribeReplicationGroups is not allowed; ", remedy: "culvert doctor policy --to --cluster CLUSTER",
		},
		"no such service": {within: aws.Query{Cluster: "automation", Service: "squit"}, to: "orders-db", says: `no service "squit"`, remedy: "squid"},
		"no such cluster": {within: aws.Query{Cluster: "automatio"}, to: "orders-db", says: `no cluster "automatio"`, remedy: "automation"},
		"no such task":    {within: aws.Query{Cluster: "automation", Task: "ffff"}, to: "orders-db", says: `no task "ffff"`},
		"an agent starts": {within: aws.Query{Cluster: "automation", Service: "batch"}, to: "orders-db", says: "no ready task through which orders-db could be reached: automation/batch", temporary: true},
		"exec is off":     {within: aws.Query{Cluster: "automation", Service: "reports"}, to: "orders-db", says: "no ready task through which orders-db could be reached: automation/reports"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, client := aimed(t)
			if c.fault != nil {
				e.Fault(c.fault)
			}
			_, err := client.Aim(t.Context(), c.within, c.to)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(say.Remedy(err), c.remedy) || say.Remedy(err) == "" {
				t.Errorf("got %v\nremedy %q\nwant %q, %q", err, say.Remedy(err), c.says, c.remedy)
			}
			if aws.Temporary(err) != c.temporary {
				t.Errorf("temporary is %t", aws.Temporary(err))
			}
			if unseen, ok := errors.AsType[*aws.UnseenError](err); ok && len(unseen.Gaps) > 3 && !strings.HasSuffix(err.Error(), "and 2 more") {
				t.Errorf("got %v, want three of the gaps told", err)
			}
		})
	}
}

// Whoever may look at one cluster alone is asked for nothing else of ECS, and finds no less there.
func TestAimWithinAClusterNeedsNoOther(t *testing.T) {
	t.Parallel()
	e, client := aimed(t)
	e.Fault(func(f *emulator.Faults) {
		f.API = append(f.API, emulator.APIFault{Action: "ecs:ListClusters", Kind: emulator.Deny})
	})
	within := aws.Query{Cluster: "automation", Service: "squid"}
	if _, err := client.Aim(t.Context(), within, "orders-db"); err != nil {
		t.Error(err)
	}
	if _, err := client.Aim(t.Context(), within, "orders.internal"); err == nil || !strings.Contains(err.Error(), `no destination "orders.internal"`) {
		t.Errorf("got %v, want that it is not found", err)
	}
}

func TestDestinationNamesAreWhatAimTakes(t *testing.T) {
	t.Parallel()
	_, client := aimed(t)
	names, err := client.DestinationNames(t.Context(), aws.Sight{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(names, " "), "orders-db orders.internal sessions web"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
