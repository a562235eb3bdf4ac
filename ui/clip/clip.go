// Package clip puts text on the user's clipboard, and says no more about it than is known. There may be several at once:
// that of the desktop, by the program that its system has for it; tmux's own buffer; and the terminal's, which takes
// OSC 52 or ignores it without a word. Only a program that ended well is known to have taken the text.
package clip

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// within is how long the programs for one clipboard may take.
const within = 2 * time.Second

// Clipboards are those that can be reached from a process. The zero value knows the terminal's alone.
type Clipboards struct {
	desktop []tool // the first that works is enough: all of them are the same clipboard
	tmux    []tool // likewise
	wrap    func(sequence string) string
}

// tool is a program that takes a text from its standard input.
type tool struct {
	clipboard string // what it fills, as it is told
	name      string
	args      []string
	utf16     bool
	env       []string
}

// Outcome is what is known of a text that was to be copied.
type Outcome struct {
	Took     []string // the clipboards that have it for certain
	Terminal string   // what is to be written to the terminal as well, which tells nobody what becomes of it; may be empty
	Err      error    // why others have not; only where Took is empty it matters to the user
}

// Find tells from the environment and the system which clipboards there are. Over SSH the desktop is not the user's, and
// nothing is copied there.
func Find(goos string, getenv func(string) string) Clipboards {
	var c Clipboards
	remote := getenv("SSH_CONNECTION") != "" || getenv("SSH_TTY") != ""
	switch {
	case remote:
	case goos == "windows":
		c.desktop = []tool{clipExe()}
	case goos == "darwin":
		// Without a locale, pbcopy takes UTF-8 for Mac OS Roman.
		c.desktop = []tool{{clipboard: desktop, name: "pbcopy", env: []string{"LC_CTYPE=UTF-8"}}}
	default:
		if getenv("WSL_DISTRO_NAME") != "" || getenv("WSL_INTEROP") != "" {
			c.desktop = append(c.desktop, clipExe())
		}
		if getenv("WAYLAND_DISPLAY") != "" {
			// Without a type, wl-copy asks other programs what the text might be.
			c.desktop = append(c.desktop, tool{clipboard: desktop, name: "wl-copy", args: []string{"--type", "text/plain"}})
		}
		if getenv("DISPLAY") != "" {
			c.desktop = append(c.desktop,
				tool{clipboard: desktop, name: "xclip", args: []string{"-selection", "clipboard", "-in"}},
				tool{clipboard: desktop, name: "xsel", args: []string{"--clipboard", "--input"}})
		}
	}
	switch {
	case getenv("TMUX") != "":
		// With -w, tmux (3.2 and later) passes it on to its terminal as well. What a program in a pane sends to the
		// terminal's clipboard it ignores as it is set by default: set-clipboard is external.
		c.tmux = []tool{
			{clipboard: tmuxBuffer, name: "tmux", args: []string{"load-buffer", "-w", "-"}},
			{clipboard: tmuxBuffer, name: "tmux", args: []string{"load-buffer", "-"}},
		}
		c.wrap = throughTmux
	case getenv("STY") != "":
		c.wrap = throughScreen
	}
	return c
}

// The clipboards as they are told.
const (
	desktop    = "the clipboard"
	tmuxBuffer = "tmux's buffer"
)

func clipExe() tool { return tool{clipboard: desktop, name: "clip.exe", utf16: true} }

// Copy puts text on every clipboard that there is. It takes four seconds at the most, and nothing of it is left behind
// but the process of xclip, xsel or wl-copy that holds the text until something else is copied.
func (c Clipboards) Copy(ctx context.Context, text string) Outcome {
	var o Outcome
	var errs []error
	for _, tools := range [][]tool{c.desktop, c.tmux} {
		took, err := first(ctx, tools, text)
		if took != "" {
			o.Took = append(o.Took, took)
		} else if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	if o.Terminal, err = c.sequence(text); err != nil {
		errs = append(errs, err)
	}
	o.Err = errors.Join(errs...)
	return o
}

// first lets the first tool that works have the text, and says which clipboard has it.
func first(ctx context.Context, tools []tool, text string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var errs []error
	for _, t := range tools {
		err := t.run(ctx, text)
		if err == nil {
			if t.clipboard == tmuxBuffer {
				return tmuxBuffer, nil
			}
			return t.clipboard + " (" + t.name + ")", nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// run lets the program have the text.
func (t tool) run(ctx context.Context, text string) error {
	path, err := exec.LookPath(t.name)
	if err != nil {
		return &ToolError{Tool: t.name, Err: errMissing}
	}
	if !filepath.IsAbs(path) { // of an entry of PATH that is none
		return &ToolError{Tool: t.name, Err: exec.ErrDot}
	}
	cmd := exec.CommandContext(ctx, path, t.args...) //nolint:gosec // one of the programs above, and the text is no argument
	if len(t.env) > 0 {
		cmd.Env = append(cmd.Environ(), t.env...)
	}
	cmd.Stdin = strings.NewReader(text)
	if t.utf16 {
		cmd.Stdin = strings.NewReader(inUTF16(text))
	}
	// Its output goes nowhere. With a pipe for it, waiting would last as long as the process that xclip leaves behind,
	// which has the other end: until something else is copied.
	cmd.Stdout, cmd.Stderr = nil, nil
	cmd.WaitDelay = 100 * time.Millisecond // that text may be left in the pipe when it has ended
	alone(cmd)
	err = cmd.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &ToolError{Tool: t.name, Err: fmt.Errorf("did not end within %s", within)}
	case errors.Is(err, exec.ErrWaitDelay):
		return &ToolError{Tool: t.name, Err: errors.New("did not read all of the text")}
	}
	return &ToolError{Tool: t.name, Err: err}
}

var errMissing = errors.New("not found in PATH")

// ToolError is a program that did not take a text.
type ToolError struct {
	Tool string
	Err  error
}

func (e *ToolError) Error() string { return fmt.Sprintf("%s: %v", e.Tool, e.Err) }

// Unwrap is why.
func (e *ToolError) Unwrap() error { return e.Err }
