package aws

import (
	"strings"
	"testing"

	"culvert/internal/say"
)

func TestRoutesFindTheDestinationThatIsMeant(t *testing.T) {
	admitted := []Way{{Cluster: "c", Service: "web", Ready: 1, Verdict: Admitted}}
	closed := []Way{{Cluster: "c", Service: "web", Ready: 1, Verdict: NoRule, Why: "no rule of sg-1 lets its tasks in", Missing: &MissingRule{Group: "sg-1", Peer: "sg-2", Port: 6379}}}
	r := &Routes{Catalog: &Catalog{}, Hosts: Hosts{Hosts: []Host{
		{Name: "orders", Role: "writer", Host: "orders.cluster-x.rds.example", Port: 5432, ARN: "arn:aws:rds:eu-west-1:111122223333:cluster:orders"},
		{Name: "orders", Role: "reader", Host: "orders.cluster-ro-x.rds.example", Port: 5432},
		{Name: "orders-1", Role: "instance", Host: "orders-1.x.rds.example", Port: 5432},
		{Name: "events", Role: "node", Host: "b-1.kafka.example", Port: 9094},
		{Name: "events", Role: "node", Host: "b-2.kafka.example", Port: 9094},
		{Name: "sessions", Role: "primary", Host: "sessions.internal", Port: 6379},
		{Name: "old.internal", Host: "old.internal"},
		{Name: "far.internal", Host: "far.internal", Port: 80},
		{Name: "dotted.", Host: "dotted.internal", Port: 80},
	}}}
	r.Ways = [][]Way{admitted, admitted, admitted, admitted, admitted, closed, admitted, nil, admitted}
	for name, want := range map[string]string{
		"orders":                        "orders.cluster-x.rds.example:5432",
		"ORDERS":                        "orders.cluster-x.rds.example:5432",
		"orders/reader":                 "orders.cluster-ro-x.rds.example:5432",
		"orders-1.x.rds.example":        "orders-1.x.rds.example:5432",
		"orders-1.x.rds.example.":       "orders-1.x.rds.example:5432",
		"orders-1.x.rds.example:5432":   "orders-1.x.rds.example:5432",
		"orders:6432":                   "orders.cluster-x.rds.example:6432",
		"b-2.kafka.example:9094":        "b-2.kafka.example:9094",
		"old.internal:8080":             "old.internal:8080",
		r.Hosts.Hosts[0].ARN:            "orders.cluster-x.rds.example:5432",
		"dotted.":                       "dotted.internal:80",     // as a list shows it
		"sessions.internal:6380":        "sessions.internal:6380", // of which the rules were not looked at
		"events":                        `! destination "events" may be any of several | b-1.kafka.example:9094, b-2.kafka.example:9094`,
		"order":                         `! no destination "order" | the nearest are: orders`,
		"old.internal":                  "! the port of old.internal is not known | say it: old.internal:PORT",
		"old.internal:0":                `! no destination "old.internal:0"`,
		"sessions":                      "! no way to sessions: c/web is the nearest, and no rule of sg-1 lets its tasks in | authorize-security-group-ingress --group-id sg-1",
		"far.internal":                  "! no ready task through which far.internal could be reached | culvert list tasks",
		"":                              "! no destination",
		"/":                             "! no destination",
		"orders.cluster-x.rds.example:": "! no destination",
	} {
		route, err := r.Route(name)
		got := route.Host.Address()
		if err != nil {
			got = "! " + err.Error() + " | " + say.Remedy(err)
		}
		for part := range strings.SplitSeq(want, " | ") {
			if !strings.Contains(got, part) {
				t.Errorf("%q: got %q, want %q", name, got, part)
			}
		}
		if err == nil && got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if route, _ := r.Route("orders:6432"); route.Way.Verdict != Unchecked {
		t.Errorf("another port: got %s, want it unchecked", route.Way.Verdict)
	}
}
