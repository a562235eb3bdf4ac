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

// ProfileFiles are AWS's configuration and credentials files.
func ProfileFiles() [2]string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}
	return [2]string{
		cmp.Or(os.Getenv("AWS_CONFIG_FILE"), filepath.Join(home, ".aws", "config")),
		cmp.Or(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), filepath.Join(home, ".aws", "credentials")),
	}
}

// Profiles lists the profiles of ProfileFiles, sorted.
func Profiles() []string {
	found := map[string]bool{}
	for i, path := range ProfileFiles() {
		for _, profile := range profilesIn(path, i == 0) {
			found[profile] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// profilesIn reads the names of the profiles of a file. In the configuration file the word profile stands before a name.
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
