// Package capacity tries many clients on one service of the embedded account: how evenly they spread over its tasks, and
// how long anybody is without a tunnel while the service is deployed anew and while tasks are taken away.
package capacity

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
	"culvert/ui/headless"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// seelog, which AWS's message package logs with, starts it at import.
		goleak.IgnoreAnyFunction("github.com/cihub/seelog.(*asyncLoopLogger).processQueue"))
}

// scale is how much is tried. The small one is part of make test; make capacity is the one that docs/capacity.md shows.
type scale struct {
	clients, tasks int
	pace           time.Duration // of a task from one status to the next; it has three to go until it takes sessions
	pause          time.Duration // of a client between two requests
	most           time.Duration // that anybody may be without a tunnel
}

func scaleOf(t *testing.T) scale {
	t.Helper()
	s := scale{clients: 40, tasks: 4, pace: 200 * time.Millisecond, pause: 200 * time.Millisecond, most: 30 * time.Second}
	if asked := os.Getenv("CULVERT_CAPACITY"); asked != "" {
		if _, err := fmt.Sscanf(asked, "%dx%d", &s.clients, &s.tasks); err != nil {
			t.Fatalf("CULVERT_CAPACITY=%s: want CLIENTSxTASKS: %v", asked, err)
		}
		s.pace, s.pause, s.most = 10*time.Second, 2*time.Second, 2*time.Minute
	}
	return s
}

func TestNobodyIsLongWithoutATunnel(t *testing.T) {
	s := scaleOf(t)
	if testing.Short() {
		s.clients = 10
	}
	o := start(t, s)
	o.calm(t, "everybody has a tunnel")
	o.report(t, "open")
	if got, most := slices.Max(o.sessions()), 3*s.clients/s.tasks+5; got > most {
		t.Errorf("%d of %d clients are on one of %d tasks, want at most %d", got, s.clients, s.tasks, most)
	}

	before := o.account.Tasks("automation", "squid")
	if err := o.account.Deploy("automation", "squid"); err != nil {
		t.Fatal(err)
	}
	o.calm(t, "the deployment is through", func() bool {
		now := o.account.Tasks("automation", "squid")
		return len(now) == s.tasks && !slices.ContainsFunc(now, func(id string) bool { return slices.Contains(before, id) })
	})
	o.report(t, "deployment")

	for _, id := range o.account.Tasks("automation", "squid")[:max(1, s.tasks/5)] {
		if err := o.account.StopTask(id, "Your Spot Task was interrupted."); err != nil {
			t.Fatal(err)
		}
	}
	o.calm(t, "a fifth of the tasks is replaced", func() bool { return len(o.account.Tasks("automation", "squid")) == s.tasks })
	o.report(t, "a fifth taken away")

	for _, c := range o.clients {
		if c.worst > s.most {
			t.Errorf("a client was without a tunnel for %s, want at most %s", c.worst.Round(time.Millisecond), s.most)
		}
	}
}

// office is the service and everybody who uses it.
type office struct {
	scale

	account *emulator.Emulator
	clients []*client
	stop    context.CancelFunc
	working sync.WaitGroup
	started time.Time
}

// client is one job: a process of its own in the wild, here an engine of its own.
type client struct {
	mu      sync.Mutex
	tunnel  *tunnel.Tunnel
	open    bool
	since   time.Time     // it has not been open
	first   time.Duration // from the start to the first answer
	longest time.Duration // without a tunnel, since the last report, after the first answer
	worst   time.Duration // the same, since the start
	moved   int           // times it had to look for another session
	asked   int
	failed  int
	slowest time.Duration // answer
}

