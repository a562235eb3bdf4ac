package draw

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatIsCutInTheMiddleKeepsBothEnds(t *testing.T) {
	th := NewTheme(true)
	for _, c := range []struct {
		text string
		w    int
		want string
	}{
		{"payments-api.production.internal", 20, "payments-…n.internal"},
		{"short", 20, "short"},
		{"too narrow for a middle", 7, "too na…"},
		{"サービス-ビビビビ:3128", 12, "サー…ビ:3128"},
	} {
		if got := th.CutMiddle(c.text, c.w); got != c.want || Width(got) > c.w {
			t.Errorf("%s in %d: got %q, want %q", c.text, c.w, got, c.want)
		}
	}
}

func TestAWideCharacterAcrossTheCutMakesNothingWider(t *testing.T) {
	th := NewTheme(true)
	for w := 8; w < 40; w++ {
		for _, text := range []string{"サービス-ビビビビビビビビビビビビ:3128", "aサービス-ビビビビビビビビビビビビ:3128"} {
			if got := th.CutMiddle(text, w); Width(got) > w || !strings.HasSuffix(got, "8") {
				t.Errorf("%s in %d cells: got %q", text, w, got)
			}
		}
	}
}

func FuzzCutMiddle(f *testing.F) {
	f.Add("サービス-ビビビビ:3128", 12)
	f.Fuzz(func(t *testing.T, text string, w int) {
		if w %= 200; w < 1 || !utf8.ValidString(text) || strings.ContainsAny(text, "\x1b\u009b") {
			return
		}
		if got := NewTheme(true).CutMiddle(text, w); Width(got) > w {
			t.Errorf("%q in %d cells takes %d: %q", text, w, Width(got), got)
		}
	})
}
