package deploy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/deploy"
)

func TestWriteRefusesToOverwriteWhatWasChanged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "infra", "proxy")
	first, err := deploy.Write(deploy.Terraform, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range first {
		if !file.Written {
			t.Errorf("%s: not written into an empty directory", file.Path)
		}
	}
	again, err := deploy.Write(deploy.Terraform, dir, false)
	if err != nil || len(again) != len(first) {
		t.Fatalf("a second time: %d files, %v", len(again), err)
	}
	for _, file := range again {
		if file.Written {
			t.Errorf("%s: written again although nothing has changed", file.Path)
		}
	}

	own, gone := filepath.Join(dir, "variables.tf"), filepath.Join(dir, "main.tf")
	if err := os.WriteFile(own, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	_, err = deploy.Write(deploy.Terraform, dir, false)
	changed, ok := errors.AsType[*deploy.ChangedError](err)
	if !ok || len(changed.Files) != 1 || changed.Files[0] != own || !strings.Contains(changed.Remedy(), "--force") {
		t.Fatalf("got %v, want a *ChangedError that names %s", err, own)
	}
	if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written all the same: %v", err)
	}
	if text, err := os.ReadFile(own); err != nil || string(text) != "# mine\n" {
		t.Errorf("got %q, %v: the change is gone", text, err)
	}

	forced, err := deploy.Write(deploy.Terraform, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range forced {
		if file.Written != (file.Path == own || file.Path == gone) {
			t.Errorf("forced: %s written %t", file.Path, file.Written)
		}
	}
}

func TestWriteWritesTheWholeModule(t *testing.T) {
	dir := t.TempDir()
	if _, err := deploy.Write(deploy.Terraform, dir, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "variables.tf", "squid.conf.tftpl", "tests/defaults.tftest.hcl", "examples/new-cluster/main.tf"} {
		want, err := os.ReadFile(filepath.Join("terraform", name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != string(want) {
			t.Errorf("%s: %v, or not what the repository has", name, err)
		}
	}
}

func TestWriteSaysWhatIsInTheWay(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "culvert.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := deploy.Write(deploy.CloudFormation, dir, true); err == nil || !strings.Contains(err.Error(), "culvert.yaml") {
		t.Errorf("a directory in the place of a file: got %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := deploy.Write(deploy.CloudFormation, file, false); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in the place of the directory: got %v", err)
	}
}
