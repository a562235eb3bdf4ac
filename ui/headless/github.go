package headless

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"culvert/internal/say"
	"culvert/tunnel/doctor"
	"culvert/ui/control"
)

// GitHub speaks to the runner of GitHub Actions: through the files that the runner names in the environment, and with commands
// in the log ("Workflow commands for GitHub Actions"). A nil *GitHub, which is what everybody else gets, writes nothing. Its
// methods are safe for concurrent use.
type GitHub struct {
	output, env, state, summary string // paths; empty where the runner names none

	mu  sync.Mutex
	log io.Writer
}

// NewGitHub returns nil unless the environment is that of GitHub Actions. Commands go to log.
func NewGitHub(getenv func(string) string, log io.Writer) *GitHub {
	if getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	return &GitHub{
		output: getenv("GITHUB_OUTPUT"), env: getenv("GITHUB_ENV"), state: getenv("GITHUB_STATE"), summary: getenv("GITHUB_STEP_SUMMARY"),
		log: log,
	}
}

// FileError is a file of the runner that cannot be written.
type FileError struct {
	Variable string // GITHUB_OUTPUT, …
	Err      error
}

func (e *FileError) Error() string { return fmt.Sprintf("write %s: %v", e.Variable, e.Err) }
func (e *FileError) Unwrap() error { return e.Err }

// Remedy says what usually is the matter.
func (e *FileError) Remedy() string {
	return "check that the runner's disk has room and that the step runs as the runner's user; outside a workflow unset GITHUB_ACTIONS or " + e.Variable
}

// Check finds out whether the runner's files can be written, before anything depends on it. Its error is a *FileError.
func (g *GitHub) Check() error {
	if g == nil {
		return nil
	}
	for variable, path := range map[string]string{"GITHUB_OUTPUT": g.output, "GITHUB_ENV": g.env, "GITHUB_STATE": g.state} {
		if err := appendTo(variable, path, ""); err != nil {
			return err
		}
	}
	return nil
}

// appendTo adds the whole text to a file, or nothing: half of a text would make the runner refuse what the file has already.
func appendTo(variable, path, text string) error {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600) //nolint:gosec // the runner names it
	if err == nil {
		var n int
		if n, err = file.WriteString(text); err != nil && n > 0 {
			err = errors.Join(err, takeBack(file, int64(n)))
		}
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return &FileError{Variable: variable, Err: err}
	}
	return nil
}

// takeBack removes the last n bytes of a file.
func takeBack(file *os.File, n int64) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return file.Truncate(info.Size() - n)
}

// Pair is a name with its value.
type Pair struct{ Name, Value string }

// heredoc writes pairs so that no value can end itself early or begin another pair.
func heredoc(pairs []Pair) string {
	var b strings.Builder
	for _, p := range pairs {
		delimiter := "culvert-" + rand.Text()
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", p.Name, delimiter, p.Value, delimiter)
	}
	return b.String()
}

// Outputs sets outputs of the step.
func (g *GitHub) Outputs(pairs []Pair) error {
	if g == nil {
		return nil
	}
	return appendTo("GITHUB_OUTPUT", g.output, heredoc(pairs))
}

// Export sets variables for the steps that follow.
func (g *GitHub) Export(pairs []Pair) error {
	if g == nil {
		return nil
	}
	return appendTo("GITHUB_ENV", g.env, heredoc(pairs))
}

// Keep hands values to the post step of an action.
func (g *GitHub) Keep(pairs []Pair) error {
	if g == nil {
		return nil
	}
	return appendTo("GITHUB_STATE", g.state, heredoc(pairs))
}

// Summarize adds to the step's summary. A failure is only worth a warning.
func (g *GitHub) Summarize(markdown string) {
	if g == nil {
		return
	}
	if err := appendTo("GITHUB_STEP_SUMMARY", g.summary, markdown); err != nil {
		g.Warn(err.Error(), say.Remedy(err))
	}
}

