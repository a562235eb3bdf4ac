package doctor_test

import (
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// toName is a clinic for a destination by its name.
func toName(t *testing.T, name string) *clinic {
	t.Helper()
	fleet := behind("")
	fleet.Inventory = emulator.Inventory{
		Databases: []emulator.Possession{{Name: "orders-db", Engine: "postgres", Host: "orders-db.internal", Port: 5432}},
		Caches:    []emulator.Possession{{Name: "sessions", Host: "sessions.internal", Port: 6379, Closed: true}},
	}
	c := newClinic(t, fleet)
	c.options.Query = aws.Query{}
	c.options.Spec = tunnel.Spec{To: name}
	return c
}

// The name is found first, and everything behind it is about what it means.
func TestADestinationIsFoundByItsName(t *testing.T) {
	t.Parallel()
	c := toName(t, "orders-db")
	report := c.examine()
	if first := report.First(); first != nil {
		t.Fatalf("%s fails: %v\n%s", first.Check, first.Finding.Err, summary(report))
	}
	for check, evidence := range map[string]string{
		"destination": "orders-db is orders-db.internal:5432 (rds), through ",
		"port":        "orders-db.internal:5432 takes connections",
		"answer":      "PostgreSQL",
	} {
		if got := strings.Join(resultOf(t, report, check).Finding.Evidence, "; "); !strings.Contains(got, evidence) {
			t.Errorf("%s saw %q, want %q in it", check, got, evidence)
		}
	}
	if report.FarEnd != "orders-db.internal:5432" || report.Target.Service == "" {
		t.Errorf("it looked into %q through %q", report.FarEnd, report.Target)
	}
}

func TestAnUnknownNameHidesWhatIsBehindIt(t *testing.T) {
	t.Parallel()
	report := toName(t, "orders-bd").examine()
	wantCause(t, report, "destination", "H1", `no destination "orders-bd"`, "orders-db")
	if r := resultOf(t, report, "cluster"); r.HiddenBy != "destination" {
		t.Errorf("the cluster is hidden by %q: %s", r.HiddenBy, r.Finding.Verdict)
	}
	denied := toName(t, "orders-db")
	denied.fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "rds:DescribeDBInstances", Kind: emulator.Deny}}
	})
	wantCause(t, denied.examine(), "destination", "H1", "not everything could be asked", `"rds:DescribeDBInstances"`)
}

func TestAMissingRuleIsTheCause(t *testing.T) {
	t.Parallel()
	wantCause(t, toName(t, "sessions").examine(), "destination", "H2", "no way to sessions", "authorize-security-group-ingress")
}

// A destination that is known already has no check of its own.
func TestAFoundDestinationIsNotLookedForAgain(t *testing.T) {
	for _, c := range doctor.Checks(doctor.Options{Spec: tunnel.Spec{To: "orders-db", Remote: tunnel.Endpoint{Host: "orders-db.internal", Port: 5432}}}) {
		if c.ID == "destination" {
			t.Error("the check of destinations is among them")
		}
	}
}
