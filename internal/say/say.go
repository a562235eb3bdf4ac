// Package say is what every layer needs to talk to people: the remedy of an error, and text of strangers made safe to show.
package say

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Remedy asks an error, or what it wraps, what to do about it; empty when nothing is known.
func Remedy(err error) string {
	if e, ok := errors.AsType[interface {
		error
		Remedy() string
	}](err); ok {
		return e.Remedy()
	}
	return ""
}

// Line makes text that came from elsewhere safe to show on one line of a terminal or of a CI log: line breaks with the
// blanks around them become one blank; control, invisible and direction-changing characters are spelled out; and nothing is
// left that the GitHub runner would take for a command (it looks for "##[" anywhere in a line). Line of a Line is the same.
func Line(s string) string {
	s = oneLine(s)
	if strings.ContainsFunc(s, hidden) {
		s = spelled(s)
	}
	return strings.ReplaceAll(s, "##[", `##\x5b`)
}

// Word quotes a word for a POSIX shell where it needs to be.
func Word(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@+=:,./-_") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// briefly is how many characters of a stranger's answer are enough.
const briefly = 500

// Brief is Line of a text's first line, and of no more than its first 500 characters: for what a stranger answered.
func Brief(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.TrimSpace(s)
	if len(s) > briefly {
		if runes := []rune(s[:min(len(s), briefly*utf8.UTFMax)]); len(runes) > briefly {
			s = string(runes[:briefly]) + "…"
		}
	}
	return Line(s)
}

// hidden reports whether a character shows nothing, or could act on the terminal or on the text around it. Some
// characters that Unicode counts as letters or marks are invisible too: they are default ignorable (Unicode, section 5.21).
func hidden(r rune) bool {
	return r == utf8.RuneError || !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// spelled writes hidden characters out.
func spelled(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < 0x20, r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hidden(r) && r != utf8.RuneError:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
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
