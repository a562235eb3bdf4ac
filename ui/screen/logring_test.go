package screen

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

type secret string

func (secret) LogValue() slog.Value { return slog.StringValue("(hidden)") }

func TestLogRingKeepsWhatWasLogged(t *testing.T) {
	var ring LogRing
	log := slog.New(ring.Handler()).With("tunnel", 1).WithGroup("lane")
	log.LogAttrs(t.Context(), slog.LevelWarn, "session lost", slog.Any("error", errors.New("close 1006\x1b[2J")),
		slog.Group("at", "host", "a b"), slog.Any("token", secret("t")), slog.String("empty", ""), slog.Attr{})
	lines, next := ring.since(0)
	if len(lines) != 1 || next != 1 {
		t.Fatalf("got %d lines, next %d; want the warning alone", len(lines), next)
	}
	const want = `tunnel=1 lane.error="close 1006\x1b[2J" lane.at.host="a b" lane.token=(hidden) lane.empty=""`
	if l := lines[0]; l.Message != "session lost" || l.Level != slog.LevelWarn || l.At.IsZero() || l.Facts != want {
		t.Errorf("got  %+v\nwant %s", l, want)
	}
}

func TestLogRingForgetsTheOldest(t *testing.T) {
	var ring LogRing
	log := slog.New(ring.Handler())
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range keepLines {
				log.Info("line", "writer", w, "i", i)
			}
		})
	}
	writers.Wait()
	lines, next := ring.since(5)
	if len(lines) != keepLines || next != 4*keepLines {
		t.Fatalf("got %d lines, next %d; want %d and %d", len(lines), next, keepLines, 4*keepLines)
	}
	for i, l := range lines {
		if l.Seq != uint64(3*keepLines+i) {
			t.Fatalf("line %d has number %d, want them in order", i, l.Seq)
		}
	}
	if more, _ := ring.since(next); len(more) != 0 {
		t.Errorf("got %d lines after the last, want none", len(more))
	}
	log.Info("last", "text", strings.Repeat("x", 10))
	if more, _ := ring.since(next); len(more) != 1 || more[0].Facts != "text="+strings.Repeat("x", 10) {
		t.Errorf("got %s, want the last line alone", fmt.Sprint(more))
	}
}

func TestWhatIsForDebuggingTakesNoOthersPlace(t *testing.T) {
	var ring LogRing
	a := newTestApp(t, Options{Log: &ring}, 100, 30)
	log := slog.New(ring.Handler())
	log.Warn("session lost")
	press(t, a, "L", "v", "v", "v") // debug and above
	for i := range 3 * keepLines {
		log.Debug("message", "i", i)
		if i%1000 == 0 {
			a.Update(tickMsg{a.beat})
		}
	}
	log.Info("session open")
	a.Update(tickMsg{a.beat})
	lines, _ := ring.since(0)
	shown := a.pages[0].(*logPage).lines
	for name, held := range map[string][]logLine{"ring": lines, "page": shown} {
		if len(held) != keepLines+2 || held[0].Message != "session lost" || held[1].Facts != fmt.Sprintf("i=%d", 2*keepLines) || held[len(held)-1].Message != "session open" {
			t.Errorf("the %s holds %d lines from %+v, want the warning, the last %d for debugging, and the last of all", name, len(held), held[:min(2, len(held))], keepLines)
		}
	}
	want(t, a, "debug and above", fmt.Sprintf("i=%d", 3*keepLines-1), "session open")
	press(t, a, "v")
	want(t, a, "info and above", "session lost", "session open")
	wantNot(t, a, "message")
}

// BenchmarkLogRing is what a line costs who logs it. Nothing is logged per message of a session or per byte.
func BenchmarkLogRing(b *testing.B) {
	var ring LogRing
	log := slog.New(ring.Handler()).With("tunnel", 1)
	b.ReportAllocs()
	for b.Loop() {
		log.Debug("lane took no connection", "connection", 7, "error", "closed")
	}
}
