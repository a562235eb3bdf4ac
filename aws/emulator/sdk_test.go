package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
)

// plainBodies hides the WriteTo of smithy-go's request bodies (1.28.8): when a server on loopback answers before net/http
// has looked for the end of the body, the SDK has closed it, WriteTo says io.EOF, and net/http closes the connection
// while the answer is being read.
type plainBodies struct{ http.RoundTripper }

func (p plainBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.RoundTripper.RoundTrip(r)
}

// sdk is a client of AWS's own make for e. Each has its own transport, which ends with the test.
func sdk(t *testing.T, e *Emulator) aws.Config {
	t.Helper()
	id, secret := e.Credentials()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return aws.Config{
		Region: e.region(), BaseEndpoint: aws.String(e.URL()), HTTPClient: &http.Client{Transport: plainBodies{transport}},
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), RetryMaxAttempts: 1,
	}
}

// code is the AWS error code of err.
func code(err error) string {
	if refusal, ok := errors.AsType[smithy.APIError](err); ok {
		return refusal.ErrorCode()
	}
	return fmt.Sprint(err)
}

// must ends the test when a call fails.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// everyTask reads a cluster as culvert does: all pages, then descriptions a hundred at a time.
func everyTask(t *testing.T, client *ecs.Client, in *ecs.ListTasksInput) []types.Task {
	t.Helper()
	var all []types.Task
	pages := ecs.NewListTasksPaginator(client, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		described, err := client.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: in.Cluster, Tasks: page.TaskArns})
		if err != nil {
			t.Fatal(err)
		}
		if len(described.Failures) > 0 {
			t.Fatalf("DescribeTasks failures = %v, want none", described.Failures)
		}
		all = append(all, described.Tasks...)
	}
	return all
}

func TestDemoHoldsWhatTheContractSays(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	client := ecs.NewFromConfig(sdk(t, e))
	clusters := must[*ecs.ListClustersOutput](t)(client.ListClusters(t.Context(), &ecs.ListClustersInput{}))
	want := []string{
		"arn:aws:ecs:eu-west-1:111122223333:cluster/automation", "arn:aws:ecs:eu-west-1:111122223333:cluster/data",
		"arn:aws:ecs:eu-west-1:111122223333:cluster/shop",
	}
	if !slices.Equal(clusters.ClusterArns, want) {
		t.Errorf("clusters = %v, want %v", clusters.ClusterArns, want)
	}
	services, tasks, ready := 0, 0, 0
	for _, arn := range clusters.ClusterArns {
		pages := ecs.NewListServicesPaginator(client, &ecs.ListServicesInput{Cluster: &arn})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			services += len(page.ServiceArns)
		}
		for _, one := range everyTask(t, client, &ecs.ListTasksInput{Cluster: &arn}) {
			tasks++
			c := one.Containers[0]
			if one.EnableExecuteCommand && len(c.ManagedAgents) == 1 && aws.ToString(c.ManagedAgents[0].LastStatus) == "RUNNING" {
				ready++
			}
		}
	}
	if services < 12 || tasks <= 100 {
		t.Errorf("services, tasks = %d, %d, want a dozen and over a hundred", services, tasks)
	}
	if ready < 80 {
		t.Errorf("tasks ready for a session = %d, want most", ready)
	}
	automation := func(service string) []types.Task {
		return everyTask(t, client, &ecs.ListTasksInput{Cluster: aws.String("automation"), ServiceName: &service})
	}
	squid := automation("squid")
	if len(squid) != 2 {
		t.Fatalf("squid tasks = %d, want 2", len(squid))
	}
	for _, one := range squid {
		c := one.Containers[0]
		id := nameOf(*one.TaskArn)
		if *c.Name != "squid" || !one.EnableExecuteCommand || one.LaunchType != types.LaunchTypeFargate ||
			!strings.HasPrefix(*c.RuntimeId, id+"-") || len(*c.RuntimeId) != len(id)+11 || c.ManagedAgents[0].Name != "ExecuteCommandAgent" {
			t.Errorf("squid task = %+v", one)
		}
		definition := must[*ecs.DescribeTaskDefinitionOutput](t)(client.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: one.TaskDefinitionArn}))
		if port := definition.TaskDefinition.ContainerDefinitions[0].PortMappings[0]; *port.ContainerPort != 3128 || port.Protocol != types.TransportProtocolTcp {
			t.Errorf("squid port = %+v, want 3128 tcp", port)
		}
	}
	if one := automation("reports")[0]; one.EnableExecuteCommand || len(one.Containers[0].ManagedAgents) != 0 {
		t.Errorf("reports = %+v, want exec off and no agent", one)
	}
	agents := map[string]string{}
	for _, one := range automation("batch") {
		agent := one.Containers[0].ManagedAgents[0]
		agents[*agent.LastStatus] = aws.ToString(agent.Reason)
	}
	if _, pending := agents["PENDING"]; !pending || agents["STOPPED"] == "" {
		t.Errorf("agents of batch = %v, want one PENDING and one STOPPED with a reason", agents)
	}
	checkout := must[*ecs.DescribeServicesOutput](t)(client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("shop"), Services: []string{"checkout"}}))
	if d := checkout.Services[0].Deployments; len(d) != 2 || *d[0].Status != "PRIMARY" || d[0].RolloutState != "IN_PROGRESS" || d[0].PendingCount == 0 || d[1].RunningCount == 0 {
		t.Errorf("deployments of checkout = %+v, want one in progress beside the old one", d)
	}
}

