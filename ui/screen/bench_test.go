package screen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"culvert/aws"
	"culvert/tunnel"
)

// busyScreen is 1,000 tasks above 50 tunnels on 200 by 50, and a function that lets 100 ms of traffic pass.
func busyScreen(tb testing.TB) (a *app, pass func()) {
	tb.Helper()
	now := start()
	a, err := newApp(tb.Context(), Options{Now: func() time.Time { return now }})
	if err != nil {
		tb.Fatal(err)
	}
	a.Update(tea.WindowSizeMsg{Width: 200, Height: 50})
	a.here.ended = now.Add(24 * time.Hour)
	arrives(a, crowd(1000))
	a.Update(pressed("enter"))
	a.Update(pressed("enter"))
	var rows []*row
	for i := range 50 {
		rows = append(rows, addRow(a, somewhere(fmt.Sprintf("127.0.0.1:%d", 10000+i))))
	}
	return a, func() {
		now = now.Add(100 * time.Millisecond)
		for i, r := range rows {
			r.Stats.Sent += uint64(100 * i)
			r.Stats.Received += uint64(12_345 * (i + now.Nanosecond()/1e8))
		}
	}
}

// BenchmarkTick is one of ten beats a second, drawn: 3 ms are allowed.
func BenchmarkTick(b *testing.B) {
	a, pass := busyScreen(b)
	measured(b, func() {
		for b.Loop() {
			pass()
			a.Update(tickMsg{a.beat})
			a.View()
		}
	})
}

// BenchmarkKeypress is a key on a list of 10,000 rows, drawn: 5 ms are allowed.
func BenchmarkKeypress(b *testing.B) {
	for _, c := range []struct {
		name string
		keys []string
	}{
		{"move", []string{"j", "k", "ctrl+f", "ctrl+b"}},
		{"filter", []string{"/", "4", "f", "backspace", "2", "esc"}},
		{"sort", []string{"o"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			a, err := newApp(b.Context(), Options{Now: start})
			if err != nil {
				b.Fatal(err)
			}
			a.Update(tea.WindowSizeMsg{Width: 200, Height: 50})
			arrives(a, crowd(10_000))
			a.Update(pressed("enter"))
			a.Update(pressed("enter"))
			a.View()
			i := 0
			measured(b, func() {
				for b.Loop() {
					a.Update(pressed(c.keys[i%len(c.keys)]))
					a.View()
					i++
				}
			})
		})
	}
}

// BenchmarkFresh is a catalog of 5,000 tasks that has arrived.
func BenchmarkFresh(b *testing.B) {
	a, err := newApp(b.Context(), Options{Now: start})
	if err != nil {
		b.Fatal(err)
	}
	a.Update(tea.WindowSizeMsg{Width: 200, Height: 50})
	c := crowd(5000)
	arrives(a, c)
	a.Update(pressed("enter"))
	a.Update(pressed("enter"))
	measured(b, func() {
		for b.Loop() {
			arrives(a, c)
			a.View()
		}
	})
}

// The limits hold on two cores with other work on them: each is the best of several, which other work cannot improve.
func TestTheScreenIsQuickEnough(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("timings mean nothing with -race, and take too long with -short")
	}
	a, pass := busyScreen(t)
	tick := best(50, func() {
		pass()
		a.Update(tickMsg{a.beat})
		a.View()
	})
	if tick > 3*time.Millisecond {
		t.Errorf("a tick with 1,000 tasks and 50 busy tunnels took %s, want 3 ms at the most", tick)
	}
	arrives(a, crowd(10_000))
	for _, keys := range [][]string{
		{"j", "k"},
		{"ctrl+f", "ctrl+b"},
		{"G", "g"},
		{"/", "4", "f", "backspace", "backspace", "enter"},
		{"/", "z", "esc"},
		slices.Repeat([]string{"o"}, 3),
		{":", "4", "f", "backspace", "w", "down", "esc"},
	} {
		shortest := slices.Repeat([]time.Duration{time.Hour}, len(keys))
		for range 10 {
			for i, key := range keys {
				shortest[i] = min(shortest[i], best(1, func() { a.Update(pressed(key)); a.View() }))
			}
		}
		t.Logf("keys %s on 10,000 rows: %s", keys, shortest)
		if slowest := slices.Max(shortest); slowest > 5*time.Millisecond {
			t.Errorf("one of the keys %s on 10,000 rows took %s, want 5 ms at the most", keys, slowest)
		}
	}
}

// throng is the busy screen with the page about a tunnel over the tasks. Its first function lets 100 ms pass in which twenty
// connections of the 50 tunnels have begun and twenty have ended: 200 a second, told in batches as the engine tells them.
// The second, after a tick, gives the page as many as the engine remembers.
func throng(tb testing.TB) (a *app, pass, tell func()) {
	tb.Helper()
	a, traffic := busyScreen(tb)
	d := newDetail(a.look, a.tunnels, a.tunnels.rows[49])
	a.grant(show(d))
	var all []tunnel.Connection
	var id uint64
	for i, r := range a.tunnels.rows {
		r.ID = tunnel.ID(i)
	}
	return a, func() {
		traffic()
		var batch []tunnel.Ending
		for i := range 20 {
			id++
			c := tunnel.Connection{
				ID: id, Started: a.now, Protocol: tunnel.ProtocolHTTPConnect, Host: fmt.Sprintf("host-%d.production.internal:443", id%500),
				Sent: 500 + id, Received: 40_000 + id, Requests: 1,
			}
			if all = append(all, c); len(all) > 140 {
				all = all[1:] // a hundred that have ended, forty that are open
			}
			if ended := len(all) - 40 + i; ended >= 0 && ended < len(all) {
				all[ended].Ended = a.now
			}
			c.Ended = a.now
			batch = append(batch, tunnel.Ending{Tunnel: a.tunnels.rows[i].ID, Connection: c})
		}
		a.tunnels.ended(a.here, batch)
		a.View() // as bubbletea asks for it after every message
	}, func() { d.fill(all, nil) }
}

