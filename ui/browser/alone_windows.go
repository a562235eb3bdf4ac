package browser

import "os/exec"

// alone is for terminals: rundll32 has none.
func alone(*exec.Cmd) {}