// ListenerOutputs are the outputs of a run: those of the first forward, and those of further ones with a number behind their
// names. login returns the user and password of the proxy behind a tunnel, as the set has its URL without the password.
func ListenerOutputs(s control.Set, login func(id int) *doctor.Login) []Pair {
	var pairs []Pair
	proxy := ""
	for i, t := range s.Tunnels {
		suffix, port := "", ""
		if i > 0 {
			suffix = fmt.Sprintf("-%d", i+1)
		}
		if t.Port != 0 {
			port = strconv.Itoa(int(t.Port))
		}
		whole := WithLogin(t.ProxyURL, login(t.ID))
		if proxy == "" {
			proxy = whole
		}
		host := t.Host
		if host == "" {
			host = t.Local
		}
		pairs = append(pairs, Pair{"host" + suffix, host}, Pair{"port" + suffix, port})
		if i > 0 {
			pairs = append(pairs, Pair{"proxy-url" + suffix, whole})
		}
		pairs = append(pairs, Pair{"session-id" + suffix, t.Session}, Pair{"task-arn" + suffix, t.TaskARN})
	}
	return append([]Pair{{"proxy-url", proxy}, {"forwards", forwardsJSON(s, login)}}, pairs...)
}

// forwardsJSON are all forwards of a run for a workflow's fromJSON. The keys are named like the outputs.
func forwardsJSON(s control.Set, login func(id int) *doctor.Login) string {
	type forward struct {
		Host     string `json:"host"`
		Port     uint16 `json:"port,omitempty"`
		ProxyURL string `json:"proxy-url,omitempty"`
		Session  string `json:"session-id"`
		Task     string `json:"task-arn"`
	}
	all := make([]forward, len(s.Tunnels))
	for i, t := range s.Tunnels {
		all[i] = forward{Host: cmp.Or(t.Host, t.Local), Port: t.Port, ProxyURL: WithLogin(t.ProxyURL, login(t.ID)), Session: t.Session, Task: t.TaskARN}
	}
	var text strings.Builder
	as := json.NewEncoder(&text)
	as.SetEscapeHTML(false)                // a password in a URL has to look as it was masked
	if err := as.Encode(all); err != nil { // strings and numbers can always be encoded
		return "[]"
	}
	return strings.TrimSpace(text.String())
}

// WithLogin is the URL of a proxy with user and password, as programs need it; shown is the URL without the password.
func WithLogin(shown string, login *doctor.Login) string {
	at, err := url.Parse(shown)
	if err != nil || shown == "" {
		return shown
	}
	return login.URL(at.Scheme, at.Host)
}

// Error annotates the step with an error and its remedy.
func (g *GitHub) Error(problem, remedy string) { g.annotate("error", problem, remedy) }

// Warn annotates the step with a warning and its remedy.
func (g *GitHub) Warn(problem, remedy string) { g.annotate("warning", problem, remedy) }

func (g *GitHub) annotate(kind, problem, remedy string) {
	message := say.Line(problem)
	if remedy != "" {
		message += "\nremedy: " + say.Line(remedy)
	}
	g.command(kind+" title="+property("culvert"), message)
}

// Mask hides a secret in the rest of the job's log.
func (g *GitHub) Mask(secret string) {
	if secret != "" {
		g.command("add-mask", secret)
	}
}

// MaskLogin hides a proxy's password in all forms in which it may be printed.
func (g *GitHub) MaskLogin(l *doctor.Login) {
	for _, secret := range l.Secrets() {
		g.Mask(secret)
	}
}

// Group folds what is printed to w, until the function that it returns is called.
func (g *GitHub) Group(w io.Writer, title string) (end func()) {
	if g == nil {
		return func() {}
	}
	g.write(w, "group", say.Line(title))
	return sync.OnceFunc(func() { g.write(w, "endgroup", "") })
}

func (g *GitHub) command(name, message string) {
	if g != nil {
		g.write(g.log, name, message)
	}
}

func (g *GitHub) write(w io.Writer, name, message string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = fmt.Fprintf(w, "::%s::%s\n", name, data(message))
}

// data escapes the text of a command.
func data(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

// property escapes the value of a command's property.
func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(s))
}
