//go:build linux

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// series names the figures of one kind for one subject.
type series struct{ metric, subject string }

// results are the figures of all runs, and what is to be said of them.
type results struct {
	figures map[series][]float64
	remarks map[series][]string
	opened  map[series][]string // by the name of the measurement: sessions task by task
	trip    time.Duration       // there and back, by the service
}

func newResults() *results {
	return &results{figures: map[series][]float64{}, remarks: map[series][]string{}, opened: map[series][]string{}}
}

func (r *results) add(metric, subject string, figure float64) {
	s := series{metric, subject}
	r.figures[s] = append(r.figures[s], figure)
}

// remark notes something once.
func (r *results) remark(metric, subject, text string) {
	s := series{metric, subject}
	if !slices.Contains(r.remarks[s], text) {
		r.remarks[s] = append(r.remarks[s], text)
	}
}

func (r *results) remarked(metric, subject string) bool {
	return len(r.remarks[series{metric, subject}]) > 0
}

// addOpened notes how many sessions a run of a measurement had on each task.
func (r *results) addOpened(name, subject string, counts []int) {
	each := make([]string, len(counts))
	for i, n := range counts {
		each[i] = strconv.Itoa(n)
	}
	s := series{name, subject}
	r.opened[s] = append(r.opened[s], cmp.Or(strings.Join(each, "+"), "0"))
}

// sessions is what most runs of a measurement had, and the number of runs that had something else.
func (r *results) sessions(name, subject string) string {
	times, most := map[string]int{}, ""
	all := r.opened[series{name, subject}]
	for _, text := range all {
		if times[text]++; times[text] > times[most] {
			most = text
		}
	}
	switch others := len(all) - times[most]; {
	case len(all) == 0:
		return noTarget
	case others > 0:
		return fmt.Sprintf("%s (%d of %d runs)", most, times[most], len(all))
	}
	return most
}

// median is that of all runs; false when there are none.
func (r *results) median(metric, subject string) (float64, bool) {
	figures := r.figures[series{metric, subject}]
	if len(figures) == 0 {
		return 0, false
	}
	return middle(figures), true
}

func middle(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// percentile returns the least duration that so many percent of all are not above.
func percentile(all []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
