package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"culvert/internal/film"
	"culvert/internal/need"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var docs = filepath.Join("..", "..", "..", "docs")

// kept is the film that the README shows.
func kept(t *testing.T) film.Cast {
	t.Helper()
	file, err := os.Open(filepath.Join(docs, "film.cast"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c, err := film.ReadCast(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The script is played anew, quicker: a film of another screen than this one is of no use to anybody.
func TestTheFilmShowsTheScreenAsItIs(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and plays with it: make test")
	}
	need.Command(t, "curl")
	steps := script()
	for i := range steps {
		steps[i].Hold = min(steps[i].Hold, 300*time.Millisecond)
	}
	now, err := play(t.Context(), steps)
	if err != nil {
		t.Fatal(err)
	}
	want, got := moments(kept(t)), moments(now)
	if len(want) != len(got) {
		t.Fatalf("docs/film.cast has %d moments, the script %d: make film", len(want), len(got))
	}
	for i, m := range want {
		if !slices.Equal(m.Lines, got[i].Lines) || m.Name != got[i].Name {
			t.Errorf("docs/film.cast shows another screen than there is; if that is meant to be so: make film. The film, %s:\n%s\n\nthe screen, %s:\n%s",
				m.Name, strings.Join(m.Lines, "\n"), got[i].Name, strings.Join(got[i].Lines, "\n"))
		}
	}
}

func TestTheReadmeShowsTheFilm(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`!\[[^\]]+\]\(docs/film\.svg\)`).Match(readme) {
		t.Error("README.md does not show docs/film.svg")
	}
	shown, err := os.ReadFile(filepath.Join(docs, "film.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(shown, animated(kept(t))) {
		t.Error("docs/film.svg is not what docs/film.cast makes: make film, or go test ./internal/film/readme -update for the picture alone")
	}
	if len(shown) > 200_000 {
		t.Errorf("docs/film.svg has %d bytes, want 200,000 at the most", len(shown))
	}
}

var update = flag.Bool("update", false, "make docs/film.svg anew from docs/film.cast")

func TestMakeTheFilmOfItsCast(t *testing.T) {
	if !*update {
		t.Skip("only with -update")
	}
	if err := os.WriteFile(filepath.Join(docs, "film.svg"), animated(kept(t)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The comparison must be able to fail, and must not fail of what is another every time.
func TestWhatIsStableOfAScreen(t *testing.T) {
	const screen = `┏━ Tunnel 127.0.0.1:3128  ● open  automation/squid:3128 ━━━━━┓
┃ session demo-jwo2kdsepcdawvakinhb674zfr · open for 5s          ┃
┃ received 194 kB/s, 3.0 MB in all   ▁▅█ │ sent 137 B/s           ┃
┃ PROTOCOL      HOST            RECEIVED    SENT                  ┃
┃ http          orders.internal   1.7 MB   400 B                  ┃
┗━━━━━━━━━━━━━━━ up 13s · 1 connection · round trip 2 ms ━━━━━━━━┛
 v next view  esc back`
	same := strings.NewReplacer("3128", "13129", "━━ up", " up", "demo-jwo2", "demo-xyz2", "1.7 MB", "999 B", "orders", "web", "1 connection", "2 connections", "▁▅█", "█▁ ")
	if diff := cmp.Diff(stable(strings.Split(screen, "\n")), stable(strings.Split(same.Replace(screen), "\n"))); diff != "" {
		t.Errorf("another run of the same screen differs:\n%s", diff)
	}
	for old, changed := range map[string]string{"RECEIVED    SENT": "RECEIVED    RATE", "v next view": "v view", "● open": "● ready", "Tunnel 1": "Forward 1"} {
		if cmp.Equal(stable(strings.Split(screen, "\n")), stable(strings.Split(strings.Replace(screen, old, changed, 1), "\n"))) {
			t.Errorf("%q in place of %q makes no difference", changed, old)
		}
	}
}
