package screen

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/ui/headless"
)

// startsThings are the options of an interface that can start things, as it does in truth.
func startsThings(o Options) Options {
	o.Family = "culvert-squid"
	o.Errand = func(order aws.Order, _ *aws.Client) Errand {
		return &headless.Errand{OnDemand: &headless.OnDemand{Order: order}, Wait: time.Minute}
	}
	return o
}

// onSquid is the interface on the demo's account, with the form for its squid service.
func onSquid(t *testing.T, o Options, before func(*emulator.Emulator)) (*loop, *emulator.Emulator) {
	t.Helper()
	l, account := worldOf(t, startsThings(o), emulator.Demo())
	if before != nil {
		before(account)
	}
	l.until("as of", "automation")
	l.a.browse.table().MoveTo("automation")
	l.press("enter")
	l.until("squid", "reports")
	l.a.browse.table().MoveTo("squid")
	l.press("F")
	l.until("forward automation/squid", "start ")
	return l, account
}

// wants fills the field about what is to be started.
func (l *loop) wants(what string) *connect {
	l.Helper()
	d := l.a.dialog.(*connect)
	d.at = slices.Index(d.fields(), d.starting.start)
	for range 3 {
		if d.starting.start.Value() == what {
			return d
		}
		l.press("right")
	}
	l.Fatalf("the form offers no %q:\n%s", what, shot(l.a))
	return nil
}

