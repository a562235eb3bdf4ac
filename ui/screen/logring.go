package screen

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// keepLines is how many lines of the log are held for the log page, and how many more that are for debugging: there may be so
// many of those that they would push out the lines about what went wrong.
const keepLines = 2000

// LogRing holds the last records that were logged to its handler, of every level, for the log screen. It is safe for
// concurrent use, and costs a logger a lock and a copy, never a wait. The zero LogRing works.
type LogRing struct {
	mu          sync.Mutex
	lines, fine lineRing // lines of level info and above, and lines below
	next        uint64   // sequence number of the next line
}

// lineRing holds the last keepLines that were added.
type lineRing struct {
	lines []logLine // in order until it is full, then a ring
	added int
}

func (r *lineRing) add(l logLine) {
	if len(r.lines) < keepLines {
		r.lines = append(r.lines, l)
	} else {
		r.lines[r.added%keepLines] = l
	}
	r.added++
}

// since returns the lines from a sequence number on, oldest first.
func (r *lineRing) since(seq uint64) []logLine {
	first := len(r.lines)
	for first > 0 && r.back(first).Seq >= seq {
		first--
	}
	lines := make([]logLine, 0, len(r.lines)-first)
	for i := first + 1; i <= len(r.lines); i++ {
		lines = append(lines, *r.back(i))
	}
	return lines
}

// back returns a line by its position, from 1, the oldest, to the number of lines.
func (r *lineRing) back(place int) *logLine {
	return &r.lines[(r.added-len(r.lines)+place-1)%keepLines]
}

// logLine is a record of the log. In the ring its texts are as they were logged, not yet fit for a terminal.
type logLine struct {
	Seq     uint64 // counts from 0
	At      time.Time
	Level   slog.Level
	Message string
	Facts   string // key=value …
}

// Handler returns a slog handler that writes to the ring.
func (r *LogRing) Handler() slog.Handler { return ringHandler{ring: r} }

func (r *LogRing) add(l logLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.Seq = r.next
	r.next++
	if l.fine() {
		r.fine.add(l)
		return
	}
	r.lines.add(l)
}

// fine reports whether a line is only of interest for debugging.
func (l logLine) fine() bool { return l.Level < slog.LevelInfo }

// since returns the lines from a sequence number on, oldest first, and the number to ask for the next time.
func (r *LogRing) since(seq uint64) (lines []logLine, next uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq == r.next {
		return nil, seq
	}
	lines = append(r.lines.since(seq), r.fine.since(seq)...)
	slices.SortFunc(lines, func(a, b logLine) int { return cmp.Compare(a.Seq, b.Seq) })
	return lines, r.next
}

// forget drops the oldest lines, as many as the ring would have dropped too.
func forget(lines []logLine) []logLine {
	var over [2]int // how many are to be dropped of those that are fine, and of the others
	class := func(l logLine) int {
		if l.fine() {
			return 0
		}
		return 1
	}
	for _, l := range lines {
		over[class(l)]++
	}
	over[0], over[1] = over[0]-keepLines, over[1]-keepLines
	if over[0] <= 0 && over[1] <= 0 {
		return lines
	}
	return slices.DeleteFunc(lines, func(l logLine) bool {
		over[class(l)]--
		return over[class(l)] >= 0
	})
}

// ringHandler is a slog handler that writes to a ring, with the attributes and groups of its logger.
type ringHandler struct {
	ring  *LogRing
	facts string // of WithAttrs
	group string // "a.b." of WithGroup
}

func (h ringHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h ringHandler) Handle(_ context.Context, r slog.Record) error {
	var facts strings.Builder
	facts.WriteString(h.facts)
	r.Attrs(func(a slog.Attr) bool {
		writeFact(&facts, h.group, a)
		return true
	})
	h.ring.add(logLine{At: r.Time, Level: r.Level, Message: r.Message, Facts: facts.String()})
	return nil
}

func (h ringHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var facts strings.Builder
	facts.WriteString(h.facts)
	for _, a := range attrs {
		writeFact(&facts, h.group, a)
	}
	h.facts = facts.String()
	return h
}

func (h ringHandler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.group += name + "."
	}
	return h
}

// writeFact appends key=value; a LogValuer decides itself what it shows.
func writeFact(b *strings.Builder, group string, a slog.Attr) {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, member := range value.Group() {
			writeFact(b, group, member)
		}
		return
	}
	if a.Equal(slog.Attr{}) {
		return
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(group + a.Key)
	b.WriteByte('=')
	text := value.String()
	if value.Kind() == slog.KindTime {
		text = value.Time().Format(time.RFC3339)
	}
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == '=' || !unicode.IsPrint(r) }) {
		text = strconv.Quote(text)
	}
	b.WriteString(text)
}
