package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const source = `package p

import "errors"

const limit = 2 * 8

func f(log logger, n int) (bool, error) {
	log.Info("not this")
	if n < limit && n > 0 {
		n = n + 1
		log.count++
		return true, errors.New("x" + "y")
	}
	return false, nil
}
`

// all are the mutants of source, each as the line that it makes.
func all(t *testing.T) (path string, found []mutant, lines []string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "p.go")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := find(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range found {
		_, before, after, err := m.apply()
		if err != nil {
			t.Fatal(err)
		}
		if before == after {
			t.Errorf("%s changes nothing", m)
		}
		lines = append(lines, after)
	}
	return path, found, lines
}

func TestWhatIsBroken(t *testing.T) {
	path, _, got := all(t)
	want := []string{
		"const limit = 2*(2 * 8)", "const limit = (2 * 8)/2",
		"if !(n < limit && n > 0) {", "if n < limit || n > 0 {", "if n <= limit && n > 0 {", "if n < limit && n >= 0 {", "if n < limit && n > (0+1) {",
		"if false { n = n + 1 }", "n = n - 1", "n = n + (1+1)", "if false { log.count++ }", `return true, nil`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != source {
		t.Errorf("the file was touched: %v", err)
	}
}

func TestASeedDrawsTheSameMutants(t *testing.T) {
	_, found, _ := all(t)
	order := func(seed uint64) (names []string) {
		for _, m := range draw(found, seed) {
			names = append(names, m.String()+m.New)
		}
		return names
	}
	if one := order(1); !slices.Equal(one, order(1)) || len(one) != len(found) || slices.Equal(one, order(2)) {
		t.Error("the seed does not decide which mutants are drawn")
	}
}

// A constant is on no way through the code: the tests that are of use are those that run through where it is used.
func TestTestsOfAConstantRunThroughItsUses(t *testing.T) {
	path, found, _ := all(t)
	p := &goPackage{Dir: filepath.Dir(path), GoFiles: []string{"p.go"}, tests: []test{
		{Name: "through", Lines: map[string][][2]int{"p.go": {{7, 9}}}},
		{Name: "elsewhere", Lines: map[string][][2]int{"p.go": {{14, 15}}, "other.go": {{9, 9}}}},
	}}
	for _, m := range []mutant{found[0], found[2]} {
		tests, err := p.through(m)
		if err != nil || len(tests) != 1 || tests[0].Name != "through" {
			t.Errorf("%s: got %v, %v", m, tests, err)
		}
	}
}

func TestWhatARunSaysOfItsFailure(t *testing.T) {
	for out, want := range map[string]struct {
		name   string
		stands bool
	}{
		"--- FAIL: TestA (0.00s)\n    a_test.go:1: x\n":                                       {"TestA", false},
		"=== x\n    --- FAIL: TestA/sub (0.00s)\n--- FAIL: TestB (0.1s)\nFAIL\n":              {"TestB", false},
		"panic: test timed out after 1s\n\trunning tests:\n\t\tTestC/sub (1s)\n\ngoroutine 1": {"TestC", true},
		"fatal error: sync: unlock of unlocked mutex\n":                                       {"", false},
		"": {"", false},
	} {
		if name, stands := failure(out); name != want.name || stands != want.stands {
			t.Errorf("%q: got %q, %t; want %q, %t", out, name, stands, want.name, want.stands)
		}
	}
}