// runs waits until so many tasks of ours run.
func (l *loop) runs(account *emulator.Emulator, n int) {
	l.Helper()
	for end := time.Now().Add(20 * time.Second); len(account.Running("automation")) != n; {
		if time.Now().After(end) {
			l.Fatalf("got running tasks %v, want %d:\n%s", account.Running("automation"), n, shot(l.a))
		}
		select {
		case msg := <-l.messages:
			_, cmd := l.a.Update(msg)
			l.run(cmd)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestATaskRunsAsLongAsTheTunnelToIt(t *testing.T) {
	t.Parallel()
	l, account := onSquid(t, Options{}, nil)
	d := l.wants(startTask)
	d.port.Set("3128")
	local := strconv.Itoa(int(need.Port(t))) // that nobody else takes until the tunnel is opened again
	d.local.Set(local)
	d.check()
	want(t, l.a, "starts a task of squid, and stops it with the tunnel", "definition    squid", "ttl           2h", "share         no: it is this tunnel's own")
	says(t, l.a, "--target automation/squid -L "+local+":3128 --run squid")
	d.starting.definition.Set("culvert-squid")
	d.starting.ttl.Set("90m")
	d.starting.share.Set(yes)
	says(t, l.a, "--target automation/squid -L "+local+":3128 --run culvert-squid --ttl 1h30m --share")
	want(t, l.a, "run: culvert-squid", `ttl: "1h30m"`, `share: "true"`)
	d.starting.share.Set("")
	l.press("enter")
	l.until("starting", "waiting: automation/", "is not ready: the task is P")
	l.until("● open")
	l.runs(account, 1)
	l.press("s")
	want(t, l.a, "cannot be saved", "has no word for that")
	l.press("enter")
	l.until("its task ends with it")
	l.press("x")
	l.until("stopped task ", "u opens the tunnel again")
	l.runs(account, 0)
	l.press("u")
	l.until("● open")
	l.runs(account, 1)
	if err := l.a.close(); err != nil { // as when the program ends
		t.Errorf("close: %v", err)
	}
	l.runs(account, 0)
}

func TestTheEndOfATasksTimeIsSaid(t *testing.T) {
	t.Parallel()
	l, account := onSquid(t, Options{}, nil)
	d := l.wants(startTask)
	d.starting.definition.Set("culvert-squid")
	d.port.Set("3128")
	d.local.Set("0")
	d.starting.ttl.Set("2s")
	d.check()
	want(t, l.a, "whole seconds from 1m to 12h")
	if _, ok := d.valid(); ok {
		t.Error("a time of 2s is taken")
	}
	d.starting.ttl.Set("1m")
	d.check()
	l.a.tunnels.errand = func(o aws.Order, _ *aws.Client) Errand {
		o.TTL = 3 * time.Second // which ends it in the account as well as here
		return &headless.Errand{OnDemand: &headless.OnDemand{Order: o}, Wait: time.Minute}
	}
	l.press("enter")
	l.until("● open")
	account.Elapse(3 * time.Second)
	l.until("the task's time of 3s is over")
	l.runs(account, 0)
}

func TestAServiceIsScaledUpAsLongAsTheTunnelToIt(t *testing.T) {
	t.Parallel()
	l, account := onSquid(t, Options{}, func(account *emulator.Emulator) {
		if err := account.Scale("automation", "squid", 0); err != nil {
			t.Fatal(err)
		}
	})
	l.until("the service is scaled to zero: start, below")
	d := l.wants(startService)
	d.port.Set("3128")
	d.local.Set("0")
	d.check()
	want(t, l.a, "down when its last user leaves")
	says(t, l.a, "--target automation/squid -L 0:3128 --start")
	l.press("enter")
	l.until("● open")
	if n := account.Desired("automation", "squid"); n != 1 {
		t.Errorf("the service wants %d tasks, want 1", n)
	}
	l.press("x")
	l.until("is scaled to zero again")
	if n := account.Desired("automation", "squid"); n != 0 {
		t.Errorf("the service wants %d tasks, want none", n)
	}
}

func TestWhatCannotBeStartedForATunnelSaysWhy(t *testing.T) {
	for _, c := range []struct {
		kind emulator.StartFaultKind
		says []string
	}{
		{emulator.NoCapacity, []string{"Capacity is unavailable at this time", "wait for Fargate capacity"}},
		{emulator.NoMemory, []string{"no place for culvert-squid", "no container instance has room"}},
		{emulator.NoImage, []string{"CannotPullContainerError", "correct the image"}},
		{emulator.NoAddresses, []string{"InsufficientFreeAddressesInSubnet", "no free address left"}},
	} {
		t.Run(fmt.Sprint(c.kind), func(t *testing.T) {
			t.Parallel()
			l, account := onSquid(t, Options{}, func(account *emulator.Emulator) {
				account.Fault(func(f *emulator.Faults) { f.Starts = []emulator.StartFault{{Kind: c.kind}} })
			})
			d := l.wants(startTask)
			d.starting.definition.Set("culvert-squid")
			d.port.Set("3128")
			d.local.Set("0")
			d.check()
			l.press("enter")
			l.until(c.says...)
			l.until("✕ failed")
			l.runs(account, 0)
			l.press("e") // it can be changed, and says what it was
			l.until("change automation/squid", "definition    culvert-squid")
		})
	}
}

func TestWhatIsBeingStartedCanBeCalledOff(t *testing.T) {
	for name, end := range map[string]func(*loop){
		"stopped": func(l *loop) {
			l.press("x")
			l.until("nothing is opened")
			wantNot(l.T, l.a, "starting")
		},
		"left": func(l *loop) {
			l.press("q")
			want(l.T, l.a, "What is being started for a tunnel is stopped.")
			if _, cmd := l.a.Update(pressed("q")); cmd == nil || cmd() != tea.Quit() {
				l.Error("the second q does not quit")
			}
			if err := l.a.close(); err != nil {
				l.Errorf("close: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, account := onSquid(t, Options{}, func(account *emulator.Emulator) {
				account.Fault(func(f *emulator.Faults) { f.Starts = []emulator.StartFault{{Kind: emulator.NeverStarts}} })
			})
			d := l.wants(startTask)
			d.starting.definition.Set("culvert-squid")
			d.port.Set("3128")
			d.local.Set("0")
			d.check()
			l.press("enter")
			l.until("is not ready: the task is P")
			l.runs(account, 1)
			l.press("R") // is nothing to be done twice
			l.press("enter")
			l.until("on its way; whatever becomes of this process") // the page about it tells all
			l.press("esc")
			end(l)
			l.runs(account, 0)
		})
	}
}

// The process that goes on with a tunnel ends what was started for it, and the interface does not.
func TestWhatIsStartedGoesOnWithAKeptTunnel(t *testing.T) {
	t.Parallel()
	var kept []Kept
	l, account := onSquid(t, Options{Keep: func(_ context.Context, all []Kept) (string, error) { kept = all; return "kept", nil }}, nil)
	d := l.wants(startTask)
	d.starting.definition.Set("culvert-squid")
	d.port.Set("3128")
	d.local.Set("0")
	d.check()
	l.press("enter")
	l.until("● open")
	l.press("q", "b")
	for l.a.kept == "" {
		_, cmd := l.a.Update(<-l.messages)
		if cmd != nil && l.a.kept == "" {
			l.run(cmd)
		}
	}
	if err := l.a.close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if n := len(account.Running("automation")); n != 1 {
		t.Errorf("%d tasks run after the interface has ended, want 1", n)
	}
	if len(kept) != 1 || kept[0].End == nil || !strings.Contains(strings.Join(kept[0].Flags, " "), "--target automation/squid -L ") || !strings.Contains(strings.Join(kept[0].Flags, " "), "--run culvert-squid") {
		t.Fatalf("kept is %+v, want the tunnel with its end and --run", kept)
	}
	if err := kept[0].Engine.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	for range 2 { // it may be asked for twice
		if err := kept[0].End(t.Context(), func(string) {}); err != nil {
			t.Errorf("end: %v", err)
		}
	}
	l.runs(account, 0)
}

func TestNothingIsStartedReadOnly(t *testing.T) {
	a := newTestApp(t, startsThings(Options{ReadOnly: true}), 100, 40)
	arrives(a, sampleAccount())
	press(t, a, "enter", "G", "up", "F")
	want(t, a, "culvert runs with --read-only: it opens and ends nothing")
	press(t, a, "i", "F")
	if d, ok := a.dialog.(*connect); ok {
		d.starting.start.Set(startTask)
		press(t, a, "enter")
		want(t, a, "culvert runs with --read-only: it opens and ends nothing", "start it without --read-only")
	}
	if len(a.tunnels.errands)+len(a.tunnels.rows) > 0 {
		t.Error("something is being started")
	}
}

// A task, a container and a task without a service have nothing that could be started in their place.
func TestOnlyAServiceCanBeStarted(t *testing.T) {
	o := startsThings(Options{})
	a := dialog(t, o, "enter", "G", "up", "F")
	want(t, a, "start         nothing: what is there is used")
	wantNot(t, a, "definition", "share")
	a = dialog(t, o, "enter", "G", "up", "D")
	want(t, a, "start         nothing")
	d := a.dialog.(*connect)
	d.starting.start.Set(startTask)
	d.turnedStart()
	d.local.Set("1080")
	d.starting.definition.Set("a b")
	d.check()
	want(t, a, "FAMILY, FAMILY:REVISION or an ARN")
	d.starting.definition.Set("culvert-squid:3")
	d.check()
	says(t, a, "-D 1080 --run culvert-squid:3")
	a = dialog(t, o, "enter", "G", "up", "enter", "F")
	wantNot(t, a, "start  ")
	a = dialog(t, Options{}, "enter", "G", "up", "F") // an interface that starts nothing
	wantNot(t, a, "start  ")
}

func TestTheFormOfWhatIsStartedFitsEverySize(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {200, 50}} {
		a := newTestApp(t, startsThings(Options{}), size[0], size[1])
		arrives(a, sampleAccount())
		press(t, a, "G", "enter", "D") // of several containers
		d := a.dialog.(*connect)
		d.starting.start.Set(startTask)
		d.turnedStart()
		wellFormed(t, a)
		if size[1] >= 24 {
			want(t, a, "start ", "definition ", "ttl ", "share ")
		}
		d.at = len(d.fields()) - 1
		wellFormed(t, a)
	}
}
