package say

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Bytes writes an amount in at most six columns: "812 B", "1.2 kB", "48 MB". Units are decimal, as curl and disks
// count.
func Bytes(n uint64) string { return amount(float64(n), "B") }

// Rate writes bytes per second in at most eight columns. What cannot be a rate is none.
func Rate(perSecond float64) string {
	if math.IsNaN(perSecond) || perSecond < 0.5 {
		return "0 B/s"
	}
	return amount(perSecond, "B/s")
}

func amount(n float64, unit string) string {
	if n < 999.5 {
		return fmt.Sprintf("%.0f %s", n, unit)
	}
	prefixes := []string{"k", "M", "G", "T", "P", "E"}
	for i, prefix := range prefixes {
		n /= 1000
		switch {
		case n < 9.95:
			return fmt.Sprintf("%.1f %s%s", n, prefix, unit)
		case n < 999.5:
			return fmt.Sprintf("%.0f %s%s", n, prefix, unit)
		case i == len(prefixes)-1:
			return fmt.Sprintf(">1 Z%s", unit)
		}
	}
	return ""
}

// Age writes a span in at most six columns, the two largest units of it. A span that is negative, because the clock
// was set back, is none.
func Age(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d < 100*day:
		return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

// Trip writes a round trip in at most six columns; one that was never measured is empty.
func Trip(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Millisecond:
		return "<1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d/time.Millisecond)
	case d < 100*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return Age(d)
}

// Count writes a count in at most five columns.
func Count(n uint64) string {
	if n < 100_000 {
		return strconv.FormatUint(n, 10)
	}
	return amount(float64(n), "")
}
