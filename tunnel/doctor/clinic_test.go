package doctor_test

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// seelog, which AWS's message package logs with, starts it at import.
		goleak.IgnoreAnyFunction("github.com/cihub/seelog.(*asyncLoopLogger).processQueue"))
}

// clinic is an account with one service, and what the doctor is asked about it.
type clinic struct {
	*testing.T
	account *emulator.Emulator
	options doctor.Options
}

// patience is how long the doctor waits for what does not come: longer than anything takes that does come here.
const patience = 3 * time.Second

// healthy is the service c/s: two tasks with a proxy on 3128 that resolves the private hosts.
func healthy() emulator.Fleet {
	return emulator.Fleet{VPC: true, Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 2, Task: proxyTask()}}}}}
}

func proxyTask() emulator.Task { return taskWith(emulator.Proxy) }

// taskWith is a task whose port 3128 is served by a server on loopback; "" is nobody.
func taskWith(server string) emulator.Task {
	return emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{3128: server}}}}
}

// behind is a fleet whose proxy port is served by another server.
func behind(server string) emulator.Fleet {
	f := healthy()
	f.Clusters[0].Services[0].Task = taskWith(server)
	return f
}

func newClinic(t *testing.T, fleet emulator.Fleet, probes ...string) *clinic {
	t.Helper()
	return newClinicWith(t, emulator.Options{Fleet: fleet}, probes...)
}

