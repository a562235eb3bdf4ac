//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
)

// The bench starts itself as its far side; in a test that is the test's binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == partServe {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// The speeds of a quick run mean nothing, so they are not looked at: `make bench` is for that.
func TestQuickRunFillsEveryRow(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two programs and compares them for half a minute: make test")
	}
	t.Parallel()
	for _, program := range []string{"aws", "chromium", "squid", "node"} {
		need.Command(t, program)
	}
	need.Playwright(t)
	plugin := need.Plugin(t)
	var others []string
	for _, name := range measurementNames() {
		if !strings.HasPrefix(name, relayGroup+"-") {
			others = append(others, name)
		}
	}
	for name, only := range map[string]string{"relay": relayGroup, "others": strings.Join(others, ",")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quickRun(t, plugin, only)
		})
	}
}

// quickRun has measurements made, and looks at their rows.
func quickRun(t *testing.T, plugin, only string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bench.md")
	var out, progress strings.Builder
	if code := run(t.Context(), []string{"-quick", "-plugin", plugin, "-only", only, "-out", file}, nil, &out, &progress); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, progress.String(), out.String())
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != out.String() {
		t.Error("what was written is not what was printed")
	}
	for _, want := range []string{"Machine: ", "Load average", "session-manager-plugin 1.", "A quick run"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	figure := regexp.MustCompile(`^-?(\d+\.?\d*)( (MB/s|MB|ms|s|%|round trips))?$`)
	sessions := regexp.MustCompile(`^\d+(\+\d+)*( / \d+(\+\d+)*)?$`)
	measured, err := chooseMeasurements(only)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range rows() {
		if !slices.ContainsFunc(measured, func(m measurement) bool { return m.name == w.measuredBy }) {
			continue
		}
		cells := cellsOf(out.String(), w.title)
		if len(cells) != 7 {
			t.Errorf("%s: got cells %q, want seven", w.title, cells)
			continue
		}
		if !sessions.MatchString(cells[6]) {
			t.Errorf("%s: got sessions %q", w.title, cells[6])
		}
		columns := cells[1:3]
		if w.alone {
			columns = cells[1:2]
		}
		for i, cell := range columns {
			if w.absolute && i == 1 && cell == noTarget {
				continue // the plugin has not survived it, which a remark tells
			}
			if m := figure.FindStringSubmatch(cell); m == nil {
				t.Errorf("%s, column %d: got %q, want a figure", w.title, i+1, cell)
			} else if _, err := strconv.ParseFloat(m[1], 64); err != nil {
				t.Errorf("%s: %v", w.title, err)
			}
		}
		if verdict := cells[5]; (w.target == "") != (verdict == noTarget) || verdict == unmeasured {
			t.Errorf("%s: got verdict %q for target %q", w.title, verdict, w.target)
		}
	}
}

// cellsOf returns the cells of the table's line with this title.
func cellsOf(markdown, title string) []string {
	for line := range strings.Lines(markdown) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] == title {
			return cells
		}
	}
	return nil
}

