package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version prints what is running, and where it keeps files.
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
	cmd.Flags().BoolVar(&withPaths, "paths", false, "print the paths of config, state and runtime files")
	return cmd
}

// build is what is known about the program.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Paths    *paths `json:"paths,omitempty"`
}

func (a *app) versionText(withPaths bool) (string, error) {
	b := build{Version: a.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if b.Version == "" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Revision = s.Value
			}
		}
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	if withPaths {
		p := findPaths()
		b.Paths = &p
	}
	if a.shared.output == outputJSON {
		text, err := json.Marshal(b)
		if err != nil {
			return "", fmt.Errorf("encode version: %w", err)
		}
		return string(text) + "\n", nil
	}
	if withPaths {
		return fmt.Sprintf("config   %s\nstate    %s\nruntime  %s\n", b.Paths.Config, b.Paths.State, b.Paths.Runtime), nil
	}
	return fmt.Sprintf("culvert %s (%s, %s)\n", b.Version, b.Go, b.Platform), nil
}
