package say

import (
	"math"
	"testing"
	"time"
)

func TestAmountsFitTheirColumns(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9951: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		48_211_000: "48 MB", math.MaxUint64: "18 EB",
	} {
		if got := Bytes(n); got != want || len(got) > 6 {
			t.Errorf("%d bytes: got %q, want %q", n, got, want)
		}
	}
	for r, want := range map[float64]string{
		-5: "0 B/s", 0.2: "0 B/s", 0.5: "0 B/s", 1: "1 B/s", 999.4: "999 B/s", 999.6: "1.0 kB/s", 123e6: "123 MB/s",
		1e25: ">1 ZB/s", math.Inf(1): ">1 ZB/s", math.Inf(-1): "0 B/s",
	} {
		if got := Rate(r); got != want || len(got) > 8 {
			t.Errorf("%g bytes a second: got %q, want %q", r, got, want)
		}
	}
	if got := Rate(math.NaN()); got != "0 B/s" {
		t.Errorf("no number: got %q, want 0 B/s", got)
	}
	for n, want := range map[uint64]string{0: "0", 99_999: "99999", 100_000: "100 k", math.MaxUint64: "18 E"} {
		if got := Count(n); got != want || len(got) > 5 {
			t.Errorf("a count of %d: got %q, want %q", n, got, want)
		}
	}
}

func TestSpansFitTheirColumns(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 0: "0s", 59*time.Second + 999*time.Millisecond: "59s", time.Minute: "1m00s", 3*time.Minute + 12*time.Second: "3m12s",
		59*time.Minute + 59*time.Second: "59m59s", 2*time.Hour + 5*time.Minute: "2h05m", 26 * time.Hour: "1d02h",
		99*24*time.Hour + 23*time.Hour: "99d23h", math.MaxInt64: "106751d",
	} {
		if got := Age(d); got != want || len(got) > 7 {
			t.Errorf("an age of %s: got %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "", 0: "", 40 * time.Microsecond: "<1 ms", 12 * time.Millisecond: "12 ms", 1200 * time.Millisecond: "1.2 s", 3 * time.Minute: "3m00s",
	} {
		if got := Trip(d); got != want {
			t.Errorf("a round trip of %s: got %q, want %q", d, got, want)
		}
	}
}
