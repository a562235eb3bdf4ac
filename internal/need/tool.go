package need

import (
	"errors"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// Tool returns the path of a program of others, PACKAGE@VERSION, built by .ci/tool from the Go module proxy once per
// version and machine. Only `make check` has it.
func Tool(t testing.TB, tool string) string {
	t.Helper()
	pkg, _, _ := strings.Cut(tool, "@")
	name := path.Base(pkg)
	CheckOnly(t, name)
	root, err := moduleRoot()
	if err != nil {
		missing(t, name, err)
	}
	built, err := output(root, filepath.Join(root, ".ci", "tool"), tool)
	if err == nil && built == "" {
		err = errors.New("it could not be built")
	}
	if err != nil {
		missing(t, name, err)
	}
	return built
}
