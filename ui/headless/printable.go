package headless

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes text that came from elsewhere safe to print on one line of a terminal or a CI log: runs of blanks
// that hold a line break become one blank, control and invisible characters are spelled out, and nothing is left that
// the GitHub runner would take for a command (it looks for "##[" anywhere in a line).
func Printable(s string) string {
	s = oneLine(s)
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return strings.ReplaceAll(s, "##[", `##\x5b`)
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return strings.ReplaceAll(b.String(), "##[", `##\x5b`)
}

func oneLine(s string) string {
	if !strings.ContainsAny(s, "\r\n") {
		return s
	}
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		lines[i] = strings.Trim(line, " \t")
	}
	return strings.Trim(strings.Join(lines, " "), " ")
}
