package say

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
)

func TestALineLeavesNothingThatActs(t *testing.T) {
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
		"a\u2066b\u061cc\ufeffd":      `a\u2066b\u061cc\ufeffd`,
		"em\u3164pty \u034f\ufe0f":    `em\u3164pty \u034f\ufe0f`, // letters and marks that show nothing
		"no\u00a0break \u2028 line":   `no\u00a0break \u2028 line`,
	} {
		if got := Line(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("\x1b]0;title\a\r\n::add-mask::x")
	f.Add("##[##\x1b[")
	f.Fuzz(func(t *testing.T, s string) {
		got := Line(s)
		if strings.Contains(got, "##[") || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q becomes %q", s, got)
		}
		if again := Line(got); again != got {
			t.Fatalf("%q becomes %q, and that %q", s, got, again)
		}
	})
}

func TestABriefWordIsOneLineOfABoundedLength(t *testing.T) {
	for in, want := range map[string]string{
		"\n first \r\nsecond":            "first",
		"  plain  ":                      "plain",
		"\x1b[2Jcleared":                 `\x1b[2Jcleared`,
		strings.Repeat("ü", 500):         strings.Repeat("ü", 500),
		strings.Repeat("ü", 501) + "end": strings.Repeat("ü", 500) + "…",
	} {
		if got := Brief(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestTheRemedyOfAnErrorIsFoundBelowWhatWrapsIt(t *testing.T) {
	if got := Remedy(fmt.Errorf("open: %w", advised{})); got != "do this" {
		t.Errorf("got %q", got)
	}
	if got := Remedy(errors.New("plain")) + Remedy(nil); got != "" {
		t.Errorf("got %q for errors without advice", got)
	}
}

type advised struct{}

func (advised) Error() string  { return "it failed" }
func (advised) Remedy() string { return "do this" }
