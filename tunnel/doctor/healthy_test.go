package doctor_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
	"culvert/tunnel/doctor"
)

func TestHealthyPathPassesOrSaysWhyItIsSkipped(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy(), "http://orders.internal/", "https://billing.internal/", "tcp://orders-db.internal:5432", "tls://billing.internal:443")
	c.options.Roots = x509.NewCertPool()
	c.options.Roots.AppendCertsFromPEM(c.account.CACertificate())
	report := c.examine()
	var skipped []string
	for _, r := range report.Results {
		switch r.Finding.Verdict {
		case doctor.Pass:
		case doctor.Skipped:
			skipped = append(skipped, r.Check+": "+r.Finding.Why)
		case doctor.Warn, doctor.Fail:
			t.Errorf("%s: %s %v", r.Check, r.Finding.Verdict, r.Finding.Err)
		}
	}
	want := []string{
		"listen: no local port was asked for: any free one does",
		"relay: there is none: no port mapping of the task definition is named culvert-relay",
		"instance: no container instance is known: tasks on Fargate have none",
		"role: nothing points to the task role",
		"network: nothing points to the network",
		"firewall: nothing points to the network",
	}
	if !slices.Equal(skipped, want) {
		t.Errorf("skipped: got %q, want %q", skipped, want)
	}
	if calls := c.account.Calls("SimulatePrincipalPolicy") + c.account.Calls("DescribeSubnets"); calls != 0 {
		t.Errorf("%d hints were asked for although the session works", calls)
	}
	if report.Account != "111122223333" || report.Region != "eu-west-1" || report.Target.Task == "" {
		t.Errorf("the report is about %+v in %s of %s", report.Target, report.Region, report.Account)
	}
	for check, evidence := range map[string]string{
		"answer": "squid/5.7", "probe-1": "status 200", "probe-2": "CN=culvert demo private CA", "probe-3": "PostgreSQL",
		"handshake": "agent 3.3.0.0", "probe-4": "TLS",
	} {
		if got := strings.Join(resultOf(t, report, check).Finding.Evidence, "; "); !strings.Contains(got, evidence) {
			t.Errorf("%s saw %q, want %q in it", check, got, evidence)
		}
	}
}

// The policy allows what a tunnel needs, and not one thing more.
func TestDoctorWorksUnderTheLeastPolicyAndSaysWhatItCouldNotSee(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy(), "http://orders.internal/")
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*","Action":["ecs:ListTasks","ecs:DescribeTasks","ssm:StartSession","ssmmessages:OpenDataChannel"]}]}`
	if err := c.account.Attach("user/least", []byte(document)); err != nil {
		t.Fatal(err)
	}
	c.as(c.account.User("least"))
	report := c.examine()
	if first := report.First(); first != nil {
		t.Fatalf("%s fails: %v", first.Check, first.Finding.Err)
	}
	if got := resultOf(t, report, "probe-1").Finding.Verdict; got != doctor.Pass {
		t.Errorf("probe: got %s, want pass", got)
	}
	for check, action := range map[string]string{
		"cluster": "ecs:DescribeClusters", "service": "ecs:DescribeServices", "definition": "ecs:DescribeTaskDefinition", "leftovers": "ssm:DescribeSessions",
	} {
		r := resultOf(t, report, check)
		if r.Finding.Verdict != doctor.Skipped || r.Finding.Why != "may not look: "+action+" is not allowed" {
			t.Errorf("%s: got %s %q, want that %s is not allowed", check, r.Finding.Verdict, r.Finding.Why, action)
		}
		if !strings.Contains(r.Remedy(), `"Action":["`+action+`"]`) {
			t.Errorf("%s: the remedy %q is no statement for %s", check, r.Remedy(), action)
		}
	}
}

// What culvert itself recommends is enough for everything but the extras.
func TestDoctorWorksUnderTheRecommendedPolicy(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy(), "http://orders.internal/")
	if err := c.account.Attach("user/ci", jsonOf(t, aws.CallerPolicy(aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "c"}))); err != nil {
		t.Fatal(err)
	}
	c.as(c.account.User("ci"))
	if first := c.examine().First(); first != nil {
		t.Errorf("%s fails: %v", first.Check, first.Finding.Err)
	}
}

func TestOnlySomeChecksAreRunWithThoseTheyNeed(t *testing.T) {
	t.Parallel()
	for only, want := range map[string]string{
		"definition": "region credentials identity cluster service task exec agent definition",
		"leftovers":  "region credentials identity leftovers",
		"firewall":   "region credentials identity cluster service task exec agent session network firewall",
	} {
		c := newClinic(t, healthy(), "http://orders.internal/")
		c.options.Only = []string{only}
		report := c.examine()
		var ran []string
		for _, r := range report.Results {
			ran = append(ran, r.Check)
		}
		if got := strings.Join(ran, " "); got != want {
			t.Errorf("%s: got %s, want %s", only, got, want)
		}
		if started := c.account.Calls("StartSession"); (started > 0) != strings.Contains(want, "session") {
			t.Errorf("%s: %d sessions were started", only, started)
		}
	}
}

func TestStoppedExaminationBlamesNobody(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy())
	c.fault(func(f *emulator.Faults) { f.AgentStart = patience })
	ctx, stop := contextOf(t)
	defer stop()
	report := doctor.Run(ctx, c.options, func(r doctor.Result) {
		if r.Check == "agent" {
			stop()
		}
	})
	if first := report.First(); first != nil {
		t.Errorf("%s is blamed: %v", first.Check, first.Finding.Err)
	}
	if r := resultOf(t, report, "session"); r.Finding.Verdict != doctor.Skipped || r.Finding.Why != "stopped" {
		t.Errorf("session: got %s %q", r.Finding.Verdict, r.Finding.Why)
	}
}

// What the examination opens for itself needs a place with a short path: macOS's own for temporary files has 79 bytes with
// the name of an application in it.
func TestTheDoctorWorksWhateverTMPDIRSays(t *testing.T) {
	for name, dir := range map[string]string{"missing": filepath.Join(t.TempDir(), "gone"), "long": filepath.Join(t.TempDir(), strings.Repeat("d", 100))} {
		c := newClinic(t, healthy())
		if name == "long" {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("TMPDIR", dir)
		for _, r := range c.examine().Results {
			if r.Finding.Verdict == doctor.Fail || r.Finding.Verdict == doctor.Warn {
				t.Errorf("%s: %s: %v, remedy %q", name, r.Check, r.Finding.Err, say.Remedy(r.Finding.Err))
			}
		}
	}
}
