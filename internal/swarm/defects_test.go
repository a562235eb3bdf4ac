package swarm

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	{
		name: "a new socket ends a pause", file: "socket.go",
		right: "\tc.attach(time.Now())\n",
		wrong: "\tc.attach(time.Now())\n\tif defective(DEFECT) {\n\t\tc.pause(false)\n\t}\n",
		shows: "which has no agent, for more than 2s",
	},
	{
		name: "what was on its way over a strand that ends is not sent over others", file: "bond/strand.go",
		right: "\t\tif f.frame.copies--; f.frame.copies == 0 {\n",
		wrong: "\t\tif f.frame.copies--; f.frame.copies == 0 && !defective(DEFECT) {\n",
		shows: "hangs: not a byte",
	},
	{
		name: "the end of a relay is taken for the end of what goes through it", file: "bondedcarry.go",
		right: "\t\tn, err := s.Read(buffer)\n\t\terr = ofRelay(err)\n",
		wrong: "\t\tn, err := s.Read(buffer)\n\t\tif !defective(DEFECT) {\n\t\t\terr = ofRelay(err)\n\t\t}\n",
		shows: "through a relay: ",
	},
	{
		name: "a new connection waits for a relay that takes nothing", file: "relay.go",
		right: "u.bond.Standing().Silent && !r.spec.Required {\n",
		wrong: "u.bond.Standing().Silent && !r.spec.Required && !defective(DEFECT) {\n",
		shows: "has waited for the first byte",
	},
}

// seedsEnough is within how many seeds each has to be found.
const seedsEnough = 4000

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
			_, behind, found := strings.Cut(out, d.shows)
			seed := replayed.FindStringSubmatch(behind)
			if err == nil || !found || seed == nil {
				t.Fatalf("%d seeds have not found that %s: %v\n%s", seedsEnough, d.name, err, out)
			}
			t.Logf("%.3000s", out)
			// It is the defect that was found: without it nothing is wrong with the mix.
			if out, err := play(t, program, "SEED="+seed[1]); err != nil {
				t.Errorf("seed %s fails without the defect, too: %v\n%s", seed[1], err, out)
			}
		})
	}
}

// buildDefective builds this test with an engine that has all defects, each of which the environment switches on.
func buildDefective(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	replaced := map[string]string{}
	put := func(name, text string) {
		to := filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		from, err := filepath.Abs(filepath.Join("..", "..", "tunnel", name))
		if err != nil {
			t.Fatal(err)
		}
		replaced[from] = to
	}
	for name, in := range map[string]string{"defective.go": "tunnel", "bond/defective.go": "bond"} {
		put(name, "package "+in+"\n\nimport \"os\"\n\nvar present = os.Getenv(\"SWARM_DEFECT\")\n\nfunc defective(name string) bool { return present == name }\n")
	}
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
	return play(t, program, "SWARM_DEFECT="+d.name, "SWARM_UNTIL="+d.shows, fmt.Sprint("SEEDS=", seedsEnough))
}

// replayed finds which seed has failed.
var replayed = regexp.MustCompile(`make swarm SEED=(\d+) `)

func play(t *testing.T, program string, settings ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-test.run", "^TestSwarm$", "-test.timeout", "10m")
	cmd.Env = append(append(os.Environ(), "SWARM_DEFECT=", "SWARM_UNTIL=", "SEED=", "SEEDS=", "ONLY="), settings...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
