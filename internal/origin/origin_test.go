package origin

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"culvert/internal/need"
)

// placeholder is the owner before anybody has published culvert.
const placeholder = "OWNER"

// root is the top of a checkout.
var root = filepath.Join("..", "..")

func TestTheLineNamesOwnerRepositoryAndTag(t *testing.T) {
	if !regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+@v\d+$`).MatchString(Action()) {
		t.Errorf("origin.txt: got %q, want owner/repository@v1", Action())
	}
	if got, want := Owner()+"/"+Repository()+"@", Action(); !strings.HasPrefix(want, got) {
		t.Errorf("got %q of %q", got, want)
	}
	if strings.Count(strings.TrimSpace(line), "\n") > 0 || !strings.HasPrefix(Step(), Action()) {
		t.Errorf("origin.txt is one line, got %q", line)
	}
}

// mentions are the forms in which a file names culvert's repository or one beside it; the first group is its owner.
func mentions() []*regexp.Regexp {
	name := regexp.QuoteMeta(Repository())
	return []*regexp.Regexp{
		regexp.MustCompile(`\b([A-Za-z0-9-]+)/` + name + `@v\d`),
		regexp.MustCompile(`(?:github\.com|githubusercontent\.com|ghcr\.io)/([A-Za-z0-9-]+)/` + name + `\b`),
		regexp.MustCompile(`winget install ([A-Za-z0-9-]+)\.culvert\b`),
		regexp.MustCompile(`\b([A-Za-z0-9-]+)/(?:homebrew-tap|tap|scoop-bucket)/` + name + `\b`),
		regexp.MustCompile(`winget install ([A-Za-z0-9-]+)\.culvert\b`),
		regexp.MustCompile(`\b([A-Za-z0-9-]+)/(?:homebrew-tap|scoop-bucket|nur)\b`),
	}
}

// wrong are the owners that text names beside the one of origin.txt.
func wrong(text []byte) []string {
	var found []string
	for _, form := range mentions() {
		for _, m := range form.FindAllSubmatch(text, -1) {
			if owner := string(m[1]); !strings.EqualFold(owner, Owner()) {
				found = append(found, string(m[0]))
			}
		}
	}
	return found
}

// stale are the words of text that are the placeholder, which stands for nobody once there is an owner. What make rename
// itself is called with is none.
func stale(owner string, text []byte) [][]byte {
	if owner == placeholder {
		return nil
	}
	return regexp.MustCompile(`(?m)^.*\b`+placeholder+`\b.*$`).FindAll(regexp.MustCompile(`\b`+placeholder+`(=|:-)`).ReplaceAll(text, nil), -1)
}

// Names that play a part in a test, in the film and the stills are fixed: a golden file is no place for a name that changes.
func plays(file string) bool {
	return strings.HasSuffix(file, "_test.go") || strings.Contains(file, "testdata/") || strings.HasPrefix(file, "docs/film.") || strings.HasPrefix(file, "internal/film/") || strings.HasPrefix(file, "docs/screens/")
}

func TestNoFileNamesAnotherRepositoryThanOrigin(t *testing.T) {
	files := tracked(t)
	named := 0
	for _, file := range files {
		if plays(file) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			continue // removed, and not committed yet
		}
		for _, m := range wrong(text) {
			t.Errorf("%s says %q, and internal/origin/origin.txt %q: make rename OWNER=…", file, m, Action())
		}
		for _, left := range stale(Owner(), text) {
			t.Errorf("%s still says %q", file, left)
		}
		if bytes.Contains(text, []byte(Action())) {
			named++
		}
	}
	if named < 8 {
		t.Errorf("%d files name %s, want the examples, pages and the Terraform module at least", named, Action())
	}
}

func TestTheModuleIsWhereItsRepositoryIs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	module, _, _ := strings.Cut(strings.TrimPrefix(string(text), "module "), "\n")
	want := "github.com/" + Owner() + "/" + Repository()
	if Owner() == placeholder {
		want = Repository() // a path that the go command asks nobody for
	}
	if module != want {
		t.Errorf("go.mod: got module %s, want %s: make rename OWNER=…", module, want)
	}
}

func TestAnotherMentionIsFound(t *testing.T) {
	for _, text := range []string{
		"uses: somebody/" + Repository() + "@v1", "go install github.com/somebody/" + Repository() + "@latest",
		"docker run ghcr.io/somebody/" + Repository() + ":1", "brew install --cask somebody/tap/" + Repository(),
		"https://github.com/somebody/scoop-bucket", "winget install somebody.culvert",
	} {
		if len(wrong([]byte(text))) == 0 {
			t.Errorf("%q was not seen", text)
		}
	}
	if got := wrong([]byte("uses: " + Action() + " # ghcr.io/" + strings.ToLower(Owner()) + "/" + Repository())); len(got) > 0 {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestThePlaceholderIsFoundOnceThereIsAnOwner(t *testing.T) {
	for text, want := range map[string]int{
		"uses: OWNER/culvert@v1\n": 1, "# OWNER is whoever has it\nghcr.io/OWNER/x\n": 2,
		"make rename OWNER=acme\n": 0, "${OWNER:-}\n": 0, "OWNERSHIP\n": 0,
	} {
		if got := stale("acme", []byte(text)); len(got) != want {
			t.Errorf("%q: got %q, want %d lines", text, got, want)
		}
		if got := stale(placeholder, []byte(text)); got != nil {
			t.Errorf("%q: got %q before there is an owner", text, got)
		}
	}
}

// A copy of the checkout is published by acme, and then by somebody else.
func TestRename(t *testing.T) {
	if testing.Short() {
		t.Skip("copies the repository: make test")
	}
	copied := t.TempDir()
	for _, file := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			continue
		}
		to := filepath.Join(copied, file)
		info, err := os.Stat(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	runs(t, copied, "git", "init", "-q")
	runs(t, copied, "git", "add", "-A")

	for _, owner := range []string{"acme", "Some-Body"} {
		runs(t, copied, need.Command(t, "make"), "rename", "OWNER="+owner)
		// The tests of this package say whether anything is left; what is left of an import would not be listed.
		runs(t, copied, "go", "test", "-short", "-count=1", "./internal/origin")
		if owner == "acme" { // the first shows that the new path compiles, the second that a name can change again
			runs(t, copied, "go", "build", "./deploy", "./internal/say")
		}
		listed := runs(t, copied, "go", "list", "-deps", "-test", "./...")
		if !strings.Contains(listed, "github.com/"+owner+"/"+Repository()+"/ui/cli\n") || regexp.MustCompile(`(?m)^culvert(/|$)`).MatchString(listed) {
			t.Errorf("%s: not every package has gone to the new path", owner)
		}
		if out := runs(t, copied, "gofmt", "-l", "."); out != "" {
			t.Errorf("%s: not formatted: %s", owner, out)
		}
		for file, want := range map[string]string{
			"deploy/terraform/variables.tf": `"` + owner + "/culvert@v1\"\n",
			"docs/examples/curl.yml":        "uses: " + owner + "/culvert@v1\n",
			"docs/install.md":               "ghcr.io/" + strings.ToLower(owner) + "/culvert:",
			".golangci.yml":                 "local-prefixes: [github.com/" + owner + "/culvert]",
		} {
			text, err := os.ReadFile(filepath.Join(copied, file))
			if err != nil || !strings.Contains(string(text), want) {
				t.Errorf("%s: %s has no %q (%v)", owner, file, want, err)
			}
		}
	}
	for _, bad := range []string{"", "a b", "-x", "x/y", "$(id)", strings.Repeat("x", 40)} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(copied, ".ci", "rename"))
		cmd.Env = append(os.Environ(), "OWNER="+bad)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "make rename OWNER=…") {
			t.Errorf("owner %q: got %v, %s", bad, err, out)
		}
	}
}

func tracked(t *testing.T) []string {
	t.Helper()
	return strings.Fields(runs(t, root, "git", "ls-files", "--cached", "--others", "--exclude-standard"))
}

func runs(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need.Command(t, program), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=", "GOFLAGS=-mod=mod")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", program, args, err, out, complaint.String())
	}
	return string(out)
}
