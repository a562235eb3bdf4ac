package screen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/color"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"go.uber.org/goleak"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

func TestControlCQuitsEverywhere(t *testing.T) {
	for name, keys := range map[string][]string{
		"browsing": {"enter"}, "in a dialog": {"enter", "F"}, "typing a filter": {"/", "a"}, "in the help": {"?"}, "picking a region": {"r"}, "asked to quit": {"q"}, "in the log": {"L"},
	} {
		a := visiting(t, sampleAccount(), 100, 30)
		addRow(a, somewhere("127.0.0.1:3128"))
		press(t, a, keys...)
		for _, k := range []tea.KeyPressMsg{pressed("ctrl+c"), {Code: 'c', Mod: tea.ModCtrl | tea.ModAlt}} { // the latter right after esc
			if _, cmd := a.Update(k); cmd == nil || cmd() != tea.Quit() {
				t.Errorf("%s: %s did not quit", name, k)
			}
		}
		a.Update(pressed("ctrl+z"))
		want(t, a, "One tunnel stands still until fg")
		if _, cmd := a.Update(pressed("ctrl+z")); cmd == nil || cmd() != tea.Suspend() {
			t.Errorf("%s: ctrl+z twice did not suspend", name)
		}
	}
}

func TestEveryScreenSurvivesEverySize(t *testing.T) {
	for name, keys := range map[string][]string{
		"browser": {}, "tasks": {"enter", "enter"}, "dialog": {"enter", "F"}, "help": {"?"}, "regions": {"r"}, "profiles": {"p"}, "log": {"L"}, "saved": {"S"}, "tunnels": {"t"}, "quit": {"q"}, "suspend": {"ctrl+z"}, "what failed": {"!"}, "the doctor's URL": {"enter", "G", "up", "d"}, "filter": {"enter", "/", "q"},
	} {
		t.Run(name, func(t *testing.T) {
			a := visiting(t, sampleAccount(), 100, 30)
			addRow(a, somewhere("127.0.0.1:3128"))
			a.fail(&aws.NoRegionError{Profile: strings.Repeat("long ", 40)})
			press(t, a, keys...)
			for _, size := range [][2]int{{60, 15}, {80, 24}, {61, 16}, {119, 19}, {120, 50}, {200, 50}, {400, 100}} {
				a.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				wellFormed(t, a)
			}
			for _, size := range [][2]int{{59, 15}, {60, 14}, {20, 3}, {1, 1}} {
				a.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				if size[0] >= 40 && a.dialog == nil {
					want(t, a, "needs a window of 60 by 15", fmt.Sprintf("%d by %d", size[0], size[1]))
				}
				if got := len(strings.Split(a.View().Content, "\n")); got != size[1] {
					t.Errorf("at %v the screen has %d lines", size, got)
				}
			}
			a.Update(tea.WindowSizeMsg{})
			if got := a.View().Content; got != "" {
				t.Errorf("without a size the screen is %q", got)
			}
		})
	}
}

func TestHelpNamesEveryKey(t *testing.T) {
	a := visiting(t, sampleAccount(), 160, 50)
	press(t, a, "?")
	for _, b := range append(a.keys.remappable(), &a.keys.number, &a.keys.suspend, &a.keys.interrupt) {
		want(t, a, b.Help().Desc, b.Help().Key)
	}
	press(t, a, "?")
	wantNot(t, a, "quit at once")
}

func TestKeysCanBeRemapped(t *testing.T) {
	a := newTestApp(t, Options{Keys: map[string][]string{"quit": {"Q"}, "forward": {"ctrl+o", "w"}}}, 160, 50)
	arrives(a, sampleAccount())
	if _, cmd := a.Update(pressed("q")); cmd != nil {
		t.Error("q still does something")
	}
	if _, cmd := a.Update(pressed("Q")); cmd == nil || cmd() != tea.Quit() {
		t.Error("Q does not quit")
	}
	press(t, a, "enter")
	want(t, a, "ctrl+o forward", "Q quit")
	press(t, a, "w")
	want(t, a, "forward automation/")
}

func TestImpossibleKeysAreRefused(t *testing.T) {
	for _, c := range []struct {
		keys map[string][]string
		says string
	}{
		{map[string][]string{"stopp": {"x"}}, "stopp: no such action"},
		{map[string][]string{"stop": {}}, "stop: no key"},
		{map[string][]string{"stop": {"R"}}, "key R is already for reconnect"},
		{map[string][]string{"help": {"ctrl+c"}}, "key ctrl+c is already for quitting at once"},
		{map[string][]string{"help": {"2"}}, "key 2 is already for a view"},
	} {
		err := CheckKeys(c.keys)
		if err == nil || !strings.Contains(err.Error(), c.says) || say.Remedy(err) == "" {
			t.Errorf("%v: got %v with remedy %q, want %q and a remedy", c.keys, err, say.Remedy(err), c.says)
		}
	}
	if err := CheckKeys(map[string][]string{"stop": {"R"}, "reconnect": {"x"}, "back": {"backspace"}}); err != nil {
		t.Errorf("swapping two keys: got %v, want none", err)
	}
}

