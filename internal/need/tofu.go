package need

import (
	"crypto/sha256"
	"encoding/hex"
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
}

// Terraforms returns OpenTofu, built once per machine by .ci/tofu, and Terraform too where it is installed. Both know
// hashicorp/aws from the stand-in in deploy/testprovider.
func Terraforms(t testing.TB) []Terraform {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		missing(t, "tofu", err)
	}
	tofu, err := output(root, filepath.Join(root, ".ci", "tofu"))
	if err != nil {
		missing(t, "tofu", err)
	}
	provider := standIn(t, root)
	config := filepath.Join(t.TempDir(), "tofurc")
	const text = `provider_installation {
  dev_overrides {
    "registry.opentofu.org/hashicorp/aws"  = "DIR"
    "registry.terraform.io/hashicorp/aws" = "DIR"
  }
  direct {}
}
`
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(text, "DIR", filepath.ToSlash(provider))), 0o600); err != nil {
		t.Fatalf("configure tofu: %v", err)
	}
	found := []Terraform{{Name: "tofu", path: tofu, config: config}}
	if terraform, err := exec.LookPath("terraform"); err == nil {
		found = append(found, Terraform{Name: "terraform", path: terraform, config: config})
	}
	return found
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
