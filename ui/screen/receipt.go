package screen

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"culvert/internal/say"
	"culvert/ui/clip"
	"culvert/ui/draw"
)

// receipt says what became of a text that was to be copied. It shows the text, so that the user can select it by hand where no
// clipboard is known to have it.
type receipt struct {
	what, text string
	outcome    clip.Outcome
}

// head says to which clipboards something went, as far as that is known.
func (r receipt) head(what string) string {
	switch where := r.outcome.Where(); {
	case r.outcome.Certain():
		return "copied " + what + "to " + where
	case where != "":
		return "sent " + what + "to " + where
	}
	return "could not copy " + r.what
}

// byHand is the advice where it is not known whether a clipboard has the text.
const byHand = "select it if it did not arrive"

// notice returns the receipt as a notice of one line. It does not fit into one when the text has several lines, or something went
// wrong.
func (r receipt) notice(now time.Time) notice {
	n := notice{text: r.head("") + ": " + say.Line(r.text), until: now.Add(keepNotice)}
	if !r.outcome.Certain() {
		n.text += "; " + byHand
		n.doubt, n.until = true, now.Add(keepTrouble)
		if r.outcome.Err != nil {
			n.remedy = say.Line(r.outcome.Err.Error())
		}
	}
	if strings.Contains(strings.TrimSuffix(r.text, "\n"), "\n") {
		n.remedy = byHand
	}
	return n
}

// receiptBox is a dialog with a receipt. While it is open, the mouse is left to the terminal, so that text can be selected.
type receiptBox struct {
	*look
	receipt

	from int // index of the first line in sight
	room int // how many lines there was room for when last drawn
}

func newReceiptBox(l *look, r receipt) *receiptBox { return &receiptBox{look: l, receipt: r} }

func (b *receiptBox) title() string {
	colour := b.theme.Good
	switch {
	case b.outcome.Certain():
	case b.outcome.Terminal != "":
		colour = b.theme.Busy
	default:
		colour = b.theme.Bad
	}
	return colour.Paint(b.head(b.what + " "))
}

func (b *receiptBox) foot() string {
	if b.outcome.Certain() {
		return ""
	}
	return byHand
}

func (b *receiptBox) help() []draw.Binding { return []draw.Binding{b.keys.back.As("close")} }

// draw shows the text as it is, broken only where the box ends.
func (b *receiptBox) draw(w, h int, _ bool) []string {
	var lines []string
	for line := range strings.Lines(b.text) {
		for part := range strings.SplitSeq(ansi.Hardwrap(strings.TrimSuffix(line, "\n"), max(w-2, 1), true), "\n") {
			lines = append(lines, " "+b.theme.Text.Paint(part))
		}
	}
	if !b.outcome.Certain() && b.outcome.Err != nil {
		lines = append(lines, "")
		for _, part := range draw.Wrap(say.Line(b.outcome.Err.Error()), w-2) {
			lines = append(lines, " "+b.theme.Muted.Paint(part))
		}
	}
	b.room = min(h, len(lines))
	b.from = max(0, min(b.from, len(lines)-b.room))
	return lines[b.from : b.from+b.room]
}

func (b *receiptBox) update(msg tea.Msg) (wish, bool) {
	k, ok := msg.(tea.KeyPressMsg)
	switch keys := b.keys; {
	case !ok:
	case keys.down.Pressed(k):
		b.from++
	case keys.up.Pressed(k):
		b.from = max(0, b.from-1)
	case keys.pageDown.Pressed(k):
		b.from += b.room
	case keys.pageUp.Pressed(k):
		b.from = max(0, b.from-b.room)
	case keys.back.Pressed(k), keys.in.Pressed(k), keys.copy.Pressed(k), keys.quit.Pressed(k):
		return dismiss(b), true
	}
	return nil, true
}