func TestSameSeedMakesTheSameAccount(t *testing.T) {
	one, two, other := open(t, Options{Fleet: Demo(), Seed: 7}), open(t, Options{Fleet: Demo(), Seed: 7}), open(t, Options{Fleet: Demo(), Seed: 8})
	if !slices.Equal(one.Tasks("shop", "web"), two.Tasks("shop", "web")) {
		t.Error("task ids differ between two accounts of one seed")
	}
	if slices.Equal(one.Tasks("shop", "web"), other.Tasks("shop", "web")) {
		t.Error("task ids do not depend on the seed")
	}
}

func TestListsArePagedAndTokensChecked(t *testing.T) {
	var services []Service
	for i := range 23 {
		services = append(services, Service{Name: fmt.Sprintf("s%02d", i), Count: 10, Task: one("c", "", nil)})
	}
	e := open(t, Options{Fleet: Fleet{Clusters: []Cluster{{Name: "big", Services: services}, {Name: "other"}}}})
	client := ecs.NewFromConfig(sdk(t, e))
	big := aws.String("big")

	first := must[*ecs.ListTasksOutput](t)(client.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: big}))
	if len(first.TaskArns) != 100 || first.NextToken == nil {
		t.Fatalf("first page of tasks = %d, token %v, want 100 and a token", len(first.TaskArns), first.NextToken)
	}
	if n := len(everyTask(t, client, &ecs.ListTasksInput{Cluster: big})); n != 230 {
		t.Errorf("tasks over all pages = %d, want 230", n)
	}
	small := must[*ecs.ListTasksOutput](t)(client.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: big, MaxResults: aws.Int32(7)}))
	if len(small.TaskArns) != 7 {
		t.Errorf("tasks with maxResults 7 = %d", len(small.TaskArns))
	}
	if page := must[*ecs.ListServicesOutput](t)(client.ListServices(t.Context(), &ecs.ListServicesInput{Cluster: big})); len(page.ServiceArns) != 10 || page.NextToken == nil {
		t.Errorf("first page of services = %d, want 10 and a token", len(page.ServiceArns))
	}
	other := "A"
	if strings.HasPrefix(*first.NextToken, other) {
		other = "B"
	}
	for name, in := range map[string]*ecs.ListTasksInput{
		"made up":               {Cluster: big, NextToken: aws.String("bm90IG9uZSBvZiBvdXJz")},
		"of another cluster":    {Cluster: aws.String("other"), NextToken: first.NextToken},
		"of other filters":      {Cluster: big, ServiceName: aws.String("s01"), NextToken: first.NextToken},
		"with a changed letter": {Cluster: big, NextToken: aws.String(other + (*first.NextToken)[1:])},
		"size beyond 100":       {Cluster: big, MaxResults: aws.Int32(101)},
	} {
		if _, err := client.ListTasks(t.Context(), in); code(err) != "InvalidParameterException" {
			t.Errorf("token %s: error = %v, want InvalidParameterException", name, err)
		}
	}
}

