package screen

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// record logs at a fixed time.
func record(ring *LogRing, level slog.Level, message, facts string) {
	ring.add(logLine{At: start(), Level: level, Message: message, Facts: facts})
}

func TestLogShowsLevelsAndFilters(t *testing.T) {
	t.Setenv("TZ", "UTC")
	var ring LogRing
	a := newTestApp(t, Options{Log: &ring}, 100, 30)
	press(t, a, "L")
	want(t, a, "nothing was logged info or above")
	record(&ring, slog.LevelDebug, "every frame", "n=1")
	record(&ring, slog.LevelInfo, "session opened", "tunnel=1 session=demo-1")
	record(&ring, slog.LevelWarn, "session lost\x1b[2J", "tunnel=1 error=\"close 1006\"")
	record(&ring, slog.LevelError, "tunnel lost", "tunnel=2")
	a.Update(tickMsg{a.beat})
	want(t, a, "info and above", "session opened", "tunnel lost", `session lost\x1b[2J`)
	wantNot(t, a, "every frame")
	press(t, a, "v")
	want(t, a, "warn and above")
	wantNot(t, a, "session opened")
	press(t, a, "v", "v")
	want(t, a, "debug and above", "every frame")
	press(t, a, "/")
	typed(t, a, "1006")
	press(t, a, "enter")
	want(t, a, "1 of 4", "session lost")
	wantNot(t, a, "tunnel lost")
}

func TestLogFollowsUntilTheUserLooksBack(t *testing.T) {
	var ring LogRing
	a := newTestApp(t, Options{Log: &ring}, 100, 30)
	for i := range 100 {
		record(&ring, slog.LevelInfo, fmt.Sprintf("line %d.", i), "")
	}
	press(t, a, "L")
	want(t, a, "line 99.")
	record(&ring, slog.LevelInfo, "line 100.", "")
	a.Update(tickMsg{a.beat})
	want(t, a, "line 100.")
	press(t, a, "g")
	record(&ring, slog.LevelInfo, "line 101.", "")
	a.Update(tickMsg{a.beat})
	want(t, a, "line 0.")
	wantNot(t, a, "line 101.")
	press(t, a, "G")
	want(t, a, "line 101.")
}

func TestLongLinesAreShownWhole(t *testing.T) {
	var ring LogRing
	a := newTestApp(t, Options{Log: &ring}, 80, 30)
	record(&ring, slog.LevelInfo, "denied", "statement="+strings.Repeat("x", 100)+" end=here")
	press(t, a, "L")
	want(t, a, "end=here")
	if got := decoded(t, sent(t, a, "y")); !strings.HasSuffix(got, "end=here") {
		t.Error("y does not copy the whole line")
	}
}

func TestThePageForgetsTheOldestLines(t *testing.T) {
	var ring LogRing
	a := newTestApp(t, Options{Log: &ring}, 160, 50)
	press(t, a, "L")
	for i := range 3 * keepLines {
		record(&ring, slog.LevelInfo, fmt.Sprintf("line %d.", i), "")
		if i%(keepLines-7) == 0 {
			a.Update(tickMsg{a.beat})
		}
	}
	a.Update(tickMsg{a.beat})
	if n := len(a.pages[0].(*logPage).lines); n != keepLines {
		t.Errorf("the page holds %d lines, want %d", n, keepLines)
	}
	want(t, a, fmt.Sprintf("line %d.", 3*keepLines-1))
}

// BenchmarkLogTick is a tick of a full log to which a line has come.
func BenchmarkLogTick(b *testing.B) {
	var ring LogRing
	for i := range keepLines {
		record(&ring, slog.LevelInfo, "connection ended", fmt.Sprintf("tunnel=1 id=%d host=api.internal:443 sent=1290 received=48211", i))
	}
	a, err := newApp(b.Context(), Options{Log: &ring, Now: start})
	if err != nil {
		b.Fatal(err)
	}
	l := newLog(a.look, &ring)
	b.ReportAllocs()
	for b.Loop() {
		record(&ring, slog.LevelInfo, "connection ended", "tunnel=1")
		l.tick()
		l.draw(198, 30, true)
	}
}
