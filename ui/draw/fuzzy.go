package draw

import "strings"

// matches reports whether every word of a filter occurs in text, a word being its letters in this order with anything
// between them. Letters of words match both cases unless they are capitals. text must be in lower case where fold is.
func matches(text string, words []string) bool {
	for _, word := range words {
		if !inOrder(text, word) {
			return false
		}
	}
	return true
}

func inOrder(text, word string) bool {
	if strings.Contains(text, word) {
		return true
	}
	at := 0
	for i := range len(word) {
		next := strings.IndexByte(text[at:], word[i])
		if next < 0 {
			return false
		}
		at += next + 1
	}
	return true
}

// words splits a filter into what has to match.
func words(filter string) []string { return strings.Fields(strings.ToLower(filter)) }
