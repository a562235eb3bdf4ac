package need

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// Tool returns the path of a program of others, PACKAGE@VERSION, built by .ci/tool from the Go module proxy once per
// version and machine.
func Tool(t testing.TB, tool string) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		missing(t, tool, err)
	}
	pkg, version, _ := strings.Cut(tool, "@")
	name := path.Base(pkg)
	built := filepath.Join(root, ".cache", "tools", name+"-"+version, name)
	if _, err := os.Stat(built); err != nil {
		// The script runs the tool as well; that is how one learns whether it starts.
		if _, err := output(root, filepath.Join(root, ".ci", "tool"), tool, "-version"); err != nil {
			missing(t, name, err)
		}
	}
	return built
}
