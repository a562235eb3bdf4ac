package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"culvert/ui/cli"
)

// module is the path of this module, which its publisher changes: make rename.
func module() string { return strings.TrimSuffix(reflect.TypeFor[cli.Build]().PkgPath(), "/ui/cli") }

// arrows are the packages of this module that each of them may import, outside its tests. A package that is not here
// fails the test: say where it stands before it is used. docs/architecture.md draws them.
func arrows() map[string][]string {
	return map[string][]string{
		"":                {"internal/origin", "ui/cli", "ui/screen", "ui/headless", "tunnel", "aws", "aws/emulator"},
		"ui/ci":           {"internal/say"},                                       // jobs for CI systems
		"ui/clip":         {},                                                     // the user's clipboards
		"ui/control":      {"internal/say", "internal/flock", "internal/pattern"}, // what `culvert up` holds, for all faces
		"ui/recent":       {"ui/control", "internal/flock"},                       // the tunnels of before
		"ui/cli":          {"ui/screen", "ui/browser", "ui/ci", "ui/clip", "ui/headless", "ui/shell", "ui/dbclient", "ui/control", "ui/recent", "tunnel", "tunnel/bond", "tunnel/doctor", "tunnel/front", "aws", "aws/emulator", "deploy", "internal/address", "internal/say", "internal/near", "internal/flock", "internal/trust", "internal/tree", "internal/pattern"},
		"ui/screen":       {"ui/draw", "ui/dbclient", "ui/clip", "ui/shell", "ui/control", "ui/recent", "tunnel", "tunnel/doctor", "tunnel/front", "aws", "internal/say"},
		"ui/browser":      {},                                          // an address for the user's browser
		"ui/draw":         {"internal/say"},                            // it knows no tunnel and no account
		"ui/dbclient":     {"aws", "internal/say", "internal/pattern"}, // a database program of this machine; it knows no tunnel
		"ui/shell":        {"tunnel", "aws"},                           // a command of a container on the terminal
		"ui/headless":     {"ui/control", "tunnel", "tunnel/doctor", "tunnel/front", "aws", "internal/say"},
		"tunnel/doctor":   {"tunnel/bond", "tunnel", "tunnel/front", "aws", "internal/say", "internal/pattern"},
		"tunnel":          {"tunnel/front", "tunnel/bond", "aws", "aws/wire", "internal/address", "internal/say", "internal/flock", "internal/trust"},
		"tunnel/bond":     {},                                   // streams over several connections; it knows no sessions
		"tunnel/front":    {"internal/address", "internal/say"}, // a proxy for clients on this machine; it knows no sessions
		"aws":             {"internal/address", "internal/say", "internal/near", "internal/pattern"},
		"aws/wire":        {},
		"aws/emulator":    {"aws/wire", "tunnel/bond"}, // it must not share the reliability code that it exists to test; the relay is none of it
		"deploy":          {"internal/tree"},
		"deploy/relay":    {"tunnel/bond"}, // a small program for the task
		"deploy/action":   {},              // scripts, and the tests that run them
		"bench":           {"aws", "aws/emulator", "tunnel", "internal/need"},
		"bench/capacity":  {}, // nothing but a test
		"internal/say":    {}, // how every layer talks to people
		"internal/near":   {},
		"internal/origin": {}, // the repository that all of this is in
		"internal/flock":  {},
		"internal/trust":  {},
		"internal/tree":   {},
		"internal/need":   {}, // for tests alone
		"internal/film":   {}, // likewise, and for the documentation
		"internal/memnet": {}, // for tests alone
		"internal/swarm":  {}, // nothing but a test

		"internal/film/readme": {"internal/film"},
		"internal/mutants":     {}, // breaks lines and looks whether a test notices
		"internal/address":     {}, // which addresses are of no other machine
		"internal/pattern":     {}, // regular expressions that no start pays for
	}
}

// homes are the packages that may import a module of others, outside their tests.
func homes() map[string][]string {
	return map[string][]string{
		"charm.land/bubbletea":                  {"ui/screen", "ui/draw"},
		"charm.land/bubbles":                    {"ui/screen", "ui/draw"},
		"charm.land/lipgloss/v2/compat":         {}, // queries the terminal when it is imported
		"github.com/aws/aws-sdk-go-v2":          {"aws", "aws/emulator"},
		"github.com/aws/smithy-go":              {"aws", "aws/emulator"},
		"github.com/aws/session-manager-plugin": {"aws/wire", "bench"},
		"github.com/gorilla/websocket":          {"tunnel", "aws/emulator"},
		"github.com/xtaci/smux":                 {"tunnel", "aws/emulator"},
		"github.com/spf13/cobra":                {"ui/cli"},
		"github.com/charmbracelet/x/vt":         {"internal/film"},
		"github.com/creack/pty":                 {"internal/film"},
		"testing":                               {"internal/need"},
	}
}

// ours is the import path of a package of this module that is written from here: ./tunnel; others stay as they are.
func ours(path string) string {
	if inside, is := strings.CutPrefix(path, "."); is {
		return module() + inside
	}
	return path
}

