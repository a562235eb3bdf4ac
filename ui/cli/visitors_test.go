package cli

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"culvert/aws/emulator"
)

// The demo at a hundred times its pace: the tasks of its service are replaced by a deployment, those of others one by
// one, and all of that happens within a minute of the real pace.
func TestAMinuteOfTheDemoShowsLife(t *testing.T) {
	const faster = 100
	account, err := emulator.Start(emulator.Options{Fleet: emulator.Demo(), Life: demoLife / faster, Pace: demoPace / faster})
	if err != nil {
		t.Fatal(err)
	}
	defer account.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var deploying sync.WaitGroup
	defer deploying.Wait()
	defer cancel()
	ours := account.Tasks(demoCluster, demoService)
	others := func() (all []string) {
		for _, at := range [][2]string{{"shop", "web"}, {"shop", "search"}, {"shop", "recommend"}, {"data", "stream"}, {"data", "connect"}} {
			all = append(all, account.Tasks(at[0], at[1])...)
		}
		return all
	}
	before := others()
	deploying.Go(func() { deploys(ctx, account, firstDeployment/faster, time.Hour) })
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		now := account.Tasks(demoCluster, demoService)
		replaced := len(now) == len(ours) && !slices.ContainsFunc(now, func(id string) bool { return slices.Contains(ours, id) })
		if replaced && !slices.Equal(others(), before) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("got tasks %q of the service, had %q: want all replaced, and some of the others", now, ours)
		}
	}
	const steps = 5 // provisioning, pending, activating, running, and the old task's end
	if all := firstDeployment + steps*demoPace + demoRefresh; all > time.Minute {
		t.Errorf("the first deployment is over after %s, want a minute at the most", all)
	}
	if first := demoLife*3/2 + demoRefresh; first > 15*time.Second {
		t.Errorf("the first task stops after up to %s, want 15 s at the most", first)
	}
}
