package headless

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Command is a program that runs while the tunnels are open.
type Command struct {
	Args      []string // culvert's names in braces are filled in, but for the first argument
	Env       []string // its environment, to which the variables of the listeners and of the proxy are added
	Proxy     ProxyEnv
	NoProxy   []string // hosts that are reached without the proxy
	KeepGoing bool     // the command's exit code is the run's even when a tunnel was lost
	Stdin     *os.File // the command gets the three files as they are
	Stdout    *os.File
	Stderr    *os.File
	Signals   <-chan os.Signal // that arrive besides the one that ends Run's context: one that asks to end kills the command, others are passed on
	Grace     time.Duration    // from the first ending signal to the kill; 0 is 8 s
	// Fit is called right before the start, when the listeners are known, and returns what else the program needs. May be nil.
	Fit func(ctx context.Context, listeners []Listener) (Fit, error)
}

// Fit is what a program needs besides the tunnels.
type Fit struct {
	Listeners []Listener                  // that the program is told of instead of the tunnels' own
	Env       func(env []string) []string // changes its environment
	Arguments func(all []string) []string // changes its name and arguments
}

// grace is how long a command may take to end. It is less than the 10 s after which docker and the GitHub runner kill culvert.
const grace = 8 * time.Second

// The exit codes of a command that could not be started, as shells have them.
const (
	codeNotExecutable = 126
	codeNotFound      = 127
	codeSignal        = 128 // plus the signal's number
)

// CommandError is a command that could not be started.
type CommandError struct {
	Name string
	Code int // exit code: 126 or 127
	Err  error
}

func (e *CommandError) Error() string { return fmt.Sprintf("run %q: %v", e.Name, e.Err) }
func (e *CommandError) Unwrap() error { return e.Err }

// Remedy tells a program that was not found from one that cannot be run.
func (e *CommandError) Remedy() string {
	if e.Code == codeNotFound {
		return "install it, correct its name, or give its path; a line for a shell needs the shell: -- sh -c '…'"
	}
	return "make it executable (chmod +x), or run it through its interpreter"
}

// TemplateError is an argument of a command that names, in braces, a value that no listener has.
type TemplateError struct {
	Argument string
	Name     string // as in {{.Name}}
	Known    []string
}

func (e *TemplateError) Error() string {
	if e.Name == "ProxyURL" {
		return fmt.Sprintf("argument %q: there is no {{.ProxyURL}}, as no proxy is at the far end", e.Argument)
	}
	return fmt.Sprintf("argument %q: there is no {{.%s}}", e.Argument, e.Name)
}

// Remedy lists the names that can be used.
func (e *TemplateError) Remedy() string {
	return "use " + strings.Join(e.Known, " ") + ", with _2 and so on for a further forward; a template of the command's own says {{$" + "." + e.Name + "}} instead"
}

// EndError says that a command ended with a code other than 0. The code becomes the exit code of the run, and nothing is
// printed about it.
type EndError struct {
	Name string
	Code int
}

func (e *EndError) Error() string { return fmt.Sprintf("%q ended with %d", e.Name, e.Code) }

// program is a Command that has been looked up and whose arguments were read.
type program struct {
	*Command

	path string
}

// prepared looks up the program and checks the arguments before anything is opened for it. Its errors are *CommandError and
// *TemplateError.
func (c *Command) prepared(forwards int) (*program, error) {
	path, err := exec.LookPath(c.Args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) { // a dot in the PATH is the user's own choice
		return nil, startError(c.Args[0], err)
	}
	p := &program{Command: c, path: path}
	example := make([]Listener, forwards)
	for i := range example {
		example[i] = Listener{Host: "127.0.0.1", Port: 3128, Addr: "127.0.0.1:3128", URL: "http://127.0.0.1:3128"}
	}
	_, err = p.arguments(example)
	return p, err
}

func startError(name string, err error) *CommandError {
	code := codeNotExecutable
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = codeNotFound
	}
	for { // CommandError tells the name already
		if e, ok := err.(*exec.Error); ok { //nolint:errorlint // peels one layer
			err = e.Err
		} else if e, ok := err.(*fs.PathError); ok { //nolint:errorlint // as above
			err = e.Err
		} else {
			return &CommandError{Name: name, Code: code, Err: err}
		}
	}
}

