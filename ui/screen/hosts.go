package screen

import (
	"cmp"
	"slices"

	"culvert/tunnel"
)

// keepHosts is how many hosts of a tunnel are told apart at the most; the others have one line together.
const keepHosts = 1000

// hostTotal is the sum of the connections to one host.
type hostTotal struct {
	Host           string
	Protocol       tunnel.Protocol // of the last connection
	Connections    uint64
	Open           int
	Requests       uint64
	Failed         uint64
	Sent, Received uint64
	Why            error // the error of the last failure
}

// tally adds the ended connections of a tunnel up by host. The engine forgets them after a while, the tally does not.
// The zero tally works.
type tally struct {
	hosts   map[string]hostTotal
	counted []uint64 // ids of the last connections that were counted, for the process that goes on counting when the tunnel is kept
}

// keepCounted is how many of these ids are kept at the least: more than the engine remembers of ended connections.
const keepCounted = 200

// end adds a connection that has ended.
func (t *tally) end(c tunnel.Connection) {
	if t.hosts == nil {
		t.hosts = map[string]hostTotal{}
	}
	if t.counted = append(t.counted, c.ID); len(t.counted) > 2*keepCounted {
		t.counted = slices.Delete(t.counted, 0, keepCounted)
	}
	for _, share := range c.Split() {
		name := t.place(c, share)
		total := t.hosts[name]
		total.Host = name
		total.add(c, share)
		t.hosts[name] = total
	}
}

// miss adds ended connections of which only the sum is known, so not their hosts.
func (t *tally) miss(m tunnel.Missed) {
	if m.Connections == 0 {
		return
	}
	total := t.hosts[otherHosts]
	total.Host = otherHosts
	total.Connections += m.Connections
	total.Sent += m.Sent
	total.Received += m.Received
	t.hosts[otherHosts] = total
}

// place returns the name under which a share of a connection is counted: its host, or otherHosts when there are too many hosts.
func (t *tally) place(c tunnel.Connection, share tunnel.Share) string {
	name := hostOf(c, share)
	if _, known := t.hosts[name]; known || len(t.hosts) < keepHosts {
		return name
	}
	return otherHosts
}

const otherHosts = "(other hosts)"

// hostOf names the host of a share of a connection, or the connection's protocol where it has none.
func hostOf(c tunnel.Connection, share tunnel.Share) string {
	if share.Host == "" {
		return "(" + string(c.Protocol) + ")"
	}
	return share.Host
}

func (h *hostTotal) add(c tunnel.Connection, share tunnel.Share) {
	h.Protocol = c.Protocol
	h.Connections++
	h.Requests += share.Requests
	h.Failed += share.Failed
	if share.Err != nil {
		h.Why = share.Err
	}
	h.Sent += share.Sent
	h.Received += share.Received
	if c.Ended.IsZero() {
		h.Open++
	}
}

// totals returns the hosts with the open connections added, the busiest first.
func (t *tally) totals(connections []tunnel.Connection) []hostTotal {
	open := map[string]hostTotal{}
	for _, c := range connections {
		if !c.Ended.IsZero() {
			continue // an ended connection was counted at its end
		}
		for _, share := range c.Split() {
			name := t.place(c, share)
			total, seen := open[name]
			if !seen {
				total = t.hosts[name]
			}
			total.Host = name
			total.add(c, share)
			open[name] = total
		}
	}
	all := make([]hostTotal, 0, len(t.hosts)+len(open))
	for name, total := range t.hosts {
		if _, listed := open[name]; !listed {
			all = append(all, total)
		}
	}
	for _, total := range open {
		all = append(all, total)
	}
	slices.SortFunc(all, func(a, b hostTotal) int {
		return cmp.Or(cmp.Compare(b.Sent+b.Received, a.Sent+a.Received), cmp.Compare(b.Connections, a.Connections), cmp.Compare(a.Host, b.Host))
	})
	return all
}
