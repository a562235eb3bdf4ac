package headless_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
	"culvert/ui/headless"
)

// Twenty jobs at once share one task, which ends with the last of them, and one that owns its own has that alone. Each has what a
// process has of its own: client, engine and run; all that they share is the account.
func TestTwentyJobsShareOneTaskAndOneOwnsIts(t *testing.T) {
	const jobs = 20
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Demo()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	id, secret := e.Credentials()
	var all sync.WaitGroup
	ready := make(chan struct{}, jobs+1)
	begin := func(share bool) context.CancelFunc {
		client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		o := headless.Options{
			Client: client, Engine: tunnel.New(tunnel.Options{Client: client}),
			Forwards: []headless.Forward{{Query: aws.Query{Cluster: "automation", Port: 3128}, Spec: tunnel.Spec{Remote: tunnel.Endpoint{Port: 3128}}, AnyPort: true}},
			Wait:     2 * time.Minute, Probe: headless.Probe{}, Out: &output{}, Err: &output{}, JSON: true,
			Ready:    func([]*tunnel.Tunnel) { ready <- struct{}{} },
			OnDemand: &headless.OnDemand{Order: aws.Order{Cluster: "automation", Service: "squid", Definition: "culvert-squid", TTL: time.Hour, Share: share}},
		}
		all.Go(func() {
			if err := headless.Run(ctx, o); err != nil {
				t.Errorf("a job ends with %v:\n%s", err, o.Err)
				ready <- struct{}{} // nobody is to wait for it
			}
		})
		return stop
	}
	runs := func(when string, want int) {
		t.Helper()
		if got := e.Running("automation"); len(got) != want {
			t.Errorf("%s: got running tasks %v, want %d", when, got, want)
		}
	}
	stops := make([]context.CancelFunc, jobs)
	for i := range stops {
		stops[i] = begin(true)
	}
	own := begin(false)
	for range jobs + 1 {
		<-ready
	}
	runs(fmt.Sprintf("with %d jobs that share and one that owns its own", jobs), 2)
	own()
	for _, stop := range stops[1:] {
		stop()
	}
	for end := time.Now().Add(time.Minute); len(e.Sessions()) > 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d sessions are left, want that of one job", len(e.Sessions()))
		}
	}
	for end := time.Now().Add(time.Minute); len(e.Running("automation")) > 1 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	runs("with one of those who share", 1)
	stops[0]()
	all.Wait()
	runs("with nobody", 0)
	if left := e.Sessions(); len(left) > 0 {
		t.Errorf("%d sessions are left", len(left))
	}
}
