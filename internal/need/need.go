// Package need gives tests the programs of others that they are proved with: it finds or builds them, and decides what
// happens where one is missing. `make test` installs them; a test that misses one is skipped and listed as not run,
// and with CI=true it fails. What takes minutes to build from source is left to `make check`. Beside them it holds the
// server on loopback and the wait that the tests of several packages share.
package need

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// NotRunFile names the environment variable that holds the path of a file to which every skipped test adds a line.
const NotRunFile = "CULVERT_NOT_RUN"

// CheckMode names the environment variable that `make check` sets to 1. Without it, the tests that need a linter or
// OpenTofu are left out, which says nothing about the machine: they are listed, and do not fail in CI.
const CheckMode = "CULVERT_CHECK"

// Command returns the path of a program. Without it the test ends here.
func Command(t testing.TB, name string) string {
	t.Helper()
	path, err := Find(name)
	if err != nil {
		missing(t, name, err)
	}
	return path
}

// Find is Command for what is no test.
func Find(name string) (string, error) {
	path, err := exec.LookPath(name)
	// Debian keeps servers, PostgreSQL's above all, where an ordinary user's PATH does not look.
	if err != nil && runtime.GOOS != "windows" {
		places, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is a good one
		for _, place := range append(places, filepath.Join("/usr/sbin", name)) {
			if path, err = exec.LookPath(place); err == nil {
				break
			}
		}
	}
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", name, err)
	}
	return path, nil
}

// Plugin returns the path of AWS's session-manager-plugin, built from the version in go.mod. The program has its usual
// name and a directory of its own, so that this directory can be put into the PATH of an aws CLI.
// It is built once per version and machine and kept in .cache/ of the repository.
func Plugin(t testing.TB) string {
	t.Helper()
	const pkg = "github.com/aws/session-manager-plugin/src/sessionmanagerplugin-main"
	golang := Command(t, "go")
	root, err := moduleRoot()
	if err != nil {
		missing(t, "session-manager-plugin", err)
	}
	version, err := output(root, golang, "list", "-f", "{{.Module.Version}}", pkg)
	if err != nil {
		missing(t, "session-manager-plugin", err)
	}
	dir := filepath.Join(root, ".cache", "need", "plugin-"+version+"-"+runtime.Version())
	return built(t, dir, "session-manager-plugin", root, pkg)
}

// missing ends a test that lacks a part of its proof.
func missing(t testing.TB, part string, why error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, and in CI nothing may be left out: %v", part, why)
	}
	listNotRun(t, fmt.Sprintf("%s: needs %s", t.Name(), part))
	t.Skipf("not run: needs %s (make test installs it): %v", part, why)
}

// CheckOnly ends a test that needs a part which only `make check` has, where something else runs it.
func CheckOnly(t testing.TB, part string) {
	t.Helper()
	if os.Getenv(CheckMode) == "1" {
		return
	}
	listNotRun(t, fmt.Sprintf("make check: %s, with %s", t.Name(), part))
	t.Skipf("left to make check, which has %s", part)
}

// Elsewhere lists a part of a test's proof that nothing brings to this machine, and where it runs. The test goes on without it.
func Elsewhere(t testing.TB, part, where string) {
	t.Helper()
	listNotRun(t, fmt.Sprintf("%s, with %s: %s", t.Name(), part, where))
}

func listNotRun(t testing.TB, line string) {
	t.Helper()
	if list := os.Getenv(NotRunFile); list != "" {
		if err := appendLine(list, line); err != nil {
			t.Fatalf("list the test as not run: %v", err)
		}
	}
}

func appendLine(path, line string) (err error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(line + "\n")
	return err
}

// moduleRoot is the directory of go.mod above the working directory, which for a test is that of its package.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}

// output runs a program in dir; its error carries what the program complained of.
func output(dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), program, args...)
	cmd.Dir = dir
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run %s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, complaint.String())
	}
	return strings.TrimSpace(string(out)), nil
}
