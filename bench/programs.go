//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are the paths of what is compared. CLI is empty where there is no aws command.
type programs struct {
	culvert, plugin, cli string
	relay                string // the small program of deploy/relay
	browser              browser
	profile              string // directory; then the engine runs instead of culvert
}

const pluginPackage = "github.com/aws/session-manager-plugin/src/sessionmanagerplugin-main"

// findPrograms builds culvert and the plugin, both in the way that releases are built, and looks for the aws command.
func findPrograms(ctx context.Context, o options, progress io.Writer) (programs, error) {
	p := programs{culvert: o.culvert, plugin: o.plugin, profile: o.profile}
	if p.profile != "" {
		if err := os.MkdirAll(p.profile, 0o750); err != nil {
			return p, fmt.Errorf("make a place for profiles: %w", err)
		}
	}
	root, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return p, err
	}
	for _, b := range []struct {
		path          *string
		name, program string
	}{
		{&p.culvert, "culvert", "culvert"},
		{&p.plugin, "session-manager-plugin", pluginPackage},
		{&p.relay, "relay", "culvert/deploy/relay"},
	} {
		if *b.path != "" {
			continue
		}
		_, _ = fmt.Fprintln(progress, "build", b.name)
		*b.path = filepath.Join(root, ".cache", "bench", b.name)
		build := []string{"CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags=-s -w"} // as a release is
		if o.quick {
			build = []string{"go", "build"} // from what the tests have compiled
		}
		if err := buildAt(ctx, *b.path, append(build, b.program)); err != nil {
			return p, err
		}
	}
	p.cli, p.browser = findCLI(ctx), findBrowser() //nolint:contextcheck // npm has its own end
	return p, nil
}

// buildAt builds a program where one may be running.
func buildAt(ctx context.Context, path string, build []string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("make a place for programs: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "building-")
	if err != nil {
		return fmt.Errorf("make a place for programs: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built := filepath.Join(dir, filepath.Base(path))
	last := len(build) - 1
	if _, err := output(ctx, "env", append(build[:last:last], "-o", built, build[last])...); err != nil {
		return err
	}
	if err := os.Rename(built, path); err != nil {
		return fmt.Errorf("put a program in its place: %w", err)
	}
	return nil
}

// findCLI returns the aws command itself, not the shim of a version manager, whose shell script would be measured too.
func findCLI(ctx context.Context) string {
	path, err := exec.LookPath("aws")
	if err != nil {
		return ""
	}
	if strings.Contains(path, "/shims/") {
		if program, err := output(ctx, "pyenv", "which", "aws"); err == nil {
			return program
		}
	}
	return path
}

// output runs a program and returns what it prints; an error carries what it complained of.
func output(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // programs of this bench
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run %s %s: %w\n%s", program, strings.Join(args, " "), err, complaint.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}
