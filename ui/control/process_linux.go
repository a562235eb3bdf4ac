package control

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// startOf is the boot's id and the clock tick at which a process was started (proc(5), field 22 of stat); empty when
// there is no such process, or only a zombie.
func startOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is the command in parentheses, which may itself hold blanks and parentheses.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || fields[0] == "X" {
		return ""
	}
	if fields[0] == "Z" && fields[17] <= "1" { // with more threads only the first has ended: files are still open
		return ""
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fields[19]
	}
	return strings.TrimSpace(string(boot)) + ":" + fields[19]
}
