package screen

import (
	"math"
	"testing"
	"time"
)

func TestRateIsThatOfTheLastSecond(t *testing.T) {
	var m meter
	at := start()
	if sent, received := m.rate(); sent != 0 || received != 0 {
		t.Fatalf("before anything: got %g and %g, want 0", sent, received)
	}
	var total uint64
	for range 30 { // 3 s at 10 Hz, 1 kB every tick
		m.observe(at, total, 2*total)
		at, total = at.Add(100*time.Millisecond), total+1000
	}
	if sent, received := m.rate(); sent != 10_000 || received != 20_000 {
		t.Errorf("at 10 Hz: got %g up, %g down; want 10000 and 20000", sent, received)
	}
	m.observe(at.Add(time.Second), total, 2*total)
	m.observe(at.Add(2*time.Second), total, 2*total)
	if sent, received := m.rate(); sent != 0 || received != 0 {
		t.Errorf("after a silent second, looked at once a second: got %g and %g, want 0", sent, received)
	}
	for i, second := range m.history(2) {
		if second.sent != 10_000 && i == 0 {
			t.Logf("history: %+v", m.history(5))
		}
	}
}

func TestHistoryHoldsEveryByteOfItsSeconds(t *testing.T) {
	var m meter
	at := start()
	m.observe(at, 0, 0)
	var total uint64
	for range 1000 { // ticks that divide no second evenly
		at, total = at.Add(37*time.Millisecond), total+41
		m.observe(at, total, 0)
	}
	var sum float64
	for _, second := range m.history(keepSeconds) {
		sum += second.sent
	}
	sum += m.seconds[m.now].sent
	if math.Abs(sum-float64(total)) > 0.01 {
		t.Errorf("got %g bytes in the history, want %d", sum, total)
	}
}

func TestClocksAndTotalsThatRunBackwardsCountAsNothing(t *testing.T) {
	var m meter
	at := start()
	m.observe(at, 0, 0)
	m.observe(at.Add(time.Second), 5000, 0)
	m.observe(at.Add(-time.Hour), 6000, 0) // the clock was set back
	if sent, _ := m.rate(); sent != 0 {
		t.Errorf("right after the step: got %g, want 0 until there are two samples", sent)
	}
	m.observe(at.Add(-time.Hour+time.Second), 7000, 0)
	if sent, _ := m.rate(); sent != 1000 {
		t.Errorf("a second after the step: got %g, want 1000", sent)
	}
	m.observe(at.Add(-time.Hour+2*time.Second), 10, 0)
	if sent, _ := m.rate(); sent != 0 {
		t.Errorf("totals that shrink: got %g, want 0", sent)
	}
	m.observe(at.Add(-time.Hour+2*time.Second), 20, 0) // twice at the same time
	if sent, _ := m.rate(); sent != 0 {
		t.Errorf("no time between: got %g, want 0", sent)
	}
}

func TestLongSleepClearsTheHistory(t *testing.T) {
	var m meter
	at := start()
	m.observe(at, 0, 0)
	m.observe(at.Add(2*time.Second), 4000, 0)
	m.observe(at.Add(100*time.Hour), 4000, 0) // the laptop slept
	for i, second := range m.history(keepSeconds) {
		if second.sent != 0 {
			t.Fatalf("second %d holds %g bytes, want none of before the sleep", i, second.sent)
		}
	}
	if got := len(m.history(1000)); got != 1000 {
		t.Errorf("got %d seconds, want as many as were asked for", got)
	}
}
