// Command svg draws what `tmux capture-pane -e -p` prints, read from stdin, as an SVG on stdout.
package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// A cell of the screen, in pixels, and the margin around all of them.
const (
	cellWidth  = 8.4
	cellHeight = 18.0
	margin     = 14.0
)

const (
	paper = "#14171c"
	text  = "#d7dce2"
)

// style is how a cell is drawn.
type style struct {
	ink, ground string // empty: the terminal's own
	bold        bool
	reverse     bool
}

func main() {
	if err := draw(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "svg:", err)
		os.Exit(1)
	}
}

func draw(in io.Reader, out io.Writer) error {
	var lines []string
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, 1<<20)
	columns := 0
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
		columns = max(columns, ansi.StringWidth(scanner.Text()))
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("read the screen: %w", err)
	}
	w, h := float64(columns)*cellWidth+2*margin, float64(len(lines))*cellHeight+2*margin
	b := &strings.Builder{}
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.1f %.1f" role="img" aria-label="culvert's screen">`+"\n", w, h, w, h)
	fmt.Fprintf(b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", paper)
	fmt.Fprintf(b, `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="14" fill="%s">`+"\n", text)
	var s style // colours last from line to line
	for i, line := range lines {
		s = drawLine(b, line, s, margin+float64(i)*cellHeight)
	}
	b.WriteString("</g>\n</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// drawLine draws a line whose upper edge is at y.
func drawLine(b *strings.Builder, line string, s style, y float64) style {
	x := margin
	var run strings.Builder
	runAt, runWidth := x, 0
	flush := func() {
		words := strings.TrimRight(run.String(), " ")
		runWidth -= run.Len() - len(words)
		if words != "" {
			weight := ""
			if s.bold {
				weight = ` font-weight="700"`
			}
			fmt.Fprintf(b, `<text x="%.1f" y="%.1f" textLength="%.1f" fill="%s"%s>%s</text>`+"\n",
				runAt, y+cellHeight*0.74, float64(runWidth)*cellWidth, s.front(), weight, html.EscapeString(words))
		}
		run.Reset()
		runWidth = 0
	}
	for rest := line; rest != ""; {
		if strings.HasPrefix(rest, "\x1b") {
			flush()
			var sequence string
			sequence, rest = cutEscape(rest)
			s = s.with(sequence)
			continue
		}
		cluster, width := ansi.FirstGraphemeCluster(rest, ansi.GraphemeWidth)
		rest = rest[len(cluster):]
		if ground := s.back(); ground != "" {
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" shape-rendering="crispEdges"/>`+"\n", x, y, float64(width)*cellWidth+0.3, cellHeight, ground)
		}
		if shape := shapeOf(cluster, x, y, s.front()); shape != "" {
			flush()
			b.WriteString(shape)
		} else if cluster == " " && (runWidth == 0 || strings.HasSuffix(run.String(), " ")) {
			flush() // words stand where they are, also for viewers that squeeze blanks
		} else {
			if runWidth == 0 {
				runAt = x
			}
			run.WriteString(cluster)
			runWidth += width
		}
		x += float64(width) * cellWidth
	}
	flush()
	return s
}

// cutEscape takes an escape sequence off the front.
func cutEscape(s string) (sequence, rest string) {
	for i := 2; i < len(s); i++ {
		if s[i] >= 0x40 && s[i] <= 0x7e {
			return s[:i+1], s[i+1:]
		}
	}
	return s, ""
}

func (s style) front() string {
	ink, ground := s.ink, s.ground
	if ink == "" {
		ink = text
	}
	if ground == "" {
		ground = paper
	}
	if s.reverse {
		return ground
	}
	return ink
}

func (s style) back() string {
	switch {
	case s.reverse && s.ink != "":
		return s.ink
	case s.reverse:
		return text
	}
	return s.ground
}

// with is the style after a select-graphic-rendition sequence; others change nothing.
func (s style) with(sequence string) style {
	body, ok := strings.CutPrefix(strings.TrimSuffix(sequence, "m"), "\x1b[")
	if !ok || !strings.HasSuffix(sequence, "m") {
		return s
	}
	var n []int
	for _, field := range strings.Split(body, ";") {
		v, _ := strconv.Atoi(field) // an empty field is 0
		n = append(n, v)
	}
	for i := 0; i < len(n); i++ {
		switch v := n[i]; {
		case v == 0:
			s = style{}
		case v == 1:
			s.bold = true
		case v == 22:
			s.bold = false
		case v == 7:
			s.reverse = true
		case v == 27:
			s.reverse = false
		case v == 39:
			s.ink = ""
		case v == 49:
			s.ground = ""
		case v >= 30 && v <= 37:
			s.ink = indexed(v - 30)
		case v >= 90 && v <= 97:
			s.ink = indexed(v - 90 + 8)
		case (v == 38 || v == 48) && i+2 < len(n) && n[i+1] == 5:
			s.colour(v, indexed(n[i+2]))
			i += 2
		case (v == 38 || v == 48) && i+4 < len(n) && n[i+1] == 2:
			s.colour(v, fmt.Sprintf("#%02x%02x%02x", n[i+2], n[i+3], n[i+4]))
			i += 4
		}
	}
	return s
}

func (s *style) colour(which int, c string) {
	if which == 38 {
		s.ink = c
	} else {
		s.ground = c
	}
}

// indexed is a colour of the palette of 256 that xterm has.
func indexed(n int) string {
	r, g, b, _ := ansi.IndexedColor(n).RGBA() //nolint:gosec // 0 to 255
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// shapeOf draws lines and blocks as shapes, so that they meet whatever the font; "" for everything else.
func shapeOf(cluster string, x, y float64, colour string) string {
	midX, midY := x+cellWidth/2, y+cellHeight/2
	endX, endY := x+cellWidth, y+cellHeight
	line := func(heavy bool, points ...float64) string {
		width := 1.0
		if heavy {
			width = 2.2
		}
		var path strings.Builder
		for i := 0; i < len(points); i += 2 {
			fmt.Fprintf(&path, "%.1f,%.1f ", points[i], points[i+1])
		}
		return fmt.Sprintf(`<polyline points="%s" fill="none" stroke="%s" stroke-width="%.1f"/>`+"\n", strings.TrimSpace(path.String()), colour, width)
	}
	block := func(x, y, w, h float64) string {
		return fmt.Sprintf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, w, h, colour)
	}
	switch cluster {
	case "─", "━":
		return line(cluster == "━", x, midY, endX, midY)
	case "│", "┃":
		return line(cluster == "┃", midX, y, midX, endY)
	case "┌", "┏":
		return line(cluster == "┏", midX, endY, midX, midY, endX, midY)
	case "┐", "┓":
		return line(cluster == "┓", x, midY, midX, midY, midX, endY)
	case "└", "┗":
		return line(cluster == "┗", midX, y, midX, midY, endX, midY)
	case "┘", "┛":
		return line(cluster == "┛", x, midY, midX, midY, midX, y)
	case "▌":
		return block(x, y, cellWidth/2, cellHeight)
	}
	if r := []rune(cluster)[0]; r >= '▁' && r <= '█' {
		h := cellHeight * float64(r-'▁'+1) / 8
		return block(x, endY-h, cellWidth, h)
	}
	return ""
}
