package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws"
)

// A row: the API cannot be reached for an hour, in virtual time. A lane asks for its session again and again, more seldom with
// time and yet often enough to be back soon, and says each time what stands in the way (protocol.md 9, P4).
func TestFaultAPIIsOutForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := aws.Connect(t.Context(), aws.Options{
			Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", // nobody listens on port 1
			Keys: aws.Keys{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "x"},
		})
		if err != nil {
			t.Fatal(err)
		}
		l := newLane(client, slog.New(slog.DiscardHandler), Endpoint{Port: 7000}, laneOptions{messageSize: 1024})
		l.target, l.session = aws.Target{Cluster: "c"}, aws.Session{ID: "s"}
		const long = time.Hour
		began := time.Now()
		last, tries, longest := began, 0, time.Duration(0)
		l.changed = func(_ *lane, err error) {
			if err == nil {
				t.Error("a try that failed says nothing")
			}
			longest, last = max(longest, time.Since(last)), time.Now()
			tries++
		}
		ctx, cancel := context.WithTimeout(t.Context(), long)
		defer cancel()
		_, _, err = l.resume(ctx, newRetry(), false)
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != long {
			t.Errorf("given up after %s: %v", took, err)
		}
		t.Logf("%d tries, the longest rest %s", tries, longest)
		if since := time.Since(last); longest > time.Minute || since > time.Minute {
			t.Errorf("%d tries with rests of up to %s, the last one %s before the end: want one a minute at least", tries, longest, since)
		}
		if tries > 60*12 {
			t.Errorf("%d tries in an hour: want twelve a minute at the most", tries)
		}
	})
}
