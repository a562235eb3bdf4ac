package need

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Terraform is a program that judges a Terraform module: OpenTofu, or Terraform itself.
type Terraform struct {
	Name string

	path, config string
	real         bool // it has the provider from its registry, not the stand-in
}

// Terraforms returns OpenTofu, built once per machine by .ci/tofu, and Terraform too where it is installed. They take
// hashicorp/aws from their registry where that answers, else the stand-in in deploy/testprovider; the test's log says which.
// Only `make check` has them.
func Terraforms(t testing.TB) []Terraform {
	t.Helper()
	return judges(t, judge)
}

// Builders are Terraforms that have the stand-in in any case: with it they apply a module without an account.
func Builders(t testing.TB) []Terraform {
	t.Helper()
	return judges(t, func(t testing.TB, root, name, path string, from registry) Terraform {
		t.Helper()
		return judgeBy(t, root, name, path, from, errors.New("nothing is to be made in an account"))
	})
}

func judges(t testing.TB, of func(t testing.TB, root, name, path string, from registry) Terraform) []Terraform {
	t.Helper()
	root, tofu := openTofu(t)
	found := []Terraform{of(t, root, "tofu", tofu, registry{"registry.opentofu.org", "https://registry.opentofu.org"})}
	if terraform, err := exec.LookPath("terraform"); err == nil {
		found = append(found, of(t, root, "terraform", terraform, registry{"registry.terraform.io", "https://registry.terraform.io"}))
	}
	return found
}

// openTofu returns the repository and the program.
func openTofu(t testing.TB) (root, path string) {
	t.Helper()
	CheckOnly(t, "tofu")
	root, err := moduleRoot()
	if err != nil {
		missing(t, "tofu", err)
	}
	if path, err = output(root, filepath.Join(root, ".ci", "tofu")); err != nil {
		missing(t, "tofu", err)
	}
	return root, path
}

// judge is a program with the provider that can be had.
func judge(t testing.TB, root, name, path string, from registry) Terraform {
	t.Helper()
	return judgeBy(t, root, name, path, from, from.reached(t.Context()))
}

// judgeBy is a program with the provider of its registry, or with the stand-in for a reason.
func judgeBy(t testing.TB, root, name, path string, from registry, why error) Terraform {
	t.Helper()
	var settings string
	if why == nil {
		t.Logf("%s has hashicorp/aws from %s", name, from.host)
		cache := filepath.Join(root, ".cache", "need", "providers", from.host)
		if err := os.MkdirAll(cache, 0o750); err != nil {
			t.Fatalf("make a place for providers: %v", err)
		}
		settings = from.settings(filepath.ToSlash(cache))
	} else {
		t.Logf("%s has the stand-in for hashicorp/aws: %v", name, why)
		settings = fmt.Sprintf("provider_installation {\n  dev_overrides {\n    %q = %q\n  }\n  direct {}\n}\n",
			from.host+"/hashicorp/aws", filepath.ToSlash(standIn(t, root)))
	}
	config := filepath.Join(t.TempDir(), "tofurc")
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		t.Fatalf("configure %s: %v", name, err)
	}
	return Terraform{Name: name, path: path, config: config, real: why == nil}
}

// Prepare makes a directory ready for validate and test: fetches the modules it calls, and the provider where that is the
// real one.
func (f Terraform) Prepare(t testing.TB, dir string) {
	t.Helper()
	if f.real {
		f.Run(t, dir, "init", "-backend=false", "-input=false")
		return
	}
	f.Run(t, dir, "get")
}

// Run runs a command in a directory and returns what it prints; the test fails with all of it when the command does.
func (f Terraform) Run(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := f.Try(t, dir, args...)
	if err != nil {
		t.Fatalf("%s in %s: %v\n%s", f.Name, filepath.Base(dir), err, out)
	}
	return out
}

// Try is Run for a command that may fail.
func (f Terraform) Try(t testing.TB, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), f.path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+f.config, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "NO_COLOR=1")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, complaint.String())
	}
	return string(out), err
}

// standIn builds the stand-in provider once per version of its sources, and returns its directory.
func standIn(t testing.TB, root string) string {
	t.Helper()
	source := filepath.Join(root, "deploy", "testprovider")
	hash := sha256.New()
	for _, pattern := range []string{"*.go", "go.*", "schema.json"} {
		files, err := filepath.Glob(filepath.Join(source, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("find the stand-in provider: %v, %v", files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(filepath.Clean(file))
			if err != nil {
				t.Fatalf("read the stand-in provider: %v", err)
			}
			hash.Write(text)
		}
	}
	dir := filepath.Join(root, ".cache", "need", "provider-"+hex.EncodeToString(hash.Sum(nil)[:8])+"-"+runtime.Version())
	return filepath.Dir(built(t, dir, "terraform-provider-aws", source, "."))
}

// built is a program of a package below source, kept in dir.
func built(t testing.TB, dir, name, source, pkg string) string {
	t.Helper()
	golang := Command(t, "go")
	path := filepath.Join(dir, name)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	// Several test binaries may build at a time: each in its own place, and the last rename wins.
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatalf("make a place for %s: %v", name, err)
	}
	own, err := os.MkdirTemp(dir, "build-") //nolint:usetesting // a rename does not cross file systems
	if err != nil {
		t.Fatalf("make a place for %s: %v", name, err)
	}
	defer func() { _ = os.RemoveAll(own) }()
	fresh := filepath.Join(own, filepath.Base(path))
	if _, err := output(source, golang, "build", "-o", fresh, pkg); err != nil {
		missing(t, name, err)
	}
	if err := os.Rename(fresh, path); err != nil {
		t.Fatalf("keep %s: %v", name, err)
	}
	return path
}
