package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"culvert/internal/need"
)

const (
	diskSize = 16 * diskPage
	diskPage = 4096
)

// TestFullDisk runs the stories of testdata/disk, in which a real file system has no room left. Beside the commands of
// TestStories they have disk and room.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ip := need.Command(t, "ip")
	if !need.Namespace(t) {
		return
	}
	if out, err := exec.CommandContext(t.Context(), ip, "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("ip link set lo up: %v\n%s", err, out)
	}
	p := stories("testdata/disk")
	p.Cmds["disk"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o700))
		ts.Defer(need.Disk(t, ts.MkAbs(args[0]), diskSize))
	}
	p.Cmds["room"] = room
	testscript.Run(t, p)
}

// room fills a disk, and leaves that many pages.
//
//	room DIR PAGES
func room(ts *testscript.TestScript, _ bool, args []string) {
	pages, err := strconv.Atoi(args[1])
	ts.Check(err)
	ballast := filepath.Join(ts.MkAbs(args[0]), "ballast")
	file, err := os.Create(filepath.Clean(ballast))
	ts.Check(err)
	var size int64
	for page := make([]byte, diskPage); err == nil; {
		var n int
		n, err = file.Write(page)
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		ts.Fatalf("fill %s: got %v, want ENOSPC", args[0], err)
	}
	if size < int64(pages)*diskPage {
		ts.Fatalf("%s has no %d pages to leave", args[0], pages)
	}
	ts.Check(errors.Join(file.Truncate(size-int64(pages)*diskPage), file.Close()))
}
