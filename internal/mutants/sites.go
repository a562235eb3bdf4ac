package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// mutant is one change of one file: the bytes from From to To are replaced.
type mutant struct {
	File     string // absolute
	Line     int
	From, To int // offsets
	New      string
	Kind     string
	Names    []string // of constants: what else in the package stands on them, as a declaration is on no way through the code
}

func (m mutant) place() string { return fmt.Sprintf("%s:%d", filepath.Base(m.File), m.Line) }

func (m mutant) String() string { return m.place() + " " + m.Kind }

// apply returns the file with the change, and the line before and after it.
func (m mutant) apply() (changed []byte, before, after string, err error) {
	text, err := os.ReadFile(m.File)
	if err != nil {
		return nil, "", "", err
	}
	changed = append(append(append(changed, text[:m.From]...), m.New...), text[m.To:]...)
	return changed, lineAt(text, m.From), lineAt(changed, m.From), nil
}

func lineAt(text []byte, offset int) string {
	from := bytes.LastIndexByte(text[:offset], '\n') + 1
	line, _, _ := strings.Cut(string(text[from:]), "\n")
	return strings.TrimSpace(line)
}

// finder collects the mutants of one file.
type finder struct {
	files *token.FileSet
	text  []byte
	all   []mutant
}

// find returns every mutant of a file, in the order of the file.
func find(path string) ([]mutant, error) {
	text, err := os.ReadFile(path) //nolint:gosec // a file of ours
	if err != nil {
		return nil, err
	}
	f := finder{files: token.NewFileSet(), text: text}
	tree, err := parser.ParseFile(f.files, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range tree.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			if d.Tok == token.CONST {
				f.constants(d)
			}
		case *ast.FuncDecl:
			if d.Body != nil {
				f.body(d.Type, d.Body)
			}
		}
	}
	return f.all, nil
}

func (f *finder) add(kind string, from, to token.Pos, replacement string) {
	at := f.files.Position(from)
	f.all = append(f.all, mutant{File: at.Filename, Line: at.Line, From: at.Offset, To: f.files.Position(to).Offset, New: replacement, Kind: kind})
}

func (f *finder) source(n ast.Node) string {
	return string(f.text[f.files.Position(n.Pos()).Offset:f.files.Position(n.End()).Offset])
}

// constants doubles and halves the numbers of a declaration.
func (f *finder) constants(d *ast.GenDecl) {
	for _, s := range d.Specs {
		spec, ok := s.(*ast.ValueSpec)
		if !ok {
			continue
		}
		var names []string
		for _, n := range spec.Names {
			names = append(names, n.Name)
		}
		for _, v := range spec.Values {
			expression := f.source(v)
			if !strings.ContainsAny(expression, "0123456789") || strings.ContainsAny(expression, "\"`'") {
				continue
			}
			f.add("constant doubled", v.Pos(), v.End(), "2*("+expression+")")
			f.all[len(f.all)-1].Names = names
			f.add("constant halved", v.Pos(), v.End(), "("+expression+")/2")
			f.all[len(f.all)-1].Names = names
		}
	}
}

// others are the operators that stand in place of one.
var others = map[token.Token]token.Token{ //nolint:gochecknoglobals // a table
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
}

// body mutates the statements of a function, and those of the functions inside.
func (f *finder) body(kind *ast.FuncType, body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			f.body(n.Type, n.Body)
			return false
		case *ast.IfStmt:
			f.add("condition negated", n.Cond.Pos(), n.Cond.End(), "!("+f.source(n.Cond)+")")
		case *ast.BinaryExpr:
			f.operator(n)
		case *ast.BasicLit:
			if n.Kind == token.INT {
				f.add("number changed", n.Pos(), n.End(), "("+n.Value+"+1)")
			}
		case *ast.ReturnStmt:
			f.result(kind, n)
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.SendStmt:
			f.remove(n)
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				f.remove(n)
			}
		case *ast.BranchStmt:
			if n.Tok == token.BREAK || n.Tok == token.CONTINUE {
				f.remove(n)
			}
		}
		return true
	})
}

func (f *finder) operator(n *ast.BinaryExpr) {
	other, ok := others[n.Op]
	if !ok || n.Op == token.ADD && (isText(n.X) || isText(n.Y)) {
		return
	}
	f.add(fmt.Sprintf("%s becomes %s", n.Op, other), n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other.String())
}

// result takes an error, or turns a yes into a no.
func (f *finder) result(kind *ast.FuncType, n *ast.ReturnStmt) {
	if kind.Results == nil || len(n.Results) == 0 {
		return
	}
	last := kind.Results.List[len(kind.Results.List)-1]
	is, ok := last.Type.(*ast.Ident)
	if !ok {
		return
	}
	value := n.Results[len(n.Results)-1]
	name, named := value.(*ast.Ident)
	switch {
	case is.Name == "error" && (!named || name.Name != "nil") && len(n.Results) == kind.Results.NumFields():
		f.add("error dropped", value.Pos(), value.End(), "nil")
	case is.Name == "bool" && len(n.Results) == kind.Results.NumFields():
		f.add("answer turned round", value.Pos(), value.End(), "!("+f.source(value)+")")
	}
}

// remove lets a statement stand where it is never run, so that what it uses is still used.
func (f *finder) remove(n ast.Node) {
	text := f.source(n)
	if idle(text) {
		return
	}
	f.add("statement removed", n.Pos(), n.End(), "if false { "+text+" }")
}

// idle tells the statements that no test is meant to hold: what is logged, what is closed on the way out of an error.
func idle(statement string) bool {
	call, _, is := strings.Cut(statement, "(")
	return is && strings.Contains(call, "log.") || strings.HasPrefix(statement, "_ = ") && strings.HasSuffix(call, ".Close") ||
		strings.HasPrefix(call, "defer ") && (strings.HasSuffix(call, ".Close") || strings.HasSuffix(call, ".Unlock"))
}

func isText(e ast.Expr) bool {
	literal, ok := e.(*ast.BasicLit)
	return ok && literal.Kind == token.STRING
}

// uses are the lines of the files, by file, on which one of the names stands.
func uses(files, names []string) (map[string][]int, error) {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	lines := map[string][]int{}
	for _, path := range files {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && wanted[id.Name] {
				lines[path] = append(lines[path], set.Position(id.Pos()).Line)
			}
			return true
		})
	}
	return lines, nil
}
