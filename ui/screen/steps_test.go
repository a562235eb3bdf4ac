package screen

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"culvert/aws"
	"culvert/tunnel"
)

// start is when every test of the screen takes place.
func start() time.Time { return time.Date(2026, 11, 22, 21, 40, 3, 0, time.UTC) }

// newTestApp is an interface in an account that was reached and looked at, with the clock standing still.
func newTestApp(t *testing.T, o Options, w, h int) *app {
	t.Helper()
	if o.Now == nil {
		o.Now = start
	}
	o.Action = "acme/culvert@v1"
	a, err := newApp(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	at := &place{of: a.accounts, profile: "dev", region: "eu-west-1", sight: clusters, ended: start().Add(time.Hour)}
	at.identity = aws.Identity{Account: "111122223333", ARN: "arn:aws:sts::111122223333:assumed-role/Developer/kim"}
	at.expires = start().Add(3 * time.Hour)
	a.places, a.here = []*place{at}, at
	a.Update(tea.WindowSizeMsg{Width: w, Height: h})
	return a
}

// shot is the screen without colours, without blanks at the ends of lines.
func shot(a *app) string {
	lines := strings.Split(ansi.Strip(a.View().Content), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// press presses keys one after the other, and does at once what they set off.
func press(t *testing.T, a *app, keys ...string) {
	t.Helper()
	for _, name := range keys {
		_, cmd := a.Update(pressed(name))
		settle(t, a, cmd)
		a.View() // as the program does after every message
	}
}

// pressed is the message of a key as terminals send it.
func pressed(name string) tea.KeyPressMsg {
	special := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
		"shift+tab": tea.KeyTab, "left": tea.KeyLeft, "right": tea.KeyRight, "backspace": tea.KeyBackspace, "space": tea.KeySpace,
	}
	if code, ok := special[name]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	if letter, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(letter[0]), Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

// typed presses a key for every letter.
func typed(t *testing.T, a *app, text string) {
	t.Helper()
	for _, r := range text {
		press(t, a, string(r))
	}
}

// settle runs a command and what follows from it; ticks are left to the test.
func settle(t *testing.T, a *app, cmd tea.Cmd) {
	t.Helper()
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil, tickMsg:
	case tea.BatchMsg:
		for _, c := range msg {
			settle(t, a, c)
		}
	default:
		_, next := a.Update(msg)
		settle(t, a, next)
	}
}

// want fails the test unless the screen holds every text.
func want(t *testing.T, a *app, texts ...string) {
	t.Helper()
	screen := shot(a)
	for _, text := range texts {
		if !strings.Contains(screen, text) {
			t.Errorf("the screen has no %q:\n%s", text, screen)
		}
	}
}

// wantNot fails the test if the screen holds one of the texts.
func wantNot(t *testing.T, a *app, texts ...string) {
	t.Helper()
	screen := shot(a)
	for _, text := range texts {
		if strings.Contains(screen, text) {
			t.Errorf("the screen has %q:\n%s", text, screen)
		}
	}
}

// addRow shows a tunnel that is a reading alone.
func addRow(a *app, r reading) *row {
	line := &row{reading: r, place: a.here}
	a.tunnels.add(line)
	a.pane.table.Set(a.tunnels.rows)
	return line
}

// somewhere is an open tunnel to a Squid service, three minutes old.
func somewhere(local string) reading {
	return reading{
		Spec:  tunnel.Spec{Target: aws.Target{Cluster: "automation", Service: "squid"}, Remote: tunnel.Endpoint{Port: 3128}},
		Local: netip.MustParseAddrPort(local), State: tunnel.Open, Opened: start().Add(-3 * time.Minute), Since: start().Add(-2 * time.Minute),
		Link: tunnel.Link{
			Target:  aws.Target{Cluster: "automation", Service: "squid", Task: "07408d3399c1dcf0bcedaef036d70eb6", Container: "squid"},
			Session: "demo-6axhoqgihllrcjrsafw6rx43g3", Agent: "3.3.987.0",
		},
		Stats: tunnel.Stats{Connections: 2, Accepted: 40, RoundTrip: 12 * time.Millisecond, Retries: 1, Lanes: 1},
	}
}

// flow lets traffic pass through a row for some seconds, in waves.
func flow(r *row, seconds int) {
	begin := start().Add(-time.Duration(seconds) * time.Second)
	r.meter.observe(begin, 0, 0)
	for s := range seconds {
		r.Stats.Sent += uint64(1000 * (1 + s%7))
		r.Stats.Received += uint64(100_000 * (s % 11))
		r.meter.observe(begin.Add(time.Duration(s+1)*time.Second), r.Stats.Sent, r.Stats.Received)
	}
}

// loop runs the interface as the program does: commands at the side, messages one after the other.
type loop struct {
	*testing.T
	a        *app
	over     <-chan struct{}
	messages chan tea.Msg
	pending  sync.WaitGroup
}

func newLoop(t *testing.T, a *app) *loop {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &loop{T: t, a: a, over: ctx.Done(), messages: make(chan tea.Msg)}
	t.Cleanup(func() {
		cancel()
		l.pending.Wait() // a tick cannot be called off, and takes a second at most
	})
	return l
}

func (l *loop) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	l.pending.Go(func() {
		msg := cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			for _, c := range batch {
				l.run(c)
			}
			return
		}
		select {
		case l.messages <- msg:
		case <-l.over:
		}
	})
}