func TestAnotherProfileKeepsTheTunnels(t *testing.T) {
	var asked []string
	a := newTestApp(t, Options{
		Profiles: func() []string { return []string{"dev", "prod", "staging"} },
		Connect: func(_ context.Context, profile, region, _ string) (*aws.Client, error) {
			asked = append(asked, profile+"/"+region)
			return nil, &aws.NoRegionError{Profile: profile}
		},
	}, 100, 30)
	arrives(a, sampleAccount())
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "p")
	typed(t, a, "prd")
	press(t, a, "enter")
	want(t, a, "prod · ", "127.0.0.1:3128", "no AWS region")
	press(t, a, "r")
	typed(t, a, "us-moon-1")
	want(t, a, "enter takes us-moon-1")
	press(t, a, "enter")
	want(t, a, "region us-moon-1")
	press(t, a, "p")
	press(t, a, "esc")
	if !slices.Equal(asked, []string{"prod/", "prod/us-moon-1"}) {
		t.Errorf("connected to %q", asked)
	}
}

func TestExpiryIsSeenInTime(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	want(t, a, "culvert  dev", account, "eu-west-1", "Developer/kim", "expires in 3h00m")
	a.here.expires = start().Add(9 * time.Minute)
	want(t, a, "expires in 9m00s")
	if text, alarm := a.expiry(); !alarm {
		t.Errorf("%q gives no alarm", text)
	}
	a.here.expires = start().Add(-time.Second)
	want(t, a, "expired")
}

func TestTheHeaderKeepsItsFactsAtEveryWidth(t *testing.T) {
	for w := draw.MinWidth; w <= 200; w += 7 {
		for _, h := range []int{15, 24} {
			a := visiting(t, sampleAccount(), w, h)
			a.here.identity.ARN = "arn:aws:sts::" + account + ":assumed-role/AWSReservedSSO_AdministratorAccess_0123456789abcdef/kim.jensen@example.com"
			want(t, a, "dev", account, "eu-west-1", "3h00m")
			head, _, _ := strings.Cut(shot(a), "\n")
			if !strings.Contains(head, "AWS") && !strings.Contains(head, "com") {
				t.Errorf("at %d by %d the role is nowhere: %s", w, h, head)
			}
			wellFormed(t, a)
		}
	}
}

func TestWithoutUnicodeThereIsNone(t *testing.T) {
	for _, locale := range []string{"C", "POSIX", "de_DE.ISO-8859-1"} {
		a := newTestApp(t, Options{Getenv: func(name string) string { return map[string]string{"LANG": locale}[name] }}, 80, 24)
		c := sampleAccount()
		c.Clusters[0].Services[0].Name = "データ基盤"
		arrives(a, c)
		addRow(a, somewhere("127.0.0.1:3128"))
		for _, key := range []string{"enter", "F", "esc", "enter", "?", "esc", "t", "enter", "L"} {
			press(t, a, key)
			wellFormed(t, a)
			if i := strings.IndexFunc(a.View().Content, func(r rune) bool { return r >= utf8.RuneSelf }); i >= 0 {
				t.Errorf("LANG=%s after %s: got %q on screen, want ASCII alone", locale, key, a.View().Content[i:i+3])
			}
		}
	}
	for _, env := range []map[string]string{{}, {"LANG": "C.UTF-8"}, {"LANG": "C", "LC_ALL": "en_US.utf8"}} {
		if !draw.UnicodeLocale(func(name string) string { return env[name] }) {
			t.Errorf("%v: got no Unicode, want it", env)
		}
	}
}

func TestColoursFollowTheTerminal(t *testing.T) {
	colours := func(profile colorprofile.Profile, background color.Color) string {
		a := visiting(t, sampleAccount(), 80, 24)
		a.Update(tea.ColorProfileMsg{Profile: profile})
		if background != nil {
			a.Update(tea.BackgroundColorMsg{Color: background})
		}
		press(t, a, "enter")
		return a.View().Content
	}
	if got := colours(colorprofile.ASCII, nil); strings.Contains(got, "38;") || strings.Contains(got, "[3") || strings.Contains(got, "[9") {
		t.Error("a terminal without colours gets some")
	}
	if got := colours(colorprofile.ANSI, nil); strings.Contains(got, "38;") || !strings.Contains(got, "[9") {
		t.Error("a terminal of 16 colours does not get the bright ones of its own")
	}
	dark, unanswered, light := colours(colorprofile.TrueColor, color.Black), colours(colorprofile.TrueColor, nil), colours(colorprofile.TrueColor, color.White)
	if dark != unanswered {
		t.Error("a terminal that answers no query is not taken for a dark one")
	}
	if dark == light {
		t.Error("light and dark terminals get the same colours")
	}
}