func TestRowsAreJudgedByTheirTargets(t *testing.T) {
	r := newResults()
	figures := func(metric string, culvert, plugin float64) {
		r.add(metric, nameCulvert, culvert)
		r.add(metric, namePlugin, plugin)
	}
	figures("upload1", 7.3, 0.73)
	figures("download1", 0.7, 0.73)
	figures("echo-p50", 22, 23)
	figures("echo-upload-p50", 45, 300)
	figures("connections-served", 199, 200)
	figures("upload8", 1, 0)
	r.add("first-byte", nameCulvert, 120)
	r.add("first-byte", nameCLI, 480)
	r.add(stepMetric, nameCulvert, 3)
	r.add(stepMetric, nameRecipe, 11.6)
	r.add(stepToSquid, nameCulvert, 2.9)
	r.add("flat-peak", nameCulvert, 40)
	r.add(oneClose, nameCulvert, 0.5) // the plugin has not survived it
	figures(threeCloses, 2.1, 0.4)
	figures(firstVisit, 3.2, 5.8)
	figures(secondVisit, 2.4, 5.8)
	figures("download8", 2.5, 0.72)
	r.add("download8-lanes8", nameCulvert, 5.8)
	figures(besideDownload+"-p50", 33, 260)
	r.trip = 20 * time.Millisecond
	figures(relayed8, 5.8, 0.8)
	r.add(relayed8, nameEight, 6.6)
	r.add(relayed8+"-cpu", nameCulvert, 4.4)
	r.add(relayed8+"-cpu", nameEight, 3)
	r.add(relayed8+relayMemory, nameCulvert, 32.1)
	r.add(relayedEcho+"-p50", nameCulvert, 23.9)
	r.add(relayedEcho+"-p50", namePlain, 23)
	r.add(relayedBeside+"-p50", nameCulvert, 27.1)
	r.add(relayedBeside+"-p50", namePlain, 24)
	r.add(relayedBeside+"-p99", nameCulvert, 45) // nothing beside it
	r.add(relayedBeside+"-share", nameCulvert, 84)
	r.add(relayedNew, nameCulvert, 2.2)
	r.add(relayedNew, nameDynamic, 18)
	r.add(harmMetric(harmTwo), nameCulvert, 90)
	r.add(harmMetric(harmAll), nameCulvert, 2100)
	for title, want := range map[string][]string{
		"upload, 1 connection":                           {"7.30 MB/s", "0.73 MB/s", "10.00", "at least 10 × the plugin", passed},
		"download, 1 connection":                         {"0.700 MB/s", "0.730 MB/s", "0.96", "not below the plugin (2 % are noise)", fallsShort},
		"1 KiB echo, idle, p50":                          {"22.0 ms", "23.0 ms", "0.96", "not above the plugin", passed},
		"1 KiB echo beside an upload, p50":               {"45.0 ms", "300.0 ms", "0.15", "at most 2 × culvert idle", fallsShort},
		"200 connections at once: served":                {"199", "200", "0.99", "all", fallsShort},
		"first byte, beside `aws ssm start-session`":     {"120 ms", "480 ms", "0.25", "at most a quarter of it", passed},
		"first byte, beside the plugin started directly": {"120 ms", noTarget, noTarget, "not above the plugin", unmeasured},
		"a workflow's step until an answer, `culvert up` beside the recipe with `sleep 10`": {"3.00 s", "11.60 s", "0.26", "at most a quarter of it", fallsShort},
		"the same to Squid": {"2.90 s", "11.60 s", "0.25", "at most a quarter of it", passed},
		"peak memory over a long upload and a long download":                                     {"40.0 MB", noTarget, noTarget, "at most 40 MB", passed},
		"one close of its websocket: time above that":                                            {"0.50 s", noTarget, noTarget, "at most 0.5 s", passed},
		"three closes in three seconds: time above that":                                         {"2.10 s", "0.40 s", "5.25", "at most 2 s", fallsShort},
		"a page with 100 stylesheets, 3 MB, first visit":                                         {"3.20 s", "5.80 s", "0.55", "at least 1.8 × as fast as the plugin", passed},
		"the same page, second visit":                                                            {"2.40 s", "5.80 s", "0.41", "at least 2.5 × as fast as the plugin", fallsShort},
		"download, 8 connections":                                                                {"2.500 MB/s", "0.720 MB/s", "3.47", "at least 3.5 × the plugin", fallsShort},
		"download, 8 connections, culvert with `--lanes 8`":                                      {"5.800 MB/s", "0.720 MB/s", "8.06", "at least 8 × the plugin", passed},
		"1 KiB echo beside a download, p50":                                                      {"33.0 ms", "260.0 ms", "0.13", "at most 1.5 × culvert idle", passed},
		"a task killed without a word: until a new connection is served":                         {noTarget, noTarget, noTarget, "at most 6 s", unmeasured},
		"through a relay: one download, `--lanes 8`":                                             {"5.800 MB/s", "0.800 MB/s", "7.25", "at least 7 × the plugin", passed},
		"the same, beside eight downloads at once without it":                                    {"5.800 MB/s", "6.600 MB/s", "0.88", "at least 0.9 × those", fallsShort},
		"CPU of culvert for that, beside that of eight downloads without a relay":                {"4.40 s", "3.00 s", "1.47", "at most 1.5 s above it", passed},
		"peak memory of the relay, `--lanes 8`":                                                  {"32.1 MB", noTarget, noTarget, "at most 32 MB", fallsShort},
		"through a relay: 1 KiB echo, idle, p50, beside culvert without it":                      {"23.9 ms", "23.0 ms", "1.04", "at most 1 ms above it", passed},
		"through a relay: 1 KiB echo beside a download, p50, beside culvert without it":          {"27.1 ms", "24.0 ms", "1.13", "at most 7 ms above the round trip", fallsShort},
		"through a relay: 1 KiB echo beside a download, p99, beside culvert without it":          {"45.0 ms", noTarget, noTarget, "at most 25 ms above the round trip", passed},
		"that download's rate meanwhile, of that before":                                         {"84 %", noTarget, noTarget, "at least 85 %", fallsShort},
		"through a relay: a new host by CONNECT and its first byte, beside a new session for it": {"2.20 round trips", "18.00 round trips", "0.12", "at most 2.2", passed},
		"two of eight terminated: the rate from 3 s after that on, of that before":               {"90 %", noTarget, noTarget, "at least 90 %", passed},
		"all eight terminated, longest silence":                                                  {"2100 ms", noTarget, noTarget, "at most 2000 ms", fallsShort},
		"through a relay: one download, no flag, 1 vCPU":                                         {noTarget, noTarget, noTarget, "at least 5 × the plugin", unmeasured},
		"upload, 8 connections":                                                                  {"1.00 MB/s", "0.00 MB/s", noTarget, noTarget, noTarget},
		"CPU per 100 MB up":                                                                      {noTarget, noTarget, noTarget, noTarget, unmeasured},
	} {
		cells := cellsOf(report(r, &about{}, nil), title)
		if len(cells) != 7 || strings.Join(cells[1:6], "|") != strings.Join(want, "|") {
			t.Errorf("%s: got %q, want %q", title, cells, want)
		}
	}
}

