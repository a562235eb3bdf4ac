package screen

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/tunnel"
)

// dialog is the Forward dialog for a service of the sample account, or for what further keys lead to.
func dialog(t *testing.T, o Options, keys ...string) *app {
	t.Helper()
	a := newTestApp(t, o, 100, 40)
	arrives(a, sampleAccount())
	press(t, a, keys...)
	if _, ok := a.dialog.(*connect); !ok {
		t.Fatalf("%v opened no dialog:\n%s", keys, shot(a))
	}
	return a
}

// command is what the dialog says a shell would run.
func command(t *testing.T, a *app) string {
	t.Helper()
	d := a.dialog.(*connect)
	f, ok := d.valid()
	if !ok {
		t.Fatalf("the form is not valid:\n%s", shot(a))
	}
	return d.recipe(f).command()
}

// says fails the test unless the command holds a text.
func says(t *testing.T, a *app, text string) {
	t.Helper()
	if got := command(t, a); !strings.Contains(got, text) {
		t.Errorf("got %s, want %s in it", got, text)
	}
}

// clear empties the field with the keyboard.
func clearField(t *testing.T, a *app) {
	t.Helper()
	press(t, a, "ctrl+u")
}

func TestTheDialogOffersWhatTheTaskDefinitionMaps(t *testing.T) {
	a := dialog(t, Options{}, "enter", "G", "up", "F")
	want(t, a, "forward automation/squid", "any ready task of the service, now 2 of 2", "remote port   3128", "the same without this screen")
	says(t, a, "culvert --headless --profile dev --region eu-west-1 --target automation/squid -L ")

	a = dialog(t, Options{}, "G", "enter", "F")
	want(t, a, "container     nginx", "◂▸", "remote port   3128")
	says(t, a, "--target shop/web -L")
	press(t, a, "right")
	want(t, a, "container     app", "remote port   3129")
	says(t, a, "--container app")
	press(t, a, "left", "left")
	want(t, a, "container     otel", "remote port   3130")
}

func TestTheDialogSaysWhoThatTaskIs(t *testing.T) {
	a := dialog(t, Options{}, "enter", "G", "up", "enter", "F")
	want(t, a, "this task; when it ends, another task of its service")
	id := a.browse.table().At()
	if got := a.dialog.(*connect).target(); got.Task != id || got.RuntimeID != id+"-1000" || got.Container != "squid" {
		t.Errorf("the dialog leads to %+v, want container squid of task %s", got, id)
	}
	a = dialog(t, Options{}, "enter", "down", "down", "enter", "F")
	want(t, a, "ECS Exec is off for the task", "--enable-execute-command")
}

func TestClustersCannotBeForwardedTo(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	press(t, a, "F")
	want(t, a, "choose a service or a task")
	if a.dialog != nil {
		t.Errorf("got dialog %T, want none", a.dialog)
	}
}

func TestEveryFieldIsCheckedWhileItIsTyped(t *testing.T) {
	check := func(probe string) error {
		if strings.HasPrefix(probe, "http") {
			return nil
		}
		return fmt.Errorf("%q is neither none, tcp, http nor an http(s) URL", probe)
	}
	for _, c := range []struct{ field, typed, says string }{
		{"remote port", "70000", "a port is a number from 1 to 65535"},
		{"remote port", "0", "a port is a number from 1 to 65535"},
		{"remote host", "a b", "remote host"},
		{"local port", "99999", "local"},
		{"local port", "0.0.0.0:8080", "--bind 0.0.0.0"},
		{"probe", "ftp://x", "is neither none, tcp, http nor"},
		{"keep-alive", "soon", "a span of at least a second"},
		{"keep-alive", "10ms", "a span of at least a second"},
	} {
		t.Run(c.field+" "+c.typed, func(t *testing.T) {
			a := dialog(t, Options{CheckProbe: check}, "enter", "G", "up", "F")
			d := a.dialog.(*connect)
			for d.fields()[d.at].Name != c.field {
				press(t, a, "tab")
			}
			clearField(t, a)
			typed(t, a, c.typed)
			want(t, a, "✕", c.says)
			wantNot(t, a, "the same without this screen")
			press(t, a, "tab", "enter")
			if a.dialog == nil || d.opening {
				t.Error("the dialog was taken for valid")
			}
			if got := d.fields()[d.at].Name; got != c.field {
				t.Errorf("enter went to %q, want the field that is wrong, %q", got, c.field)
			}
		})
	}
}

func TestARemoteHostIsPartOfTheForward(t *testing.T) {
	a := dialog(t, Options{}, "enter", "G", "up", "F")
	clearField(t, a)
	typed(t, a, "5432")
	press(t, a, "tab")
	typed(t, a, "orders-db.internal")
	press(t, a, "tab")
	clearField(t, a)
	typed(t, a, "15432")
	press(t, a, "tab", "tab")
	typed(t, a, "30s")
	says(t, a, "-L 15432:orders-db.internal:5432 --keep-alive 30s")
	want(t, a, `forward: "15432:orders-db.internal:5432"`, "target: automation/squid")
	a.Update(tea.PasteMsg{Content: "\x1b[31m\n"})
	wellFormed(t, a)
}

func TestAFreePortIsProposedAndATakenOneNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	a := dialog(t, Options{}, "enter", "G", "up", "F")
	clearField(t, a)
	typed(t, a, strconv.Itoa(port))
	d := a.dialog.(*connect)
	proposal := d.local.Value()
	if proposal == strconv.Itoa(port) || proposal == "" {
		t.Errorf("the dialog proposes local port %q although %d is taken", proposal, port)
	}
	want(t, a, "is in use")
	press(t, a, "tab", "tab")
	clearField(t, a)
	typed(t, a, strconv.Itoa(port))
	want(t, a, "✕", "127.0.0.1:"+strconv.Itoa(port)+" is in use by")
	clearField(t, a)
	want(t, a, "any free port", "the same without this screen", strconv.Itoa(port))
}

// Somebody else takes the port while the dialog says that it is free: what enter meets and the next free port are shown by the
// same message, as a second enter may follow at once.
func TestAPortThatSomebodyTookGivesWayWithTheFailure(t *testing.T) {
	l, _ := worldOf(t, Options{}, fleetOf("a"))
	l.until("clusters 1", "as of")
	l.press("enter")
	l.until("a-web")
	l.press("F")
	l.until("forward a/", "free")
	d := l.a.dialog.(*connect)
	proposal := d.local.Value()
	if taken, err := net.Listen("tcp", "127.0.0.1:"+proposal); err == nil { // else somebody else has it by now, which will do as well
		defer taken.Close()
	}
	l.press("enter")
	for d.opening {
		l.step()
	}
	if d.failure == nil || d.local.Value() == proposal {
		t.Errorf("beside failure %v the dialog proposes local port %q, which was taken", d.failure, d.local.Value())
	}
}

func TestTheRecipesCanBeCopied(t *testing.T) {
	a := dialog(t, Options{}, "enter", "G", "up", "F")
	for _, c := range []struct{ key, says, copied string }{
		{"ctrl+y", "sent to the terminal (OSC 52): culvert", "culvert --headless"},
		{"ctrl+g", "sent to the terminal (OSC 52): - uses", "- uses: "},
	} {
		if got := decoded(t, sent(t, a, c.key)); !strings.HasPrefix(got, c.copied) {
			t.Errorf("%s copied %q, want %s…", c.key, got, c.copied)
		}
		want(t, a, c.says)
	}
}

func TestRecipesAreQuotedForShellsAndYAML(t *testing.T) {
	f, err := tunnel.ParseForward("/run/my$sock:5432")
	if err != nil {
		t.Fatal(err)
	}
	r := recipe{action: "acme/culvert@v1", forward: f, probe: "https://x/?a=1&b=2", keepAlive: time.Minute}
	r.target.Cluster, r.target.Task = "no", "0123"
	if got, want := r.command(), `culvert --headless -c no -t 0123 -L '/run/my$sock:5432' --probe 'https://x/?a=1&b=2' --keep-alive 1m0s`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want := "- uses: acme/culvert@v1\n  with:\n    cluster: \"no\"\n    task: \"0123\"\n    forward: \"/run/my$sock:5432\"\n    probe: \"https://x/?a=1&b=2\"\n    keep-alive: \"1m0s\"\n"
	if got := r.step(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestADialogThatIsLeftChangesNothing(t *testing.T) {
	a := dialog(t, Options{}, "enter", "G", "up", "F")
	typed(t, a, "qx?")
	press(t, a, "esc")
	if a.dialog != nil {
		t.Errorf("esc left dialog %T open", a.dialog)
	}
	want(t, a, "services 5")
}

func TestReadOnlyOpensNoDialog(t *testing.T) {
	a := newTestApp(t, Options{ReadOnly: true}, 100, 30)
	arrives(a, sampleAccount())
	press(t, a, "enter", "F")
	want(t, a, "--read-only")
	if a.dialog != nil {
		t.Errorf("got dialog %T, want none", a.dialog)
	}
	if _, ok := errors.AsType[*ReadOnlyError](error(&ReadOnlyError{})); !ok {
		t.Error("a ReadOnlyError is none")
	}
}

func TestTheDialogPrefersAContainerWhoseAgentRuns(t *testing.T) {
	port := []aws.Port{{Container: 80, Protocol: "tcp"}}
	container := func(name, agent string, ports []aws.Port) aws.Container {
		return aws.Container{Name: name, Agent: aws.Agent{Status: agent}, Ports: ports}
	}
	for want, offered := range map[string][]aws.Container{
		"maps":    {container("first", "RUNNING", nil), container("maps", "RUNNING", port)},
		"runs":    {container("stopped", "STOPPED", port), container("runs", "RUNNING", nil)},
		"stopped": {container("other", "STOPPED", nil), container("stopped", "STOPPED", port)},
	} {
		if got := preferred(offered).Name; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTheDialogRefusesALinkLocalHost(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		a := dialog(t, Options{LinkLocal: allowed}, "enter", "G", "up", "F")
		clearField(t, a)
		typed(t, a, "80")
		d := a.dialog.(*connect)
		d.host.Set("169.254.0xaa02")
		d.check()
		if _, valid := d.valid(); valid != allowed {
			t.Errorf("allowed %t: valid is %t, %q", allowed, valid, d.host.Wrong)
		}
		want(t, a, "--allow-link-local") // of the field, or in the command that does the same
	}
}