// wrongArrow says why a package may not import another, both by import path; empty when it may.
func wrongArrow(from, to string) string {
	importer, ours := within(from)
	if !ours {
		return ""
	}
	allowed, known := arrows()[importer]
	if !known {
		return fmt.Sprintf("package %s has no place in the arrows yet", from)
	}
	if imported, ours := within(to); ours {
		if !slices.Contains(allowed, imported) {
			return fmt.Sprintf("%s must not import %s", from, to)
		}
		return ""
	}
	for name, may := range homes() {
		if (to == name || strings.HasPrefix(to, name+"/")) && !slices.Contains(may, importer) {
			return fmt.Sprintf("%s must not import %s: its place is %q", from, to, may)
		}
	}
	return ""
}

// within returns the path of a package inside this module; "" is its root.
func within(path string) (string, bool) {
	if path == module() {
		return "", true
	}
	return strings.CutPrefix(path, module()+"/")
}

func TestImportsFollowTheArrows(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		for _, p := range packages(t, goos) {
			if _, known := arrows()[strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module()), "/")]; !known {
				t.Errorf("%s: package %s has no place in the arrows yet", goos, p.ImportPath)
			}
			for _, to := range p.Imports {
				if wrong := wrongArrow(p.ImportPath, to); wrong != "" {
					t.Errorf("%s: %s", goos, wrong)
				}
			}
		}
	}
}

type listed struct {
	ImportPath string   `json:"ImportPath"`
	Imports    []string `json:"Imports"` // without those of tests
}

func packages(t *testing.T, goos string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list packages: %v\n%s", err, complaint.String())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("decode what go list says: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 5 {
		t.Fatalf("got %d packages, want the whole module", len(all))
	}
	return all
}

// A newcomer finds every package on the map, and every file that the map names.
func TestTheMapIsWhole(t *testing.T) {
	text, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for path := range arrows() {
		if path != "" && !bytes.Contains(text, []byte("`"+path+"`")) {
			t.Errorf("docs/architecture.md has no row for %s", path)
		}
	}
	for _, name := range regexp.MustCompile("`([a-z]+/[a-z_/]+(\\.go)?)`").FindAllSubmatch(text, -1) {
		if _, err := os.Stat(string(name[1])); err != nil {
			t.Errorf("docs/architecture.md names what is not there: %v", err)
		}
	}
}

// The guard must be able to fail: each line is an arrow that somebody could draw by mistake, or one that stands.
func TestWrongArrowsAreFound(t *testing.T) {
	for _, c := range []struct {
		from, to string
		wrong    bool
	}{
		{".", "./ui/cli", false},
		{"./ui/screen", "./tunnel", false},
		{"./ui/screen", "./ui/draw", false},
		{"./tunnel", "./aws/wire", false},
		{"./tunnel", "github.com/xtaci/smux", false},
		{"./aws", "github.com/aws/aws-sdk-go-v2/service/ecs", false},
		{"./aws/wire", "github.com/aws/session-manager-plugin/src/message", false},
		{"./tunnel", "net/netip", false},
		{"github.com/spf13/cobra", "testing", false}, // no package of ours

		{"./aws", "./tunnel", true},       // a leaf
		{"./aws/wire", "./tunnel", true},  // a leaf
		{"./tunnel", "./ui/screen", true}, // an engine that knows a face
		{"./tunnel", "./ui/headless", true},
		{"./tunnel", ".", true},
		{"./aws/emulator", "./tunnel", true}, // the code under test
		{"./aws/emulator", "./aws", true},
		{"./ui/headless", "./ui/screen", true},
		{"./ui/headless", "./ui/draw", true},
		{"./ui/draw", "./ui/screen", true}, // a pencil that knows who draws
		{"./ui/draw", "./tunnel", true},
		{"./ui/draw", "./aws", true},
		{"./ui/draw", "./ui/control", true},
		{"./ui/screen", "./aws/wire", true},
		{"./ui/headless", "charm.land/bubbletea/v2", true},
		{"./ui/cli", "charm.land/bubbles/v2/table", true},
		{"./ui/screen", "charm.land/lipgloss/v2/compat", true},
		{"./tunnel", "github.com/aws/aws-sdk-go-v2/service/kms", true},
		{"./ui/cli", "github.com/aws/aws-sdk-go-v2", true},
		{"./ui/headless", "github.com/gorilla/websocket", true},
		{"./aws/wire", "github.com/xtaci/smux", true}, // the codec does no I/O
		{"./tunnel", "github.com/aws/session-manager-plugin/src/log", true},
		{"./tunnel", "./internal/need", true}, // for tests alone
		{"./ui/screen", "testing", true},
		{"./utils", "strings", true}, // a package nobody placed
	} {
		if got := wrongArrow(ours(c.from), ours(c.to)); (got != "") != c.wrong {
			t.Errorf("%s → %s: got %q, want wrong %t", c.from, c.to, got, c.wrong)
		}
	}
}
