package film

import (
	"fmt"
	"html"
	"strings"
)

// Still is a screen as an SVG: text, lines and blocks, each in its place whatever the font.
func Still(s Screen, label string) []byte {
	k := &inks{}
	var body strings.Builder
	for y, row := range s {
		if drawn := drawRow(row, k); drawn != "" {
			fmt.Fprintf(&body, "<g transform=\"translate(0 %d)\">%s</g>\n", y*cellHeight, drawn)
		}
	}
	return picture(s, label, k.style(), body.String())
}

// picture puts a terminal around what is on it.
func picture(s Screen, label, style, body string) []byte {
	width := 0
	if len(s) > 0 {
		width = len(s[0])*cellWidth + 2*margin
	}
	height := len(s)*cellHeight + 2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(label))
	fmt.Fprintf(&b, "<style>%s</style>\n", style)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", paper)
	fmt.Fprintf(&b, `<g transform="translate(%d %d)" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="%g">`+"\n",
		margin, margin+above, fontSize)
	b.WriteString(body)
	b.WriteString("</g>\n</svg>\n")
	return []byte(b.String())
}
