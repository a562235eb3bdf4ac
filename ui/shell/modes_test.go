package shell

import (
	"strings"
	"testing"
)

func TestModesThatACommandLeavesAreUndone(t *testing.T) {
	for name, c := range map[string]struct{ printed, undone string }{
		"nothing":                 {"plain\r\n\x1b[2J\x1b[3;4H", ""},
		"an editor that left":     {"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?2004l\x1b[?25h\x1b[?1049l", ""},
		"an editor that was cut":  {"\x1b[?1049h\x1b[?2004h\x1b[?25l\x1b[1;31mred", "\x1b[0m\x1b[?2004l\x1b[?1049l\x1b[?25h"},
		"several at once":         {"\x1b[?1000;1006h\x1b[?1000l", "\x1b[?1006l"},
		"colours put back":        {"\x1b[1m\x1b[0m\x1b[31m\x1b[m", ""},
		"keyboards":               {"\x1b[>1u\x1b[>1u\x1b[<u\x1b[>4;2m", "\x1b[<1u\x1b[>4m"},
		"twice the same":          {"\x1b[?1049h\x1b[?1049h", "\x1b[?1049l"},
		"unknown modes":           {"\x1b[?31337h\x1b[4h", ""},
		"one without an end":      {"\x1b[?1049" + strings.Repeat("9", 100) + "h", ""},
		"one begun in the middle": {"\x1b[?10\x1b[?1049h", "\x1b[?1049l"},
	} {
		t.Run(name, func(t *testing.T) {
			for size := range 3 { // cut anywhere
				var shown strings.Builder
				m := &modes{to: &shown}
				for rest := c.printed; rest != ""; {
					n := min(len(rest), 1+size*7)
					if _, err := m.Write([]byte(rest[:n])); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				if err := m.undo(); err != nil {
					t.Fatal(err)
				}
				if got, want := shown.String(), c.printed+c.undone; got != want {
					t.Errorf("cut to %d: got %q, want %q", 1+size*7, got, want)
				}
			}
		})
	}
}
