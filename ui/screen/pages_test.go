package screen

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// loopFiles are those of the event loop, which alone knows app and all pages. A page is not among them: it takes what it
// needs when it is made, and gives back wishes. There are no other exceptions.
func loopFiles() []string {
	return []string{"screen.go", "view.go", "input.go", "tick.go", "header.go", "notice.go", "panic.go", "pages.go", "wish.go"}
}

// house is this package as the compiler sees it, without its tests.
type house struct {
	fset  *token.FileSet
	files []*ast.File
	pkg   *types.Package
	info  types.Info
}

// nothing stands for the packages that are imported: only names of this one matter here.
type nothing struct{}

func (nothing) Import(string) (*types.Package, error) { return nil, errors.New("not looked at") }

func readHouse(t *testing.T, more map[string]string) *house {
	t.Helper()
	h := &house{fset: token.NewFileSet(), info: types.Info{Uses: map[*ast.Ident]types.Object{}}}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string, text any) {
		file, err := parser.ParseFile(h.fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		h.files = append(h.files, file)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			add(name, nil)
		}
	}
	for name, text := range more {
		add(name, text)
	}
	c := types.Config{Importer: nothing{}, Error: func(error) {}}
	h.pkg, _ = c.Check("screen", h.fset, h.files, &h.info) // what it misses are the imports
	return h
}

func (h *house) file(at token.Pos) string { return h.fset.Position(at).Filename }

// pages are the types that can fill a frame, with the files in which they are at home: where they have methods.
func (h *house) pages() map[*types.TypeName][]string {
	pages := map[*types.TypeName][]string{}
	for _, name := range h.pkg.Scope().Names() {
		of, ok := h.pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok || types.IsInterface(of.Type()) {
			continue
		}
		var have, homes []string
		for m := range of.Type().(*types.Named).Methods() {
			have, homes = append(have, m.Name()), append(homes, h.file(m.Pos()))
		}
		if !slices.ContainsFunc([]string{"title", "foot", "update", "draw", "help"}, func(m string) bool { return !slices.Contains(have, m) }) {
			pages[of] = homes
		}
	}
	return pages
}

// typeOf is the type of this package that a value is of, or a function makes; nil for what is neither.
func typeOf(o types.Object) *types.TypeName {
	of := o.Type()
	if f, ok := of.(*types.Signature); ok && f.Results().Len() > 0 {
		of = f.Results().At(0).Type()
	}
	if p, ok := of.(*types.Pointer); ok {
		of = p.Elem()
	}
	if named, ok := of.(*types.Named); ok {
		return named.Obj()
	}
	return nil
}

// strangers says what files other than the event loop's know that they must not: app, and pages that are not theirs.
func (h *house) strangers() []string {
	var found []string
	loop, pages := h.pkg.Scope().Lookup("app"), h.pages()
	for id, o := range h.info.Uses {
		in, of := h.file(id.Pos()), typeOf(o)
		homes, page := pages[of]
		if of == nil || slices.Contains(loopFiles(), in) || o.Pkg() != h.pkg {
			continue
		}
		if types.Object(of) == loop || page && !slices.Contains(homes, in) {
			found = append(found, h.fset.Position(id.Pos()).String()+": "+id.Name)
		}
	}
	slices.Sort(found)
	return found
}

func TestPagesKnowNeitherTheEventLoopNorEachOther(t *testing.T) {
	h := readHouse(t, nil)
	if n := len(h.pages()); n < 9 {
		t.Fatalf("got %d pages and dialogs, want all of them", n)
	}
	for _, stranger := range h.strangers() {
		t.Error(stranger + ": a page takes what it needs when it is made, and gives back wishes (wish.go, pages.go)")
	}
}

// The guard must be able to fail: each is something that a new page could do by mistake, or does rightly.
func TestStrangersOfPagesAreFound(t *testing.T) {
	for text, wrong := range map[string]bool{
		"type page struct{ *app }":                                             true,
		"type page struct{ loop *app }":                                        true,
		"func (p *logPage) all(a *app) {}":                                     true,
		"func leak(do func(a *app)) {}":                                        true,
		"func leak(l *look) screen { return newHelp(l) }":                      true,
		"type page struct{ under *tunnelsPane }":                               true,
		"func leak(s screen) bool { _, is := s.(*detail); return is }":         true,
		"func leak() wish { return func(a *app) tea.Cmd { return nil } }":      true,
		"type page struct{ *look; tunnels *tunnels; at *accounts }":            false,
		"func open(r *row) wish { return all(tell(\"opening\"), details(r)) }": false,
	} {
		h := readHouse(t, map[string]string{"newpage.go": "package screen\n\nimport tea \"charm.land/bubbletea/v2\"\n\nvar _ tea.Cmd\n\n" + text})
		if got := h.strangers(); (len(got) > 0) != wrong {
			t.Errorf("%s: got %q, want wrong %t", text, got, wrong)
		}
	}
}

// A key that follows at once must not reach a dialog that the one before has closed: wishes do not wait for commands.
func TestAWishIsGrantedBeforeTheNextKey(t *testing.T) {
	a := newTestApp(t, Options{}, 80, 24)
	for _, key := range []string{"?", "esc", "L", "?", "esc"} {
		a.Update(pressed(key)) // and what it returns is not run
	}
	if a.dialog != nil || len(a.pages) != 1 {
		t.Errorf("got the dialog %v and %d pages, want the log alone", a.dialog, len(a.pages))
	}
}
