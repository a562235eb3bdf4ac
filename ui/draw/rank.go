package draw

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sought is how a filter looks at the texts of a column.
type Sought int

const (
	// NotSought is for a column in which a filter looks only when the filter names it, as in state:steady. If every column of a
	// table is NotSought, a filter looks in all of them, as in AsText.
	NotSought Sought = iota
	// AsName is for names that people have chosen. A name is found by its beginning, by the beginning of a word in it, by any
	// part, and last by letters that stand in it in this order.
	AsName
	// AsText is for text that is found as a name is, but not by letters with others between them. A name that is found in the
	// same way comes first.
	AsText
	// AsID is for ids that machines have made, and for numbers: they are found only by the beginning of a word in them.
	AsID
)

// rank says how well a text matches a word: 0 is best. It returns false when the text does not match. Both are in lower case.
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

// startsWord reports whether a word of text begins with word. at is the first offset at which word is in text.
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

// inOrder reports whether the letters of word stand in this order, with others between them, in a part of text between slashes
// or blanks. Ids are left out, as in 32 hexadecimal digits almost any two or three letters are found.
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

// term is one word of a filter. A row has to match all words.
type term struct {
	word   string
	column int // the column in which the word is looked for; -1 for every column that is sought
}

// leastTitle is how many letters of a column's title a filter needs to name the column.
const leastTitle = 2

// terms takes a filter apart. A word such as state:steady is for the column with that title, else for the first whose title
// begins with it.
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
