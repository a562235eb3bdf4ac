package ui

import (
	"cmp"
	"log/slog"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
)

// logPage shows what was logged, the newest below. While the cursor is on the last line it stays with the newest.
type logPage struct {
	app   *app
	table *table[logLine]
	least slog.Level
	lines []logLine // of every level, printable
	next  uint64    // number of the first line that was not read yet
}

func newLog(a *app) *logPage {
	t := a.theme
	l := &logPage{app: a, least: slog.LevelInfo}
	l.table = newTable(t, a.keys, func(l logLine) string { return strconv.FormatUint(l.Seq, 10) },
		column[logLine]{title: "TIME", least: 12, most: 12, text: func(l logLine) string { return l.At.Local().Format("15:04:05.000") }, ink: func(logLine) ink { return t.muted }},
		column[logLine]{title: "LEVEL", least: 5, most: 5, text: func(l logLine) string { return levelWord(l.Level) }, ink: func(l logLine) ink { return t.severity(l.Level) },
			order: func(a, b logLine) int { return cmp.Compare(a.Level, b.Level) }},
		column[logLine]{title: "MESSAGE", least: 20, most: 48, text: func(l logLine) string { return l.Message }, drop: 0},
		column[logLine]{title: "FACTS", least: 10, grow: true, text: func(l logLine) string { return l.Facts }, ink: func(logLine) ink { return t.muted }, drop: 1},
	)
	l.tick()
	return l
}

// levelWord is a level as users write it.
func levelWord(l slog.Level) string { return strings.ToLower(l.String()) }

// severity is the colour of a level.
func (t *theme) severity(l slog.Level) ink {
	switch {
	case l >= slog.LevelError:
		return t.bad
	case l >= slog.LevelWarn:
		return t.busy
	case l >= slog.LevelInfo:
		return t.good
	}
	return t.muted
}

// tick takes the lines that were logged since.
func (l *logPage) tick() {
	if l.app.o.Log == nil {
		return
	}
	fresh, next := l.app.o.Log.since(l.next)
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
	follows := l.table.cursor >= len(l.table.shown)-1
	var rows []logLine
	for _, line := range l.lines {
		if line.Level >= l.least {
			rows = append(rows, line)
		}
	}
	l.table.set(rows)
	if follows && l.table.sortBy < 0 {
		l.table.move(len(l.table.shown) - 1)
	}
}

func (l *logPage) title() string {
	t := l.app.theme
	return t.strong.paint("Log") + " " + t.muted.paint(levelWord(l.least)+" and above") + " " + l.table.finding()
}

func (l *logPage) foot() string { return l.table.counted("line") }

func (l *logPage) help() []binding {
	k := l.app.keys
	return []binding{k.view.as("level"), k.filter, k.bottom.as("follow"), k.copy.as("copy line"), k.back}
}

func (l *logPage) update(msg tea.Msg) (tea.Cmd, bool) {
	if k, ok := msg.(tea.KeyPressMsg); ok && !l.table.typing {
		switch {
		case is(k, l.app.keys.log):
			return nil, true // it is here
		case is(k, l.app.keys.view):
			l.least = nextLevel(l.least)
			l.show()
			return nil, true
		case is(k, l.app.keys.copy):
			line, under := l.table.row()
			if !under {
				return nil, true
			}
			return l.app.copy("the line", line.text()), true
		}
	}
	return nil, l.table.update(msg)
}

// nextLevel goes through the levels from the most to say to the least, and round again.
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

// wholeLines is how much of a long line is shown below the table.
const wholeLines = 4

func (l *logPage) draw(w, h int) []string {
	t := l.app.theme
	if len(l.table.rows) == 0 {
		return []string{" " + t.muted.paint("nothing was logged "+levelWord(l.least)+" or above; "+l.app.keys.view.shortest()+" shows other levels")}
	}
	var whole []string
	if line, ok := l.table.row(); ok && h > 3*wholeLines {
		whole = wrap(line.text(), w-2)
		whole = whole[:min(len(whole), wholeLines)]
	}
	room := h - len(whole)
	if len(whole) > 0 {
		room--
	}
	lines := t.fill(l.table.draw(w, room, !l.app.below), w, room)
	if len(whole) > 0 {
		lines = append(lines, t.border.paint(strings.Repeat(t.glyph.thin.across, max(w, 0))))
	}
	for _, part := range whole {
		lines = append(lines, " "+part)
	}
	return lines
}
