package doctor_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

var update = flag.Bool("update", false, "write docs/doctor.md anew")

const (
	docs   = "../../docs/doctor.md"
	marker = "<!-- Generated from the checks: go test ./tunnel/doctor -run Documented -update -->\n"
)

// table is what the documentation lists, as the checks have it.
func table() string {
	var b strings.Builder
	b.WriteString(marker)
	b.WriteString("\n| Check | Passes when |\n|---|---|\n")
	listed := map[string]bool{}
	for _, s := range []tunnel.Spec{{To: "orders-db"}, {Dynamic: &tunnel.Dynamic{}}} {
		for _, c := range doctor.Checks(doctor.Options{Spec: s}) {
			if !listed[c.ID] {
				b.WriteString("| `" + c.ID + "` | " + c.Name + " |\n")
			}
			listed[c.ID] = true
		}
	}
	b.WriteString("| `probe-1`, `probe-2` … | what `--probe` names can be reached |\n")
	b.WriteString("\n| Cause | How it shows | What to do |\n|---|---|---|\n")
	causes := doctor.Causes()
	slices.SortStableFunc(causes, func(a, b doctor.Cause) int {
		return strings.Compare(sortable(a.ID), sortable(b.ID))
	})
	for _, c := range causes {
		b.WriteString("| " + c.ID + " | " + c.Symptom + " | " + c.Remedy + " |\n")
	}
	return b.String()
}

// sortable puts A10 behind A9.
func sortable(id string) string {
	if len(id) == 2 {
		return id[:1] + "0" + id[1:]
	}
	return id
}

func TestEveryCauseIsDocumented(t *testing.T) {
	page, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	text, _, found := strings.Cut(string(page), marker)
	if !found {
		t.Fatalf("%s has no line %q", docs, marker)
	}
	want := text + table()
	if *update {
		if err := os.WriteFile(docs, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Errorf("%s is out of date: go test ./tunnel/doctor -run Documented -update", docs)
	}
}

func TestCausesHaveOneIDEach(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range doctor.Causes() {
		if seen[c.ID] || c.Symptom == "" || c.Remedy == "" || strings.ContainsAny(c.Symptom+c.Remedy, "|\n") {
			t.Errorf("cause %+v", c)
		}
		seen[c.ID] = true
	}
}

// A cause that no test produces is a guess.
func TestEveryCauseIsProducedByATest(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	for _, c := range doctor.Causes() {
		if !strings.Contains(all.String(), `"`+c.ID+`"`) {
			t.Errorf("no test wants cause %s", c.ID)
		}
	}
}
