package say

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON is v as the JSON that is printed, its final line break included: on one line, or with an indent over several. What Line spells out for people stands
// here as \uXXXX, which every reader of JSON turns back into the same value: hidden characters, and the bracket of "##[", which
// the GitHub runner would take for a command. The characters < > & stay, as remedies that are to be pasted hold them.
func JSON(v any, indent string) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("encode as JSON: %w", err)
	}
	return escaped(text.String()), nil
}

// escaped is for a text that is JSON: outside its strings there is nothing to escape.
func escaped(s string) string {
	s = strings.ReplaceAll(s, "##[", `##\u005b`)
	if !strings.ContainsFunc(s, hiddenInJSON) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		high, low := utf16.EncodeRune(r)
		switch {
		case !hiddenInJSON(r):
			b.WriteRune(r)
		case high == utf8.RuneError:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.String()
}

// hiddenInJSON leaves alone what lays an indented text out; such characters inside of strings are escaped already.
func hiddenInJSON(r rune) bool { return r >= ' ' && hidden(r) }
