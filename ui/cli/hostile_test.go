package cli

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"culvert/aws/emulator"
)

// Names that an account, a config file or whoever may stop a task can choose: they act on a terminal or on a runner, if
// they are printed as they are.
var hostileNames = []string{
	"esc\x1b]52;c;aGk=\a", "c1\u009b31m", "turn\u202eed", "zero\u200bwidth", "tab\tdescription", "runner##[error]boo", "del\x7f",
}

// hostileAccount points the environment at an account that is full of such names.
func hostileAccount(t *testing.T) {
	t.Helper()
	fleet := emulator.Fleet{Clusters: []emulator.Cluster{{Name: "plain"}}}
	for _, name := range append(hostileNames, "good") {
		task := emulator.Task{Containers: []emulator.Container{{
			Name: name, Ports: map[uint16]string{3128: ""}, Agent: emulator.Agent{Status: "STOPPED", Reason: name},
		}}}
		fleet.Clusters[0].Services = append(fleet.Clusters[0].Services, emulator.Service{Name: name, Count: 1, Task: task})
		fleet.Clusters = append(fleet.Clusters, emulator.Cluster{Name: name})
	}
	e, err := emulator.Start(emulator.Options{Fleet: fleet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	home := t.TempDir()
	t.Chdir(home)
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"} {
		t.Setenv(name, home)
	}
	for _, v := range e.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	var config strings.Builder
	config.WriteString("tunnels:\n")
	for _, name := range append(hostileNames, "good") {
		config.WriteString("  " + strconv.QuoteToASCII(name) + ": {target: a/b, forward: \"3128\"}\n")
	}
	path := filepath.Join(home, "culvert", "config.yaml")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// culvert runs a command line in this process.
func culvert(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), Process{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs})
	return code, out.String(), errs.String()
}

// acts reports what a text would do to a terminal or a runner, beside being lines.
func acts(text string) bool {
	hidden := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	return strings.Contains(text, "##[") || strings.ContainsFunc(text, hidden)
}

func TestCompletionOffersOnlyNamesThatCanBeShown(t *testing.T) {
	hostileAccount(t)
	for _, args := range [][]string{
		{"list", "--cluster", ""},
		{"list", "-c", "plain", "--service", ""},
		{"list", "-c", "plain", "--container", ""},
		{"list", "--target", "plain/"},
		{"doctor", "-c", "plain", "-s", ""},
		{"up", ""},
		{"up", "-c", ""},
	} {
		code, out, errs := culvert(t, append([]string{"__complete"}, args...)...)
		if code != 0 || acts(out+errs) {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, out, errs)
		}
		if !strings.Contains(out, "good\n") {
			t.Errorf("%q: got %q, want the good name offered", args, out)
		}
	}
}

func TestJSONOfAListHoldsNothingThatActs(t *testing.T) {
	hostileAccount(t)
	for _, what := range []string{"clusters", "services", "tasks"} {
		code, out, errs := culvert(t, "list", what, "-o", "json")
		if code != 0 || acts(out+errs) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", what, code, out, errs)
		}
		var back map[string]any
		if err := json.Unmarshal([]byte(out), &back); err != nil {
			t.Fatal(err)
		}
		values, err := json.Marshal(back)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range hostileNames {
			want, err := json.Marshal(name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(values, want) {
				t.Errorf("%s: %s is not in the values %s", what, want, values)
			}
		}
	}
}

func TestWhatIsLoggedDoesNotAct(t *testing.T) {
	var out bytes.Buffer
	log := newLog(&out, slog.LevelDebug)
	for _, name := range append(hostileNames, "em\u3164pty\n::error::boo") {
		log.Info("a task has stopped", "reason", name, name, 1)
	}
	for line := range strings.Lines(out.String()) {
		if acts(line) || !strings.HasPrefix(line, "time=") || strings.ContainsRune(line, '\u3164') {
			t.Errorf("logged: %q", line)
		}
	}
}
