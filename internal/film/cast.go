// Package film shows culvert's screen where there is no terminal: a still or a film of it is an SVG, and what a film is made
// of is kept as a cast of asciinema's (https://docs.asciinema.org/manual/asciicast/v2/). For tests and the documentation.
package film

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Cast is what a program has written to its terminal, and when.
type Cast struct {
	Width, Height int
	Title         string
	Events        []Event
}

// Event is one thing that happened on a terminal.
type Event struct {
	At   time.Duration // since the beginning
	Kind Kind
	Text string
}

// Kind is what an event is, by its letter in the file.
type Kind string

// The kinds of events; players pass over those that they do not know.
const (
	Output Kind = "o"
	Marker Kind = "m" // a name for this moment
)

// head is the first line of the file.
type head struct {
	Version int               `json:"version"`
	Width   int               `json:"width"`
	Height  int               `json:"height"`
	Title   string            `json:"title,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
}

// Encode writes the cast in the form of a file.
func (c Cast) Encode() ([]byte, error) {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false)
	if err := lines.Encode(head{Version: 2, Width: c.Width, Height: c.Height, Title: c.Title, Env: map[string]string{"TERM": term}}); err != nil {
		return nil, fmt.Errorf("write the head of the cast: %w", err)
	}
	for _, e := range c.Events {
		if err := lines.Encode([]any{e.At.Round(time.Millisecond).Seconds(), e.Kind, e.Text}); err != nil {
			return nil, fmt.Errorf("write an event of the cast: %w", err)
		}
	}
	return b.Bytes(), nil
}

// The most that a cast may be: a window of a size that somebody has, and what a few minutes of a busy screen come to.
const (
	mostCells = 500
	mostCast  = 16 << 20
)

// ReadCast reads a cast of version 2.
func ReadCast(r io.Reader) (Cast, error) {
	lines := bufio.NewScanner(io.LimitReader(r, mostCast))
	lines.Buffer(nil, mostCast)
	var h head
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &h) != nil || h.Version != 2 {
		return Cast{}, errors.New("this is no cast of version 2")
	}
	if h.Width < 1 || h.Height < 1 || h.Width > mostCells || h.Height > mostCells {
		return Cast{}, fmt.Errorf("a cast of %d×%d cells", h.Width, h.Height)
	}
	c := Cast{Width: h.Width, Height: h.Height, Title: h.Title}
	for n := 2; lines.Scan(); n++ {
		var seconds float64
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &[]any{&seconds, &e.Kind, &e.Text}); err != nil {
			return Cast{}, fmt.Errorf("line %d of the cast: %w", n, err)
		}
		e.At = time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
		c.Events = append(c.Events, e)
	}
	if err := lines.Err(); err != nil {
		return Cast{}, fmt.Errorf("read the cast: %w", err)
	}
	return c, nil
}

// Moment is the screen of a cast at one of its markers.
type Moment struct {
	Name   string
	Screen Screen
}

// Moments are the screens at the markers, in their order.
func (c Cast) Moments() []Moment {
	t := NewTerminal(c.Width, c.Height, io.Discard)
	defer t.Close()
	var all []Moment
	for _, e := range c.Events {
		switch e.Kind {
		case Output:
			t.Write([]byte(e.Text))
		case Marker:
			all = append(all, Moment{e.Text, t.Screen()})
		}
	}
	return all
}
