package draw

import "testing"

func TestTheWindowIsDividedWhollyAndThePageKeepsItsShare(t *testing.T) {
	for w := MinWidth; w <= 200; w += 20 {
		for h := MinHeight; h <= 60; h++ {
			for below := 0; below <= 60; below += 3 {
				for _, want := range []Wanted{{Below: below, Notice: 1}, {Below: below, Notice: 4}, {Below: below, Notice: 1, Alone: true}, {Below: below, Notice: 1, Alone: true, Lower: true}} {
					l := Arrange(w, h, want)
					at := 0
					for _, part := range []Rect{l.Header, l.Body, l.Below, l.Notice, l.Keys} {
						if part.Y != at || part.W != w || part.H < 0 {
							t.Fatalf("%d by %d, %+v: %+v", w, h, want, l)
						}
						at += part.H
					}
					switch {
					case at != h || l.Header.H != 1:
						t.Fatalf("%d by %d, %+v: %d lines, %d of them the header's", w, h, want, at, l.Header.H)
					case want.Alone && want.Lower != (l.Body.H == 0), want.Alone && want.Lower == (l.Below.H == 0):
						t.Fatalf("%+v: body %d, below %d", want, l.Body.H, l.Below.H)
					case want.Alone:
					case l.Below.H < 3 || l.Below.H > max(below, 3) || l.Below.H > max(h*2/5, 3):
						t.Fatalf("%d by %d, %+v: the pane below has %d lines", w, h, want, l.Below.H)
					case l.Body.H < min(leastBody, h-2-want.Notice-3):
						t.Fatalf("%d by %d, %+v: the page has %d lines", w, h, want, l.Body.H)
					}
				}
			}
		}
	}
	if !Arrange(40, 10, Wanted{Below: 3, Notice: 1}).TooSmall || Arrange(60, 15, Wanted{Below: 3, Notice: 1}).TooSmall {
		t.Error("60 by 15 is the least")
	}
}
