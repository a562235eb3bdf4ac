package screen

import (
	"cmp"
	"log/slog"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// logPage shows what was logged, the newest below. While the cursor is on the last line it stays with the newest.
type logPage struct {
	*look

	ring  *LogRing // nil: nothing is logged
	table *draw.Table[logLine]
	least slog.Level
	lines []logLine // of every level; their texts are printable
	next  uint64    // sequence number of the first line that was not read yet
}

func newLog(on *look, ring *LogRing) *logPage {
	t := on.theme
	l := &logPage{look: on, ring: ring, least: slog.LevelInfo}
	l.table = draw.NewTable(t, on.keys.table(), func(l logLine) string { return strconv.FormatUint(l.Seq, 10) },
		draw.Column[logLine]{Title: "TIME", Least: 12, Most: 12, Text: func(l logLine) string { return l.At.Local().Format("15:04:05.000") }, Ink: func(logLine) draw.Ink { return t.Muted }},
		draw.Column[logLine]{Title: "LEVEL", Least: 5, Most: 5, Text: func(l logLine) string { return levelWord(l.Level) }, Ink: func(l logLine) draw.Ink { return severity(t, l.Level) },
			Order: func(a, b logLine) int { return cmp.Compare(a.Level, b.Level) }},
		draw.Column[logLine]{Title: "MESSAGE", Least: 20, Most: 48, Text: func(l logLine) string { return l.Message }, Drop: 0},
		draw.Column[logLine]{Title: "FACTS", Least: 10, Grow: true, Text: func(l logLine) string { return l.Facts }, Ink: func(logLine) draw.Ink { return t.Muted }, Drop: 1},
	)
	l.tick()
	return l
}

// levelWord is a level as users write it.
func levelWord(l slog.Level) string { return strings.ToLower(l.String()) }

// severity is the colour of a level.
func severity(t *draw.Theme, l slog.Level) draw.Ink {
	switch {
	case l >= slog.LevelError:
		return t.Bad
	case l >= slog.LevelWarn:
		return t.Busy
	case l >= slog.LevelInfo:
		return t.Good
	}
	return t.Muted
}

// tick takes the lines that were logged since.
func (l *logPage) tick() {
	if l.ring == nil {
		return
	}
	fresh, next := l.ring.since(l.next)
	if next == l.next {
		return
	}
	l.next = next
	for _, line := range fresh {
		line.Message, line.Facts = say.Line(line.Message), say.Line(line.Facts)
		l.lines = append(l.lines, line)
	}
	l.lines = forget(l.lines)
	l.show()
}

// show fills the table with the lines of the chosen level.
func (l *logPage) show() {
	follows := l.table.Cursor() >= l.table.Shown()-1
	var rows []logLine
	for _, line := range l.lines {
		if line.Level >= l.least {
			rows = append(rows, line)
		}
	}
	l.table.Set(rows)
	if follows && l.table.SortedBy() < 0 {
		l.table.Move(l.table.Shown() - 1)
	}
}

func (l *logPage) title() string {
	t := l.theme
	return t.Strong.Paint("Log") + " " + t.Muted.Paint(levelWord(l.least)+" and above") + " " + l.table.Finding()
}

func (l *logPage) foot() string { return l.table.Counted("line") }

func (l *logPage) help() []draw.Binding {
	k := l.keys
	return []draw.Binding{k.view.As("level"), k.filter, k.bottom.As("follow"), k.copy.As("copy line"), k.back}
}

func (l *logPage) update(msg tea.Msg) (wish, bool) {
	if k, ok := msg.(tea.KeyPressMsg); ok && !l.table.Typing() {
		switch {
		case l.keys.log.Pressed(k):
			return nil, true // the key for the log: it is in sight already
		case l.keys.view.Pressed(k):
			l.least = nextLevel(l.least)
			l.show()
			return nil, true
		case l.keys.copy.Pressed(k):
			line, under := l.table.Row()
			if !under {
				return nil, true
			}
			return copied("the line", line.text()), true
		}
	}
	return nil, l.table.Update(msg)
}

// nextLevel returns the next level in the order from the most talkative to the least, and then the first again.
func nextLevel(l slog.Level) slog.Level {
	switch l {
	case slog.LevelDebug:
		return slog.LevelInfo
	case slog.LevelInfo:
		return slog.LevelWarn
	case slog.LevelWarn:
		return slog.LevelError
	case slog.LevelError:
	}
	return slog.LevelDebug
}

// text is the whole line.
func (l logLine) text() string {
	return strings.TrimSpace(l.At.Local().Format("2006-01-02T15:04:05.000Z07:00") + " " + levelWord(l.Level) + " " + l.Message + " " + l.Facts)
}

// wholeLines is how many lines below the table show a long line of the log.
const wholeLines = 4

func (l *logPage) draw(w, h int, focused bool) []string {
	t := l.theme
	if l.table.Len() == 0 {
		return []string{" " + t.Muted.Paint("nothing was logged "+levelWord(l.least)+" or above; "+l.keys.view.Shortest()+" shows other levels")}
	}
	var whole []string
	if line, ok := l.table.Row(); ok && h > 3*wholeLines {
		whole = draw.Wrap(line.text(), w-2)
		whole = whole[:min(len(whole), wholeLines)]
	}
	room := h - len(whole)
	if len(whole) > 0 {
		room--
	}
	lines := t.Fill(l.table.Draw(w, room, focused), w, room)
	if len(whole) > 0 {
		lines = append(lines, t.Border.Paint(strings.Repeat(t.Glyph.Thin.Across, max(w, 0))))
	}
	for _, part := range whole {
		lines = append(lines, " "+part)
	}
	return lines
}
