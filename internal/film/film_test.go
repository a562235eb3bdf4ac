package film

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// element is one of SVG's, with those in it.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Elements []element  `xml:",any"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// each visits an element and all in it.
func (e element) each(visit func(element)) {
	visit(e)
	for _, in := range e.Elements {
		in.each(visit)
	}
}

func parsed(t *testing.T, svg []byte) element {
	t.Helper()
	var root element
	if err := xml.Unmarshal(svg, &root); err != nil { //nolint:musttag // xml.Name and xml.Attr are encoding/xml's own
		t.Fatalf("the SVG is no XML: %v\n%s", err, svg)
	}
	root.each(func(e element) {
		// GitHub shows an SVG as an image: neither scripts nor HTML nor anything from elsewhere.
		if slices.Contains([]string{"script", "foreignObject", "image", "a"}, e.XMLName.Local) {
			t.Errorf("the SVG has a <%s>", e.XMLName.Local)
		}
		for _, a := range e.Attrs {
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#") {
				t.Errorf("the SVG has %s=%q", a.Name.Local, a.Value)
			}
		}
	})
	return root
}

// read puts the words of a drawing back into lines of text, by where they stand.
func read(e element, defs map[string]element, y int, lines map[int]string) {
	if m := regexp.MustCompile(`^translate\(0 (\d+)\)$`).FindStringSubmatch(e.attr("transform")); m != nil {
		at, _ := strconv.Atoi(m[1])
		y = at / cellHeight
	}
	switch e.XMLName.Local {
	case "defs":
		return
	case "use":
		at, _ := strconv.Atoi(e.attr("y"))
		read(defs[e.attr("href")[1:]], defs, at/cellHeight, lines)
	case "text":
		at, _ := strconv.Atoi(e.attr("x"))
		line := []rune(lines[y])
		for len(line) < at/cellWidth {
			line = append(line, ' ')
		}
		lines[y] = string(line) + e.Text
	}
	for _, in := range e.Elements {
		read(in, defs, y, lines)
	}
}

func TestAStillHasEveryLetterInItsCell(t *testing.T) {
	s := Show(30, 6, "plain  \x1b[31mred\x1b[m <&>\"'\n"+
		"\x1b[1mbold\x1b[m \x1b[7mreversed\x1b[m \x1b[4mline\x1b[m\n"+
		"┌─ Title ──┐\n│ ▁▂█      │\n"+
		"e\u0301 wide 世界 end\n"+
		"a line that is longer than the window is")
	svg := Still(s, `a "label" <of> it`)
	root := parsed(t, svg)
	if got := root.attr("aria-label"); got != `a "label" <of> it` {
		t.Errorf("got the label %q", got)
	}
	type word struct{ x, length, class, text string }
	var words []word
	root.each(func(e element) {
		if e.XMLName.Local == "text" {
			words = append(words, word{e.attr("x"), e.attr("textLength"), e.attr("class"), e.Text})
		}
	})
	want := []word{
		{"0", "40", "c0", "plain"},
		{"56", "24", "c1", "red"},
		{"88", "40", "c0", `<&>"'`},
		{"0", "32", "c0 b", "bold"},
		{"40", "64", "c2", "reversed"},
		{"112", "32", "c0 u", "line"},
		{"24", "40", "c0", "Title"},
		{"0", "120", "c0", "e\u0301 wide 世界 end"},
		{"0", "240", "c0", "a line that is longer than ths"}, // the last cell is written over and over
	}
	if diff := cmp.Diff(want, words, cmp.AllowUnexported(word{})); diff != "" {
		t.Error(diff)
	}
	for _, colour := range []string{".c0{fill:" + text, ".c2{fill:" + paper} {
		if !bytes.Contains(svg, []byte(colour)) {
			t.Errorf("the SVG has no %s", colour)
		}
	}
	if !bytes.Contains(svg, []byte(`<path class="c0" d="M8 `)) {
		t.Error("a line is not drawn in one piece")
	}
}