func start(t *testing.T, s scale) *office {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here\n") }))
	t.Cleanup(server.Close)
	account, err := emulator.Start(emulator.Options{Pace: s.pace, Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{
		Name: "automation", Services: []emulator.Service{{Name: "squid", Count: s.tasks, Steady: true, Task: emulator.Task{
			Containers: []emulator.Container{{Name: "squid", Health: "HEALTHY", Ports: map[uint16]string{3128: server.Listener.Addr().String()}}},
		}}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	account.Fault(func(f *emulator.Faults) { f.Rates = true })
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	o := &office{scale: s, account: account, stop: stop, started: time.Now()}
	key, secret := account.Credentials()
	for range s.clients {
		c := &client{since: o.started}
		o.clients = append(o.clients, c)
		o.working.Go(func() {
			connection, err := aws.Connect(ctx, aws.Options{Region: "eu-west-1", Endpoint: account.URL(), Keys: aws.Keys{ID: key, Secret: secret}})
			if err != nil {
				t.Errorf("connect: %v", err)
				return
			}
			c.work(ctx, t, o, connection)
		})
	}
	t.Cleanup(func() {
		stop()
		o.working.Wait()
		if left := account.Sessions(); len(left) > 0 {
			t.Errorf("%d sessions are left", len(left))
		}
	})
	return o
}

// work does what a job does: culvert --headless, and through its tunnel a request now and then until the end.
func (c *client) work(ctx context.Context, t *testing.T, o *office, connection *aws.Client) {
	t.Helper()
	engine := tunnel.New(tunnel.Options{Client: connection, Lanes: 1})
	events := engine.Watch(context.WithoutCancel(ctx)) // closed with the engine
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() {
		for e := range events {
			c.note(e)
		}
	})
	err := headless.Run(ctx, headless.Options{
		Client: connection, Engine: engine, Wait: 10 * time.Minute, Out: io.Discard, Err: io.Discard,
		Forwards: []headless.Forward{{
			Query: aws.Query{Cluster: "automation", Service: "squid", Port: 3128},
			Spec:  tunnel.Spec{Remote: tunnel.Endpoint{Port: 3128}},
		}},
		Ready: func(tunnels []*tunnel.Tunnel) {
			c.mu.Lock()
			c.tunnel = tunnels[0]
			c.mu.Unlock()
			working.Go(func() { c.use(ctx, o) })
		},
	})
	if err != nil {
		t.Errorf("headless: %v", err)
	}
}

// use asks for something through the tunnel until the end.
func (c *client) use(ctx context.Context, o *office) {
	over := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: o.most}
	for url := "http://" + c.tunnel.Addr().String() + "/"; ctx.Err() == nil; rest(ctx, o.pause) {
		c.ask(ctx, o, over, url)
	}
}

// note follows the state of the tunnel.
func (c *client) note(e tunnel.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch open := e.State == tunnel.Open || e.State == tunnel.Asleep; {
	case open && !c.open:
		if c.first > 0 {
			c.longest = max(c.longest, e.At.Sub(c.since))
			c.worst = max(c.worst, c.longest)
		}
		c.open = true
	case !open && c.open:
		c.open, c.since = false, e.At
		c.moved++
	}
}

func (c *client) ask(ctx context.Context, o *office, over *http.Client, url string) {
	began := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return
	}
	answer, err := over.Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if err != nil {
		c.failed++
		return
	}
	c.slowest = max(c.slowest, time.Since(began))
	if c.first == 0 {
		c.first = time.Since(o.started)
	}
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// calm waits until every client has a tunnel that answers, to a task that is to stay, and if asked something else holds.
func (o *office) calm(t *testing.T, what string, also ...func() bool) {
	t.Helper()
	late := time.Now().Add(5 * time.Minute)
	for {
		without, tasks := 0, o.account.Tasks("automation", "squid")
		for _, c := range o.clients {
			c.mu.Lock()
			if !c.open || c.first == 0 || !slices.Contains(tasks, c.tunnel.Link().Target.Task) {
				without++
			}
			c.mu.Unlock()
		}
		if without == 0 && !slices.ContainsFunc(also, func(holds func() bool) bool { return !holds() }) {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("%s: not within five minutes; %d clients are without a tunnel", what, without)
		}
		rest(t.Context(), 50*time.Millisecond)
	}
}

// sessions counts them per task that is meant to run.
func (o *office) sessions() []int {
	count := map[string]int{}
	for _, id := range o.account.Tasks("automation", "squid") {
		count[id] = 0
	}
	for _, c := range o.clients {
		c.mu.Lock()
		if c.tunnel != nil {
			count[c.tunnel.Link().Target.Task]++
		}
		c.mu.Unlock()
	}
	var all []int
	for _, n := range count {
		all = append(all, n)
	}
	return all
}

// report says what has happened since the last report.
func (o *office) report(t *testing.T, stage string) {
	t.Helper()
	var firsts, gaps, slowest []time.Duration
	moved, asked, failed := 0, 0, 0
	for _, c := range o.clients {
		c.mu.Lock()
		firsts = append(firsts, c.first)
		slowest = append(slowest, c.slowest)
		if c.moved > 0 {
			gaps = append(gaps, c.longest)
		}
		moved, asked, failed = moved+c.moved, asked+c.asked, failed+c.failed
		c.moved, c.asked, c.failed, c.slowest, c.longest = 0, 0, 0, 0, 0
		c.mu.Unlock()
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	sessions := o.sessions()
	slices.Sort(sessions)
	t.Logf("%s: %d clients on %d tasks, sessions per task %d to %d (median %d)", stage, len(o.clients), len(sessions), sessions[0], sessions[len(sessions)-1], sessions[len(sessions)/2])
	if stage == "open" {
		t.Logf("  first answer after %s", spread(firsts))
	}
	t.Logf("  %d moves to another session, without a tunnel for %s", moved, spread(gaps))
	t.Logf("  %d requests, %d failed, slowest answer %s", asked, failed, spread(slowest))
	t.Logf("  ECS calls so far: %d ListTasks, %d DescribeTasks; %d StartSession", o.account.Calls("ListTasks"), o.account.Calls("DescribeTasks"), o.account.Calls("StartSession"))
	t.Logf("  process: %d MB, %d goroutines (clients and account together)", memory.Sys>>20, runtime.NumGoroutine())
}

// spread is median and maximum.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	return fmt.Sprintf("%s (median), %s (longest)", all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
}