func TestTokensOfListsExpire(t *testing.T) {
	p := newPager()
	now := time.Now()
	token := p.token("tasks a", "arn", now)
	if last, err := p.last("tasks a", token, now.Add(pageLife/2)); last != "arn" || err != nil {
		t.Errorf("fresh token = %q, %v, want arn", last, err)
	}
	if _, err := p.last("tasks a", token, now.Add(2*pageLife)); err == nil {
		t.Error("an expired token was taken")
	}
}

func TestFiltersOfListTasksAreApplied(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	client := ecs.NewFromConfig(sdk(t, e))
	count := func(in *ecs.ListTasksInput) int { return len(everyTask(t, client, in)) }
	shop, data := aws.String("shop"), aws.String("data")
	for _, c := range []struct {
		what string
		in   *ecs.ListTasksInput
		want int
	}{
		{"service", &ecs.ListTasksInput{Cluster: shop, ServiceName: aws.String("mail")}, 4},
		{"service by ARN", &ecs.ListTasksInput{Cluster: shop, ServiceName: aws.String("arn:aws:ecs:eu-west-1:111122223333:service/shop/mail")}, 4},
		{"launch type EC2", &ecs.ListTasksInput{Cluster: shop, LaunchType: types.LaunchTypeEc2}, 6},
		{"stopped", &ecs.ListTasksInput{Cluster: shop, DesiredStatus: types.DesiredStatusStopped}, 1},
		{"family", &ecs.ListTasksInput{Cluster: data, Family: aws.String("etl-nightly")}, 8},
		{"pending", &ecs.ListTasksInput{Cluster: shop, DesiredStatus: types.DesiredStatusPending}, 0},
	} {
		if got := count(c.in); got != c.want {
			t.Errorf("tasks by %s = %d, want %d", c.what, got, c.want)
		}
	}
}

func TestWhatIsMissingOrTooMuchIsRefused(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	client := ecs.NewFromConfig(sdk(t, e))
	ctx, no := t.Context(), aws.String("nosuch")
	shop := aws.String("shop")
	for _, c := range []struct {
		call string
		err  func() error
		want string
	}{
		{"ListServices", func() error { _, err := client.ListServices(ctx, &ecs.ListServicesInput{Cluster: no}); return err }, "ClusterNotFoundException"},
		{"ListTasks", func() error { _, err := client.ListTasks(ctx, &ecs.ListTasksInput{Cluster: no}); return err }, "ClusterNotFoundException"},
		{"ListTasks default cluster", func() error { _, err := client.ListTasks(ctx, &ecs.ListTasksInput{}); return err }, "ClusterNotFoundException"},
		{"ListTasks of a service", func() error {
			_, err := client.ListTasks(ctx, &ecs.ListTasksInput{Cluster: shop, ServiceName: no})
			return err
		}, "ServiceNotFoundException"},
		{"DescribeServices", func() error {
			_, err := client.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: shop, Services: make([]string, 11)})
			return err
		}, "InvalidParameterException"},
		{"DescribeTasks", func() error {
			_, err := client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: shop, Tasks: make([]string, 101)})
			return err
		}, "InvalidParameterException"},
		{"DescribeClusters", func() error {
			_, err := client.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: make([]string, 101)})
			return err
		}, "InvalidParameterException"},
		{"DescribeTaskDefinition", func() error {
			_, err := client.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: no})
			return err
		}, "ClientException"},
		{"StopTask", func() error { _, err := client.StopTask(ctx, &ecs.StopTaskInput{Cluster: shop, Task: no}); return err }, "InvalidParameterException"},
		{"CreateCluster", func() error { _, err := client.CreateCluster(ctx, &ecs.CreateClusterInput{}); return err }, "UnknownOperationException"},
	} {
		if got := code(c.err()); got != c.want {
			t.Errorf("%s: error = %s, want %s", c.call, got, c.want)
		}
	}
	out := must[*ecs.DescribeTasksOutput](t)(client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: shop, Tasks: []string{*no}}))
	if len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" || *out.Failures[0].Arn != "arn:aws:ecs:eu-west-1:111122223333:task/shop/nosuch" {
		t.Errorf("failures = %+v, want one MISSING with the ARN", out.Failures)
	}
	services := must[*ecs.DescribeServicesOutput](t)(client.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: shop, Services: []string{"web", *no}}))
	if len(services.Services) != 1 || len(services.Failures) != 1 {
		t.Errorf("services, failures = %d, %d, want one each", len(services.Services), len(services.Failures))
	}
	clusters := must[*ecs.DescribeClustersOutput](t)(client.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{"shop", *no}}))
	if len(clusters.Clusters) != 1 || len(clusters.Failures) != 1 {
		t.Errorf("clusters, failures = %d, %d, want one each", len(clusters.Clusters), len(clusters.Failures))
	}
}