// A film, at any time, shows the screen that the terminal had then: computed as a browser does, from the keyframes.
func TestAFilmShowsEachScreenInItsTime(t *testing.T) {
	c := Cast{Width: 20, Height: 4, Events: []Event{
		{0, Output, "\x1b[?25lhead\r\n"},
		{100 * time.Millisecond, Marker, "first"},
		{1000 * time.Millisecond, Output, "one\r\n"},
		{2000 * time.Millisecond, Output, "\x1b[2;1Htwo"},
		{2500 * time.Millisecond, Marker, "second"},
		{3000 * time.Millisecond, Output, "\x1b[2;1Hone\x1b[4;1H\x1b[32mfoot"},
		{4000 * time.Millisecond, Marker, "passed over"},
		{4000 * time.Millisecond, Marker, "third"},
	}}
	frames := c.frames(250 * time.Millisecond)
	for i := 1; i < len(frames); i++ {
		if frames[i].from <= frames[i-1].from {
			t.Errorf("frame %d begins at %s, and the one before at %s", i, frames[i].from, frames[i-1].from)
		}
	}
	svg := Animate(c, Options{Label: "film", Every: 250 * time.Millisecond, End: time.Second, Poster: "second"})
	root := parsed(t, svg)
	defs := map[string]element{}
	root.each(func(e element) {
		if id := e.attr("id"); id != "" {
			defs[id] = e
		}
	})
	for _, c := range []struct {
		at   float64 // seconds; negative: where nothing moves
		want map[int]string
	}{
		{0.5, map[int]string{0: "head", 5: " first"}},
		{1.6, map[int]string{0: "head", 1: "one", 5: " first"}},
		{2.4, map[int]string{0: "head", 1: "two", 5: " first"}},
		{2.6, map[int]string{0: "head", 1: "two", 5: " second"}},
		{3.6, map[int]string{0: "head", 1: "one", 3: "foot", 5: " second"}},
		{4.9, map[int]string{0: "head", 1: "one", 3: "foot", 5: " third"}},
		{-1, map[int]string{0: "head", 1: "two", 5: " second"}},
	} {
		got := map[int]string{}
		for _, e := range root.Elements[2].Elements { // the groups on the terminal
			if shownAt(t, string(svg), e, c.at, 5) {
				read(e, defs, 0, got)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("after %.1f s (-want +got):\n%s", c.at, diff)
		}
	}
	for _, want := range []string{"animation:5s step-end infinite", "prefers-reduced-motion"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the film has no %q", want)
		}
	}
}

// shownAt tells from the style sheet whether a group is visible at a time.
func shownAt(t *testing.T, svg string, group element, at, length float64) bool {
	t.Helper()
	class := strings.Fields(group.attr("class"))
	if !slices.Contains(class, "f") {
		return true
	}
	if at < 0 {
		return slices.Contains(class, "p")
	}
	name := strings.TrimPrefix(group.attr("style"), "animation-name:")
	rule := regexp.MustCompile(regexp.QuoteMeta("@keyframes "+name+"{") + "(.*)}\n").FindStringSubmatch(svg)
	if rule == nil {
		t.Fatalf("there are no keyframes %q", name)
	}
	visible := slices.Contains(class, "p")
	for _, m := range regexp.MustCompile(`([\d.]+)%\{visibility:(\w+)\}`).FindAllStringSubmatch(rule[1], -1) {
		share, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if at/length*100 >= share {
			visible = m[2] == "visible"
		}
	}
	return visible
}

func TestACastIsWhatItWas(t *testing.T) {
	c := Cast{Width: 80, Height: 24, Title: "x", Events: []Event{
		{1500 * time.Millisecond, Output, "\x1b[1m<é>\r\n"}, {2 * time.Second, Marker, "there"},
	}}
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := `[1.5,"o","\u001b[1m<é>\r\n"]`; !strings.Contains(string(b), want) {
		t.Errorf("got %s, want %s in it", b, want)
	}
	again, err := ReadCast(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNoCast(t *testing.T) {
	for _, text := range []string{
		"", "x", `{"version":3,"width":80,"height":24}`, `{"version":2,"width":80,"height":0}`, `{"version":2,"width":100000,"height":100000}`,
		"{\"version\":2,\"width\":80,\"height\":24}\n[1", "{\"version\":2,\"width\":80,\"height\":24}\n[\"1\",\"o\",\"x\"]",
	} {
		if c, err := ReadCast(strings.NewReader(text)); err == nil {
			t.Errorf("%q: got %+v, want an error", text, c)
		}
	}
	if _, err := ReadCast(io.MultiReader(strings.NewReader("{\"version\":2,\"width\":8,\"height\":2}\n"), broken{})); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v", err, errBroken)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// A program that asks its terminal about itself gets an answer.
func TestTheTerminalAnswers(t *testing.T) {
	r, w := io.Pipe()
	terminal := NewTerminal(10, 2, w)
	go terminal.Write([]byte("\x1b]11;?\x07"))
	answer := make([]byte, 64)
	n, err := r.Read(answer)
	if err != nil || !strings.Contains(string(answer[:n]), "rgb:1414/1717/1c1c") {
		t.Errorf("got %q, %v", answer[:n], err)
	}
	_ = r.Close()
	terminal.Close()
}

func TestColoursAreThoseOfTheCells(t *testing.T) {
	s := Show(8, 1, "\x1b[38;2;1;2;3;48;5;196mx\x1b[7my\x1b[m\x1b[2mz")
	for x, want := range []string{"#010203 #ff0000", "#ff0000 #010203", "#75797f " + paper} {
		if got := fmt.Sprint(s[0][x].Ink, " ", s[0][x].Ground); got != want {
			t.Errorf("cell %d: got %s, want %s", x, got, want)
		}
	}
}
