package screen

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// golden compares a screen with the one in testdata.
func golden(t *testing.T, name, screen string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(screen), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./ui/screen -update writes it)", err)
	}
	if screen != string(want) {
		t.Errorf("%s is another screen than before; go test ./ui/screen -update if it is meant to be (-want +got):\n%s",
			path, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(screen, "\n")))
	}
}
