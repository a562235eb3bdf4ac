package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"culvert/internal/need"
)

// Building others' programs from source was most of what make test took on a new machine: all of it is make check's.
func TestMakeTestLeavesToMakeCheckWhatTakesLong(t *testing.T) {
	test, check := recipe(t, "test"), recipe(t, "check")
	for _, long := range []string{".ci/tool ", need.CheckMode + "=1", ".ci/tofu", ".ci/fuzz", "GOOS="} {
		if strings.Contains(test, long) {
			t.Errorf("make test runs %q:\n%s", long, test)
		}
		if !strings.Contains(check, long) {
			t.Errorf("make check does not run %q:\n%s", long, check)
		}
	}
	if !strings.Contains(test, "go test -race") {
		t.Errorf("make test does not run the tests with the race detector:\n%s", test)
	}
}

// recipe is what make would run.
func recipe(t *testing.T, target string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need.Command(t, "make"), "-n", target)
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=") // it is not part of the make that may run this
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("make -n %s: %v\n%s", target, err, out)
	}
	return string(out)
}
