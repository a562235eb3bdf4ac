package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"culvert/internal/say"
	"culvert/ui/control"
)

// tell prints what has happened to a set since it was up, on GitHub as a group of the log, and warns of its troubles. If the
// state of the tunnels is not known, it prints the end of the set's log instead.
func (a *app) tell(name string, last control.Set, log string) {
	var lines []string
	for _, t := range last.Tunnels {
		for _, s := range t.Steps {
			lines = append(lines, step(t, s))
		}
	}
	if slices.Sort(lines); len(last.Tunnels) == 0 { // the lines begin with the time
		lines = lastLines(log)
	}
	if len(lines) > 0 {
		end := a.github.Group(a.Stderr, "culvert: what happened to "+name+" since it was up")
		for _, line := range lines {
			_, _ = fmt.Fprintln(a.Stderr, line)
		}
		end()
	}
	for _, trouble := range last.Troubles() {
		a.warn(trouble)
	}
}

// step is a change of a tunnel's state, in the form of an event.
func step(t control.Tunnel, s control.Step) string {
	text := fmt.Sprintf("%s  tunnel %d  %-11s  %s", s.At.UTC().Format(logTime), t.ID, s.State, say.Line(t.Local))
	if s.Task != "" {
		text += ", task " + say.Line(s.Task)
	}
	if s.Error != "" {
		text += ": " + say.Line(s.Error)
	}
	if s.Remedy != "" {
		text += "; remedy: " + say.Line(s.Remedy)
	}
	return text
}

// tailBytes is how many bytes at the end of a log are read.
const tailBytes = 64 << 10

// lastLines are the last lines of a log, without those about connections and traffic; nil when the log cannot be opened.
func lastLines(path string) []string {
	file, err := os.Open(path) //nolint:gosec // our own
	if err != nil {
		return nil
	}
	defer file.Close() //nolint:errcheck // only read
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = file.Seek(-tailBytes, io.SeekEnd) // if this fails, the beginning is read
	}
	text, _ := io.ReadAll(io.LimitReader(file, tailBytes)) // after an error, what was read before it
	var lines []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[1] == "tunnel" && (fields[3] == "connection" || fields[3] == "traffic") || len(fields) == 0 {
			continue
		}
		lines = append(lines, say.Line(strings.TrimRight(line, "\n")))
	}
	return lines[max(0, len(lines)-control.MaxSteps):]
}
