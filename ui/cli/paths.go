package cli

import (
	"os"
	"path/filepath"
	"runtime"

	"github.com/adrg/xdg"
)

// paths are the places where culvert keeps files.
type paths struct {
	Config  string `json:"config"`  // the user's config file
	State   string `json:"state"`   // directory of state and logs
	Runtime string `json:"runtime"` // directory of sockets and pid files
}

// findPaths follows the XDG base directories. On macOS, where the xdg module would use ~/Library, culvert keeps to the
// dotted directories that command line tools use there as well.
func findPaths() paths {
	config, state, run := xdg.ConfigHome, xdg.StateHome, ""
	if home, err := os.UserHomeDir(); err == nil && runtime.GOOS == "darwin" {
		config, state = filepath.Join(home, ".config"), filepath.Join(home, ".local", "state")
	}
	for variable, dir := range map[string]*string{"XDG_CONFIG_HOME": &config, "XDG_STATE_HOME": &state, "XDG_RUNTIME_DIR": &run} {
		if set := os.Getenv(variable); filepath.IsAbs(set) {
			*dir = set
		}
	}
	if run == "" { // cron and containers have no runtime directory; files that outlive a reboot here are recognised
		run = filepath.Join(state, "culvert", "run")
	} else {
		run = filepath.Join(run, "culvert")
	}
	return paths{
		Config:  filepath.Join(config, "culvert", "config.yaml"),
		State:   filepath.Join(state, "culvert"),
		Runtime: run,
	}
}
