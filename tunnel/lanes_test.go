package tunnel_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// answering answers every line with as many bytes as it says.
func answering(c *net.TCPConn) {
	for from := bufio.NewReader(c); ; {
		line, err := from.ReadString('\n')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return
		}
		if _, err := c.Write(make([]byte, n)); err != nil {
			return
		}
	}
}

// ask has so many bytes sent, and reads them.
func ask(c net.Conn, n int) error {
	if _, err := fmt.Fprintf(c, "%d\n", n); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, c, int64(n))
	return err
}

// paced has the agents rest as AWS's do, 10 ms away.
func paced(f *emulator.Faults) { f.Pacing, f.Delay = time.Millisecond, 10*time.Millisecond }

// newLanes is a world whose server answers, behind paced agents.
func newLanes(t *testing.T, o tunnel.Options) *world {
	t.Helper()
	return newWorld(t, need.Server(t, answering), o, paced)
}

// load has files of a size fetched by so many connections at once, as a browser does, and says what that took.
func (w *world) load(tn *tunnel.Tunnel, connections, files, size int) time.Duration {
	w.Helper()
	began := time.Now()
	each := files / connections
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			c := w.dial(tn)
			defer c.Close()
			for range each {
				if err := ask(c, size); err != nil {
					w.Errorf("a file of %d bytes: %v", size, err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

// tasks are how many sessions lead to each task, the fewest first.
func (w *world) tasks() (sessions []int) {
	of := map[string]int{}
	for _, s := range w.account.Sessions() {
		of[s.Target]++
	}
	for _, n := range of {
		sessions = append(sessions, n)
	}
	slices.Sort(sessions)
	return sessions
}

// ofTheBusiest is a session of the task that has the most.
func (w *world) ofTheBusiest() (id string) {
	of, most := map[string]int{}, 0
	for _, s := range w.account.Sessions() {
		if of[s.Target]++; of[s.Target] > most {
			id, most = s.ID, of[s.Target]
		}
	}
	return id
}

func (w *world) sessions(what string, want int) {
	w.Helper()
	need.Eventually(w.T, fmt.Sprintf("%s: %d sessions", what, want), func() bool { return len(w.account.Sessions()) == want })
}

func TestOneConnectionHasOneSession(t *testing.T) {
	w := newLanes(t, tunnel.Options{})
	tn := w.open(tunnel.Spec{})
	for range 3 {
		c := w.dial(tn)
		for range 20 {
			if err := ask(c, 5000); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.Close()
	}
	if most := w.account.MostSessions(); most != 1 {
		t.Errorf("%d sessions, want 1", most)
	}
}

// However many there are, and whether they are opened at once or one after the other, and have said something or not.
func TestIdleConnectionsHaveOneSession(t *testing.T) {
	w := newLanes(t, tunnel.Options{})
	tn := w.open(tunnel.Spec{})
	for i := range 100 {
		c := w.dial(tn)
		if i < 50 {
			continue // silent, all at once
		}
		if err := ask(c, 100); err != nil {
			t.Fatal(err)
		}
	}
	need.Eventually(t, "a hundred connections", func() bool { return tn.Stats().Connections == 100 })
	c := w.dial(tn)
	if err := ask(c, 1000); err != nil {
		t.Fatal(err)
	}
	if most := w.account.MostSessions(); most != 1 {
		t.Errorf("%d sessions, want 1", most)
	}
}

// faster measures until a figure is reached, at the most three times: a busy machine is no slow tunnel.
func faster(t *testing.T, what string, want float64, measure func() float64) {
	t.Helper()
	for range 3 {
		got := measure()
		t.Logf("%s: %.1f times as fast as one session", what, got)
		if got >= want {
			return
		}
	}
	t.Errorf("%s is not %.1f times as fast as through one session", what, want)
}

// slower makes sessions slower than any machine that other work keeps busy.
func slower(worlds ...*world) {
	for _, w := range worlds {
		w.account.Fault(func(f *emulator.Faults) { f.Pacing *= 4 })
	}
}

// A browser's six connections: each has a session of its own from the start, and finds it again with the next page.
func TestAPageHasASessionForEachConnection(t *testing.T) {
	t.Parallel() // the ratio has room, as the sessions are slower than the machine
	one, w := newLanes(t, tunnel.Options{Lanes: 1}), newLanes(t, tunnel.Options{})
	slower(one, w)
	single := one.open(tunnel.Spec{})
	w.engine.Keep(3 * time.Second)
	page := func(w *world, tn *tunnel.Tunnel) float64 { return w.load(tn, 6, 18, 30_000).Seconds() }
	var tn *tunnel.Tunnel
	faster(t, "the first visit", 1.8, func() float64 {
		if tn != nil {
			if err := tn.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		tn = w.open(tunnel.Spec{})
		return page(one, single) / page(w, tn)
	})
	if got := w.account.MostSessions(); got != 6 {
		t.Errorf("%d sessions, want 6", got)
	}
	faster(t, "the second visit", 2.5, func() float64 { return page(one, single) / page(w, tn) })

	// Long after that, they are opened with the first connection, and nothing but a page keeps them.
	w.sessions("nobody uses it", 1)
	c := w.dial(tn)
	if err := ask(c, 10); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "sessions for the next page", func() bool { return len(w.account.Sessions()) >= 6 })
	w.sessions("there is no next page", 1)
	if err := ask(c, 10); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if err := ask(w.dial(tn), 10); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if got := len(w.account.Sessions()); got != 1 {
		t.Errorf("%d sessions for a connection, although the last page is long ago", got)
	}
}

func TestEightDownloadsHaveASessionEach(t *testing.T) {
	one, w := newLanes(t, tunnel.Options{Lanes: 1}), newLanes(t, tunnel.Options{})
	slower(one, w)
	single := one.open(tunnel.Spec{})
	faster(t, "eight downloads", 3.5, func() float64 {
		tn := w.open(tunnel.Spec{})
		ratio := 12 * one.load(single, 2, 2, 125_000).Seconds() / w.load(tn, 8, 8, 375_000).Seconds()
		if err := tn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		return ratio
	})
}

// The first connection beside a download finds a session that has been opened for it, and the next download goes neither to
// the first one nor to a quiet connection.
func TestNobodySharesASessionWithADownload(t *testing.T) {
	w := newLanes(t, tunnel.Options{})
	tn := w.open(tunnel.Spec{})
	download := func() {
		c := w.dial(tn)
		go func() { _ = ask(c, 50_000_000) }() // ends with the test
	}
	download()
	need.Eventually(t, "a spare session", func() bool { return tn.Stats().Lanes == 2 })
	quiet := w.dial(tn)
	if err := ask(quiet, 1000); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "another spare session", func() bool { return tn.Stats().Lanes == 3 })
	download()
	var down []uint64
	need.Eventually(t, "two downloads", func() bool {
		down = nil
		for _, s := range w.account.Sessions() {
			down = append(down, s.Down)
		}
		slices.Sort(down)
		return len(down) >= 3 && down[len(down)-2] > 200_000
	})
	if err := ask(quiet, 1000); err != nil {
		t.Fatal(err)
	}
	if down[len(down)-3] < 1000 || down[len(down)-3] > 5000 {
		t.Errorf("bytes down by session are %d: want two downloads, a quiet connection, and nothing else", down)
	}
}

func TestLanesSpreadOverTheReadyTasks(t *testing.T) {
	for _, c := range []struct {
		name    string
		options tunnel.Options
		spec    tunnel.Spec
		pinned  bool
		want    []int
	}{
		{name: "eight on two tasks", options: tunnel.Options{Lanes: 8}, want: []int{4, 4}},
		{name: "three", options: tunnel.Options{Lanes: 3}, want: []int{1, 2}},
		{name: "one task is asked for", options: tunnel.Options{Lanes: 8, OneTask: true}, want: []int{8}},
		{name: "for this tunnel alone", spec: tunnel.Spec{Lanes: 8, OneTask: true}, want: []int{8}},
		{name: "one task is named", options: tunnel.Options{Lanes: 8}, pinned: true, want: []int{8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, need.Server(t, answering), c.options, nil)
			if c.pinned {
				named, err := w.client.Lookup(t.Context(), aws.Query{Cluster: "c", Service: "s", Port: port})
				if err != nil {
					t.Fatal(err)
				}
				c.spec.Target, c.spec.Pinned = named, true
			}
			tn := w.open(c.spec)
			all := 0
			for _, n := range c.want {
				all += n
			}
			w.sessions("at the start", all)
			if got := w.tasks(); !slices.Equal(got, c.want) {
				t.Errorf("%v sessions on the tasks, want %v", got, c.want)
			}
			// Those that are lost come back where there are fewest, or to the same task.
			need.Eventually(t, "all sessions to be open", func() bool { return tn.Stats().Lanes == all })
			w.account.KillSession(w.ofTheBusiest(), "")
			need.Eventually(t, "another session", func() bool { return tn.Stats().Lanes == all && len(w.account.Sessions()) == all })
			if got := len(w.tasks()); got != len(c.want) {
				t.Errorf("on %d tasks after one was lost, want %d", got, len(c.want))
			}
		})
	}
}

// An agent takes in one session after the other, but it need not wait for those of the other tasks.
func TestSessionsOpenOneAfterTheOtherOnEachTask(t *testing.T) {
	const start = 300 * time.Millisecond
	w := newWorld(t, need.Server(t, answering), tunnel.Options{Lanes: 8}, func(f *emulator.Faults) { f.AgentStart = start })
	tn := w.open(tunnel.Spec{})
	need.Eventually(t, "all sessions to be open", func() bool { return tn.Stats().Lanes == 8 })
	beside := false
	all := w.account.Sessions()
	for i, a := range all {
		for _, b := range all[:i] {
			switch between := a.Started.Sub(b.Started).Abs(); {
			case between >= start:
			case a.Target == b.Target:
				t.Errorf("%s was asked for two sessions within %s", a.Target, between)
			default:
				beside = true
			}
		}
	}
	if !beside {
		t.Error("no two sessions were opened at the same time")
	}
	if got := w.tasks(); !slices.Equal(got, []int{4, 4}) {
		t.Errorf("%v sessions on the tasks, want 4 on each", got)
	}
}

// How many sessions a container can bear is in its task definition, which not everybody may read.
func TestTheCeilingIsWhatTheContainerCanBear(t *testing.T) {
	for _, c := range []struct {
		name            string
		task, container int // MiB
		denied          bool
		want            int
	}{
		{name: "Fargate's least task", want: 8},
		{name: "a small container in it", task: 2048, container: 256, want: 4},
		{name: "a large container", task: 4096, container: 1024, want: 8},
		{name: "a small task", task: 256, want: 4},
		{name: "nobody may say", task: 4096, denied: true, want: 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			task := emulator.Task{Containers: []emulator.Container{{Memory: c.container}}}
			if c.task > 0 {
				task.Memory = strconv.Itoa(c.task)
			}
			w := newWorldOf(t, need.Server(t, answering), task, tunnel.Options{}, func(f *emulator.Faults) {
				paced(f)
				if c.denied {
					f.API = append(f.API, emulator.APIFault{Action: "ecs:DescribeTaskDefinition", Kind: emulator.Deny})
				}
			})
			w.load(w.open(tunnel.Spec{}), 12, 12, 200_000)
			if got := w.account.MostSessions(); got != c.want {
				t.Errorf("%d sessions for twelve downloads, want %d", got, c.want)
			}
		})
	}
}
