package aws

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"culvert/internal/say"
)

func TestTheConsoleHasAPageForEverything(t *testing.T) {
	isolate(t)
	in := func(region, endpoint string, demo bool) *Client {
		t.Helper()
		c, err := Connect(t.Context(), Options{Region: region, Endpoint: endpoint, Demo: demo, Keys: Keys{ID: "AKIDEXAMPLE", Secret: "secret"}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	web := Target{Cluster: "shop", Service: "web"}
	task := Target{Cluster: "shop", Service: "web", Task: "0123", Container: "app"}
	for _, test := range []struct {
		region string
		at     Target
		want   string
	}{
		{"eu-west-1", Target{Cluster: "shop"}, "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/shop/services?region=eu-west-1"},
		{"eu-west-1", web, "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/shop/services/web/health?region=eu-west-1"},
		{"cn-north-1", task, "https://cn-north-1.console.amazonaws.cn/ecs/v2/clusters/shop/services/web/tasks/0123/configuration?region=cn-north-1"},
		{"us-gov-west-1", Target{Cluster: "shop", Task: "0123"}, "https://us-gov-west-1.console.amazonaws-us-gov.com/ecs/v2/clusters/shop/tasks/0123/configuration?region=us-gov-west-1"},
		{"eusc-de-east-1", web, "https://eusc-de-east-1.console.amazonaws-eusc.eu/ecs/v2/clusters/shop/services/web/health?region=eusc-de-east-1"},
	} {
		if got, err := in(test.region, "", false).Console(test.at); got != test.want || err != nil {
			t.Errorf("%s %s: got %s, %v\nwant %s", test.region, test.at, got, err, test.want)
		}
	}
	hostile := Target{Cluster: "a/../b?x=1#y", Service: "$(id);`id` \x1b[2J\" & calc"}
	got, err := in("eu-west-1", "", false).Console(hostile)
	if err != nil || strings.ContainsAny(got, " \"'`\x1b;|<>()") && !strings.Contains(got, "%") || strings.ContainsAny(got, " \"`\x1b|<>") {
		t.Errorf("hostile names: got %s, %v", got, err)
	}
	if u, err := url.Parse(got); err != nil || u.Host != "eu-west-1.console.aws.amazon.com" || u.RawQuery != "region=eu-west-1" || u.Fragment != "" {
		t.Errorf("hostile names lead to %v, %v", u, err)
	}
	for name, c := range map[string]*Client{
		"demo account": in("eu-west-1", "http://127.0.0.1:1", true), "http://127.0.0.1:1": in("eu-west-1", "http://127.0.0.1:1", false), "partition aws-iso": in("us-iso-east-1", "", false),
	} {
		_, err := c.Console(web)
		if _, ok := errors.AsType[*NoConsoleError](err); !ok || !strings.Contains(err.Error(), name) || say.Remedy(err) == "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
