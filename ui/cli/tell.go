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

// tell prints what has become of a set since it was up, in a group of the log on GitHub, and warns of what it was in the way
// of. Of a holder that cannot be asked any more the end of the log has to do.
func (a *app) tell(name string, last control.Set, log string) {
	var lines []string
	for _, t := range last.Tunnels {
		for _, s := range t.Steps {
			lines = append(lines, step(t, s))
		}
	}
	if slices.Sort(lines); len(last.Tunnels) == 0 { // they begin with the time
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

// step is a change of a tunnel's state as events look.
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

// tailBytes is how much of a log is looked at from its end.
const tailBytes = 64 << 10

// lastLines are the end of a log without the lines about connections and traffic; nil when there is none.
func lastLines(path string) []string {
	file, err := os.Open(path) //nolint:gosec // our own
	if err != nil {
		return nil
	}
	defer file.Close() //nolint:errcheck // only read
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = file.Seek(-tailBytes, io.SeekEnd) // else its beginning is read
	}
	text, _ := io.ReadAll(io.LimitReader(file, tailBytes)) // what there is
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