func TestAnotherRegionIsEmpty(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	config := sdk(t, e)
	config.Region = "us-east-1"
	client := ecs.NewFromConfig(config)
	out := must[*ecs.ListClustersOutput](t)(client.ListClusters(t.Context(), &ecs.ListClustersInput{}))
	if len(out.ClusterArns) != 0 {
		t.Errorf("clusters in us-east-1 = %v, want none", out.ClusterArns)
	}
	if _, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("shop")}); code(err) != "ClusterNotFoundException" {
		t.Errorf("tasks of shop in us-east-1: %v, want ClusterNotFoundException", err)
	}
}

func TestCallsAreCounted(t *testing.T) {
	e := open(t, Options{})
	client := ecs.NewFromConfig(sdk(t, e))
	for range 3 {
		_ = must[*ecs.ListClustersOutput](t)(client.ListClusters(context.Background(), &ecs.ListClustersInput{}))
	}
	if n := e.Calls("ListClusters"); n != 3 {
		t.Errorf("calls = %d, want 3", n)
	}
}

func TestFaultsReachEveryCall(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	client := ecs.NewFromConfig(sdk(t, e))
	list := func() error {
		_, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("shop")})
		return err
	}
	describe := func(service string) error {
		_, err := client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("shop"), Services: []string{service}})
		return err
	}
	e.Fault(func(f *Faults) {
		f.API = []APIFault{
			{Action: "ecs:ListTasks", Kind: Throttle, Times: 1},
			{Action: "ecs:DescribeServices", Resource: "arn:aws:ecs:eu-west-1:111122223333:service/shop/web", Kind: Deny},
			{Action: "ecs:ListClusters", Kind: Unreachable},
		}
	})
	if err := list(); code(err) != "ThrottlingException" {
		t.Errorf("throttled: %v", err)
	}
	if err := list(); err != nil {
		t.Errorf("after the throttled call: %v", err)
	}
	if err := describe("web"); code(err) != "AccessDeniedException" || !strings.Contains(err.Error(),
		"User: arn:aws:iam::111122223333:user/demo is not authorized to perform: ecs:DescribeServices on resource: arn:aws:ecs:eu-west-1:111122223333:service/shop/web") {
		t.Errorf("denied: %v", err)
	}
	if err := describe("mail"); err != nil {
		t.Errorf("another service: %v", err)
	}
	_, err := client.ListClusters(t.Context(), nil)
	if refusal, answered := errors.AsType[smithy.APIError](err); err == nil || answered {
		t.Errorf("unreachable: %v %v, want a broken connection", err, refusal)
	}
}
