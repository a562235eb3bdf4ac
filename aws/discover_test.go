package aws

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func deniedBy(action string) refusal {
	return refusal{Code: "AccessDeniedException", Message: "User: arn:aws:iam::111122223333:user/me is not authorized to perform: ecs:" + action + " because no identity-based policy allows the ecs:" + action + " action"}
}

func TestDiscoverReadsEveryPageOfEveryList(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a", "b", "c", "d", "e")
	for _, cluster := range f.clusters {
		for i := range 23 { // more than two batches of DescribeServices
			f.service(cluster, fmt.Sprintf("s%02d", i), 1)
			f.task(cluster, fmt.Sprintf("s%02d", i), nil, "web")
		}
	}
	f.pageSize = 3
	c := f.connect(t)
	got, err := c.Discover(t.Context())
	if err != nil {
		t.Fatal(text(err))
	}
	if len(got.Gaps) > 0 {
		t.Errorf("got gaps %v, want none", got.Gaps)
	}
	if len(got.Clusters) != 5 {
		t.Fatalf("got %d clusters, want 5", len(got.Clusters))
	}
	for _, k := range got.Clusters {
		if len(k.Services) != 23 || len(k.Tasks) != 23 {
			t.Errorf("cluster %s: got %d services and %d tasks, want 23 and 23", k.Name, len(k.Services), len(k.Tasks))
		}
		if k.Status != "ACTIVE" || k.ARN == "" {
			t.Errorf("cluster %s is not described: %+v", k.Name, k)
		}
	}
	for _, call := range f.calls("ListServices") {
		if call["maxResults"] != float64(100) {
			t.Errorf("got maxResults %v, want 100: ECS gives 10 unless asked", call["maxResults"])
		}
	}
	again, err := c.Discover(t.Context())
	if err != nil {
		t.Fatal(text(err))
	}
	if diff := cmp.Diff(got, again, cmpopts.IgnoreFields(Catalog{}, "Taken")); diff != "" {
		t.Errorf("two looks at the same account differ: %s", diff)
	}
	if got := len(f.calls("DescribeTaskDefinition")); got != 23 {
		t.Errorf("got %d DescribeTaskDefinition calls in two looks, want one for each of 23 definitions", got)
	}
}

func TestDiscoverDescribesAtMost100TasksPerCall(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a")
	f.pageSize = 1000 // an account that gives more than it should: the fake refuses 101
	for range 250 {
		f.task("a", "", nil, "job")
	}
	got, err := f.connect(t).Discover(t.Context())
	if err != nil || len(got.Gaps) > 0 || len(got.Clusters[0].Tasks) != 250 {
		t.Errorf("got %d tasks, gaps %v, %v; want 250 and none", len(got.Clusters[0].Tasks), got.Gaps, err)
	}
}

func TestDiscoverGivesUpOnRepeatedPageToken(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a")
	f.service("a", "web", 1)
	f.task("a", "web", nil, "web")
	ordinary := f.answers["ListTasks"]
	f.answers["ListTasks"] = func(in map[string]any) any {
		out := as[map[string]any](ordinary(map[string]any{"cluster": in["cluster"], "desiredStatus": "RUNNING"}))
		out["nextToken"] = "again"
		return out
	}
	got, err := f.connect(t).Discover(t.Context())
	if err != nil {
		t.Fatal(text(err))
	}
	if len(got.Clusters[0].Tasks) != 1 || len(got.Gaps) != 1 {
		t.Fatalf("got %d tasks and gaps %v, want one of each", len(got.Clusters[0].Tasks), got.Gaps)
	}
	mustSay(t, got.Gaps[0], "list tasks of cluster a", "same page token again")
	if n := len(f.calls("ListTasks")); n != 2 {
		t.Errorf("got %d calls, want 2", n)
	}
}

func TestDeniedPartIsGapBesideTheRest(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a", "b", "c")
	for _, cluster := range f.clusters {
		f.service(cluster, "web", 1)
		f.task(cluster, "web", nil, "web")
	}
	f.refuse["ListServices b"] = deniedBy("ListServices")
	f.refuse["ListServices c"] = deniedBy("ListServices")
	f.refuse["DescribeTasks c"] = deniedBy("DescribeTasks")
	f.refuse["DescribeTaskDefinition"] = deniedBy("DescribeTaskDefinition")
	f.refuse["DescribeClusters"] = deniedBy("DescribeClusters")
	got, err := f.connect(t).Discover(t.Context())
	if err != nil {
		t.Fatal(text(err))
	}
	if n := len(got.Clusters[0].Services) + len(got.Clusters[0].Tasks) + len(got.Clusters[1].Tasks); n != 3 {
		t.Errorf("got %+v, want what could be listed", got.Clusters)
	}
	if id := got.Clusters[2].Tasks[0].ID; id == "" {
		t.Error("a task that cannot be described is still listed")
	}
	said := make([]string, len(got.Gaps))
	for i, g := range got.Gaps {
		said[i] = text(g)
	}
	all := strings.Join(said, "\n")
	for _, part := range []string{
		"list services of clusters b, c: not allowed: ecs:ListServices",
		`"Action":["ecs:ListServices"],"Resource":["*"]}`,
		"list details of tasks of cluster c",
		`"Resource":["arn:aws:ecs:eu-west-1:111122223333:task/c/*"]`,
		"list task definitions: not allowed: ecs:DescribeTaskDefinition",
		"list details of clusters",
	} {
		if !strings.Contains(all, part) {
			t.Errorf("got gaps\n%s\nwant %q in them", all, part)
		}
	}
	if len(got.Gaps) != 4 {
		t.Errorf("got %d gaps, want 4: the same refusal of several clusters is one", len(got.Gaps))
	}
}

