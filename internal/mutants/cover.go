package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// goPackage is a package that is mutated, with its tests.
type goPackage struct {
	ImportPath string   `json:"ImportPath"`
	Dir        string   `json:"Dir"`
	GoFiles    []string `json:"GoFiles"`

	tests []test
}

// test is one that passes as things are.
type test struct {
	Name  string
	Took  time.Duration
	Lines map[string][][2]int // what it runs through: first and last lines of blocks, by the name of the file
}

func load(ctx context.Context, pattern string) (*goPackage, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,GoFiles", pattern).Output() //nolint:gosec // a package of ours
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", pattern, err)
	}
	p := &goPackage{}
	if err := json.Unmarshal(out, p); err != nil {
		return nil, fmt.Errorf("go list %s: %w", pattern, err)
	}
	return p, nil
}

func (p *goPackage) files() []string {
	var all []string
	for _, name := range p.GoFiles {
		all = append(all, filepath.Join(p.Dir, name))
	}
	return all
}

// learn runs each test alone and keeps those that pass within slowest, with the lines that they run through.
func (p *goPackage) learn(ctx context.Context, work string, jobs int, slowest time.Duration) error {
	binary := filepath.Join(work, "covered.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-cover", "-vet=off", "-o", binary, p.ImportPath) //nolint:gosec // a package of ours
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the tests of %s: %w\n%s", p.ImportPath, err, out)
	}
	list := exec.CommandContext(ctx, binary, "-test.list", "^(Test|Fuzz)") //nolint:gosec // built above
	list.Dir = p.Dir
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("list the tests of %s: %w", p.ImportPath, err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	turn := make(chan struct{}, jobs)
	for name := range strings.FieldsSeq(string(out)) {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			if t, ok := p.one(ctx, binary, filepath.Join(work, name+".cover"), name, slowest); ok {
				mu.Lock()
				p.tests = append(p.tests, t)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.SortFunc(p.tests, func(a, b test) int { return cmp.Compare(a.Took, b.Took) })
	return os.Remove(binary)
}

func (p *goPackage) one(ctx context.Context, binary, profile, name string, slowest time.Duration) (test, bool) {
	ctx, stop := context.WithTimeout(ctx, slowest+5*time.Second)
	defer stop()
	run := exec.CommandContext(ctx, binary, "-test.short", "-test.run", "^"+name+"$", "-test.coverprofile", profile) //nolint:gosec // built by learn
	run.Dir, run.WaitDelay = p.Dir, time.Second
	began := time.Now()
	err := run.Run()
	t := test{Name: name, Took: time.Since(began)}
	if err != nil || t.Took > slowest {
		return t, false
	}
	t.Lines, err = covered(profile)
	_ = os.Remove(profile)
	return t, err == nil
}

// covered reads the blocks of a profile that were run: culvert/tunnel/mux.go:58.70,60.16 2 1.
func covered(profile string) (map[string][][2]int, error) {
	file, err := os.Open(profile) //nolint:gosec // a file of ours
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it is only read
	lines := map[string][][2]int{}
	for in := bufio.NewScanner(file); in.Scan(); {
		path, rest, found := strings.Cut(in.Text(), ".go:")
		if !found || strings.HasSuffix(rest, " 0") {
			continue
		}
		from, rest, _ := strings.Cut(rest, ".")
		_, rest, _ = strings.Cut(rest, ",")
		to, _, _ := strings.Cut(rest, ".")
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 == nil && err2 == nil {
			name := filepath.Base(path) + ".go"
			lines[name] = append(lines[name], [2]int{first, last})
		}
	}
	return lines, nil
}

// through are the tests that run through a mutant, the quickest first.
func (p *goPackage) through(m mutant) ([]test, error) {
	at := map[string][]int{m.File: {m.Line}}
	if len(m.Names) > 0 {
		var err error
		if at, err = uses(p.files(), m.Names); err != nil {
			return nil, err
		}
	}
	var all []test
	for _, t := range p.tests {
		if t.runs(at) {
			all = append(all, t)
		}
	}
	return all, nil
}

func (t test) runs(at map[string][]int) bool {
	for path, lines := range at {
		for _, block := range t.Lines[filepath.Base(path)] {
			if slices.ContainsFunc(lines, func(line int) bool { return line >= block[0] && line <= block[1] }) {
				return true
			}
		}
	}
	return false
}
