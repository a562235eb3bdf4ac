package cli

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVersionSaysAllThatIsKnown(t *testing.T) {
	embedded := &debug.BuildInfo{
		Main:     debug.Module{Version: "v0.0.0-20261122-abc"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-11-22T10:00:00Z"}, {Key: "vcs.modified", Value: "true"}},
	}
	here := "go       " + runtime.Version() + "\nplatform " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
	for _, c := range []struct {
		name  string
		build Build
		info  *debug.BuildInfo
		want  string
	}{
		{"a release", Build{Version: "1.2.3", Commit: "def", Date: "2026-11-23T00:00:00Z"}, embedded, "culvert 1.2.3\ncommit   def\ndate     2026-11-23T00:00:00Z\n"},
		{"go build in a clone", Build{}, embedded, "culvert v0.0.0-20261122-abc\ncommit   abc with changes\ndate     2026-11-22T10:00:00Z\n"},
		{"a build that says nothing", Build{}, nil, "culvert (devel)\n"},
	} {
		if diff := cmp.Diff(c.want+here, c.build.complete(c.info).String()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.name, diff)
		}
	}
	if got := (Build{Version: "1.2.3"}).complete(nil).String(); strings.Contains(got, "commit") {
		t.Errorf("got %q, want no line without a fact", got)
	}
}
