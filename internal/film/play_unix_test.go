//go:build unix

package film

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

func shell(script string) *exec.Cmd { return exec.Command("/bin/sh", "-c", script) }

var on = regexp.MustCompile

func TestAPlayIsFilmedAtItsPace(t *testing.T) {
	said := ""
	c, err := Play(t.Context(), shell(`stty -echo; sleep 1; printf 'name? '; read -r name; printf 'h\303'; sleep .1; printf '\251llo %s on %s\n' "$name" "$(stty size)"; read -r _`), 40, 5, []Step{
		{Name: "asked", Until: on(`name\?`)},
		{Name: "answered", Keys: "kim\n", Until: on(`héllo kim on (.*)`), Do: func(_ context.Context, matched string) error {
			said = matched
			return nil
		}, Hold: 200 * time.Millisecond, Fast: 2},
		{Name: "over", Keys: "\n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if said != "5 40" {
		t.Errorf("the terminal has %q lines and columns, want 5 40", said)
	}
	kept, err := c.Encode() // a letter in two halves would be lost here
	if err != nil {
		t.Fatal(err)
	}
	if c, err = ReadCast(bytes.NewReader(kept)); err != nil {
		t.Fatal(err)
	}
	moments := c.Moments()
	if len(moments) != 2 || moments[0].Name != "asked" || !strings.HasPrefix(moments[1].Screen.String(), "name? héllo kim on 5 40\n") {
		t.Errorf("got %+v", moments)
	}
	var at []time.Duration
	for _, e := range c.Events {
		if e.Kind == Marker {
			at = append(at, e.At)
		}
	}
	if len(at) != 2 || at[0] != pace || at[1] != 2*pace {
		t.Errorf("the markers are at %v, want them at %s and %s however long it took", at, pace, 2*pace)
	}
}

func TestKeysAreTypedAgainWhereTheyMissed(t *testing.T) {
	c, err := Play(t.Context(), shell(`stty -echo; read -r _; echo taken; read -r _; echo yours; read -r _`), 40, 5, []Step{
		{Name: "mine", Keys: "\n", Until: on(`yours`), Again: on(`taken`)},
		{Keys: "\n"},
	})
	if err != nil || len(c.Moments()) != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestAPlayThatGoesWrongSaysWhere(t *testing.T) {
	wrong := errors.New("the visitor stumbles")
	for _, c := range []struct {
		script string
		steps  []Step
		want   string
	}{
		{"echo bye; exit 3", []Step{{Name: "hello", Until: on("hello")}}, "\"hello\": the program has ended, and the screen shows\nbye"},
		{"echo hello; exit 3", []Step{{Name: "hello", Until: on("hello")}, {Name: "end"}}, "exit status 3"},
		{"echo hello; exec sleep 60", []Step{{Name: "hello", Until: on("hello")}}, "the steps are over, and the program runs"},
		{"echo hello; exec sleep 60", []Step{{Name: "hello", Until: on("hello"), Do: func(context.Context, string) error { return wrong }}}, wrong.Error()},
	} {
		if _, err := Play(t.Context(), shell(c.script), 40, 5, c.steps); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.script, err, c.want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Play(ctx, shell("exec sleep 60"), 40, 5, []Step{{Name: "never", Until: on("never")}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the end of the context", err)
	}
}