func TestDiscoverFailsOnlyWhenThereIsNothingToShow(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a", "b", "c")
	f.refuse["ListClusters"] = deniedBy("ListClusters")
	c := f.connect(t)
	_, err := c.Discover(t.Context())
	_ = mustBe[*DeniedError](t, err)
	mustSay(t, err, `{"Effect":"Allow","Action":["ecs:ListClusters"],"Resource":["*"]}`)

	f.task("b", "", nil, "job")
	got, err := c.Look(t.Context(), Sight{Cluster: "b"}, func(*Catalog) {})
	if err != nil || len(got.Clusters) != 1 || len(got.Clusters[0].Tasks) != 1 {
		t.Fatalf("got %+v, %v; want cluster b without ListClusters", got, err)
	}
	got, err = c.Look(t.Context(), Sight{Cluster: "nowhere"}, func(*Catalog) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Gaps) == 0 {
		t.Error("a named cluster that does not exist is worth a gap")
	}
}

func TestClusterThatVanishesIsNoGap(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a", "b")
	f.refuse["ListTasks b"] = refusal{Code: "ClusterNotFoundException", Message: "Cluster not found."}
	got, err := f.connect(t).Discover(t.Context())
	if err != nil || len(got.Gaps) != 0 || len(got.Clusters) != 1 {
		t.Errorf("got %+v, %v; want cluster a alone", got, err)
	}
}

func TestLookShowsGrowingCatalogs(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a", "b", "c")
	for i := range 20 {
		f.task("b", "", nil, fmt.Sprint("job", i))
	}
	var mu sync.Mutex
	var sizes []int
	var first *Catalog
	last, err := f.connect(t).Look(t.Context(), Sight{}, func(c *Catalog) {
		if !mu.TryLock() {
			t.Error("two calls at a time")
			return
		}
		defer mu.Unlock()
		n := len(c.Clusters)
		for _, k := range c.Clusters {
			n += len(k.Tasks)
		}
		sizes = append(sizes, n)
		if first == nil {
			first = c
		}
	})
	if err != nil {
		t.Fatal(text(err))
	}
	if !slices.IsSorted(sizes) || len(sizes) < 5 || sizes[0] >= sizes[len(sizes)-1] || sizes[len(sizes)-1] != 23 {
		t.Errorf("got sizes %v, want growing ones up to 23", sizes)
	}
	if len(first.Clusters) == len(last.Clusters) && len(first.Clusters[1].Tasks) == 20 {
		t.Error("the first catalog was edited")
	}
}

func TestPortsComeFromTaskDefinition(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a")
	f.ports[arnOf("task-definition", "web:1")] = map[string]int{"proxy": 3128, "odd": 70_000}
	f.service("a", "web", 1)
	f.task("a", "web", agent("STOPPED", "out of memory"), "proxy", "odd")
	got := must(f.connect(t).Discover(t.Context())).Clusters[0].Tasks[0]
	want := []Container{
		{Name: "odd", RuntimeID: got.ID + "-odd", Status: "RUNNING", Agent: Agent{Status: "STOPPED", Reason: "out of memory"}, Essential: true},
		{Name: "proxy", RuntimeID: got.ID + "-proxy", Status: "RUNNING", Agent: Agent{Status: "STOPPED", Reason: "out of memory"}, Ports: []Port{{Container: 3128, Protocol: "tcp"}}, Essential: true},
	}
	if diff := cmp.Diff(want, got.Containers); diff != "" {
		t.Error(diff)
	}
}

func FuzzDescribeTasksAnswer(f *testing.F) {
	f.Add([]byte(`{"tasks":[{"taskArn":"arn:aws:ecs:eu-west-1:1:task/a/b","containers":[{"name":"x","managedAgents":[{"name":"ExecuteCommandAgent"}]}]}]}`))
	f.Add([]byte(`{"tasks":[{"taskArn":"","group":"service:","containers":[{}]},{}],"failures":[{}]}`))
	f.Add([]byte(`{"tasks":[null]}`))
	f.Add([]byte(`{"tasks":{"a":1}}`))
	f.Add([]byte(`[`))
	f.Add([]byte(`{"tasks":[{"startedAt":1e308,"taskArn":"////"}]}`))
	f.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	c := must(Connect(f.Context(), Options{Region: "eu-west-1", Keys: Keys{ID: "a", Secret: "b"}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		c.ecs = ecs.NewFromConfig(c.config, func(o *ecs.Options) {
			o.HTTPClient = &bytesClient{answered: body}
			o.Retryer = sdk.NopRetryer{}
		})
		target := Target{Cluster: "a", Service: "s", Task: strings.Repeat("b", 32), Container: "x", RuntimeID: "r"}
		// None of these may panic, whatever the answer.
		_ = c.Check(t.Context(), target)
		_, _ = c.Lookup(t.Context(), Query{Cluster: "a", Task: target.Task, Port: 80})
		_, _ = c.Successor(t.Context(), target)
		tasks, _ := c.describeTasks(t.Context(), "a", []string{"b"})
		_, _ = (&Catalog{Clusters: []Cluster{{Name: "a", Tasks: tasks}}}).Find("a/bbbb/x")
	})
}
