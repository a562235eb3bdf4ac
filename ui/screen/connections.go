package screen

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// connectionRow is a connection as the page shows it.
type connectionRow struct {
	tunnel.Connection

	up, down float64 // bytes per second
	measured bool    // up and down are known
}

func (c connectionRow) id() string { return strconv.FormatUint(c.ID, 10) }

// connectionRates holds samples of the totals of open connections, by connection id.
type connectionRates map[uint64]samples

// rows returns connections with their rates, measured from a time on; the newest comes first.
func (r *connectionRates) rows(connections []tunnel.Connection, from, now time.Time) []connectionRow {
	open := make(connectionRates, len(*r))
	lines := make([]connectionRow, len(connections))
	for i, c := range connections {
		line := connectionRow{Connection: c}
		if c.Ended.IsZero() {
			last := sample{at: now, sent: c.Sent, received: c.Received}
			p := (*r)[c.ID].with(last)
			open[c.ID] = p
			if c.Started.After(from) {
				p = samples{{at: from}, last} // a connection that is younger had carried nothing at that time
			}
			line.up, line.down, line.measured = p.rate(from)
		}
		lines[len(lines)-1-i] = line
	}
	*r = open
	return lines
}

// paced returns the connections of the page's tunnel with their rates, which are measured over the same span as the tunnel's own
// rate, so that a row and the line above the graph agree.
func (d *detail) paced(connections []tunnel.Connection) []connectionRow {
	from := d.row.meter.since()
	if d.row.holder != nil {
		from = d.now.Add(-rateWindow) // a holder tells its connections at times of its own
	}
	return d.paces.rows(connections, from, d.now)
}

// age is how long an open connection has been open, or how long one that has ended was.
func (c connectionRow) age(now time.Time) time.Duration {
	if !c.Ended.IsZero() {
		return 0
	}
	return now.Sub(c.Started)
}

func (c connectionRow) took() time.Duration {
	if c.Ended.IsZero() {
		return 0
	}
	return max(c.Ended.Sub(c.Started), 1)
}

// refusal says with what a connection, or requests on it, were refused, and how often; empty when nothing was.
func (c connectionRow) refusal() (text string, times uint64) {
	why, refused := errors.AsType[*tunnel.AnswerError](c.Err)
	for _, share := range c.Split() {
		if !refused {
			why, refused = errors.AsType[*tunnel.AnswerError](share.Err)
		}
	}
	switch {
	case refused && why.Status == 0:
		return "refused", max(c.Refused, 1) // the column WHY has the rest
	case refused:
		return say.Line(why.Error()), max(c.Refused, 1)
	case c.Refused > 0 && c.Err != nil: // a holder tells an error as text
		return say.Line(c.Err.Error()), c.Refused
	case c.Refused > 0:
		return strings.TrimSpace(fmt.Sprintf("%d %s", c.Status, http.StatusText(c.Status))), c.Refused
	}
	return "", 0
}

// status says how a connection stands or has ended, and with what it was refused.
func (c connectionRow) status() string {
	refusal, times := c.refusal()
	switch {
	case times > 1:
		return refusal + " x" + say.Count(times)
	case times > 0:
		return refusal
	case c.Err != nil:
		return "failed"
	case c.Status >= http.StatusBadRequest:
		return strconv.Itoa(c.Status)
	case c.Ended.IsZero():
		return "open"
	}
	return "done"
}

// why says why a connection failed, unless its status does.
func (c connectionRow) why() string {
	if c.Err == nil {
		return ""
	}
	text := say.Line(c.Err.Error())
	if refusal, _ := c.refusal(); text == refusal {
		return ""
	}
	return text
}

// host is the host to which a connection goes; for a protocol that names none, the tunnel's far end.
func (c connectionRow) host(far string) string {
	if c.Host == "" {
		return far
	}
	if n := len(c.Hosts); n > 0 {
		return say.Line(fmt.Sprintf("%s +%d", c.Host, n-1))
	}
	return say.Line(c.Host)
}

func (d *detail) connectionColumns() []draw.Column[connectionRow] {
	return d.look.connectionColumns(d.row.far)
}

