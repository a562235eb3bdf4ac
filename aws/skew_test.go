package aws_test

import (
	"fmt"
	"testing"
	"time"

	"culvert/aws/emulator"
)

// The Date header has whole seconds, and an answer takes its time: less than a minute is no clock that is wrong, and a
// correction by it would only move signatures about. More is, and signatures are corrected by it.
func TestAClockCountsAsWrongFromAMinuteOn(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration
		wrong bool
	}{{0, false}, {5 * time.Second, false}, {-5 * time.Second, false}, {50 * time.Second, false}, {-50 * time.Second, false}, {70 * time.Second, true}, {-70 * time.Second, true}, {4 * time.Minute, true}} {
		t.Run(fmt.Sprint(c.ahead), func(t *testing.T) {
			t.Parallel()
			account, err := emulator.Start(emulator.Options{Now: func() time.Time { return time.Now().Add(c.ahead) }})
			if err != nil {
				t.Fatal(err)
			}
			defer account.Close()
			client := connect(t, account)
			if _, err := client.Identity(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := client.Skew()
			if !c.wrong && got != 0 {
				t.Errorf("a clock that is %s ahead counts as %s", c.ahead, got)
			}
			if c.wrong && (got-c.ahead).Abs() > 10*time.Second {
				t.Errorf("a clock that is %s ahead counts as %s", c.ahead, got)
			}
		})
	}
}