// press presses keys.
func (l *loop) press(keys ...string) {
	for _, name := range keys {
		_, cmd := l.a.Update(pressed(name))
		l.run(cmd)
	}
}

// submit presses enter in a dialog that proposes a free local port, and once more whenever somebody else has taken that meanwhile.
func (l *loop) submit() {
	l.Helper()
	d := l.a.dialog
	l.until("free")
	l.press("enter")
	l.when("the dialog is done", func() bool {
		if strings.Contains(shot(l.a), "! 127.0.0.1:") { // the next free port stands there
			l.press("enter")
		}
		return l.a.dialog != d
	})
}

// until takes messages until the screen holds every text.
func (l *loop) until(texts ...string) {
	l.Helper()
	late := time.After(20 * time.Second)
	for {
		screen, missing := shot(l.a), ""
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		select {
		case msg := <-l.messages:
			_, cmd := l.a.Update(msg)
			l.run(cmd)
		case <-late:
			l.Fatalf("after 20 s the screen has no %q:\n%s", missing, screen)
		}
	}
}

// many is n tunnels in every state, with hard names.
func many(a *app, n int) {
	for i := range n {
		r := somewhere(fmt.Sprintf("127.0.0.1:%d", 10_000+i))
		r.State = tunnel.State(i % 8)
		switch i % 5 {
		case 1:
			r.Spec.Remote.Host = strings.Repeat("very-long-host.", 16) + "internal"
		case 2:
			r.Spec.Target.Service = "サービス-" + strings.Repeat("ビ", 40)
		case 3:
			r.Spec.Target.Service, r.Spec.Target.Cluster = "evil\x1b[2J\u202e", "\x1b[2J"
			r.Spec.Remote.Host, r.Spec.Socket = "db\x1b[2J", "/run/\x1b]0;owned\x07.sock"
		}
		if r.State == tunnel.Failed {
			r.Err = fmt.Errorf("the session %d\x1b]0;owned\x07 ended", i)
		}
		line := addRow(a, r)
		flow(line, i%13)
	}
}

// step takes the next message.
func (l *loop) step() {
	l.Helper()
	select {
	case msg := <-l.messages:
		_, cmd := l.a.Update(msg)
		l.run(cmd)
	case <-time.After(20 * time.Second):
		l.Fatalf("nothing has happened for 20 s:\n%s", shot(l.a))
	}
}
