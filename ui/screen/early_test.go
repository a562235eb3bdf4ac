package screen

import (
	"strings"
	"testing"

	"culvert/aws"
)

// glimpse shows as much of an account as has come of the look at a page; what of it is complete is in seen.
func glimpse(a *app, c *aws.Catalog, seen ...aws.Sight) {
	a.here.looking, a.here.seeing = true, looks{}
	for _, s := range seen {
		a.here.seeing[s] = a.now
	}
	a.here.catalog = c
	a.grant(refreshed(a.here))
}

// bare is an account of which the clusters alone are known.
func bare() *aws.Catalog {
	c := counted(sampleAccount())
	for i := range c.Clusters {
		c.Clusters[i].Services, c.Clusters[i].Tasks = nil, nil
	}
	return c
}

func TestKeysBeforeTheRowsArePressedWhenThoseCome(t *testing.T) {
	whole := counted(sampleAccount())
	partly := bare()
	partly.Clusters[0].Services = whole.Clusters[0].Services[:1]
	last := whole.Clusters[0].Services[len(whole.Clusters[0].Services)-1].Name

	a := newTestApp(t, Options{}, 100, 30)
	a.here.looking = true
	press(t, a, "enter", "G") // the clusters have not come either
	glimpse(a, bare(), clusters)
	if a.browse.depth != atServices || a.browse.cluster != whole.Clusters[0].Name {
		t.Fatalf("enter before the clusters came led to %v of %q", a.browse.depth, a.browse.cluster)
	}
	glimpse(a, partly, clusters)
	if n := len(a.browse.early); n != 1 {
		t.Errorf("%d keys wait for the last row, want G", n)
	}
	glimpse(a, whole, clusters, aws.Sight{Cluster: whole.Clusters[0].Name, Parts: inside})
	if e, _ := a.browse.table().Row(); !strings.HasSuffix(e.id(), last) && !e.loose {
		t.Errorf("G before the services came led to %s, want the last", e.id())
	}
	if len(a.browse.early) != 0 {
		t.Errorf("%d keys still wait", len(a.browse.early))
	}
}

func TestWhatIsTypedForADialogThatIsStillToComeIsItsOwn(t *testing.T) {
	whole := counted(sampleAccount())
	of := aws.Sight{Cluster: whole.Clusters[0].Name, Parts: inside}
	a := newTestApp(t, Options{}, 100, 30)
	glimpse(a, bare(), clusters)
	press(t, a, "enter", "F", "ctrl+u", "8", "0")
	if a.browse.flat {
		t.Error("0 went to all services")
	}
	glimpse(a, whole, clusters, of)
	d, ok := a.dialog.(*connect)
	if !ok {
		t.Fatalf("got dialog %T", a.dialog)
	}
	if d.port.Value() != "80" {
		t.Errorf("got port %s", d.port.Value())
	}
}

func TestKeysThatCameTooEarlyAreDroppedWhereTheyAreNoLongerMeant(t *testing.T) {
	whole := counted(sampleAccount())
	of := aws.Sight{Cluster: whole.Clusters[0].Name, Parts: inside}
	for name, keys := range map[string][]string{
		"gone back":    {"enter", "F", "esc"},
		"a question":   {"enter", "enter", "q"}, // which enter would answer with yes
		"the tunnels":  {"enter", "j", "t"},
		"all services": {"enter", "j", "0"},
	} {
		a := newTestApp(t, Options{}, 100, 30)
		glimpse(a, bare(), clusters)
		addRow(a, somewhere("127.0.0.1:3128"))
		press(t, a, keys...)
		on := a.top()
		glimpse(a, whole, clusters, of, everything)
		if a.top() != on || len(a.browse.early) != 0 {
			t.Errorf("%s: got %T instead of %T, %d keys waiting", name, a.top(), on, len(a.browse.early))
		}
	}
	a := newTestApp(t, Options{}, 100, 30)
	a.here.looking = true
	for range 2 * mostEarly {
		press(t, a, "j")
	}
	if n := len(a.browse.early); n != mostEarly {
		t.Errorf("%d keys wait, want %d at the most", n, mostEarly)
	}
}
