package aws

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The SDK has its list in a package that only itself may import.
func TestTheRegionsAreThoseOfTheSDK(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/ecs").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal", "endpoints", "endpoints.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`Region: +"([a-z0-9-]+)"`).FindAllSubmatch(source, -1) {
		if name := string(m[1]); !strings.HasPrefix(name, "fips-") {
			found[name] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(found)), Regions()); diff != "" {
		t.Errorf("regions of the SDK (-) and here (+):\n%s", diff)
	}
}