func TestGoldenScreens(t *testing.T) {
	for _, size := range []struct {
		name string
		w, h int
	}{{"80x24", 80, 24}, {"160x50", 160, 50}} {
		for _, c := range []struct {
			name string
			keys []string
		}{
			{"clusters", nil}, {"services", []string{"enter"}}, {"tasks", []string{"enter", "enter", "down"}},
			{"containers", []string{"G", "enter", "enter", "enter"}}, {"forward", []string{"G", "enter", "F"}}, {"help", []string{"?"}}, {"regions", []string{"r"}}, {"quit", []string{"q"}}, {"copy", []string{"t", "y"}},
		} {
			a := visiting(t, sampleAccount(), size.w, size.h)
			a.o.Keep = func(context.Context, []Kept) (string, error) { return "kept", nil }
			line := addRow(a, somewhere("127.0.0.1:3128"))
			flow(line, 30)
			asKnown(a, "http-proxy")
			press(t, a, c.keys...)
			if d, ok := a.dialog.(*connect); ok {
				d.local.Set("3128") // whatever is free on this machine
				d.local.About = "free"
			}
			golden(t, c.name+"-"+size.name, shot(a))
		}
	}
}

func TestGoldenColours(t *testing.T) {
	for _, c := range []struct {
		name       string
		profile    colorprofile.Profile
		background color.Color
	}{
		{"dark", colorprofile.TrueColor, color.Black}, {"light", colorprofile.TrueColor, color.White},
		{"sixteen", colorprofile.ANSI, color.Black}, {"no-colour", colorprofile.ASCII, color.Black},
	} {
		a := visiting(t, sampleAccount(), 80, 24)
		flow(addRow(a, somewhere("127.0.0.1:3128")), 30)
		a.Update(tea.ColorProfileMsg{Profile: c.profile})
		a.Update(tea.BackgroundColorMsg{Color: c.background})
		press(t, a, "enter", "enter")
		golden(t, "colours-"+c.name, strings.ReplaceAll(a.View().Content, "\x1b", "␛")+"\n")
	}
}

// runOn is Run without a terminal: keys come from in, what is drawn goes to out.
func runOn(ctx context.Context, o Options, in io.Reader, out io.Writer) error {
	o.In, o.Out = in, out
	o.Engine = func(c *aws.Client) *tunnel.Engine { return tunnel.New(tunnel.Options{Client: c}) }
	_, _, err := Run(ctx, o)
	return err
}

func TestTheEndLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var out bytes.Buffer
	in, keys := io.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	connect := func(ctx context.Context, _, _, _ string) (*aws.Client, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ended := errors.New("told to end")
	time.AfterFunc(200*time.Millisecond, func() { cancel(ended) })
	if err := runOn(ctx, Options{Connect: connect}, in, &out); !errors.Is(err, ended) {
		t.Errorf("got %v, want the cause of the context", err)
	}
	_ = keys.Close()
	_ = in.Close()
	if text := out.String(); strings.Count(text, "\x1b[?1049h") != strings.Count(text, "\x1b[?1049l") {
		t.Errorf("the terminal was not restored: %q", text)
	}
}

func TestAPanicWhileDrawingOrDecidingEndsTheProgram(t *testing.T) {
	for name, breakIt := range map[string]func(*app){
		"drawing":  func(a *app) { a.here = nil; a.View() },
		"deciding": func(a *app) { a.Update(then(func() wish { panic("no") })) },
	} {
		a := visiting(t, sampleAccount(), 100, 30)
		breakIt(a)
		if _, cmd := a.Update(nil); a.broken == nil || cmd == nil || cmd() != tea.Quit() {
			t.Errorf("%s: the program goes on after a panic", name)
		}
	}
}

func TestAPanicIsReportedAfterTheScreenIsGone(t *testing.T) {
	var out bytes.Buffer
	in, keys := io.Pipe()
	defer keys.Close()
	err := runOn(t.Context(), Options{Connect: func(context.Context, string, string, string) (*aws.Client, error) { panic("something is wrong") }}, in, &out)
	broken, ok := errors.AsType[*PanicError](err)
	if !ok || say.Remedy(err) == "" || !strings.Contains(err.Error(), "something is wrong") || !strings.Contains(string(broken.Stack), "app_test.go") {
		t.Errorf("got %v, want a *PanicError with a remedy and the place", err)
	}
	if text := out.String(); strings.Count(text, "\x1b[?1049h") != strings.Count(text, "\x1b[?1049l") {
		t.Errorf("the terminal was not restored: %q", text)
	}
}
