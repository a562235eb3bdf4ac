package screen

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
)

// answered lets ECS have told about a row.
func answered(a *app, at aws.Target, d aws.Details) {
	a.here.described = map[aws.Target]described{at: {d, a.now}}
}

// webDetails are what ECS tells about the sample's service web.
func webDetails() aws.Details {
	d := aws.Details{Service: service("shop", "web", 1), Definition: aws.DefinitionDetails{
		ARN: "arn:aws:ecs:eu-west-1:" + account + ":task-definition/web:12", NetworkMode: "awsvpc", CPU: "256", Memory: "512",
		TaskRole: "arn:aws:iam::" + account + ":role/web-task", ExecutionRole: "arn:aws:iam::" + account + ":role/ecsTaskExecutionRole",
		Containers: []aws.ContainerDetails{
			{Name: "app", Image: account + ".dkr.ecr.eu-west-1.amazonaws.com/app:1.4", Essential: true, Ports: []aws.Port{{Container: 3129, Protocol: "tcp"}}, Environment: []string{"NODE_ENV", "ORDERS_URL"}, Secrets: []string{"DB_PASSWORD"}},
			{Name: "nginx", Image: "public.ecr.aws/nginx/nginx:1.27", Essential: true, Ports: []aws.Port{{Container: 3128, Protocol: "tcp"}}},
		},
	}}
	d.Service.ARN = "arn:aws:ecs:eu-west-1:" + account + ":service/shop/web"
	for i := range 9 {
		d.Service.Events = append(d.Service.Events, aws.Event{At: start().Add(-time.Duration(i+20) * time.Hour), Text: fmt.Sprintf("(service web) has started 1 tasks: (task %032x).", i)})
	}
	var lines []string
	for i := range 60 {
		lines = append(lines, fmt.Sprintf(`  "key%02d": "value of line %d",`, i, i))
	}
	d.Definition.JSON = "{\n" + strings.Join(lines, "\n") + "\n  \"last\": 1\n}"
	return d
}

func TestGoldenDetails(t *testing.T) {
	for _, size := range []struct {
		name string
		w, h int
	}{{"80x24", 80, 24}, {"160x50", 160, 50}} {
		a := visiting(t, sampleAccount(), size.w, size.h)
		answered(a, aws.Target{Cluster: "shop", Service: "web"}, webDetails())
		press(t, a, "G", "enter", "i")
		golden(t, "details-"+size.name, shot(a))
		press(t, a, "v")
		golden(t, "definition-"+size.name, shot(a))
		press(t, a, "esc", "enter", "enter", "enter") // of a container, enter is for the details
		golden(t, "container-details-"+size.name, shot(a))
	}
}

func TestATaskDefinitionIsScrolledSearchedAndCopied(t *testing.T) {
	a := visiting(t, sampleAccount(), 80, 24)
	answered(a, aws.Target{Cluster: "shop", Service: "web"}, webDetails())
	press(t, a, "G", "enter", "i", "v")
	want(t, a, `"key00"`, "of 63 lines")
	press(t, a, "G")
	want(t, a, `"last": 1`)
	wantNot(t, a, `"key00"`)
	press(t, a, "g", "down")
	want(t, a, `"key00"`)
	press(t, a, "/")
	typed(t, a, "LINE 4")
	want(t, a, "/LINE 4", `"key04"`)
	press(t, a, "enter", "enter")
	want(t, a, `"key40"`)
	press(t, a, "enter")
	want(t, a, `"key41"`)
	press(t, a, "/", "x", "y")
	want(t, a, "not found")
	press(t, a, "esc")
	wantNot(t, a, "not found")
	press(t, a, "y")
	want(t, a, "the task definition")
	press(t, a, "esc", "v", "y")
	want(t, a, "as JSON, secrets masked", "ARN")
	press(t, a, "esc", "esc")
	want(t, a, "shop › services")
}

func TestDetailsAreAskedForWhenLookedAtAndNoMoreThanTheAccount(t *testing.T) {
	l, account := newWorld(t, Options{})
	l.until("as of")
	calls := func() int { return account.Calls("DescribeTaskDefinition") + account.Calls("DescribeServices") }
	l.press("enter", "enter", "down", "up", "enter")
	before := account.Calls("DescribeTaskDefinition")
	l.press("esc", "esc", "i")
	l.until("deployments", "primary", "ecsTaskExecutionRole", "execution")
	if got := account.Calls("DescribeTaskDefinition"); got != before+1 {
		t.Errorf("%d task definitions were asked for, want the one that is looked at", got-before)
	}
	seen := calls()
	l.press("esc", "i", "v")
	l.until(`"containerDefinitions": [`)
	if got := calls(); got != seen {
		t.Errorf("%d calls for what was asked since the account was looked at", got-seen)
	}
	account.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ecs:DescribeServices", Kind: emulator.Deny}}
	})
	l.press("v", "ctrl+r")
	l.until("not allowed: ecs:DescribeServices", `"Action":["ecs:DescribeServices"]`)
}

func TestTheConsoleOpensInABrowserElseItsAddressIsCopied(t *testing.T) {
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Keys: aws.Keys{ID: "AKIDEXAMPLE", Secret: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	const address = "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/shop/services/web/health?region=eu-west-1"
	for name, test := range map[string]struct {
		open func(string) error
		says string
	}{
		"a browser":         {func(string) error { return nil }, "the browser opens the page, of account 111122223333"},
		"none":              {nil, address},
		"one that will not": {func(string) error { return errors.New("no") }, address},
	} {
		var opened string
		o := Options{}
		if open := test.open; open != nil {
			o.Open = func(address string) error { opened = address; return open(address) }
		}
		a := newTestApp(t, o, 160, 30)
		arrives(a, sampleAccount())
		a.here.client = client
		press(t, a, "G", "enter", "b")
		want(t, a, test.says)
		if test.open != nil && opened != address {
			t.Errorf("%s: opened %s", name, opened)
		}
	}
	demo, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Demo: true, Endpoint: "http://127.0.0.1:1", Keys: aws.Keys{ID: "AKIDEXAMPLE", Secret: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	a := visiting(t, sampleAccount(), 100, 30)
	a.here.client = demo
	press(t, a, "b")
	want(t, a, "the demo account has no console")
}

func TestDetailsOfWhatIsGoneSaySo(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	answered(a, aws.Target{Cluster: "shop", Service: "web"}, aws.Details{})
	press(t, a, "G", "enter", "i")
	want(t, a, "ECS knows this service no more", "shop/web")
	press(t, a, "v")
	want(t, a, "The task definition is not known.")
}
