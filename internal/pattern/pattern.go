// Package pattern has regular expressions that cost nothing until they are used: compiled as globals they were a millisecond
// of every start.
package pattern

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression; the first call compiles it.
type Pattern func() *regexp.Regexp

// Of is the regular expression of a text, which panics at its first use when the text is none.
func Of(text string) Pattern {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
