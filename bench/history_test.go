//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runsOf adds runs to a history in a file, each with these figures of culvert and the plugin, and returns what the last one has lost.
func runsOf(t *testing.T, path, metric string, a about, figures ...[2]float64) []string {
	t.Helper()
	var losses []string
	for _, f := range figures {
		h, err := openHistory(path)
		if err != nil {
			t.Fatal(err)
		}
		r := newResults()
		r.add(metric, nameCulvert, f[0])
		if f[1] > 0 {
			r.add(metric, namePlugin, f[1])
		}
		var records []record
		records, losses = h.recordsOf(r, &a)
		if err := h.add(records); err != nil {
			t.Fatal(err)
		}
	}
	return losses
}

func TestHistoryTellsALoss(t *testing.T) {
	t.Parallel()
	here := about{began: time.Unix(1e9, 0), processor: "a", commit: "c0ffee", delay: 10 * time.Millisecond}
	elsewhere := here
	elsewhere.processor = "b"
	slow := here
	slow.delay = time.Second
	for name, c := range map[string]struct {
		metric  string
		before  about
		figures [][2]float64
		now     [2]float64
		want    string // part of the loss; empty: none
	}{
		"a rate that fell":               {"download8", here, [][2]float64{{4, 1}, {4, 1}, {4, 1}}, [2]float64{3, 1}, "3 × plugin, where the median of 3 earlier runs is 4"},
		"a rate that rose":               {"download8", here, [][2]float64{{4, 1}, {4, 1}, {4, 1}}, [2]float64{6, 1}, ""},
		"a delay that rose":              {"echo-p50", here, [][2]float64{{20, 20}, {20, 20}, {20, 20}}, [2]float64{26, 20}, "1.3 × plugin"},
		"a slow day of the machine":      {"echo-p50", here, [][2]float64{{20, 20}, {20, 20}, {20, 20}}, [2]float64{40, 40}, ""},
		"less than the share":            {"echo-p50", here, [][2]float64{{20, 20}, {20, 20}, {20, 20}}, [2]float64{22, 20}, ""},
		"what differs anyway":            {"echo-p50", here, [][2]float64{{10, 20}, {20, 20}, {30, 20}}, [2]float64{34, 20}, ""},
		"two runs are too few":           {"echo-p50", here, [][2]float64{{20, 20}, {20, 20}}, [2]float64{40, 20}, ""},
		"another machine":                {"echo-p50", elsewhere, [][2]float64{{20, 20}, {20, 20}, {20, 20}}, [2]float64{40, 20}, ""},
		"another delay of the service":   {"echo-p50", slow, [][2]float64{{20, 20}, {20, 20}, {20, 20}}, [2]float64{40, 20}, ""},
		"memory of culvert alone":        {"flat-peak", here, [][2]float64{{30, 0}, {30, 0}, {30, 0}}, [2]float64{38, 0}, "38 MB"},
		"a little more than nothing":     {"flat-growth", here, [][2]float64{{0, 0}, {0, 0}, {0, 0}}, [2]float64{0.9, 0}, ""},
		"judged without the rival":       {oneClose, here, [][2]float64{{0.2, 4}, {0.2, 4}, {0.2, 4}}, [2]float64{0.4, 20}, "0.4 s"},
		"the rival was never there":      {"loss-download", here, [][2]float64{{0.4, 0}, {0.4, 0}, {0.4, 0}}, [2]float64{0.1, 0}, "0.1 MB/s"},
		"one of the earlier ones is far": {"echo-p50", here, [][2]float64{{20, 20}, {20, 20}, {400, 20}, {20, 20}}, [2]float64{40, 20}, "2 × plugin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "history.tsv")
			runsOf(t, path, c.metric, c.before, c.figures...)
			got := strings.Join(runsOf(t, path, c.metric, here, c.now), "; ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want a loss with %q", got, c.want)
			}
		})
	}
}

// A loss does not become the rule by being repeated: somebody has to accept it.
func TestALossStaysOneUntilItIsAccepted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.tsv")
	here := about{began: time.Unix(1e9, 0), processor: "a", commit: "c0ffee"}
	worse := slicesOf([2]float64{40, 20}, 30)
	runsOf(t, path, "echo-p50", here, slicesOf([2]float64{20, 20}, 5)...)
	if got := runsOf(t, path, "echo-p50", here, worse...); len(got) == 0 {
		t.Error("the thirtieth bad run in a row is told as none")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "\t"+historyLost+"\n", "\t\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runsOf(t, path, "echo-p50", here, worse[0]); len(got) > 0 {
		t.Errorf("what was accepted is told as lost: %q", got)
	}
}

func slicesOf(f [2]float64, n int) [][2]float64 {
	all := make([][2]float64, n)
	for i := range all {
		all[i] = f
	}
	return all
}

// What a run appends, the next one reads: tabs and all.
func TestHistoryIsAppendedAndRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.tsv")
	here := about{began: time.Unix(1e9, 0), processor: "AMD EPYC, 2 CPUs, amd64", commit: "c0ffee-dirty", delay: 10 * time.Millisecond}
	runsOf(t, path, "first-byte", here, [2]float64{100, 80})
	runsOf(t, path, "flat-peak", here, [2]float64{35.5, 0})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = historyHead +
		"2001-09-09T01:46:40Z\tc0ffee-dirty\tAMD EPYC, 2 CPUs, amd64\t10ms\tfirst-byte\tplugin\t100\t80\t1.25\t\n" +
		"2001-09-09T01:46:40Z\tc0ffee-dirty\tAMD EPYC, 2 CPUs, amd64\t10ms\tfirst-byte\taws cli\t100\t\t\t\n" +
		"2001-09-09T01:46:40Z\tc0ffee-dirty\tAMD EPYC, 2 CPUs, amd64\t10ms\tflat-peak\t\t35.5\t\t\t\n"
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	h, err := openHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	var again strings.Builder
	for _, r := range h.records {
		again.WriteString(r.line())
	}
	if historyHead+again.String() != want {
		t.Errorf("read back: got\n%s", again.String())
	}
}

func TestAHistoryThatCannotBeReadIsRefusedByItsLine(t *testing.T) {
	t.Parallel()
	good := record{began: "b", metric: "m"}.line()
	for name, c := range map[string]struct{ text, want string }{
		"another file": {"# notes\n", "does not begin with the head"},
		"a short line": {historyHead + good + "b\tc\n", "line 3: 2 cells"},
		"no number":    {historyHead + strings.Replace(good, "\t0\t", "\tfast\t", 1), `line 2: "fast" is not a figure`},
		"no figure":    {historyHead + strings.Replace(good, "\t0\t", "\tNaN\t", 1), `line 2: "NaN"`},
		"too large":    {historyHead + strings.Repeat("x", historyBytes), "remove its oldest lines"},
	} {
		path := filepath.Join(t.TempDir(), "history.tsv")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openHistory(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// The history of this repository is one that the next run can go on with, and its rows are rows that there are.
func TestTheHistoryOfThisRepositoryCanBeRead(t *testing.T) {
	t.Parallel()
	h, err := openHistory(filepath.Join("..", usualHistory))
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string]bool{}
	for _, w := range rows() {
		metrics[w.metric] = true
	}
	for _, r := range h.records {
		if !metrics[r.metric] {
			t.Errorf("%s of %s is no row of the bench", r.metric, r.commit)
		}
	}
	if len(h.records) == 0 {
		t.Error("nothing is recorded")
	}
}
