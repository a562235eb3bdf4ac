package clip

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// of is an environment.
func of(pairs ...string) func(string) string {
	return func(name string) string {
		for _, p := range pairs {
			if value, ok := strings.CutPrefix(p, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestATextThatIsTooLongForATerminal(t *testing.T) {
	c := Find("linux", of())
	if o := c.Copy(t.Context(), strings.Repeat("x", mostForTerminal)); o.Terminal == "" || o.Err != nil {
		t.Errorf("the longest text: got %v", o.Err)
	}
	o := c.Copy(t.Context(), strings.Repeat("x", mostForTerminal+1))
	if _, long := errors.AsType[*TooLongError](o.Err); !long || o.Terminal != "" || o.Where() != "" {
		t.Errorf("got it in %q, %v, and %d bytes for the terminal", o.Where(), o.Err, len(o.Terminal))
	}
}

func TestOSC52PassesWhatKeepsIt(t *testing.T) {
	const plain = "\x1b]52;c;aGVsbG8=\x07"
	for _, c := range []struct{ env, want string }{
		{"TERM=xterm", plain},
		{"TMUX=/tmp/x,1,0", "\x1bPtmux;\x1b" + plain + "\x1b\\"},
		{"STY=1.pts-0", "\x1bP" + plain + "\x1b\\"},
	} {
		if got, err := Find("linux", of(c.env)).sequence("hello"); got != c.want || err != nil {
			t.Errorf("with %s: got %q, %v; want %q", c.env, got, err, c.want)
		}
	}
	long, err := Find("linux", of("STY=1.pts-0")).sequence(strings.Repeat("x", 2000))
	if err != nil {
		t.Fatal(err)
	}
	for piece := range strings.SplitSeq(long, "\x1b\\") {
		if len(piece)+2 > screenTakes {
			t.Errorf("GNU screen gets a string of %d bytes", len(piece)+2)
		}
	}
}
