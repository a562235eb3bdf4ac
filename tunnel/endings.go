package tunnel

import (
	"cmp"
	"slices"
)

// Ending is the end of a connection.
type Ending struct {
	Tunnel     ID
	Connection Connection
	// Missed sums up the connections of the tunnel that ended before this one and that the watcher, as it read too slowly, is not
	// told of one by one.
	Missed Missed
}

// Missed is the sum of some ended connections.
type Missed struct{ Connections, Received, Sent uint64 }

func (m *Missed) add(c *Connection) {
	m.Connections++
	m.Received += c.Received
	m.Sent += c.Sent
}

// maxEndings is how many ended connections of each tunnel wait for a watcher at the most.
const maxEndings = 1000

// endings is a queue that keeps the last maxEndings of each tunnel; the others, which may be thousands in a second, are only
// summed up.
type endings struct {
	count uint64
	of    map[ID]*newest
}

// newest are the endings of one tunnel that wait.
type newest struct {
	last   []numbered
	missed Missed
}

// numbered is an ending with its number in the order of all endings.
type numbered struct {
	*Ending

	number uint64
}

func (q *endings) add(e Ending) {
	q.count++
	n := q.of[e.Tunnel]
	if n == nil {
		n = &newest{}
		q.of[e.Tunnel] = n
	}
	if len(n.last) == maxEndings {
		n.missed.add(&n.last[0].Connection)
		n.last[0].Ending = nil
		n.last = n.last[1:]
	}
	n.last = append(n.last, numbered{&e, q.count})
}

func (q *endings) take() (all []Ending) {
	var sorted []numbered
	for _, n := range q.of {
		n.last[0].Missed = n.missed
		sorted = append(sorted, n.last...)
	}
	clear(q.of)
	slices.SortFunc(sorted, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	for _, n := range sorted {
		all = append(all, *n.Ending)
	}
	return all
}
