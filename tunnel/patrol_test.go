package tunnel_test

import (
	"testing"
	"time"

	"culvert/tunnel"
)

// 600 tunnels that start in one moment leave most of the account's 20 reads a second to others, and drift apart.
func TestTunnelsDoNotAskECSInStepNorTooOften(t *testing.T) {
	start := time.Now()
	beats := make([]*tunnel.Beat, 600)
	for i := range beats {
		beats[i] = tunnel.StartBeat(start)
	}
	const minutes = 20
	most, all := 0, 0
	for second := range minutes * 60 {
		asked := 0
		for _, b := range beats {
			if b.Due(start.Add(time.Duration(second)*time.Second), false) {
				asked++
			}
		}
		most, all = max(most, asked), all+asked
	}
	if mean := float64(all) / (minutes * 60); mean < 4 || mean > 6 {
		t.Errorf("got %.1f calls a second, want about 5", mean)
	}
	if most > 40 { // of which the bucket takes 100 at once
		t.Errorf("got %d calls in one second", most)
	}
}

func TestATunnelWhoseSessionStallsAsksSoon(t *testing.T) {
	start := time.Now()
	b := tunnel.StartBeat(start)
	for at, want := range map[time.Duration]bool{4 * time.Second: false, 6 * time.Second: true} {
		if got := tunnel.StartBeat(start).Due(start.Add(at), true); got != want {
			t.Errorf("after %s: asks %t, want %t", at, got, want)
		}
	}
	if b.Due(start.Add(80*time.Second), false) {
		t.Error("asks within a minute and a half though nothing is wrong")
	}
	if !b.Due(start.Add(151*time.Second), false) {
		t.Error("does not ask within two and a half minutes")
	}
}
