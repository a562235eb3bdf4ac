package aws

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxNear is how many names a suggestion lists.
const maxNear = 5

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
