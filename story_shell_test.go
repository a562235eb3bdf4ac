package main

import (
	"fmt"
	"testing"
)

// From a task to a shell in its container, and back to the screen as it was.
func TestStoryOfAShellFromTheScreen(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			d := onDisplay(t, size[0], size[1], `stty -a >before; culvert demo; code=$?; stty -a >after; echo "left with $code"; exec sleep 600`)
			d.sees(`automation .*active`)
			d.keys("Enter")
			d.sees(`automation › services`)
			d.keys("G", "Enter")
			d.sees(`squid › tasks`)
			d.keys("s")
			d.sees(`a shell in container squid of automation/squid; exit leads back to culvert`)
			if got := d.ask("#{alternate_on}"); got != "0" {
				t.Errorf("the screen is still there")
			}
			d.types("echo over-$((40+2))")
			d.keys("Enter")
			d.sees(`(?m)^(# ?)*over-\S+`)
			d.types("exit")
			d.keys("Enter")
			d.sees(`the shell in container squid of automation/squid has ended`)
			d.sees(`squid › tasks`)
			if got, want := d.ask("#{alternate_on} #{mouse_any_flag}"), "1 1"; got != want {
				t.Errorf("alternate screen and mouse: got %s, want %s", got, want)
			}
			d.keys("Escape")
			d.sees(`automation › services`)
			d.keys("C-c")
			d.sees(`left with 0`)
			if before, after := d.file("before"), d.file("after"); before != after {
				t.Errorf("the terminal was set like this before\n%s\nand afterwards\n%s", before, after)
			}
		})
	}
}