// A row is found by its title, in the table and by who reads it.
func TestRelayRowsHaveTitlesOfTheirOwn(t *testing.T) {
	seen := map[string]int{}
	for _, w := range rows() {
		seen[w.title]++
	}
	for _, w := range relayRows() {
		if seen[w.title] != 1 {
			t.Errorf("%d rows are called %q", seen[w.title], w.title)
		}
		if !slices.Contains(measurementNames(), w.measuredBy) {
			t.Errorf("%s: nothing is called %q", w.title, w.measuredBy)
		}
	}
}

func TestOnlyRelayMeansAllOfThem(t *testing.T) {
	chosen, err := chooseMeasurements("echo,relay")
	if err != nil {
		t.Fatal(err)
	}
	if want := len(relayMeasurements()) + 1; len(chosen) != want {
		t.Errorf("got %d measurements, want %d", len(chosen), want)
	}
	if chosen, err = chooseMeasurements("relay-echo"); err != nil || len(chosen) != 1 {
		t.Errorf("relay-echo: got %d measurements, %v", len(chosen), err)
	}
}

func TestSilenceAndRateOfADownload(t *testing.T) {
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	var w watched
	for _, ms := range []int{0, 100, 150, 400, 450, 500} {
		w.came = append(w.came, arrival{at(ms), 1000})
	}
	for after, want := range map[int]int64{0: 250, 150: 250, 399: 250, 400: 50, 500: 0} {
		if got := w.silence(at(after)); got.Milliseconds() != want {
			t.Errorf("after %d ms: got a silence of %s, want %d ms", after, got, want)
		}
	}
	for _, c := range []struct {
		from, to int
		want     float64
	}{{100, 500, 10000}, {-500, 500, 10000}, {500, 500, 0}, {600, 500, 0}} {
		if got := w.rate(at(c.from), at(c.to)); got != c.want {
			t.Errorf("from %d to %d ms: got %.0f bytes per second, want %.0f", c.from, c.to, got, c.want)
		}
	}
}

