package clip

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/charmbracelet/x/ansi"
)

// mostForTerminal is how many bytes are sent to a terminal: in base64 they are the 100,000 that most of them take at once.
const mostForTerminal = 74_994

// sequence is OSC 52, which asks the terminal to copy, past the multiplexer that would keep it.
func (c Clipboards) sequence(text string) (string, error) {
	if len(text) > mostForTerminal {
		return "", &TooLongError{Bytes: len(text)}
	}
	s := ansi.SetSystemClipboard(text)
	if c.wrap != nil {
		s = c.wrap(s)
	}
	return s, nil
}

// throughTmux passes a sequence to the terminal that tmux is in, where tmux is set to allow that.
func throughTmux(s string) string { return ansi.TmuxPassthrough(s) }

// screenTakes is how long a string of one sequence may be for GNU screen.
const screenTakes = 768

// throughScreen passes a sequence to the terminal that GNU screen is in, in pieces.
func throughScreen(s string) string { return ansi.ScreenPassthrough(s, screenTakes-len("\x1bP\x1b\\")) }

// TooLongError is a text that no terminal is sent.
type TooLongError struct{ Bytes int }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("the text has %d bytes, and a terminal takes %d at the most", e.Bytes, mostForTerminal)
}

// Remedy says what else there is.
func (e *TooLongError) Remedy() string {
	return "select it by hand, or install wl-copy, xclip or xsel where culvert runs"
}

// Certain reports whether a clipboard has the text.
func (o Outcome) Certain() bool { return len(o.Took) > 0 }

// Where says where the text went as far as it is known, or where it was sent; empty when it went nowhere.
func (o Outcome) Where() string {
	switch {
	case o.Certain():
		return strings.Join(o.Took, " and ")
	case o.Terminal != "":
		return "the terminal (OSC 52)"
	}
	return ""
}

// inUTF16 is what clip.exe understands whatever the code page; a byte order mark would be pasted with the text.
func inUTF16(s string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b)
}