// connectionColumns are the columns for connections; far is the far end for those that name no host.
func (l *look) connectionColumns(far func() string) []draw.Column[connectionRow] {
	t := l.theme
	state := func(c connectionRow) draw.Ink {
		_, refused := c.refusal()
		switch {
		case refused > 0 || c.Err != nil:
			return t.Bad
		case c.Status >= http.StatusBadRequest:
			return t.Busy
		case c.Ended.IsZero():
			return t.Good
		}
		return t.Muted
	}
	host := func(c connectionRow) draw.Ink {
		if _, refused := c.refusal(); refused > 0 {
			return t.Bad
		}
		return t.Accent
	}
	number := func(title string, wide, drop int, colour draw.Ink, of func(connectionRow) string, order func(a, b connectionRow) int) draw.Column[connectionRow] {
		return draw.Column[connectionRow]{
			Title: title, Least: wide, Most: wide, Right: true, Drop: drop, Text: of, Order: order,
			Ink: func(connectionRow) draw.Ink { return colour },
		}
	}
	rate := func(of func(connectionRow) float64) func(connectionRow) string {
		return func(c connectionRow) string {
			switch {
			case !c.Ended.IsZero():
				return ""
			case !c.measured:
				return t.Glyph.More
			}
			return say.Rate(of(c))
		}
	}
	up, down := func(c connectionRow) float64 { return c.up }, func(c connectionRow) float64 { return c.down }
	return []draw.Column[connectionRow]{
		{Title: "HOST", Sought: draw.AsName, Text: func(c connectionRow) string { return c.host(far()) }, Ink: host, Least: 26, Most: 64, Grow: true, Middle: true},
		{Title: "PROTOCOL", Sought: draw.AsText, Text: func(c connectionRow) string { return string(c.Protocol) }, Least: 12, Most: 12, Drop: 5},
		number("RECEIVED", 8, 0, t.Received, func(c connectionRow) string { return say.Bytes(c.Received) },
			func(a, b connectionRow) int { return cmp.Compare(a.Received, b.Received) }),
		number("SENT", 6, 1, t.Sent, func(c connectionRow) string { return say.Bytes(c.Sent) },
			func(a, b connectionRow) int { return cmp.Compare(a.Sent, b.Sent) }),
		number("RECEIVING", 9, 3, t.Received, rate(down), func(a, b connectionRow) int { return cmp.Compare(a.down, b.down) }),
		number("SENDING", 8, 4, t.Sent, rate(up), func(a, b connectionRow) int { return cmp.Compare(a.up, b.up) }),
		number("AGE", 6, 0, t.Text, func(c connectionRow) string {
			if !c.Ended.IsZero() {
				return ""
			}
			return say.Age(c.age(l.now))
		}, func(a, b connectionRow) int { return cmp.Compare(a.age(l.now), b.age(l.now)) }),
		number("TOOK", 6, 2, t.Muted, func(c connectionRow) string { return say.Trip(c.took()) },
			func(a, b connectionRow) int { return cmp.Compare(a.took(), b.took()) }),
		{Title: "ENDED", Least: 8, Most: 8, Drop: 6, Text: func(c connectionRow) string {
			if c.Ended.IsZero() {
				return ""
			}
			return c.Ended.Local().Format(time.TimeOnly)
		}},
		{Title: "STATUS", Sought: draw.AsText, Least: 21, Most: 25, Text: connectionRow.status, Ink: state},
		{Title: "WHY", Sought: draw.AsText, Least: 21, Rest: true, Text: connectionRow.why, Ink: state, Drop: 7},
	}
}

func (d *detail) hostColumns() []draw.Column[hostTotal] {
	t := d.theme
	number := func(title string, width, drop int, of func(hostTotal) uint64, write func(uint64) string, colour draw.Ink) draw.Column[hostTotal] {
		return draw.Column[hostTotal]{
			Title: title, Least: width, Most: width, Right: true, Drop: drop,
			Text:  func(h hostTotal) string { return write(of(h)) },
			Ink:   func(hostTotal) draw.Ink { return colour },
			Order: func(a, b hostTotal) int { return cmp.Compare(of(a), of(b)) },
		}
	}
	failed := func(usual draw.Ink) func(hostTotal) draw.Ink {
		return func(h hostTotal) draw.Ink {
			if h.Failed > 0 {
				return t.Bad
			}
			return usual
		}
	}
	refused := number("FAILED", 6, 0, func(h hostTotal) uint64 { return h.Failed }, say.Count, t.Text)
	refused.Ink = failed(t.Text)
	return []draw.Column[hostTotal]{
		{Title: "HOST", Sought: draw.AsName, Text: func(h hostTotal) string { return say.Line(h.Host) }, Ink: failed(t.Accent), Least: 26, Most: 64, Grow: true, Middle: true},
		number("RECEIVED", 8, 0, func(h hostTotal) uint64 { return h.Received }, say.Bytes, t.Received),
		number("SENT", 6, 1, func(h hostTotal) uint64 { return h.Sent }, say.Bytes, t.Sent),
		number("CONNS", 6, 2, func(h hostTotal) uint64 { return h.Connections }, say.Count, t.Text),
		number("REQS", 6, 3, func(h hostTotal) uint64 { return h.Requests }, say.Count, t.Text),
		number("OPEN", 5, 5, func(h hostTotal) uint64 { return uint64(max(h.Open, 0)) }, say.Count, t.Text),
		refused,
		{Title: "WHY", Sought: draw.AsText, Least: 21, Rest: true, Ink: func(hostTotal) draw.Ink { return t.Bad }, Text: func(h hostTotal) string {
			if h.Why == nil {
				return ""
			}
			return say.Line(h.Why.Error())
		}},
	}
}