func TestMedianAndPercentiles(t *testing.T) {
	for _, c := range []struct {
		figures []float64
		want    float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := middle(c.figures); got != c.want {
			t.Errorf("median of %v: got %v, want %v", c.figures, got, c.want)
		}
	}
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for percent, want := range map[int]time.Duration{50: 50, 99: 99, 100: 100} {
		if got := percentile(hundred, percent); got != want {
			t.Errorf("p%d of 1…100: got %d, want %d", percent, got, want)
		}
	}
	if got := percentile(hundred[:1], 50); got != 100 {
		t.Errorf("p50 of a single 100: got %d", got)
	}
}

func TestMemoryGrowthLeavesTheBeginningOut(t *testing.T) {
	const mb = 1_000_000
	for _, c := range []struct {
		rss  []int64
		want float64
	}{
		{[]int64{1 * mb, 20 * mb, 30 * mb, 30 * mb, 31 * mb, 30 * mb, 30 * mb, 30 * mb}, 0},
		{[]int64{1 * mb, 20 * mb, 30 * mb, 30 * mb, 35 * mb, 40 * mb, 44 * mb, 45 * mb}, 15},
		{[]int64{1 * mb}, 0},
	} {
		if got := lateGrowth(c.rss); got != c.want {
			t.Errorf("%v: got %v, want %v", c.rss, got, c.want)
		}
	}
}

func TestBadFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-only", "upload1,uplaod8"}, {"-nonsense"}, {"upload1"}} {
		var out, complaint strings.Builder
		if code := run(t.Context(), args, nil, &out, &complaint); code == 0 || complaint.Len() == 0 {
			t.Errorf("%q: got exit code %d and %q, want a complaint", args, code, complaint.String())
		}
	}
}

func TestSessionsStandBesideTheirRows(t *testing.T) {
	r := newResults()
	for _, counts := range [][]int{{4, 4}, {5, 3}, {4, 4}} {
		r.addOpened("download8-lanes8", nameCulvert, counts)
	}
	r.addOpened("download8", namePlugin, []int{1})
	r.addOpened("flat", nameCulvert, nil)
	text := report(r, &about{}, nil)
	for title, want := range map[string]string{
		"download, 8 connections, culvert with `--lanes 8`": "4+4 (2 of 3 runs) / 1",
		"download, 8 connections":                           noTarget + " / 1",
		"memory growth in the second half of them":          "0",
	} {
		if cells := cellsOf(text, title); len(cells) != 7 || cells[6] != want {
			t.Errorf("%s: got %q, want %q", title, cells, want)
		}
	}
}

// What the page's figures are compared with: the way without a session, and the least that round trips and rests take.
func TestEveryByteOfADelayedWayIsLate(t *testing.T) {
	const delay = 20 * time.Millisecond
	d, err := startDestination()
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	way, err := startDelayed(d.address(), delay)
	if err != nil {
		t.Fatal(err)
	}
	defer way.close()
	c := &client{address: way.address()}
	e, err := c.echo(t.Context(), randomBlock())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if took, err := e.once(); err != nil || took < 2*delay {
			t.Errorf("got an echo after %s, %v, want %s at least", took, err, 2*delay)
		}
	}
	if err := e.conn.Close(); err != nil {
		t.Error(err)
	}
	if least := leastVisit(10*time.Millisecond, time.Millisecond); least < 900*time.Millisecond || least > time.Second {
		t.Errorf("the page takes at least %s, want 17 round trips and half a second of messages", least)
	}
}
