package doctor_test

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/tunnel/front"
)

// toAnyHost is a clinic for a tunnel to any host, in an account where nothing is a proxy.
func toAnyHost(t *testing.T, subnet emulator.Subnet, probes ...string) *clinic {
	t.Helper()
	fleet := behind("")
	fleet.Subnet = subnet
	fleet.Hosts = map[string]string{"gone.internal:5432": refusing, "metadata.internal": "169.254.169.254"}
	c := newClinic(t, fleet, probes...)
	c.options.Query.Port = 0
	c.options.Spec = tunnel.Spec{Dynamic: &tunnel.Dynamic{}}
	c.options.Roots = x509.NewCertPool()
	c.options.Roots.AppendCertsFromPEM(c.account.CACertificate())
	return c
}

func TestAnyHostIsReachedWithoutAProxy(t *testing.T) {
	t.Parallel()
	c := toAnyHost(t, emulator.Subnet{}, "http://orders.internal/", "https://billing.internal/health", "tcp://orders-db.internal:5432", "tls://billing.internal")
	report := c.examine()
	if first := report.First(); first != nil {
		t.Fatalf("%s fails: %v\n%s", first.Check, first.Finding.Err, summary(report))
	}
	for check, evidence := range map[string][]string{
		"probe-1": {"orders.internal:80 takes connections, after", "status 200"},
		"probe-2": {"billing.internal:443 takes connections", "TLS", "CN=culvert demo private CA", "status 200"},
		"probe-3": {"PostgreSQL"},
		"probe-4": {"TLS"},
	} {
		got := strings.Join(resultOf(t, report, check).Finding.Evidence, "; ")
		for _, e := range evidence {
			if !strings.Contains(got, e) {
				t.Errorf("%s saw %q, want %q in it", check, got, e)
			}
		}
	}
	for _, r := range report.Results {
		if slices.Contains([]string{"port", "answer", "hosts"}, r.Check) {
			t.Errorf("check %s has no place here: %s", r.Check, r.Finding.Verdict)
		}
	}
	if report.FarEnd != "any host" {
		t.Errorf("it looked into %q, want any host", report.FarEnd)
	}
	if n := c.account.Calls("StartSession"); n != 4 {
		t.Errorf("%d sessions for four hosts, want one for each", n)
	}
}

// Without a probe the way to the agent is looked at, with the document that counts, and nothing is said of hosts.
func TestAnyHostWithoutAProbeSaysWhatWasNotChecked(t *testing.T) {
	t.Parallel()
	for name, newer := range map[string]bool{"agents of today": false, "agents that refuse loopback": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := toAnyHost(t, emulator.Subnet{}).fault(func(f *emulator.Faults) { f.RefuseLoopback = newer })
			report := c.examine()
			if first := report.First(); first != nil {
				t.Fatalf("%s fails: %v", first.Check, first.Finding.Err)
			}
			r := resultOf(t, report, "hosts")
			if r.Finding.Verdict != doctor.Skipped || !strings.Contains(r.Finding.Why, "no --probe names one") || !strings.Contains(r.Remedy(), "--probe") {
				t.Errorf("hosts: got %s %q", r.Finding.Verdict, r.Finding.Why)
			}
			if got := resultOf(t, report, "handshake").Finding.Verdict; got != doctor.Pass {
				t.Errorf("handshake: got %s", got)
			}
		})
	}
}

func TestAnyHostNeedsTheDocumentForRemoteHosts(t *testing.T) {
	t.Parallel()
	const remote = "AWS-StartPortForwardingSessionToRemoteHost"
	for name, probes := range map[string][]string{"with a probe": {"http://orders.internal/"}, "without": nil} {
		t.Run("the port's alone, "+name, func(t *testing.T) {
			t.Parallel()
			c := toAnyHost(t, emulator.Subnet{}, probes...)
			if err := c.account.Attach("user/ci", jsonOf(t, aws.CallerPolicy(aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "c"}))); err != nil {
				t.Fatal(err)
			}
			c.as(c.account.User("ci"))
			c.finds("session", "D1", "ssm:StartSession", "arn:aws:ssm:eu-west-1::document/"+remote)
		})
	}
	t.Run("no such document", func(t *testing.T) {
		t.Parallel()
		c := toAnyHost(t, emulator.Subnet{}).fault(func(f *emulator.Faults) { f.NoDocuments = []string{remote} })
		c.finds("session", "D3", "no document "+remote)
	})
}

