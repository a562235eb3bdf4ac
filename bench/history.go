//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The rule by which a figure is told as lost: it is worse than the median of the earlier figures of the same row, machine and
// delay by more than toleratedShare of that median and by more than toleratedSpread times their median absolute deviation, which is
// large where a figure differs from run to run anyway. A figure that was told as lost stays in the history with that word and
// does not move the median: whoever accepts the loss removes the word from the line.
const (
	toleratedShare  = 0.15
	toleratedSpread = 3
	leastEarlier    = 3  // earlier figures, at the least
	mostEarlier     = 20 // earlier figures, the latest ones
)

const (
	historyHead  = "began\tcommit\tmachine\tdelay\tmetric\tbeside\tculvert\tother\tratio\ttold\n"
	historyLost  = "lost"
	historyBytes = 16 << 20
)

// record is a line of the history: what one run of the bench had of one row.
type record struct {
	began                 string // RFC 3339
	commit                string // as git describe has it, with -dirty when files had changes
	machine, delay        string // of which records are compared with their like alone
	metric, beside        string // the row, by its metric and the rival's name; empty beside where there is none
	culvert, other, ratio float64
	told                  string // historyLost, or empty
	compared              bool   // other and ratio are there
}

// history is the file of all runs that were recorded: tab-separated, a line for each row of each run, the oldest first.
type history struct {
	path    string // empty: nothing is recorded
	records []record
}

// openHistory reads the file before anything is measured, so that one that cannot be read costs no twenty minutes.
func openHistory(path string) (*history, error) {
	h := &history{path: path}
	if path == "" {
		return h, nil
	}
	file, err := os.Open(path) //nolint:gosec // the user's own choice of file
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, historyBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the history: %w", err)
	case len(text) > historyBytes:
		return nil, fmt.Errorf("%s has more than %d bytes: remove its oldest lines", path, historyBytes)
	case !strings.HasPrefix(string(text), historyHead):
		return nil, fmt.Errorf("%s does not begin with the head of a history: name another file with -history, or remove it", path)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if n++; n == 1 {
			continue
		}
		r, err := parseRecord(line)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w: mend or remove the line", path, n, err)
		}
		h.records = append(h.records, r)
	}
	return h, nil
}

func parseRecord(line string) (r record, err error) {
	cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	if want := strings.Count(historyHead, "\t") + 1; len(cells) != want {
		return r, fmt.Errorf("%d cells instead of %d", len(cells), want)
	}
	r = record{began: cells[0], commit: cells[1], machine: cells[2], delay: cells[3], metric: cells[4], beside: cells[5], told: cells[9]}
	if r.culvert, err = figureOf(cells[6]); err != nil {
		return r, err
	}
	if cells[7] == "" && cells[8] == "" {
		return r, nil
	}
	r.compared = true
	if r.other, err = figureOf(cells[7]); err != nil {
		return r, err
	}
	r.ratio, err = figureOf(cells[8])
	return r, err
}

func figureOf(cell string) (float64, error) {
	f, err := strconv.ParseFloat(cell, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%q is not a figure", cell)
	}
	return f, nil
}

func (r record) line() string {
	figure := func(f float64) string { return strconv.FormatFloat(f, 'g', 4, 64) }
	other, ratio := "", ""
	if r.compared {
		other, ratio = figure(r.other), figure(r.ratio)
	}
	return strings.Join([]string{r.began, r.commit, r.machine, r.delay, r.metric, r.beside, figure(r.culvert), other, ratio, r.told}, "\t") + "\n"
}

// key is what the records have in common that are compared.
func (r record) key() [4]string { return [4]string{r.machine, r.delay, r.metric, r.beside} }

// recordsOf are the rows of a run that have figures, each told as lost where the history says so, and that in words.
func (h *history) recordsOf(r *results, a *about) (records []record, losses []string) {
	for _, w := range rows() {
		own, known := r.median(w.metric, nameCulvert)
		if !known {
			continue
		}
		from := w.rivalSeries()
		n := record{
			began: a.began.UTC().Format(time.RFC3339), commit: a.commit, machine: a.processor, delay: a.delay.String(), metric: w.metric, culvert: own,
		}
		if rival, compared := r.median(from.metric, from.subject); compared && !w.alone && rival > 0 {
			n.compared, n.other, n.ratio = true, rival, own/rival
		}
		if !w.alone {
			n.beside = from.subject
		}
		if loss := h.loss(w, n); loss != "" {
			n.told = historyLost
			losses = append(losses, loss)
		}
		records = append(records, n)
	}
	return records, losses
}

// loss says how a figure is worse than before; empty when it is not. The ratio to the rival counts where there is one, as
// the rival knows how fast the machine was that day. Rows that are judged without their rival are compared without it.
func (h *history) loss(w row, n record) string {
	byRatio := n.compared && !w.absolute
	figure := func(r record) float64 {
		if byRatio {
			return r.ratio
		}
		return r.culvert
	}
	var before []float64
	for _, r := range h.records {
		if r.key() == n.key() && r.told != historyLost && (!byRatio || r.compared) {
			before = append(before, figure(r))
		}
	}
	before = before[max(0, len(before)-mostEarlier):]
	if len(before) < leastEarlier {
		return ""
	}
	median := middle(before)
	away := make([]float64, len(before))
	for i, f := range before {
		away[i] = math.Abs(f - median)
	}
	allowed := max(toleratedShare*math.Abs(median), toleratedSpread*middle(away))
	if !byRatio {
		allowed = max(allowed, 10*math.Pow10(-w.decimals)) // ten of the last digit that the table shows
	}
	worse := figure(n) - median
	if w.rises() {
		worse = -worse
	}
	if worse <= allowed {
		return ""
	}
	what := w.unit
	if byRatio {
		what = "× " + n.beside
	}
	return fmt.Sprintf("%s: %.3g %s, where the median of %d earlier runs is %.3g (a loss is what is worse by more than %.2g)",
		w.title, figure(n), what, len(before), median, allowed)
}

// rises reports whether more is better.
func (w row) rises() bool {
	return w.unit == "MB/s" || w.unit == "%" || w.metric == "connections-served"
}

// add appends records to the file, in one write.
func (h *history) add(records []record) (err error) {
	if h.path == "" || len(records) == 0 {
		return nil
	}
	file, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // a document
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	var text strings.Builder
	if info, err := file.Stat(); err == nil && info.Size() == 0 {
		text.WriteString(historyHead)
	}
	for _, r := range records {
		text.WriteString(r.line())
	}
	if _, err := file.WriteString(text.String()); err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}

// lossesNote are losses as the report tells them.
func lossesNote(losses []string) string {
	if len(losses) == 0 {
		return ""
	}
	return "\nLost, against the earlier runs on this machine:\n\n* " + strings.Join(losses, "\n* ") + "\n"
}

// lossError ends a run that has lost something, so that make bench fails.
func lossError(losses []string, path string) error {
	if len(losses) == 0 {
		return nil
	}
	return fmt.Errorf("lost against the earlier runs on this machine, and told so in %s (remove the word %q there to accept it):\n  %s",
		path, historyLost, strings.Join(slices.Clone(losses), "\n  "))
}

// thisProcessor names the machine of a record: what does not change with a new kernel.
func thisProcessor() string {
	return fmt.Sprintf("%s, %d CPUs, %s", strings.ReplaceAll(processor(), "\t", " "), runtime.NumCPU(), runtime.GOARCH)
}
