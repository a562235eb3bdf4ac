package ui

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// keepLines of the log are held for the log screen.
const keepLines = 2000

// LogRing holds the last records that were logged to its handler, for the log screen. It is safe for concurrent use,
// and costs a logger a lock and a copy, never a wait. The zero LogRing works.
type LogRing struct {
	mu    sync.Mutex
	lines []logLine // ring once it is full
	next  uint64    // sequence number of the next line
}

// logLine is a record; its texts are still to be made fit for a terminal.
type logLine struct {
	Seq     uint64 // counts from 0
	At      time.Time
	Level   slog.Level
	Message string
	Facts   string // key=value …
}

// Handler returns a slog handler that writes to the ring what is at least of the given level.
func (r *LogRing) Handler(level slog.Leveler) slog.Handler { return ringHandler{ring: r, level: level} }

func (r *LogRing) add(l logLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.Seq = r.next
	r.next++
	if len(r.lines) < keepLines {
		r.lines = append(r.lines, l)
		return
	}
	r.lines[l.Seq%keepLines] = l
}

// since returns the lines from a sequence number on, oldest first, and the number to ask for the next time.
func (r *LogRing) since(seq uint64) (lines []logLine, next uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if oldest := r.next - uint64(len(r.lines)); seq < oldest {
		seq = oldest
	}
	for ; seq < r.next; seq++ {
		lines = append(lines, r.lines[seq%keepLines])
	}
	return lines, r.next
}

// ringHandler is the way into a ring for loggers with attributes of their own.
type ringHandler struct {
	ring  *LogRing
	level slog.Leveler
	facts string // of WithAttrs
	group string // "a.b." of WithGroup
}

func (h ringHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

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
