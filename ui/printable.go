package ui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable makes text that came from elsewhere safe to show in one line of a terminal: line breaks become blanks,
// control and invisible characters are spelled out.
func printable(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError && size == 1, r < 0x20, r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hidden(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return strings.TrimSpace(b.String())
}

// hidden reports whether a character shows nothing, or could act on the terminal or on the text around it.
func hidden(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
