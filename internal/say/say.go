// Package say is what every layer needs to talk to people: the remedy of an error, and text of strangers made safe to show.
//
// These are the rules of what people are shown, wherever it is shown.
//
// Errors. Error says what has happened, in one sentence in lower case, without a full stop and without "failed to": "the port
// 5432 is taken by postgres (pid 812)". It names the thing: the flag, the field of the form, the file and its line, the cluster,
// the address. A wrapped error adds a verb phrase in front ("start session: …"). Whoever returns an error does not print it.
//
// Remedies. Remedy says what to do about it, as an imperative, built from the facts of the error: the exact command, flag or
// statement, so that it can be pasted. It does not repeat the error. An error for which nobody knows what to do has none. A face
// finds it with Remedy, through all that wraps it, and shows it right behind the error: as "remedy: …" on stderr, as the field
// "remedy" in JSON, below the problem on the screen. Only a command that ends with an error without a remedy gets a general one.
//
// Strangers. Text from AWS, an agent, a server, a file of a repository or the name of a resource goes through Line where it is
// shown, and through Brief where it can be long; both are for the edge, so inside it stays as it came. Word is for what stands in
// a command that is to be pasted, JSON for all that is printed as JSON. Passwords and tokens are shown nowhere, not in a log either.
//
// Lines. What was asked for goes to stdout, all else to stderr: "culvert: …" for a notice, "culvert: warning: …; remedy: …", and at
// the end "culvert: ERROR" and "remedy: REMEDY" as two lines. One event is one line, or one JSON object, however long. On GitHub
// errors and warnings annotate the step besides. A terminal that somebody watches gets short ids, the time of the wall clock
// and only what is new; a file, a pipe and CI get every fact on each line, and the time in UTC.
//
// Amounts. Bytes, Rate, Age, Trip and Count write them, in columns of a fixed width and with decimal units; JSON has plain numbers.
//
// Colours. They are written to a terminal alone, and not where NO_COLOR is set or TERM is dumb. They say what something means (draw.Theme:
// good, busy, bad, muted), and nothing is said by a colour alone: a state has its word or its sign as well. Sentences
// have no exclamation marks and no emoji.
//
// Words. A thing has the name that AWS, ssh or the RFC gives it: cluster, service, task, container, session, document, listener,
// stream. One word is for one thing: a place is an account and region as one profile sees them; a lane is one session of a
// tunnel; a seat is the right of a session to exist; a channel is the reliable stream of messages of a session (that of the
// language is a Go channel); a step is a change in the history of a tunnel (control.Step), and that of a CI system a step of a
// job; a row is one of a table, and a line one of text.
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
