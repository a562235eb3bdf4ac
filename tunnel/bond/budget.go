package bond

import "sync"

// budget is an amount of memory that several bundles may share.
type budget struct {
	mu   sync.Mutex
	free uint64 // bytes that nobody has taken
	kept uint64 // bytes of free that share leaves, for bundles and streams that have nothing yet
}

func newBudget(bytes uint64) *budget { return &budget{free: bytes, kept: bytes / 4} }

// take takes n bytes and returns how many it took: n or none, but with some as many up to n as there are. With spare it takes no
// more than a quarter of what is free beyond kept.
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

// within returns how many bytes take may take, where free bytes are free.
func within(n, free, kept uint64, some, spare bool) uint64 {
	if spare {
		free = (max(free, kept) - kept) / 4
	}
	if n > free && !some {
		return 0
	}
	return min(n, free)
}

// purse is the share that a bundle has in a budget. The end's lock guards it.
type purse struct {
	of   *budget
	most uint64 // bytes that the bundle may have
	used uint64 // bytes that it has
}

func (p *purse) take(n uint64, some, spare bool) uint64 {
	if n = within(n, p.most-p.used, p.most/4, some, spare); n > 0 {
		n = p.of.take(n, some, spare)
	}
	p.used += n
	return n
}

// all takes n bytes or none, and reports whether it took them.
func (p *purse) all(n uint64) bool { return p.take(n, false, false) == n }

// some takes up to n bytes.
func (p *purse) some(n uint64) uint64 { return p.take(n, true, false) }

// share takes up to n bytes, and leaves some for other streams and bundles.
func (p *purse) share(n uint64) uint64 { return p.take(n, true, true) }

func (p *purse) give(n uint64) {
	p.used -= n
	p.of.give(n)
}
