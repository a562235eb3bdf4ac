//go:build linux

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"culvert/internal/need"
)

const (
	pageMetric  = "page"
	firstVisit  = pageMetric + "-first"
	secondVisit = pageMetric + "-second"
	// nameStraight is the browser at the proxy itself, at the delay of a session but without one.
	nameStraight = "straight"

	overHTTP1, overHTTP2 = "http/1.1", "h2" // as a browser calls them

	visitsWithin = 2 * time.Minute
	browserConns = 6 // that Chromium opens to one host over HTTP/1.1
)

//go:embed browse.js
var browseScript []byte

// browser is what a page is opened with; where a part of it is missing, why says which.
type browser struct {
	chromium, node, modules, squid string
	why                            error
}

func findBrowser() browser {
	var b browser
	for name, path := range map[string]*string{"chromium": &b.chromium, "node": &b.node, "squid": &b.squid} {
		if *path, b.why = need.Find(name); b.why != nil {
			return b
		}
	}
	b.modules, b.why = need.PlaywrightModules()
	return b
}

func straight() subject {
	return subject{name: nameStraight}
}

// seen is a visit as the script tells of it.
type seen struct {
	Milliseconds float64 `json:"ms"`
	Sheets       int     `json:"sheets"`
	Bytes        int64   `json:"bytes"`
	Protocol     string  `json:"protocol"` // of all of them
}

// browse takes the time of visits to the page, a metric for each: with everything new, and again a second later in the same
// browser.
func browse(protocol string, metrics ...string) func(*bench, context.Context, subject) error {
	return func(b *bench, ctx context.Context, s subject) error {
		plan, err := b.world.openSite(b.world.programs.browser.squid)
		if err != nil {
			return err
		}
		if s.name == nameStraight {
			return b.visits(ctx, s, *plan, plan.Straight, protocol, metrics)
		}
		return b.with(ctx, s, func(ctx context.Context, c *client) error {
			return b.visits(ctx, s, *plan, c.address, protocol, metrics)
		})
	}
}

func (b *bench) visits(ctx context.Context, s subject, plan sitePlan, proxy, protocol string, metrics []string) error {
	ctx, cancel := context.WithTimeout(ctx, visitsWithin)
	defer cancel()
	program := b.world.programs.browser
	script := filepath.Join(b.world.scratch, "browse.js")
	if err := os.WriteFile(script, browseScript, 0o600); err != nil {
		return fmt.Errorf("write the browser's script: %w", err)
	}
	url := plan.URL
	if protocol == overHTTP2 {
		url = plan.Second
	}
	cmd := exec.CommandContext(ctx, program.node, script, program.chromium, plan.Key, proxy, url, strconv.Itoa(len(metrics))) //nolint:gosec // programs of this bench
	cmd.Env = append(b.world.env(), "NODE_PATH="+program.modules, "XDG_CONFIG_HOME="+b.world.scratch, "HOME="+b.world.scratch)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("open the page: %w: %s", err, tailOf(complaint.String()))
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(metrics) {
		return fmt.Errorf("open the page: got %d visits, want %d", len(lines), len(metrics))
	}
	for i, line := range lines {
		var v seen
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			return fmt.Errorf("read what the browser saw: %w", err)
		}
		if v.Sheets != sheets || v.Bytes != sheets*sheetSize || v.Protocol != protocol {
			return fmt.Errorf("open the page: got %d stylesheets with %d bytes by %s, want %d with %d by %s",
				v.Sheets, v.Bytes, v.Protocol, sheets, sheets*sheetSize, protocol)
		}
		b.results.add(metrics[i], s.name, v.Milliseconds/1000)
	}
	return nil
}

// tailOf is the end of what a program said.
func tailOf(text string) string {
	if over := len(text) - tailSize; over > 0 {
		text = text[over:]
	}
	return strings.TrimSpace(text)
}

// openSite has the far side open the page; it is opened once.
func (w *world) openSite(squid string) (*sitePlan, error) {
	a, err := w.ask(order{Site: &siteOrder{Squid: squid, Delay: w.usual.Delay}})
	return a.Site, err
}

// leastVisit is what no client can be below: the round trips of the page over the browser's connections, each of which has
// a session of its own that carries a message a rest. First come the proxy's answer, TLS and the page on one connection,
// then the first two again on the other ones, and then a part of the stylesheets on each, one after the other.
func leastVisit(delay, pacing time.Duration) time.Duration {
	roundTrip := 2 * delay
	rounds := (sheets + browserConns - 1) / browserConns
	const message = 1024
	return 5*roundTrip + time.Duration(rounds)*(roundTrip+time.Duration(sheetSize/message)*pacing)
}
