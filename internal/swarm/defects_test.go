package swarm

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// defect is a mistake that is put back into the engine, by an overlay: its source has no trace of it.
type defect struct{ name, file, right, wrong, shows string }

var defects = []defect{
	{
		name: "a host that moves is never resolved anew", file: "renew.go",
		right: "\tr.renewing = true\n",
		wrong: "\tr.renewing = !defective(DEFECT)\n",
		shows: "after all is well again",
	},
	{
		name: "a lost acknowledge is not repeated", file: "receive.go",
		right: "\tcase m.Sequence < c.expected:\n",
		wrong: "\tcase m.Sequence < c.expected && defective(DEFECT):\n\t\treturn nil\n\tcase m.Sequence < c.expected:\n",
		shows: "hangs: not a byte",
	},
	{
		name: "a lane ceiling does not count slow lanes", file: "runner.go",
		right: "\twant, most := r.fixed(), r.ceiling()\n",
		wrong: "\twant, most := r.fixed(), r.ceiling()\n\tfor _, l := range r.lanes {\n\t\tif l.slow.Load() && defective(DEFECT) {\n\t\t\tmost++\n\t\t}\n\t}\n",
		shows: "sessions, and may have",
	},
}

// seedsEnough is within how many seeds each has to be found.
const seedsEnough = 500

// The swarm finds what it is for: each of these defects was a real one's like.
func TestSwarmFindsDefects(t *testing.T) {
	if testing.Short() || withRace {
		t.Skip("in short, and with the race detector beside which it is run without")
	}
	t.Parallel()
	program := buildDefective(t)
	for _, d := range defects {
		t.Run(strings.ReplaceAll(d.name, " ", "-"), func(t *testing.T) {
			out, err := swarmWith(t, program, d)
			if found := strings.Index(out, d.shows); err == nil || found < 0 {
				t.Fatalf("%d seeds have not found that %s: %v\n%s", seedsEnough, d.name, err, out)
			}
			t.Logf("%.3000s", out)
		})
	}
}

// buildDefective builds this test with an engine that has all defects, each of which the environment switches on.
func buildDefective(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	replaced := map[string]string{}
	put := func(name, text string) {
		to := filepath.Join(dir, name)
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		from, err := filepath.Abs(filepath.Join("..", "..", "tunnel", name))
		if err != nil {
			t.Fatal(err)
		}
		replaced[from] = to
	}
	put("defective.go", "package tunnel\n\nimport \"os\"\n\nvar present = os.Getenv(\"SWARM_DEFECT\")\n\nfunc defective(name string) bool { return present == name }\n")
	for _, d := range defects {
		text, err := os.ReadFile(filepath.Join("..", "..", "tunnel", d.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), d.right); n != 1 {
			t.Fatalf("tunnel/%s has %d times what is to be replaced so that %s: %q", d.file, n, d.name, d.right)
		}
		put(d.file, strings.Replace(string(text), d.right, strings.ReplaceAll(d.wrong, "DEFECT", `"`+d.name+`"`), 1))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "swarm.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", list, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the engine with defects: %v\n%s", err, out)
	}
	return program
}

// swarmWith runs seeds until one fails as is expected of the defect.
func swarmWith(t *testing.T, program string, d defect) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-test.run", "^TestSwarm$", "-test.timeout", "10m")
	cmd.Env = append(os.Environ(), "SWARM_DEFECT="+d.name, "SWARM_UNTIL="+d.shows, "SEED=", fmt.Sprint("SEEDS=", seedsEnough), "ONLY=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
