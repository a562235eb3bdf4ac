package ui

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
)

// connectionLine is a connection as the page shows it.
type connectionLine struct {
	tunnel.Connection

	rate float64 // bytes per second, both ways
}

func (c connectionLine) id() string { return strconv.FormatUint(c.ID, 10) }

// pace is how fast a connection goes, measured over about a second.
type pace struct {
	at    time.Time
	total uint64
	rate  float64
}

// next measures anew when it is time to.
func (p pace) next(at time.Time, total uint64) pace {
	switch span := at.Sub(p.at); {
	case p.at.IsZero(), span < 0, total < p.total:
		return pace{at: at, total: total}
	case span < rateWindow:
		return p
	default:
		return pace{at: at, total: total, rate: float64(total-p.total) / span.Seconds()}
	}
}

// paced adds their rates to connections, the newest first.
func (d *detail) paced(connections []tunnel.Connection) []connectionLine {
	paces := make(map[uint64]pace, len(connections))
	lines := make([]connectionLine, len(connections))
	for i, c := range connections {
		line := connectionLine{Connection: c}
		if c.Ended.IsZero() {
			p := d.paces[c.ID].next(d.app.now, c.Sent+c.Received)
			paces[c.ID] = p
			line.rate = p.rate
		}
		lines[len(lines)-1-i] = line
	}
	d.paces = paces
	return lines
}

// lasted is how old a connection is, or became.
func (c connectionLine) lasted(now time.Time) time.Duration {
	if c.Ended.IsZero() {
		return now.Sub(c.Started)
	}
	return c.Ended.Sub(c.Started)
}

// end says how a connection stands or ended.
func (c connectionLine) end() string {
	switch {
	case c.Ended.IsZero():
		return "open"
	case c.Err == nil:
		return "done"
	}
	return "failed"
}

// why says what a connection failed of.
func (c connectionLine) why() string {
	if c.Err == nil {
		return ""
	}
	return say.Line(c.Err.Error())
}

// host is where a connection goes; those of a protocol that names no host go to the tunnel's far end.
func (c connectionLine) host(far string) string {
	if c.Host == "" {
		return far
	}
	if n := len(c.Hosts); n > 0 {
		return say.Line(fmt.Sprintf("%s +%d", c.Host, n-1))
	}
	return say.Line(c.Host)
}

func (d *detail) connectionColumns() []column[connectionLine] {
	t := d.app.theme
	state := func(c connectionLine) ink {
		switch {
		case c.Ended.IsZero():
			return t.good
		case c.Err == nil:
			return t.muted
		}
		return t.bad
	}
	return []column[connectionLine]{
		{title: "PROTOCOL", text: func(c connectionLine) string { return string(c.Protocol) }, least: 12, most: 12, drop: 2},
		{title: "HOST", text: func(c connectionLine) string { return c.host(d.row.far()) }, ink: func(connectionLine) ink { return t.accent }, least: 19, grow: true},
		{
			title: "RECEIVED", least: 8, most: 8, right: true,
			text:  func(c connectionLine) string { return bytesText(c.Received) },
			ink:   func(connectionLine) ink { return t.received },
			order: func(a, b connectionLine) int { return cmp.Compare(a.Received, b.Received) },
		},
		{
			title: "SENT", least: 6, most: 6, right: true,
			text:  func(c connectionLine) string { return bytesText(c.Sent) },
			ink:   func(connectionLine) ink { return t.sent },
			order: func(a, b connectionLine) int { return cmp.Compare(a.Sent, b.Sent) },
		},
		{
			title: "RATE", least: 8, most: 8, right: true, drop: 1,
			text: func(c connectionLine) string {
				if !c.Ended.IsZero() {
					return ""
				}
				return rateText(c.rate)
			},
			order: func(a, b connectionLine) int { return cmp.Compare(a.rate, b.rate) },
		},
		{
			title: "AGE", least: 6, most: 6, right: true,
			text:  func(c connectionLine) string { return ageText(c.lasted(d.app.now)) },
			order: func(a, b connectionLine) int { return cmp.Compare(a.lasted(d.app.now), b.lasted(d.app.now)) },
		},
		{title: "ENDED", least: 8, most: 8, drop: 3, text: func(c connectionLine) string {
			if c.Ended.IsZero() {
				return ""
			}
			return c.Ended.Local().Format(time.TimeOnly)
		}},
		{title: "END", least: 6, most: 6, text: connectionLine.end, ink: state},
		{title: "WHY", least: 30, most: 30, text: connectionLine.why, ink: state, drop: 4},
	}
}

func (d *detail) hostColumns() []column[hostTotal] {
	t := d.app.theme
	number := func(title string, width int, of func(hostTotal) uint64, write func(uint64) string, colour ink) column[hostTotal] {
		return column[hostTotal]{
			title: title, least: width, most: width, right: true,
			text:  func(h hostTotal) string { return write(of(h)) },
			ink:   func(hostTotal) ink { return colour },
			order: func(a, b hostTotal) int { return cmp.Compare(of(a), of(b)) },
		}
	}
	return []column[hostTotal]{
		{title: "HOST", text: func(h hostTotal) string { return say.Line(h.Host) }, ink: func(hostTotal) ink { return t.accent }, least: 16, grow: true},
		number("RECEIVED", 8, func(h hostTotal) uint64 { return h.Received }, bytesText, t.received),
		number("SENT", 8, func(h hostTotal) uint64 { return h.Sent }, bytesText, t.sent),
		number("CONNS", 6, func(h hostTotal) uint64 { return h.Connections }, countText, t.text),
		number("REQS", 6, func(h hostTotal) uint64 { return h.Requests }, countText, t.text),
		number("OPEN", 6, func(h hostTotal) uint64 { return uint64(max(h.Open, 0)) }, countText, t.text),
		number("FAILED", 6, func(h hostTotal) uint64 { return h.Failed }, countText, t.text),
		{title: "WHY", least: 30, most: 30, drop: 1, ink: func(hostTotal) ink { return t.bad }, text: func(h hostTotal) string {
			return connectionLine{Connection: tunnel.Connection{Err: h.Why}}.why()
		}},
	}
}
