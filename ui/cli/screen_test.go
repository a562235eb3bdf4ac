package cli

import "testing"

func TestTheScreenBeginsWhereTheTunnelsLead(t *testing.T) {
	t.Parallel()
	a := &app{}
	a.shared.flags()
	at, start, err := a.toStart(&aim{cluster: "automation", service: "squid"}, &forwards{forms: []written{{form: "3128"}}, shared: &a.shared, linkLocal: &a.shared.linkLocal})
	if err != nil || len(start) != 1 {
		t.Fatalf("got %v and %d tunnels", err, len(start))
	}
	if at.Cluster != "automation" || at.Service != "squid" {
		t.Errorf("the screen begins at %v", at)
	}
}