func known() []string { return []string{"{{.Host}}", "{{.Port}}", "{{.Addr}}", "{{.ProxyURL}}"} }

// templateForm are culvert's own names in braces. Whatever else is in braces is the command's.
var templateForm = regexp.MustCompile(`\{\{ *\.((?:Host|Port|Addr|ProxyURL)(?:_[0-9]{1,4})?) *\}\}`)

// arguments fills in the first listener's values, and those of Host_1, Host_2, … where there are several.
func (p *program) arguments(listeners []Listener) ([]string, error) {
	values := map[string]string{}
	add := func(at Listener, suffix string) {
		values["Addr"+suffix] = at.Addr
		if at.Host != "" {
			values["Host"+suffix], values["Port"+suffix] = at.Host, strconv.Itoa(int(at.Port))
		}
		if at.URL != "" {
			values["ProxyURL"+suffix] = at.URL
		}
	}
	for i, at := range listeners {
		add(at, fmt.Sprintf("_%d", i+1))
	}
	add(listeners[0], "")
	if url := firstProxy(listeners); url != "" {
		values["ProxyURL"] = url
	}
	arguments := []string{p.Args[0]}
	for _, argument := range p.Args[1:] {
		var missing error
		arguments = append(arguments, templateForm.ReplaceAllStringFunc(argument, func(found string) string {
			name := templateForm.FindStringSubmatch(found)[1]
			value, there := values[name]
			if !there && missing == nil {
				missing = &TemplateError{Argument: argument, Name: name, Known: known()}
			}
			return value
		}))
		if missing != nil {
			return nil, missing
		}
	}
	return arguments, nil
}

// start runs the program. The channel gets its exit code once, when it has ended.
func (p *program) start(ctx context.Context, listeners []Listener, say func(string)) (<-chan int, error) {
	fit := Fit{listeners, slices.Clone[[]string], slices.Clone[[]string]}
	if p.Fit != nil {
		var err error
		if fit, err = p.Fit(ctx, listeners); err != nil {
			return nil, err
		}
	}
	arguments, err := p.arguments(fit.Listeners)
	if err != nil {
		return nil, err
	}
	// No CommandContext: the end of ctx does not kill the program, attend sends it the signal that ended ctx.
	cmd := exec.Command(p.path) //nolint:gosec,noctx // what the user asked for
	cmd.Args, cmd.Env = fit.Arguments(arguments), environment(fit.Env(p.Env), fit.Listeners, p.Proxy, p.NoProxy)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Stdin, p.Stdout, p.Stderr
	c, err := startChild(cmd)
	if err != nil {
		return nil, startError(p.Args[0], err)
	}
	waited := make(chan int, 1)
	go func() { waited <- c.wait() }()
	ended := make(chan int, 1)
	go func() { ended <- p.attend(ctx, c, waited, say) }()
	return ended, nil
}

// attend passes signals on to the child until it has ended, kills it when it does not end in time, and returns its exit code.
func (p *program) attend(ctx context.Context, c *child, waited <-chan int, say func(string)) int {
	patience := p.Grace
	if patience == 0 {
		patience = grace
	}
	told, killed := 0, false // told is the number of the first signal that asks to end
	done := ctx.Done()
	var late <-chan time.Time
	kill := func(why string) {
		if killed = true; done != nil {
			done, told = nil, c.end(context.Cause(ctx))
		}
		say(fmt.Sprintf("%s: %q is killed", why, p.Args[0]))
		c.kill()
	}
	for {
		select {
		case code := <-waited:
			if killed {
				return codeSignal + told
			}
			return code
		case <-done:
			done = nil
			told = c.end(context.Cause(ctx))
			late = time.After(patience)
		case s := <-p.Signals:
			switch {
			case !ending(s):
				c.pass(s)
			case !killed:
				kill("the second signal")
			}
		case <-late:
			if !killed {
				kill(fmt.Sprintf("it has not ended %s after the signal", patience))
			}
		}
	}
}
