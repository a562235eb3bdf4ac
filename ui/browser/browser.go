// Package browser opens an address in the user's browser, where there is one on this machine.
package browser

import (
	"fmt"
	"os/exec"
	"time"
)

// patience is how long the program that opens browsers has to say that it cannot. Some stay as long as the browser does.
const patience = 2 * time.Second

// Find returns the way to open an address in the browser that the system has chosen for the user; nil where there is none:
// over SSH, or without a desktop.
func Find(goos string, getenv func(string) string) func(address string) error {
	if getenv("SSH_CONNECTION") != "" || getenv("SSH_TTY") != "" {
		return nil
	}
	name, args := "xdg-open", []string(nil)
	switch {
	case goos == "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler"}
	case goos == "darwin":
		name = "open"
	case getenv("WSL_DISTRO_NAME") != "":
		name, args = "rundll32.exe", []string{"url.dll,FileProtocolHandler"}
	case getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "":
		return nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil
	}
	return func(address string) error { return start(path, append(args, address)) }
}

// start runs a program without a shell. It outlives this process, as a browser that it starts does.
func start(path string, args []string) error {
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // the system's own program; it is not to end with us
	alone(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("open a browser: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("open a browser: %s: %w", path, err)
		}
	case <-time.After(patience):
	}
	return nil
}
