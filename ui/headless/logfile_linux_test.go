package headless_test

import (
	"os"
	"path/filepath"
	"testing"

	"culvert/ui/headless"
)

func TestAFullDiskCostsLinesNotTheRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "full")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	log, err := headless.OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if n, err := log.Write([]byte("lost\n")); n != 5 || err != nil {
		t.Errorf("got %d, %v, want the line to be lost", n, err)
	}
}
