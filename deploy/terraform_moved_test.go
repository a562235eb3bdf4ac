package deploy_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"culvert/internal/need"
)

// What the module made before it could leave a service alone, when nothing of that had a number, stays as it is with the
// module of now: nothing is destroyed, nothing made anew.
func TestWhatAnOlderModuleHasMadeStaysWhereItIs(t *testing.T) {
	moved := movedTo(t)
	for _, judge := range need.Builders(t) {
		t.Run(judge.Name, func(t *testing.T) {
			dir := module(t)
			if err := os.WriteFile(filepath.Join(dir, "own.auto.tfvars"), []byte(least), 0o600); err != nil {
				t.Fatal(err)
			}
			judge.Prepare(t, dir)
			judge.Run(t, dir, "apply", "-auto-approve", "-input=false")
			made := unnumber(t, filepath.Join(dir, "terraform.tfstate"), moved)
			judge.Run(t, dir, "plan", "-input=false", "-out=plan")
			var plan struct {
				Changes []struct {
					Address  string `json:"address"`
					Previous string `json:"previous_address"`
					Mode     string `json:"mode"`
					Change   struct {
						Actions []string `json:"actions"`
					} `json:"change"`
				} `json:"resource_changes"`
			}
			if err := json.Unmarshal([]byte(judge.Run(t, dir, "show", "-json", "plan")), &plan); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, c := range plan.Changes {
				if c.Mode != "managed" {
					continue
				}
				if !slices.Equal(c.Change.Actions, []string{"no-op"}) {
					t.Errorf("%s: %v, want it to stay", c.Address, c.Change.Actions)
				}
				if c.Previous != "" {
					got[c.Previous] = c.Address
				}
			}
			if !maps.Equal(got, moved) || made != len(moved) {
				t.Errorf("%d of the state had no number, found again are %v, want %v", made, got, moved)
			}
		})
	}
}

// movedTo is what moved.tf says, which is all that create_service has given a number.
func movedTo(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("terraform/moved.tf")
	if err != nil {
		t.Fatal(err)
	}
	moved := map[string]string{}
	for _, m := range regexp.MustCompile(`moved \{\n  from = (\S+)\n  to   = (\S+)\n\}`).FindAllStringSubmatch(string(text), -1) {
		moved[m[1]] = m[2]
	}
	files, err := filepath.Glob("terraform/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	numbered := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`resource "(\S+)" "(\S+)" \{\n  count = var\.create_service \? 1 : 0\n`).FindAllStringSubmatch(string(text), -1) {
			numbered++
			if from := m[1] + "." + m[2]; moved[from] != from+"[0]" {
				t.Errorf("%s has become %[1]s[0], which moved.tf does not say", from)
			}
		}
	}
	if numbered != len(moved) || numbered == 0 {
		t.Errorf("%d resources have a number, moved.tf names %d", numbered, len(moved))
	}
	return moved
}

// unnumber takes the numbers of what has moved out of a state, and returns how many those were.
func unnumber(t *testing.T, path string, moved map[string]string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	done := 0
	resources, _ := state["resources"].([]any)
	for _, r := range resources {
		r, _ := r.(map[string]any)
		kind, _ := r["type"].(string)
		name, _ := r["name"].(string)
		if _, has := moved[kind+"."+name]; !has {
			continue
		}
		instances, _ := r["instances"].([]any)
		for _, i := range instances {
			i, _ := i.(map[string]any)
			delete(i, "index_key")
			done++
		}
	}
	if text, err = json.Marshal(state); err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return done
}
