package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"culvert/internal/need"
)

func TestSavingOnAFullDiskLeavesTheFileAsItWas(t *testing.T) {
	if !need.Namespace(t) {
		return
	}
	dir := t.TempDir()
	defer need.Disk(t, dir, 2*4096)()
	path := filepath.Join(dir, "config.yaml")
	const body = "wait: 1s\ntunnels:\n  old: {target: c/s, forward: \"1\"}\n"
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	s := shared{}
	s.set = s.flags()
	s.config = path
	_, err := (&keeper{shared: &s, ctx: t.Context()}).save(adding(toSave(t, "fresh", "c/s", "2")))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) || !strings.Contains(advice(err, ""), "--config") {
		t.Errorf("got %v with remedy %q, want no space left in %s and a way out", err, advice(err, ""), path)
	}
	if after, _ := os.ReadFile(path); string(after) != body {
		t.Errorf("the file was changed to %q", after)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("got %v in the directory, want the file and the ballast alone", entries)
	}
}