func newClinicWith(t *testing.T, o emulator.Options, probes ...string) *clinic {
	t.Helper()
	o.Pace = 20 * time.Millisecond
	account, err := emulator.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	account.Fault(func(f *emulator.Faults) { f.Pacing = 0 })
	level := slog.LevelError
	if os.Getenv("CULVERT_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
	c := &clinic{T: t, account: account, options: doctor.Options{
		Query:    aws.Query{Cluster: "c", Service: "s", Port: 3128},
		Spec:     tunnel.Spec{Remote: tunnel.Endpoint{Port: 3128}},
		Patience: patience,
		Log:      log,
	}}
	key, secret := account.Credentials()
	c.as(key, secret)
	for _, text := range probes {
		u, err := doctor.ParseProbe(text)
		if err != nil {
			t.Fatal(err)
		}
		c.options.Probes = append(c.options.Probes, u)
	}
	return c
}

// as connects with an access key.
func (c *clinic) as(key, secret string) {
	c.connect(aws.Options{Region: "eu-west-1", Endpoint: c.account.URL(), Keys: aws.Keys{ID: key, Secret: secret}, Log: c.options.Log})
}

func (c *clinic) connect(o aws.Options) {
	c.options.Connect = func(ctx context.Context) (*aws.Client, error) { return aws.Connect(ctx, o) }
}

func (c *clinic) fault(change func(*emulator.Faults)) *clinic {
	c.account.Fault(change)
	return c
}

// brisk is for a path that ends before a session, so that nothing is worth waiting for.
func (c *clinic) brisk() *clinic {
	c.options.Patience = 200 * time.Millisecond
	return c
}

// start starts a session that no client comes to, and returns its id.
func (c *clinic) start() string {
	c.Helper()
	client, err := c.options.Connect(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	session, err := client.StartSession(c.Context(), client.Inspect(c.Context(), c.options.Query).Target, aws.PortForward(3128))
	if err != nil {
		c.Fatal(err)
	}
	return session.ID
}

// examine runs the doctor and makes sure that it leaves nothing behind.
func (c *clinic) examine() doctor.Report {
	c.Helper()
	seen, before := map[string]int{}, c.account.Sessions()
	report := doctor.Run(c.Context(), c.options, func(r doctor.Result) { seen[r.Check]++ })
	for _, check := range doctor.Checks(c.options) {
		if seen[check.ID] != 1 {
			c.Errorf("check %s was told of %d times, want once", check.ID, seen[check.ID])
		}
	}
	// Where the API may not terminate, the agent ends the session, a moment after it has acknowledged that it shall.
	need.Eventually(c, "no session of the doctor's is left", func() bool {
		return !slices.ContainsFunc(c.account.Sessions(), func(s emulator.Session) bool {
			return !slices.ContainsFunc(before, func(b emulator.Session) bool { return b.ID == s.ID })
		})
	})
	return report
}

// finds examines and wants one cause: at that check (any when it is empty), with words of the error and of the remedy, and nothing else amiss.
func (c *clinic) finds(check, cause string, words ...string) doctor.Report {
	c.Helper()
	report := c.examine()
	wantCause(c.T, report, check, cause, words...)
	return report
}

func wantCause(t *testing.T, report doctor.Report, check, cause string, words ...string) {
	t.Helper()
	first := report.First()
	if first == nil {
		t.Fatalf("nothing fails, want %s at %s\n%s", cause, check, summary(report))
	}
	text := first.Finding.Err.Error() + " → " + first.Remedy()
	if (check != "" && first.Check != check) || first.Cause != cause {
		t.Errorf("got cause %s at %s, want %s at %s: %s", first.Cause, first.Check, cause, check, text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s says %q, want it to contain %q", cause, text, word)
		}
	}
	if first.Remedy() == "" {
		t.Errorf("%s has no remedy: %v", cause, first.Finding.Err)
	}
	if others := others(report, cause); len(others) > 0 {
		t.Errorf("beside %s it finds %v\n%s", cause, others, summary(report))
	}
	wantDocumented(t, report)
}

// others are the causes that a report names beside one.
func others(report doctor.Report, cause string) []string {
	found := map[string]bool{}
	for _, r := range report.Results {
		if v := r.Finding.Verdict; (v == doctor.Fail || v == doctor.Warn) && r.Cause != cause {
			found[r.Cause] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// wantDocumented holds every cause of a report against the documented ones.
func wantDocumented(t *testing.T, report doctor.Report) {
	t.Helper()
	for _, r := range report.Results {
		if v := r.Finding.Verdict; v != doctor.Fail && v != doctor.Warn {
			continue
		}
		if !slices.ContainsFunc(doctor.Causes(), func(c doctor.Cause) bool { return c.ID == r.Cause }) {
			t.Errorf("%s finds cause %q, which is not documented: %v", r.Check, r.Cause, r.Finding.Err)
		}
	}
}

// warns examines and wants one warning and no failure.
func (c *clinic) warns(check, cause string, words ...string) {
	c.Helper()
	report := c.examine()
	if first := report.First(); first != nil {
		c.Fatalf("%s fails: %v", first.Check, first.Finding.Err)
	}
	r := resultOf(c.T, report, check)
	if r.Finding.Verdict != doctor.Warn || r.Cause != cause {
		c.Fatalf("%s: got %s %s, want a warning %s\n%s", check, r.Finding.Verdict, r.Cause, cause, summary(report))
	}
	for _, word := range words {
		if text := r.Finding.Err.Error() + " → " + r.Remedy(); !strings.Contains(text, word) {
			c.Errorf("%s says %q, want it to contain %q", cause, text, word)
		}
	}
	if others := others(report, cause); len(others) > 0 {
		c.Errorf("beside %s it finds %v", cause, others)
	}
	wantDocumented(c.T, report)
}

func resultOf(t *testing.T, report doctor.Report, check string) doctor.Result {
	t.Helper()
	for _, r := range report.Results {
		if r.Check == check {
			return r
		}
	}
	t.Fatalf("no check %s", check)
	return doctor.Result{}
}

func summary(report doctor.Report) string {
	var b strings.Builder
	for _, r := range report.Results {
		b.WriteString(r.Finding.Verdict.String() + " " + r.Check + " " + r.Cause + " " + r.Finding.Why + " " + strings.Join(r.Finding.Evidence, "; "))
		if r.Finding.Err != nil {
			b.WriteString(" ← " + r.Finding.Err.Error())
		}
		b.WriteString("\n")
	}
	return b.String()
}
