package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"culvert/internal/say"
)

// Build says what the program was made from. The linker sets it in releases; the zero value is completed from the
// build information that the go command embeds.
type Build struct {
	Version string // 1.2.3
	Commit  string // full hash
	Date    string // the date of the commit, in RFC 3339
	Action  string // the GitHub action of these sources, as a workflow step names it (internal/origin)
}

// version prints the build that is running, and where it keeps files.
func (a *app) version() *cobra.Command {
	withPaths := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, or with --paths where culvert keeps files",
		Args:  atMost(0),
		RunE: func(*cobra.Command, []string) error {
			text, err := a.versionText(withPaths)
			if err != nil {
				return err
			}
			return a.write(text)
		},
	}
	cmd.Flags().BoolVar(&withPaths, "paths", false, "print the paths of config, state and runtime files, and the config files in force")
	return cmd
}

// release is a Build in the form in which it is printed.
type release struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`
	Modified bool   `json:"modified,omitempty"` // the tree had changes that no commit has
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Paths    *paths `json:"paths,omitempty"`

	InForce []string `json:"in_force,omitempty"` // the config files that are read in this directory
}

// complete takes what the linker has not set from the build information. info may be nil.
func (b Build) complete(info *debug.BuildInfo) release {
	r := release{
		Version: b.Version, Commit: b.Commit, Date: b.Date,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if info != nil {
		if r.Version == "" {
			r.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && r.Commit == "":
				r.Commit = s.Value
			case s.Key == "vcs.time" && r.Date == "":
				r.Date = s.Value
			case s.Key == "vcs.modified" && b.Commit == "":
				r.Modified = s.Value == "true"
			}
		}
	}
	if r.Version == "" {
		r.Version = "(devel)"
	}
	return r
}

// String has a line for each fact. The first has the program's name and version, as usual.
func (r release) String() string {
	var text strings.Builder
	_, _ = fmt.Fprintln(&text, "culvert", r.Version)
	commit := r.Commit
	if r.Modified {
		commit += " with changes"
	}
	for _, fact := range [][2]string{{"commit", commit}, {"date", r.Date}, {"go", r.Go}, {"platform", r.Platform}} {
		if fact[1] != "" {
			_, _ = fmt.Fprintf(&text, "%-8s %s\n", fact[0], fact[1])
		}
	}
	return text.String()
}

func (a *app) versionText(withPaths bool) (string, error) {
	info, _ := debug.ReadBuildInfo()
	r := a.Build.complete(info)
	if withPaths {
		p := findPaths()
		r.Paths, r.InForce = &p, a.shared.inForce
	}
	if a.shared.output == outputJSON {
		return say.JSON(r, "")
	}
	if withPaths {
		var text strings.Builder
		_, _ = fmt.Fprintf(&text, "config   %s\nstate    %s\nruntime  %s\n", r.Paths.Config, r.Paths.State, r.Paths.Runtime)
		for _, file := range r.InForce {
			_, _ = fmt.Fprintf(&text, "in force %s\n", say.Line(file))
		}
		return text.String(), nil
	}
	return r.String(), nil
}
