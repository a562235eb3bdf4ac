package headless

import (
	"strings"
	"testing"
	"unicode"
)

func TestPrintableLeavesNothingThatActs(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, ünïcode":         "plain text, ünïcode",
		"\x1b[31mred":                 `\x1b[31mred`,
		"two\nlines":                  "two lines",
		"{\n  \"a\": 1\r\n}":          `{ "a": 1 }`,
		"\n::error::boo":              "::error::boo",
		"##[set-env name=x]y":         `##\x5bset-env name=x]y`,
		"bell\a tab\t":                `bell\x07 tab\x09`,
		"c1 \u009b31m":                `c1 \u009b31m`,
		"right\u202eto left":          `right\u202eto left`,
		"bad \xff utf-8":              `bad \xff utf-8`,
		"zero\u200bwidth \ufffd here": `zero\u200bwidth ` + "\ufffd here",
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b]0;title\a\r\n::add-mask::x")
	f.Add("##[##\x1b[")
	f.Fuzz(func(t *testing.T, s string) {
		got := Printable(s)
		if strings.Contains(got, "##[") || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q becomes %q", s, got)
		}
	})
}
