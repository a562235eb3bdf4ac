package screen

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"culvert/ui/draw"
)

// mostEarly is how many keys wait for the rows of a page at the most.
const mostEarly = 32

// tooEarly keeps a key that is for rows which have not come yet, and keys that are typed after one that opens a dialog on such a
// row. They are pressed when the rows are there, so that a user who knows the way need not wait for AWS.
func (b *browse) tooEarly(k tea.KeyPressMsg) bool {
	p, keys := b.accounts.here, b.keys
	if p.seen() || p.trouble != nil || b.table().Typing() {
		b.early = nil
		return false
	}
	waiting := len(b.early) > 0
	switch {
	case !waiting && b.table().Len() > 0:
		return false
	case keys.back.Pressed(k), keys.left.Pressed(k):
		b.early = nil
		return false
	case slices.ContainsFunc(b.early, func(k tea.KeyPressMsg) bool { return anyPressed(k, b.openers()) }): // the dialog that an earlier key opens gets this one
	case !anyPressed(k, b.openers()) && !anyPressed(k, []draw.Binding{
		keys.up, keys.down, keys.top, keys.bottom, keys.pageUp, keys.pageDown, keys.mark, keys.in, keys.right,
	}):
		return false
	case p.client == nil && keys.doctor.Pressed(k): // the doctor finds out why there is no account
		return false
	}
	if len(b.early) < mostEarly {
		b.early = append(b.early, k)
	}
	return true
}

// openers returns the keys that open something on a row.
func (b *browse) openers() []draw.Binding {
	k := b.keys
	keys := []draw.Binding{k.forward, k.copy, k.doctor, k.details, k.console}
	if b.depth >= atTasks || len(b.early) > 0 { // the keys lead to a task or container
		keys = append(keys, k.save)
	}
	return keys
}

func anyPressed(k tea.KeyPressMsg, of []draw.Binding) bool {
	return slices.ContainsFunc(of, func(b draw.Binding) bool { return b.Pressed(k) })
}

// lacks reports whether the rows that a key is for are still to come; for the key to the last row that is until all have come.
func (b *browse) lacks(k tea.KeyPressMsg) bool {
	return !b.accounts.here.seen() && (b.table().Len() == 0 || b.keys.bottom.Pressed(k))
}
