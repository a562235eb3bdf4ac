// Package near finds the names that somebody may have meant.
package near

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Names sorts names by their distance to one that was not found, nearest first, and returns no more than most, each once.
// Case does not count, and a name that contains the other, or is part of it, is near.
func Names(name string, names []string, most int) []string {
	distances := make(map[string]int, len(names))
	for _, candidate := range names {
		distances[candidate] = distance(strings.ToLower(name), strings.ToLower(candidate))
	}
	sorted := slices.SortedFunc(maps.Keys(distances), func(a, b string) int {
		return cmp.Or(cmp.Compare(distances[a], distances[b]), cmp.Compare(a, b))
	})
	return sorted[:min(len(sorted), most)]
}

// Name is the nearest of names, empty when even that is another word: when more than half of its letters would have to
// change.
func Name(name string, names []string) string {
	nearest := Names(name, names, 1)
	if len(nearest) == 0 || distance(strings.ToLower(name), strings.ToLower(nearest[0])) > len(name)/2 {
		return ""
	}
	return nearest[0]
}

// distance is the number of edits between two names, of their first 64 bytes; part of the other counts one.
func distance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	if a == b {
		return 0
	}
	if a != "" && b != "" && (strings.Contains(a, b) || strings.Contains(b, a)) {
		return 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
