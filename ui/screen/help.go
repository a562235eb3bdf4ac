package screen

import (
	tea "charm.land/bubbletea/v2"

	"culvert/ui/draw"
)

// help is a dialog that lists every key.
type help struct {
	*look

	top int
	all []string
	h   int
}

// In a window of this width the first chapters stand on the left, the others on the right.
const (
	twoColumns   = 70
	leftChapters = 2
)

func newHelp(l *look) *help { return &help{look: l} }

// chapters returns all keys in the order of the help.
func (k *keyMap) chapters() []struct {
	name string
	keys []draw.Binding
} {
	return []struct {
		name string
		keys []draw.Binding
	}{
		{"move", []draw.Binding{k.up, k.down, k.top, k.bottom, k.pageUp, k.pageDown, k.in, k.back, k.left, k.right, k.nextPane, k.zoom}},
		{"find", []draw.Binding{k.jump, k.all, k.hosts, k.filter, k.sort, k.reverse, k.view, k.number, k.refresh, k.details, k.console}},
		{"tunnels", []draw.Binding{k.forward, k.any, k.mark, k.tunnels, k.stop, k.undo, k.reconnect, k.edit, k.copy, k.saved, k.save, k.remove}},
		{"elsewhere", []draw.Binding{k.profile, k.region, k.signIn, k.log, k.doctor, k.why}},
		{"leave", []draw.Binding{k.help, k.quit, k.interrupt, k.suspend}},
	}
}

func (h *help) title() string { return h.theme.Strong.Paint("keys") }

func (h *help) foot() string {
	t := h.theme
	switch {
	case h.top+h.h < len(h.all):
		return t.Muted.Paint("more below " + t.Glyph.Down)
	case h.top > 0:
		return t.Muted.Paint("more above " + t.Glyph.Up)
	}
	return ""
}

func (h *help) help() []draw.Binding {
	return []draw.Binding{h.keys.back.As("close"), h.keys.down.As("scroll")}
}

func (h *help) draw(w, lines int, _ bool) []string {
	t := h.theme
	h.all = h.all[:0]
	half := w
	if w >= twoColumns {
		half = w / 2
	}
	const keyWidth = 14
	var columns [2][]string
	for i, chapter := range h.keys.chapters() {
		c := &columns[0]
		if half < w && i >= leftChapters {
			c = &columns[1]
		}
		if len(*c) > 0 {
			*c = append(*c, "")
		}
		*c = append(*c, " "+t.Strong.Paint(chapter.name))
		for _, b := range chapter.keys {
			*c = append(*c, "  "+t.Link.Paint(t.Fit(b.Help().Key, keyWidth))+" "+t.Cut(b.Help().Desc, half-keyWidth-4))
		}
	}
	for i := range max(len(columns[0]), len(columns[1])) {
		var line string
		if i < len(columns[0]) {
			line = columns[0][i]
		}
		if i < len(columns[1]) {
			line = t.Fit(line, half) + columns[1][i]
		}
		h.all = append(h.all, line)
	}
	h.h = lines
	h.top = max(min(h.top, len(h.all)-lines), 0)
	return h.all[h.top:min(h.top+lines, len(h.all))]
}

func (h *help) update(msg tea.Msg) (wish, bool) {
	keys := h.keys
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		switch {
		case keys.up.Pressed(msg):
			h.top--
		case keys.down.Pressed(msg):
			h.top++
		case keys.pageUp.Pressed(msg):
			h.top -= h.h
		case keys.pageDown.Pressed(msg):
			h.top += h.h
		case keys.back.Pressed(msg), keys.help.Pressed(msg), keys.quit.Pressed(msg):
			return dismiss(h), true
		}
	case tea.MouseWheelMsg:
		if msg.Button == tea.MouseWheelUp {
			h.top -= draw.WheelStep
		} else {
			h.top += draw.WheelStep
		}
	}
	h.top = max(h.top, 0)
	return nil, true
}
