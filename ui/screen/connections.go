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

// connectionLine is a connection as the page shows it.
type connectionLine struct {
	tunnel.Connection

	rate     float64 // bytes per second, both ways
	measured bool    // it is known
}

func (c connectionLine) id() string { return strconv.FormatUint(c.ID, 10) }

// pace is how fast a connection goes, measured over about a second.
type pace struct {
	at    time.Time
	total uint64
	rate  float64
	known bool // rate is: it takes a while
}

// next measures anew when it is time to.
func (p pace) next(at time.Time, total uint64) pace {
	switch span := at.Sub(p.at); {
	case p.at.IsZero(), span < 0, total < p.total:
		return pace{at: at, total: total}
	case span < rateWindow:
		return p
	default:
		return pace{at: at, total: total, rate: float64(total-p.total) / span.Seconds(), known: true}
	}
}

// paced adds their rates to connections, the newest first.
func (d *detail) paced(connections []tunnel.Connection) []connectionLine {
	paces := make(map[uint64]pace, len(connections))
	lines := make([]connectionLine, len(connections))
	for i, c := range connections {
		line := connectionLine{Connection: c}
		if c.Ended.IsZero() {
			p := d.paces[c.ID].next(d.now, c.Sent+c.Received)
			paces[c.ID] = p
			line.rate, line.measured = p.rate, p.known
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

// refusal is what a connection, or a request on it, was refused with, and how often; empty when nothing was.
func (c connectionLine) refusal() (text string, times uint64) {
	why, refused := errors.AsType[*tunnel.AnswerError](c.Err)
	for _, share := range c.Split() {
		if !refused {
			why, refused = errors.AsType[*tunnel.AnswerError](share.Err)
		}
	}
	switch {
	case refused && why.Status == 0:
		return "refused", max(c.Refused, 1) // WHY has the rest
	case refused:
		return say.Line(why.Error()), max(c.Refused, 1)
	case c.Refused > 0 && c.Err != nil: // as its holder tells it
		return say.Line(c.Err.Error()), c.Refused
	case c.Refused > 0:
		return strings.TrimSpace(fmt.Sprintf("%d %s", c.Status, http.StatusText(c.Status))), c.Refused
	}
	return "", 0
}

// status says how a connection stands or ended, and what it was refused with.
func (c connectionLine) status() string {
	refusal, times := c.refusal()
	switch {
	case times > 1:
		return refusal + " x" + draw.Count(times)
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

// why says what a connection failed of, unless its status does.
func (c connectionLine) why() string {
	if c.Err == nil {
		return ""
	}
	text := say.Line(c.Err.Error())
	if refusal, _ := c.refusal(); text == refusal {
		return ""
	}
	return text
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

func (d *detail) connectionColumns() []draw.Column[connectionLine] {
	t := d.theme
	state := func(c connectionLine) draw.Ink {
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
	host := func(c connectionLine) draw.Ink {
		if _, refused := c.refusal(); refused > 0 {
			return t.Bad
		}
		return t.Accent
	}
	return []draw.Column[connectionLine]{
		{Title: "PROTOCOL", Text: func(c connectionLine) string { return string(c.Protocol) }, Least: 12, Most: 12, Drop: 2},
		{Title: "HOST", Text: func(c connectionLine) string { return c.host(d.row.far()) }, Ink: host, Least: 19, Grow: true},
		{
			Title: "RECEIVED", Least: 8, Most: 8, Right: true,
			Text:  func(c connectionLine) string { return draw.Bytes(c.Received) },
			Ink:   func(connectionLine) draw.Ink { return t.Received },
			Order: func(a, b connectionLine) int { return cmp.Compare(a.Received, b.Received) },
		},
		{
			Title: "SENT", Least: 6, Most: 6, Right: true,
			Text:  func(c connectionLine) string { return draw.Bytes(c.Sent) },
			Ink:   func(connectionLine) draw.Ink { return t.Sent },
			Order: func(a, b connectionLine) int { return cmp.Compare(a.Sent, b.Sent) },
		},
		{
			Title: "RATE", Least: 8, Most: 8, Right: true, Drop: 1,
			Text: func(c connectionLine) string {
				switch {
				case !c.Ended.IsZero():
					return ""
				case !c.measured:
					return t.Glyph.More
				}
				return draw.Rate(c.rate)
			},
			Order: func(a, b connectionLine) int { return cmp.Compare(a.rate, b.rate) },
		},
		{
			Title: "AGE", Least: 6, Most: 6, Right: true,
			Text:  func(c connectionLine) string { return draw.Age(c.lasted(d.now)) },
			Order: func(a, b connectionLine) int { return cmp.Compare(a.lasted(d.now), b.lasted(d.now)) },
		},
		{Title: "ENDED", Least: 8, Most: 8, Drop: 3, Text: func(c connectionLine) string {
			if c.Ended.IsZero() {
				return ""
			}
			return c.Ended.Local().Format(time.TimeOnly)
		}},
		{Title: "STATUS", Least: 25, Most: 25, Text: connectionLine.status, Ink: state},
		{Title: "WHY", Least: 30, Most: 30, Text: connectionLine.why, Ink: state, Drop: 4},
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
	refused := number("FAILED", 6, 0, func(h hostTotal) uint64 { return h.Failed }, draw.Count, t.Text)
	refused.Ink = failed(t.Text)
	return []draw.Column[hostTotal]{
		{Title: "HOST", Text: func(h hostTotal) string { return say.Line(h.Host) }, Ink: failed(t.Accent), Least: 24, Grow: true},
		number("RECEIVED", 8, 0, func(h hostTotal) uint64 { return h.Received }, draw.Bytes, t.Received),
		number("SENT", 8, 1, func(h hostTotal) uint64 { return h.Sent }, draw.Bytes, t.Sent),
		number("CONNS", 6, 3, func(h hostTotal) uint64 { return h.Connections }, draw.Count, t.Text),
		number("REQS", 6, 2, func(h hostTotal) uint64 { return h.Requests }, draw.Count, t.Text),
		number("OPEN", 6, 4, func(h hostTotal) uint64 { return uint64(max(h.Open, 0)) }, draw.Count, t.Text),
		refused,
		{Title: "WHY", Least: 21, Most: 30, Ink: func(hostTotal) draw.Ink { return t.Bad }, Text: func(h hostTotal) string {
			if h.Why == nil {
				return ""
			}
			return say.Line(h.Why.Error())
		}},
	}
}