// driven is the throng as a program. The figures of its tunnels are made up, and change with every tick: reading
// them off real ones is what BenchmarkReading measures, and carrying the bytes is the engine's work, not the screen's.
type driven struct {
	*app

	pass, tell func()
	ticks      int
}

func (d *driven) Init() tea.Cmd { return d.hurry() }

func (d *driven) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	_, ticked := msg.(tickMsg)
	if ticked {
		d.ticks++
		d.pass()
	}
	_, cmd := d.app.Update(msg)
	if ticked {
		d.tell()
	}
	return d, cmd
}

// swallow counts what is written to it.
type swallow int

func (s *swallow) Write(p []byte) (int, error) {
	*s += swallow(len(p))
	return len(p), nil
}

// screenShare is the processor time per tick of a whole program with a busy screen: bubbletea, the garbage and all else
// that this process does, while it is drawn ten times a second to a terminal that takes everything.
func screenShare(t *testing.T) time.Duration {
	t.Helper()
	a, pass, tell := throng(t)
	d := &driven{app: a, pass: pass, tell: tell}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var shown swallow
	in, keys := io.Pipe()
	defer func() { _, _ = keys.Close(), in.Close() }()
	program := tea.NewProgram(d, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(&shown), tea.WithoutSignalHandler(),
		tea.WithWindowSize(200, 50), tea.WithColorProfile(colorprofile.TrueColor), tea.WithEnvironment([]string{"TERM=xterm-256color"}))
	began := processorTime()
	_, err := program.Run()
	used := processorTime() - began
	if !errors.Is(err, tea.ErrProgramKilled) || a.broken != nil || d.ticks < 5 {
		t.Fatalf("got %d ticks in two seconds, %v, %v", d.ticks, err, a.broken)
	}
	if int(shown) < d.ticks*500 {
		t.Fatalf("%d ticks drew %d bytes: that is no busy screen", d.ticks, shown)
	}
	t.Logf("%d ticks in 2 s drew %d kB and took %s of a processor: %.1f %% of a core at ten a second", d.ticks, shown/1000, used, 100*used.Seconds()/float64(d.ticks)*10)
	return used / time.Duration(d.ticks)
}

func TestAThrongOfConnectionsIsDrawnQuicklyEnough(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("timings mean nothing with -race, and take too long with -short")
	}
	a, pass, tell := throng(t)
	beat := func() {
		pass()
		a.Update(tickMsg{a.beat})
		tell()
		a.View()
	}
	for range 20 {
		beat()
	}
	want(t, a, "[connections 140]", "host-", "40 kB/s")
	tick := best(50, beat)
	t.Logf("a tick with 200 connections a second on 50 tunnels above 1,000 tasks: %s", tick)
	if tick > 3*time.Millisecond {
		t.Errorf("a tick took %s, want 3 ms at the most", tick)
	}
}

func TestTheScreenTakesATenthOfACoreAtMost(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("timings mean nothing with -race, and take too long with -short")
	}
	const limit = 10 * time.Millisecond // per tick, ten times a second
	least := time.Hour
	for range 3 {
		if least = min(least, screenShare(t)); least <= limit {
			return
		}
	}
	t.Errorf("a tick of the whole program took %s with 1,000 tasks, 50 busy tunnels and 200 connections a second, want %s at the most: a tenth of a core", least, limit)
}

// BenchmarkReading is what the screen reads off one tunnel with every tick.
func BenchmarkReading(b *testing.B) {
	client, err := aws.Connect(b.Context(), aws.Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Keys: aws.Keys{ID: "AKIDEXAMPLE", Secret: "secret"}})
	if err != nil {
		b.Fatal(err)
	}
	engine := tunnel.New(tunnel.Options{Client: client})
	defer func() { _ = engine.Close(b.Context()) }()
	t, err := engine.Open(tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "s"}, Remote: tunnel.Endpoint{Port: 7000}})
	if err != nil {
		b.Fatal(err)
	}
	r := &row{tunnel: t}
	for b.Loop() {
		r.look(start())
	}
}

// best is the shortest of several times that something takes, in processor time: other work on the machine is not ours.
func best(times int, do func()) time.Duration {
	shortest := time.Hour
	for range times {
		began := processorTime()
		do()
		shortest = min(shortest, processorTime()-began)
	}
	return shortest
}

// measured reports the processor time of a benchmark's loop.
func measured(b *testing.B, loop func()) {
	b.Helper()
	began := processorTime()
	loop()
	b.ReportMetric(float64(processorTime()-began)/float64(b.N)/1e6, "cpu-ms/op")
}

func TestAnAccountOf5000TasksFitsIntoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	a := visiting(t, crowd(5000), 200, 50)
	press(t, a, "enter", "enter", "/", "4")
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 100<<20 {
		t.Errorf("5,000 tasks on screen take %d MB, want 100 at the most", used>>20)
	}
	runtime.KeepAlive(a)
}
