package draw

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sought is how a filter looks at the texts of a column.
type Sought int

const (
	// NotSought is a column that is looked at only when it is named, as in state:steady. In a table none of whose columns
	// is sought all of them are, as text.
	NotSought Sought = iota
	// AsName are the words of people: they are found by their beginning, by that of a word in them, by any part, and at
	// last by letters in this order.
	AsName
	// AsText is found as a name is, but not by letters with others between them; a name that is found likewise comes first.
	AsText
	// AsID is what machines have made up, and numbers: found by the beginning of a word alone.
	AsID
)

// rank says how well a text answers to a word, the less the better; false when it does not. Both are in lower case.
func rank(text, word string, as Sought) (int, bool) {
	const (
		exact = 2 * iota
		atFront
		atWord
		inside
		apart
	)
	at := strings.Index(text, word)
	var found int
	switch {
	case at == 0 && len(text) == len(word):
		found = exact
	case at == 0:
		found = atFront
	case at > 0 && startsWord(text, word, at):
		found = atWord
	case at > 0 && as != AsID:
		found = inside
	case as == AsName && inOrder(text, word):
		found = apart
	default:
		return 0, false
	}
	if as == AsText {
		found++
	}
	return found, true
}

// startsWord reports whether a word of text begins with word, which is found first at an offset.
func startsWord(text, word string, at int) bool {
	for {
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		if !unicode.IsLetter(before) && !unicode.IsDigit(before) {
			return true
		}
		next := strings.Index(text[at+1:], word)
		if next < 0 {
			return false
		}
		at += next + 1
	}
}

// inOrder reports whether the letters of word stand in text in this order, with anything between them but the ids of
// machines: in 32 hexadecimal digits almost any two or three are found.
func inOrder(text, word string) bool {
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '/' || r == ' ' }) {
		if isID(part) {
			continue
		}
		at, all := 0, true
		for i := range len(word) {
			next := strings.IndexByte(part[at:], word[i])
			if next < 0 {
				all = false
				break
			}
			at += next + 1
		}
		if all {
			return true
		}
	}
	return false
}

// isID reports whether a word is an id as AWS makes them: many hexadecimal digits, and dashes.
func isID(word string) bool {
	const least = 16
	return len(word) >= least && strings.Trim(word, "0123456789abcdef-") == "" && strings.ContainsAny(word, "0123456789")
}

// term is one word of a filter: all of them have to match.
type term struct {
	word   string
	column int // that it is looked for in; -1: in those that are sought
}

// leastTitle is how much of a column's title names it in a filter.
const leastTitle = 2

// terms takes a filter apart. A word such as state:steady is for the column of that title, or the first that begins so.
func terms(filter string, titles []string) []term {
	var all []term
	for word := range strings.FieldsSeq(strings.ToLower(filter)) {
		t := term{word: word, column: -1}
		if title, value, ok := strings.Cut(word, ":"); ok && len(title) >= leastTitle {
			for i, have := range titles {
				if have = strings.ToLower(have); have == title || t.column < 0 && strings.HasPrefix(have, title) {
					t.column, t.word = i, value
				}
			}
		}
		if t.word != "" { // state: is still being typed
			all = append(all, t)
		}
	}
	return all
}
