package say

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestJSONLeavesNothingThatActsAndKeepsTheValue(t *testing.T) {
	for in, want := range map[string]string{
		"plain <ünïcode> & more": `plain <ünïcode> & more`,
		"##[error]boo":           `##\u005berror]boo`,
		"\\##[##[x":              `\\##\u005b##\u005bx`,
		"\x1b[31m\x7f":           `\u001b[31m\u007f`,
		"c1 \u009b31m":           `c1 \u009b31m`,
		"a\u2066b\u200bc\u2028d": `a\u2066b\u200bc\u2028d`,
		"tag \U000e0041":         `tag \udb40\udc41`,
		"em\u3164pty":            `em\u3164pty`,
		"two\nlines":             `two\nlines`,
	} {
		got, err := JSON(map[string]string{in: in}, "")
		if quoted := `"` + want + `"`; err != nil || got != "{"+quoted+":"+quoted+"}\n" {
			t.Errorf("%q: got %s, %v; want the string %s", in, got, err, want)
		}
	}
	if got, err := JSON([]string{"::error::boo"}, "  "); err != nil || got != "[\n  \"::error::boo\"\n]\n" {
		t.Errorf("indented: got %q, %v", got, err)
	}
	if _, err := JSON(func() {}, ""); err == nil {
		t.Error("a function became JSON")
	}
}

func FuzzJSON(f *testing.F) {
	f.Add("##[set-env]\u202e")
	f.Add("\xff\u2029\U000e0001")
	f.Fuzz(func(t *testing.T, s string) {
		text, err := JSON([]string{s}, "\t")
		if err != nil || strings.Contains(text, "##[") || strings.ContainsFunc(text, hiddenInJSON) {
			t.Fatalf("%q becomes %q, %v", s, text, err)
		}
		var back []string
		if err := json.Unmarshal([]byte(text), &back); err != nil || len(back) != 1 || utf8.ValidString(s) && back[0] != s {
			t.Fatalf("%q becomes %q, and that %q, %v", s, text, back, err)
		}
	})
}
