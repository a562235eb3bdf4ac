package bond

import "sync"

// budget is an amount of memory that several bundles may share.
type budget struct {
	mu   sync.Mutex
	free uint64
	kept uint64 // of it, for those that have nothing yet
}

func newBudget(bytes uint64) *budget { return &budget{free: bytes, kept: bytes / 4} }

// take takes n, or up to n when some is enough; spare leaves what is kept for others, and three quarters of the rest.
func (b *budget) take(n uint64, some, spare bool) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = within(n, b.free, b.kept, some, spare)
	b.free -= n
	return n
}

func (b *budget) give(n uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
}

func within(n, free, kept uint64, some, spare bool) uint64 {
	if spare {
		free = (max(free, kept) - kept) / 4
	}
	if n > free && !some {
		return 0
	}
	return min(n, free)
}

// purse is what a bundle has of a budget.
type purse struct {
	of   *budget
	most uint64 // that it may have
	used uint64
}

func (p *purse) take(n uint64, some, spare bool) uint64 {
	if n = within(n, p.most-p.used, p.most/4, some, spare); n > 0 {
		n = p.of.take(n, some, spare)
	}
	p.used += n
	return n
}

// all takes n or nothing.
func (p *purse) all(n uint64) bool { return p.take(n, false, false) == n }

// some takes up to n.
func (p *purse) some(n uint64) uint64 { return p.take(n, true, false) }

// share takes up to n, and leaves something for others.
func (p *purse) share(n uint64) uint64 { return p.take(n, true, true) }

func (p *purse) give(n uint64) {
	p.used -= n
	p.of.give(n)
}
