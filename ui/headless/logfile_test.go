package headless_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"culvert/ui/headless"
)

func TestALogKeepsToItsBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dev.log")
	log, err := headless.OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	line := bytes.Repeat([]byte("x"), 1<<20)
	for range 10 {
		if n, err := log.Write(line); n != len(line) || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".1"} {
		info, err := os.Stat(name)
		if err != nil || info.Size() > 4<<20 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v, want at most 4 MiB, mode 0600", name, info, err)
		}
	}
}
