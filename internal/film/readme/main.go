// Command readme makes docs/film.cast and docs/film.svg anew, from the real screen: it builds culvert, plays a newcomer's
// first minutes with its demo on a terminal, and writes down what was to be seen. Its test plays them as well.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"culvert/internal/film"
)

// The window of the film.
const (
	width  = 100
	height = 30
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := write(ctx, "docs")
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "film:", err)
		os.Exit(1)
	}
}

// write makes the film in a directory.
func write(ctx context.Context, dir string) error {
	cast, err := play(ctx, script())
	if err != nil {
		return err
	}
	for _, m := range cast.Moments() {
		if strings.Contains(m.Screen.String(), "is in use by") {
			return fmt.Errorf("something else listens on the port of the film, which would show that; end it first:\n%s", m.Screen)
		}
	}
	encoded, err := cast.Encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "film.cast"), encoded, 0o644); err != nil { //nolint:gosec // for everybody
		return fmt.Errorf("write the cast: %w", err)
	}
	if cast, err = film.ReadCast(bytes.NewReader(encoded)); err != nil { // its times are whole milliseconds
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "film.svg"), animated(cast), 0o644); err != nil { //nolint:gosec // likewise
		return fmt.Errorf("write the film: %w", err)
	}
	return nil
}

// animated is the film of a cast.
func animated(c film.Cast) []byte {
	return film.Animate(c, film.Options{
		Label:  "culvert's screen: a forward to a proxy in four keys, its traffic, a host that it refuses, and the doctor",
		Every:  500 * time.Millisecond,
		End:    2 * time.Second,
		Poster: traffic,
	})
}

// traffic is the moment with most to see.
const traffic = "enter   what goes through it"

// play builds culvert and plays a script, with a home of its own.
func play(ctx context.Context, steps []film.Step) (film.Cast, error) {
	work, err := os.MkdirTemp("", "film")
	if err != nil {
		return film.Cast{}, fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	culvert, home := filepath.Join(work, "culvert"), filepath.Join(work, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return film.Cast{}, fmt.Errorf("make a home: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-X main.action=acme/culvert@v1", "-o", culvert, strings.TrimSuffix(reflect.TypeFor[film.Step]().PkgPath(), "/internal/film")) //nolint:gosec // a path of our own
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return film.Cast{}, fmt.Errorf("build culvert: %w", err)
	}
	cmd := exec.CommandContext(ctx, culvert, "demo") //nolint:gosec // just built
	cmd.Env = []string{
		"HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_STATE_HOME=" + home, "XDG_RUNTIME_DIR=" + home, "TMPDIR=" + home,
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TERM=xterm-256color", "COLORTERM=truecolor",
	}
	return film.Play(ctx, cmd, width, height, steps)
}

// script is a newcomer's first minutes.
func script() []film.Step {
	const enter = "\r"
	on := regexp.MustCompile
	return []film.Step{
		{Name: "culvert demo   an account inside the process: nothing leaves this machine", Until: on(`(?s)automation .*active.* as of `), Hold: 1500 * time.Millisecond},
		{Name: "enter   the services of a cluster", Keys: enter, Until: on(`▌batch`), Hold: 800 * time.Millisecond},
		{Name: "G   the last of them", Keys: "G", Until: on(`▌squid`), Hold: 500 * time.Millisecond},
		{Name: "F   forward a port", Keys: "F", Until: on(`local port +\d+ +free`), Hold: 1500 * time.Millisecond},
		{Name: "enter   and it is open", Keys: enter, Until: on(`127\.0\.0\.1:(\d+) .*● open`), Again: on(`! 127\.0\.0\.1:\d+ is in use`), Do: visit, Hold: 2 * time.Second},
		{Name: traffic, Keys: enter, Until: on(`\[connections \d+`), Hold: 12 * time.Second, Fast: 3},
		{Name: "v   by host: one is refused by the proxy", Keys: "v", Until: on(`\[hosts \d+`), Hold: 3 * time.Second, Fast: 1.5},
		{Name: "/   that one", Keys: "/blocked" + enter, Until: on(`▌blocked`), Hold: time.Second},
		{Name: "d   the doctor examines the way to it", Keys: "d", Until: on(`Doctor +fails at probe-1`), Hold: 2 * time.Second},
		{Name: "v   everything that it has looked at", Keys: "v", Until: on(`v show less`), Hold: 2 * time.Second},
		{Name: "q   tunnels end with culvert, or b keeps them", Keys: "q", Until: on(`esc stay`), Hold: time.Second},
		{Keys: enter},
	}
}

// visit is the traffic: clients of the proxy at the port.
func visit(ctx context.Context, port string) error {
	for _, args := range [][]string{
		{"http://orders.internal/export?bytes=900000"},
		{"http://blocked.internal/"},
		{"--proxytunnel", "http://orders.internal/export?bytes=400000"},
		{"http://web.internal/"},
	} {
		args = append([]string{"--silent", "--show-error", "--output", os.DevNull, "--proxy", "http://127.0.0.1:" + port}, args...)
		if out, err := exec.CommandContext(ctx, "curl", args...).CombinedOutput(); err != nil { //nolint:gosec // the arguments above
			return fmt.Errorf("curl through the tunnel: %w\n%s", err, out)
		}
	}
	return nil
}
