package shell

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// maxParameters bounds a sequence that is remembered; longer ones set none of the modes here.
const maxParameters = 64

// modes passes on what a command prints and remembers which modes of the terminal it has left another than they were: a
// command that is killed, or whose session is lost, undoes nothing.
type modes struct {
	to io.Writer

	mu      sync.Mutex // a Write that blocks may outlive its command
	state   byte       // of the sequence that is read: 0 none, ESC, or '['
	text    []byte
	on      []string // modes that are set and were not, off those that were
	off     []string
	styled  bool
	pushed  int // keyboard protocols
	modkeys bool
}

// Private modes by what they are when nobody has touched them (xterm, "DEC Private Mode Set").
const (
	usuallyOff = " 1 9 47 66 1000 1001 1002 1003 1004 1005 1006 1015 1016 1047 1049 2004 2026 2031 2048 "
	usuallyOn  = " 7 25 "
)

// Write implements io.Writer.
func (m *modes) Write(text []byte) (int, error) {
	m.mu.Lock()
	for _, b := range text {
		m.look(b)
	}
	m.mu.Unlock()
	n, err := m.to.Write(text)
	if err != nil {
		return n, fmt.Errorf("write to the terminal: %w", err)
	}
	return n, nil
}

// look takes the next byte in.
func (m *modes) look(b byte) {
	switch {
	case b == '\x1b':
		m.state, m.text = b, m.text[:0]
	case m.state == '\x1b' && b == '[':
		m.state = b
	case m.state == '[' && b >= ' ' && b < '@':
		if m.text = append(m.text, b); len(m.text) > maxParameters {
			m.state = 0
		}
	case m.state == '[':
		m.sequence(string(m.text), b)
		m.state = 0
	default:
		m.state = 0
	}
}

// sequence notes what a control sequence does.
func (m *modes) sequence(text string, final byte) {
	private, isPrivate := strings.CutPrefix(text, "?")
	switch {
	case isPrivate && (final == 'h' || final == 'l'):
		for mode := range strings.SplitSeq(private, ";") {
			switch {
			case strings.Contains(usuallyOff, " "+mode+" "):
				m.on = noted(m.on, mode, final == 'h')
			case strings.Contains(usuallyOn, " "+mode+" "):
				m.off = noted(m.off, mode, final == 'l')
			}
		}
	case final == 'm' && strings.HasPrefix(text, ">4"):
		m.modkeys = strings.HasPrefix(text, ">4;")
	case final == 'm' && !strings.ContainsAny(text, "<=>?"):
		m.styled = strings.Trim(text, "0;") != ""
	case final == 'u' && strings.HasPrefix(text, ">"):
		m.pushed++
	case final == 'u' && strings.HasPrefix(text, "<"):
		m.pushed = max(m.pushed-1, 0)
	}
}

// noted has a mode in a list or not.
func noted(list []string, mode string, is bool) []string {
	list = slices.DeleteFunc(list, func(one string) bool { return one == mode })
	if is {
		list = append(list, mode)
	}
	return list
}

// undo sets the terminal back, last first.
func (m *modes) undo() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var text strings.Builder
	if m.pushed > 0 {
		fmt.Fprintf(&text, "\x1b[<%du", m.pushed)
	}
	if m.modkeys {
		text.WriteString("\x1b[>4m")
	}
	if m.styled {
		text.WriteString("\x1b[0m")
	}
	for _, mode := range slices.Backward(m.on) {
		text.WriteString("\x1b[?" + mode + "l")
	}
	for _, mode := range slices.Backward(m.off) {
		text.WriteString("\x1b[?" + mode + "h")
	}
	if text.Len() == 0 {
		return nil
	}
	if _, err := io.WriteString(m.to, text.String()); err != nil {
		return fmt.Errorf("set the terminal back: %w", err)
	}
	return nil
}
