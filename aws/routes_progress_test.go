package aws_test

import (
	"slices"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
)

// Whoever waits sees what has come: destinations without their ways, and each gap as soon as it is known.
func TestRoutesAreToldAsTheyCome(t *testing.T) {
	e := account(t)
	e.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "eks:ListClusters", Kind: emulator.Deny}}
	})
	c := connect(t, e)
	var seen []*aws.Routes
	found, err := c.FindRoutes(t.Context(), aws.Sight{Parts: aws.Services | aws.Tasks}, func(r *aws.Routes) { seen = append(seen, r) })
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < 10 {
		t.Fatalf("got %d updates, want one of each source", len(seen))
	}
	before := 0
	for _, r := range seen {
		if len(r.Ways) != len(r.Hosts.Hosts) || r.Catalog == nil || slices.ContainsFunc(r.Ways, func(w []aws.Way) bool { return w != nil }) {
			t.Errorf("got %d ways of %d hosts, want none yet, and a place for each", len(r.Ways), len(r.Hosts.Hosts))
		}
		if len(r.Hosts.Hosts) < before {
			t.Errorf("got %d hosts after %d", len(r.Hosts.Hosts), before)
		}
		before = len(r.Hosts.Hosts)
	}
	last := seen[len(seen)-1]
	names := func(r *aws.Routes) (names []string) {
		for _, h := range r.Hosts.Hosts {
			names = append(names, h.Name)
		}
		return names
	}
	if want := []string{"orders-db", "orders.internal", "sessions", "web"}; !slices.Equal(names(last), want) || !slices.Equal(names(found), want) {
		t.Errorf("got %q at last and %q at the end, want %q", names(last), names(found), want)
	}
	if len(last.Gaps) != 1 || len(found.Gaps) != 1 {
		t.Errorf("got the gaps %v and %v, want that of EKS", last.Gaps, found.Gaps)
	}
	if len(found.Ways[0]) == 0 {
		t.Error("got no way in the end")
	}
}
