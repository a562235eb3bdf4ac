package emulator

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

func TestRatesThrottleWhatGoesBeyondThePublishedBucket(t *testing.T) {
	start := time.Now()
	var r rates
	at := func(after time.Duration, calls int) (served int) {
		for range calls {
			if r.take("ecs:ListTasks", start.Add(after)) {
				served++
			}
		}
		return served
	}
	if got := at(0, 150); got != 100 {
		t.Errorf("at once: %d calls served, want the burst of 100", got)
	}
	if got := at(2*time.Second, 150); got != 40 {
		t.Errorf("two seconds later: %d, want 40", got)
	}
	if got := at(time.Hour, 150); got != 100 {
		t.Errorf("an hour later: %d, want no more than the burst", got)
	}
	if !r.take("ecs:DescribeServices", start) || !r.take("ssm:StartSession", start) {
		t.Error("another bucket is empty as well")
	}
}

func TestRatesHoldForClients(t *testing.T) {
	e := oneContainer(t, nil)
	client := ecs.NewFromConfig(sdk(t, e))
	list := func(times int) (refused int) {
		for range times {
			if _, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("one_small_cluster")}); code(err) == "ThrottlingException" {
				refused++
			}
		}
		return refused
	}
	if refused := list(110); refused > 0 {
		t.Errorf("%d calls throttled although nobody asked for it", refused)
	}
	e.Fault(func(f *Faults) { f.Rates = true })
	before := time.Now()
	refused := list(400)
	if served, most := 400-refused, 101+int(20*time.Since(before).Seconds()); served > most {
		t.Errorf("%d calls served within %s, want at most %d", served, time.Since(before), most)
	}
}
