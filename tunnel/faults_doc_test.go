package tunnel_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The tables of docs/faults.md name a test in every row, each one exists, and no row of the protocol's defects and no
// test of the fault table is missing.
func TestFaultsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for prefix, dir := range map[string]string{"": ".", "wire.": "../aws/wire", "aws.": "../aws", "cli.": "../ui/cli", "headless.": "../ui/headless"} {
		for _, name := range testsIn(t, dir) {
			there[prefix+name] = true
		}
	}
	named := map[string]bool{}
	var rows []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.Contains(line, "---") || slices.Contains([]string{"row", "input"}, strings.TrimSpace(cells[0])) {
			continue
		}
		row := strings.TrimSpace(cells[0])
		rows = append(rows, row)
		tests := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(tests) == 0 {
			t.Errorf("row %q names no test", row)
		}
		for _, test := range tests {
			named[test[1]] = true
			if !there[test[1]] {
				t.Errorf("row %q names %s, which does not exist", row, test[1])
			}
		}
	}
	for row := range strings.FieldsSeq("P1 P2 P3 P4 P5 P6 P7 P8 P9 P10 P11 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10") {
		if !slices.Contains(rows, row) {
			t.Errorf("row %s is missing", row)
		}
	}
	for name := range there {
		if strings.HasPrefix(name, "TestFault") && name != t.Name() && !named[name] {
			t.Errorf("%s stands in no row", name)
		}
	}
}

// testsIn lists the test functions and fuzz targets of a directory.
func testsIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}