func TestAnyHostNamesWhatKeepsAHostAway(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		probe, cause string
		words        []string
	}{
		"resolves not":     {"http://nowhere.internal/", "F6", []string{"nowhere.internal", "VPC resolves"}},
		"refuses":          {"tcp://gone.internal:5432", "F7", []string{"cannot connect to gone.internal:5432", "security group"}},
		"is AWS's own":     {"tcp://10.20.0.2:53", "F20", []string{"10.20.0.2 is forbidden", "the first four addresses"}},
		"is a name of it":  {"http://metadata.internal/", "F20", []string{"169.254.169.254 is forbidden"}},
		"its authority":    {"https://billing.internal/", "F14", []string{"culvert demo private CA"}},
		"speaks plainly":   {"https://orders.internal:80/", "F12", []string{"http://orders.internal:80"}},
		"answers with 404": {"http://orders.internal/nothing", "F17", []string{"404"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The other one is reached: what ails one host is nothing to the next, first or second.
			for check, probes := range map[string][]string{"probe-1": {row.probe, "tcp://orders-db.internal:5432"}, "probe-2": {"tcp://orders-db.internal:5432", row.probe}} {
				c := toAnyHost(t, emulator.Subnet{}, probes...)
				c.options.Roots = nil
				if row.cause == "F17" {
					c.warns(check, row.cause, row.words...)
					continue
				}
				report := c.finds(check, row.cause, row.words...)
				if other := map[string]string{"probe-1": "probe-2", "probe-2": "probe-1"}[check]; resultOf(t, report, other).Finding.Verdict != doctor.Pass {
					t.Errorf("%s: %s\n%s", other, resultOf(t, report, other).Finding.Verdict, summary(report))
				}
			}
		})
	}
}

// Of a host that swallows connections only the security groups can tell more: the task's own, or by exclusion the destination's.
func TestADestinationThatDropsPointsToASecurityGroup(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		outbound string
		words    []string
		not      string
	}{
		"the destination's": {"", []string{"gets no answer", "authorize-security-group-ingress --group-id GROUP", "FromPort=5432,ToPort=5432,UserIdGroupPairs=[{GroupId=sg-0e1f203142536475a}]"}, "egress"},
		"the task's":        {"0.0.0.0/0", []string{"no security group of the task (sg-0e1f203142536475a) lets it out", "authorize-security-group-egress --group-id sg-0e1f203142536475a", "FromPort=5432,ToPort=5432"}, "ingress"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := toAnyHost(t, emulator.Subnet{Outbound: row.outbound}, "tcp://orders-db.internal:5432")
			c.fault(func(f *emulator.Faults) { f.Swallow = []uint16{5432} })
			c.options.Patience = time.Second
			report := c.finds("probe-1", "F8", row.words...)
			if said := report.First().Remedy(); strings.Contains(said, row.not) {
				t.Errorf("the remedy %q is about the other end", said)
			}
		})
	}
	t.Run("unseen", func(t *testing.T) {
		t.Parallel()
		c := toAnyHost(t, emulator.Subnet{}, "tcp://orders-db.internal:5432")
		c.fault(func(f *emulator.Faults) {
			f.Swallow = []uint16{5432}
			f.API = []emulator.APIFault{{Action: "ec2:DescribeNetworkInterfaces"}}
		})
		c.options.Patience = time.Second
		c.finds("probe-1", "F8", "gets no answer", "let the security group of orders-db.internal admit the task's security group on port 5432")
	})
}

// The rules of the tunnel say which hosts it leads to at all.
func TestAnyHostMeansThoseOfTheRules(t *testing.T) {
	t.Parallel()
	patterns := func(forms ...string) (all []front.Pattern) {
		for _, form := range forms {
			p, err := front.ParsePattern(form)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
		return all
	}
	c := toAnyHost(t, emulator.Subnet{}, "http://www.example/", "http://orders.internal/", "tcp://orders-db.internal:5432", "tcp://127.0.0.1:80")
	c.options.Spec.Dynamic = &tunnel.Dynamic{Via: patterns("*.internal"), Deny: patterns("*-db.internal:5432")}
	report := c.examine()
	if r := resultOf(t, report, "probe-1"); r.Finding.Verdict != doctor.Skipped || !strings.Contains(r.Finding.Why, "directly from this machine") || !strings.Contains(r.Remedy(), "--via") {
		t.Errorf("a host that no --via means: %s %q", r.Finding.Verdict, r.Finding.Why)
	}
	if r := resultOf(t, report, "probe-2"); r.Finding.Verdict != doctor.Pass {
		t.Errorf("a host that one means: %s %v", r.Finding.Verdict, r.Finding.Err)
	}
	for check, words := range map[string]string{"probe-3": "--deny *-db.internal:5432", "probe-4": "loopback"} {
		r := resultOf(t, report, check)
		if r.Finding.Verdict != doctor.Fail || r.Cause != "F21" || !strings.Contains(r.Finding.Err.Error(), words) || r.Remedy() == "" {
			t.Errorf("%s: got %s %s %v, want F21 with %q", check, r.Finding.Verdict, r.Cause, r.Finding.Err, words)
		}
	}
	wantDocumented(t, report)
	if n := c.account.Calls("StartSession"); n != 1 {
		t.Errorf("%d sessions were started, want one for the host that is reached", n)
	}
}
