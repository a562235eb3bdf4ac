package aws

import (
	"bufio"
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxNear is how many names a suggestion lists.
const maxNear = 5

// nearest sorts names by their distance to one that was not found, and returns no more than most. A name that contains
// the other counts as near.
func nearest(name string, names []string, most int) []string {
	distances := make(map[string]int, len(names))
	for _, candidate := range names {
		distances[candidate] = distance(strings.ToLower(name), strings.ToLower(candidate))
	}
	sorted := slices.SortedFunc(maps.Keys(distances), func(a, b string) int {
		return cmp.Or(cmp.Compare(distances[a], distances[b]), cmp.Compare(a, b))
	})
	return sorted[:min(len(sorted), most)]
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

// Profiles lists the profiles of AWS's configuration and credentials files, sorted.
func Profiles() []string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}
	found := map[string]bool{}
	for variable, name := range map[string]string{"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"} {
		path := os.Getenv(variable)
		if path == "" {
			path = filepath.Join(home, ".aws", name)
		}
		for _, profile := range profilesIn(path, name == "config") {
			found[profile] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// profilesIn reads the section names of a file; in the configuration file a profile's has the word profile before it.
func profilesIn(path string, isConfig bool) []string {
	file, err := os.Open(path) //nolint:gosec // AWS's own files, or those the user's environment names
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	var names []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		section, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "[")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(section, "]")
		word, rest, hasWord := strings.Cut(strings.TrimSpace(name), " ")
		switch {
		case !hasWord && (!isConfig || word == "default"):
			names = append(names, word)
		case hasWord && isConfig && word == "profile":
			names = append(names, strings.Trim(strings.TrimSpace(rest), `"'`))
		}
	}
	return names
}
