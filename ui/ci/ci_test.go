package ci

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"culvert/internal/need"
)

func sample() Job {
	return Job{
		Up: []string{"--cluster", "automation", "-L", "3128"}, Command: []string{"./test.sh"}, Role: true, Repository: "acme/culvert", Version: "1.2.3",
		Step: "- uses: acme/culvert@v1\n  with:\n    target: automation/squid\n    forward: \"3128\"\n",
	}
}

func parsed(t *testing.T, text string) any {
	t.Helper()
	var file any
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return file
}

// withoutScripts has a number in place of each script.
func withoutScripts(node any) any {
	switch node := node.(type) {
	case map[string]any:
		for key, below := range node {
			node[key] = withoutScripts(below)
			if key == "script" || key == "command" || key == "bash" {
				node[key] = 7
			}
		}
	case []any:
		for i, below := range node {
			node[i] = withoutScripts(below)
		}
	}
	return node
}

func schemas() map[string]string {
	return map[string]string{"gitlab": "gitlab-ci", "circleci": "circle-ci", "buildkite": "buildkite", "bitbucket": "bitbucket-pipelines", "azure": "azure-pipelines"}
}

// What is written fits the schema that each system publishes, with a token and without.
func TestFilesFitTheSchemasOfTheirSystems(t *testing.T) {
	if testing.Short() {
		t.Skip("runs node: make test")
	}
	node, modules := need.Node(t), need.Ajv(t)
	asked := map[string][]any{}
	for name, schema := range schemas() {
		packed, err := os.ReadFile(filepath.Join("testdata", "schemas", schema+".json.gz"))
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		rules, err := io.ReadAll(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		asked[name] = []any{json.RawMessage(rules)}
		for _, role := range []bool{true, false} {
			j := sample()
			j.Role = role
			text, err := Snippet(name, j)
			if err != nil {
				t.Fatal(err)
			}
			asked[name] = append(asked[name], []any{"", parsed(t, text)})
		}
		// A mistake would be seen.
		text, _ := Snippet(name, sample())
		asked[name] = append(asked[name], []any{"wrong ", withoutScripts(parsed(t, text))})
	}
	in, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	judge, err := filepath.Abs(filepath.Join("testdata", "judge.cjs"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, judge)
	cmd.Env, cmd.Stdin = append(os.Environ(), "NODE_PATH="+modules), bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "wrong ") {
			t.Error(line)
		}
	}
	for name := range schemas() {
		if !strings.Contains(string(out), "wrong "+name+": ") {
			t.Errorf("a wrong file of %s fits", name)
		}
	}
}

// scripts are the texts of a file that shells get to run.
func scripts(t *testing.T, name, text string) (all []string) {
	t.Helper()
	if name == "jenkins" {
		for _, found := range regexp.MustCompile(`(?s)sh '''\n(.*?)'''`).FindAllStringSubmatch(text, -1) {
			all = append(all, regexp.MustCompile(`\\(.)`).ReplaceAllString(found[1], "$1"))
		}
		return all
	}
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			for _, below := range node {
				walk(below)
			}
		case []any:
			for _, below := range node {
				walk(below)
			}
		case string:
			if name == "buildkite" {
				node = strings.ReplaceAll(node, "$$", "$")
			}
			all = append(all, node)
		}
	}
	walk(parsed(t, text))
	return all
}

// Whatever is given arrives at the shell as it was, or is refused by name.
func TestValuesStayValues(t *testing.T) {
	values := []string{
		"a b", "it's", `a\b`, `\`, `\\'''`, "'''", `"`, "$HOME", "$(id)", "`id`", "#x", "a: b", "- a", "a #b", "%s", "{{.Host}}", "${{ secrets.X }}", "$[[ inputs.x ]]",
		"<< pipeline.id >>", `\$x`, "$$", "$[x]", "&a", "*a", "!!str", "|", ">", "@x", "ümläut", "y", "~", "", "-", "::set-env::", "a;id", "''' ; id ; '''", `\'''`, `a\`,
	}
	refused := map[string][]string{}
	for _, name := range Names() {
		for _, value := range values {
			j := sample()
			j.Command = []string{"printf", "%s", value}
			text, err := Snippet(name, j)
			if wrong, ok := errors.AsType[*ValueError](err); ok {
				refused[name] = append(refused[name], value)
				if wrong.Part == "" || !strings.Contains(value, wrong.Part) || wrong.Remedy() == "" {
					t.Errorf("%s: %q: %v", name, value, err)
				}
				continue
			}
			arrived := false
			for _, script := range scripts(t, name, text) {
				for line := range strings.Lines(script) {
					if strings.HasPrefix(strings.TrimSpace(line), "printf '%s' ") {
						out, err := exec.CommandContext(t.Context(), "sh", "-c", line).Output()
						arrived = err == nil && string(out) == value
					}
				}
			}
			if !arrived {
				t.Errorf("%s: %q did not arrive:\n%s", name, value, text)
			}
		}
		for _, value := range []string{"a\nb", "a\u2028b", "a\u0085b", "a\x1bb", "a\rb", "a\x00b"} {
			j := sample()
			j.Up = []string{"-c", value}
			if _, err := Snippet(name, j); err == nil || strings.ContainsAny(err.Error(), "\n\r\x1b\x00\u2028\u0085") {
				t.Errorf("%s: %q: %v", name, value, err)
			}
		}
	}
	for name, want := range map[string]string{
		"github": "${{ secrets.X }}", "gitlab": "$[[ inputs.x ]]", "circleci": "<< pipeline.id >>", "buildkite": `\$x`, "bitbucket": "", "azure": "$(id)|${{ secrets.X }}|$[[ inputs.x ]]|$[x]", "jenkins": "",
	} {
		if got := strings.Join(refused[name], "|"); got != want {
			t.Errorf("%s refuses %q, want %q", name, got, want)
		}
	}
	if _, err := Snippet("travis", sample()); err == nil || File("travis") != "" {
		t.Error("a system that is not there has a file")
	}
}

// The names that two jobs of one user give their tunnels differ, and are names.
func TestSetsOfJobsHaveNamesOfTheirOwn(t *testing.T) {
	for _, s := range systems() {
		if s.set == "" {
			continue
		}
		name := os.Expand(s.set, func(variable string) string {
			if variable == "$" {
				return "4194304"
			}
			return "1234567890"
		})
		if !strings.Contains(s.set, "$") || !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`).MatchString(name) {
			t.Errorf("%s: %q", s.name, name)
		}
	}
}
