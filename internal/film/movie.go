package film

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Options are how a film looks.
type Options struct {
	Label  string        // for those who cannot see it
	Every  time.Duration // how often the screen is looked at between the markers
	End    time.Duration // how long the last screen stays
	Poster string        // the marker whose screen is shown where nothing moves
}

// frame is what the film shows for a while.
type frame struct {
	from   time.Duration
	screen Screen // with the caption below
	name   string // of its marker; empty when it has none
}

// Animate makes a film of a cast: an SVG without scripts, with a marker's name below the screen from then on.
func Animate(c Cast, o Options) []byte {
	frames := c.frames(o.Every)
	k := &inks{}
	m := movie{frames: frames, length: c.length() + o.End, poster: max(0, slices.IndexFunc(frames, func(f frame) bool { return f.name == o.Poster }))}
	m.cut(k)
	var screen Screen
	if len(frames) > 0 {
		screen = frames[0].screen
	}
	body := m.body()
	return picture(screen, o.Label, k.style()+m.style(), body)
}

// frames are the different screens of a cast. Those at markers are among them.
func (c Cast) frames(every time.Duration) []frame {
	t := NewTerminal(c.Width, c.Height, io.Discard)
	defer t.Close()
	var all []frame
	caption := ""
	look := func(at time.Duration, name string) {
		s := append(t.Screen(), captioned(caption, c.Width)...)
		switch last := len(all) - 1; {
		case last >= 0 && all[last].from >= at:
			all[last].screen, all[last].name = s, cmp.Or(name, all[last].name)
		case last >= 0 && name == "" && s.equal(all[last].screen):
		default:
			all = append(all, frame{at, s, name})
		}
	}
	var next time.Duration
	for _, e := range c.Events {
		if e.At >= next {
			look(next, "")
			next = e.At.Truncate(every) + every
		}
		switch e.Kind {
		case Output:
			t.Write([]byte(e.Text))
		case Marker:
			caption = e.Text
			look(e.At, e.Text)
		}
	}
	look(c.length(), "")
	return all
}

// length is when the last event is.
func (c Cast) length() time.Duration {
	if n := len(c.Events); n > 0 {
		return c.Events[n-1].At
	}
	return 0
}

// captioned are the lines below the screen.
func captioned(caption string, width int) Screen {
	line := make([]Cell, width)
	x := 1
	for _, r := range caption {
		if x < width {
			line[x] = Cell{Text: string(r), Ink: "#ffd787", Bold: true}
			x++
		}
	}
	return Screen{make([]Cell, width), line}
}

func (s Screen) equal(t Screen) bool { return slices.EqualFunc(s, t, slices.Equal) }

// movie is a film in the making. A line of the screen that does not change from one frame to the next is drawn once, and
// what appears and vanishes together is shown and hidden together.
type movie struct {
	frames []frame
	length time.Duration
	poster int

	runs []run
	seen map[string]int // how often each line is drawn
}

// run is a line of the screen that stays the same for some frames.
type run struct {
	y, from, until int // line; frames, the last one excluded
	drawn          string
}

// cut finds the runs.
func (m *movie) cut(k *inks) {
	m.seen = map[string]int{}
	if len(m.frames) == 0 {
		return
	}
	for y := range m.frames[0].screen {
		for from := 0; from < len(m.frames); {
			until := from + 1
			for until < len(m.frames) && slices.Equal(m.frames[until].screen[y], m.frames[from].screen[y]) {
				until++
			}
			if drawn := drawRow(m.frames[from].screen[y], k); drawn != "" {
				m.runs = append(m.runs, run{y, from, until, drawn})
				m.seen[drawn]++
			}
			from = until
		}
	}
	slices.SortStableFunc(m.runs, func(a, b run) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return a.until - b.until
	})
}

// body draws the runs, those that come and go together in one group.
func (m *movie) body() string {
	var b strings.Builder
	names := map[string]string{}
	b.WriteString("<defs>\n")
	for _, r := range m.runs {
		if _, named := names[r.drawn]; !named && m.seen[r.drawn] > 1 {
			names[r.drawn] = fmt.Sprintf("r%d", len(names))
			fmt.Fprintf(&b, "<g id=\"%s\">%s</g>\n", names[r.drawn], r.drawn)
		}
	}
	b.WriteString("</defs>\n")
	for i, r := range m.runs {
		if i == 0 || m.runs[i-1].name() != r.name() {
			b.WriteString(m.open(r))
		}
		if name := names[r.drawn]; name != "" {
			fmt.Fprintf(&b, "<use href=\"#%s\" y=\"%d\"/>\n", name, r.y*cellHeight)
		} else {
			fmt.Fprintf(&b, "<g transform=\"translate(0 %d)\">%s</g>\n", r.y*cellHeight, r.drawn)
		}
		if i == len(m.runs)-1 || m.runs[i+1].name() != r.name() {
			b.WriteString("</g>\n")
		}
	}
	return b.String()
}

// name tells the time of a run from that of others.
func (r run) name() string { return fmt.Sprintf("k%d-%d", r.from, r.until) }

func (m *movie) open(r run) string {
	class := "f"
	if r.from <= m.poster && m.poster < r.until {
		class = "f p"
	}
	if r.from == 0 && r.until == len(m.frames) {
		return "<g>\n"
	}
	return fmt.Sprintf("<g class=\"%s\" style=\"animation-name:%s\">\n", class, r.name())
}

// style hides and shows. Where nothing moves, and for those who asked for less motion, the poster is shown.
func (m *movie) style() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n.f{visibility:hidden;animation:%.3gs step-end infinite}.p{visibility:visible}\n", m.length.Seconds())
	b.WriteString("@media(prefers-reduced-motion:reduce){.f{animation:none!important}}\n")
	for i, r := range m.runs {
		if i > 0 && m.runs[i-1].name() == r.name() || r.from == 0 && r.until == len(m.frames) {
			continue
		}
		fmt.Fprintf(&b, "@keyframes %s{", r.name())
		if r.from > 0 {
			b.WriteString("0%{visibility:hidden}")
		}
		fmt.Fprintf(&b, "%s{visibility:visible}", m.share(r.from))
		if r.until < len(m.frames) {
			fmt.Fprintf(&b, "%s{visibility:hidden}", m.share(r.until))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// share is when a frame begins, as a share of the film.
func (m *movie) share(frame int) string {
	return fmt.Sprintf("%.4g%%", 100*m.frames[frame].from.Seconds()/m.length.Seconds())
}
