package emulator

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// process is a running program in an emulated container: one of a few programs that read and write only the container's
// terminal and some made-up files. It has no access to this machine.
type process struct {
	tty    *tty
	errors io.Writer // nil for the terminal
	env    map[string]string
	files  map[string]string
	last   int // exit code of the last command
}

// Exit codes, as shells use them.
const (
	exitInterrupted = 130
	exitNotFound    = 127
)

func newProcess(c *container, t *tty) *process {
	host := "ip-10-0-1-" + strconv.Itoa(int(c.task.id[0])) + ".eu-west-1.compute.internal"
	env := map[string]string{
		"PATH": "/usr/bin:/bin", "HOME": "/root", "HOSTNAME": host, "TERM": "xterm-256color", "LANG": "C.UTF-8",
		"AWS_EXECUTION_ENV": "AWS_ECS_" + launch(c.task.pattern),
	}
	for _, pair := range c.pattern.Environment {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	files := map[string]string{
		"/etc/hostname":   host + "\n",
		"/etc/os-release": "PRETTY_NAME=\"a container of culvert's emulator: a few commands, no real files\"\nID=culvert\n",
	}
	if c.pattern.Ports[3128] == Proxy {
		files["/etc/squid/squid.conf"] = "http_port 3128\nacl blocked dstdomain blocked.internal\nhttp_access deny blocked\nhttp_access allow localnet\nhttp_access deny all\n"
		files["/var/log/squid/access.log"] = "1764000000.123      1 127.0.0.1 TCP_DENIED/403 3900 CONNECT blocked.internal:443 - HIER_NONE/- text/html\n"
	}
	return &process{tty: t, env: env, files: files}
}

// run runs a program in the foreground.
func (p *process) run(ctx context.Context, run func(context.Context, *process, []string) int, argv []string) int {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	before := p.tty.foreground(cancel)
	code := run(running, p, argv)
	p.tty.foreground(before)
	if running.Err() != nil && ctx.Err() == nil {
		_ = p.tty.write(ctx, []byte("\n")) // as a shell does after ^C
		return exitInterrupted
	}
	return code
}

func (p *process) print(ctx context.Context, text string) int {
	if p.tty.write(ctx, []byte(text)) != nil {
		return exitInterrupted
	}
	return 0
}

// complain writes to stderr and returns code.
func (p *process) complain(ctx context.Context, code int, format string, args ...any) int {
	text := fmt.Sprintf(format, args...) + "\n"
	if p.errors == nil {
		p.print(ctx, text)
	} else {
		_, _ = io.WriteString(p.errors, text) // cannot fail: the text is queued
	}
	return code
}

// stdin passes what is typed to take until the input ends or take returns false. It is false when an interrupt has ended it.
func (p *process) stdin(ctx context.Context, take func([]byte) bool) bool {
	buffer := make([]byte, 1024)
	for {
		n, err := p.tty.read(ctx, buffer)
		if err != nil {
			return err == io.EOF //nolint:errorlint // read's own, never wrapped
		}
		if !take(buffer[:n]) {
			return true
		}
	}
}

// shell runs the lines that it reads, or the line that follows -c.
func shell(ctx context.Context, p *process, argv []string) int {
	if len(argv) > 2 && argv[1] == "-c" {
		code, _ := p.script(ctx, argv[2])
		return code
	}
	if len(argv) > 1 {
		return p.complain(ctx, 2, "sh: %s: cannot open", argv[1])
	}
	p.tty.foreground(func() {}) // ctrl+c does not end a shell; run restores the handler before
	for ctx.Err() == nil {
		p.print(ctx, "# ")
		line := ""
		asking, interrupt := context.WithCancel(ctx)
		before := p.tty.foreground(interrupt)
		ended := !p.stdin(asking, func(text []byte) bool {
			line += string(text)
			return !strings.HasSuffix(line, "\n")
		})
		interrupted := asking.Err() != nil
		interrupt()
		p.tty.foreground(before)
		switch {
		case interrupted:
			p.print(ctx, "\n")
			p.last = exitInterrupted
			continue
		case ended || line == "":
			return p.last
		}
		if code, exit := p.script(ctx, line); exit {
			return code
		}
	}
	return exitInterrupted
}

// script runs the commands of a text and returns the last exit code; exit reports whether one of them was exit.
func (p *process) script(ctx context.Context, text string) (code int, exit bool) {
	for _, command := range commandsOf(text) {
		words := p.words(command)
		if len(words) == 0 {
			continue
		}
		if words[0] == "exit" {
			if len(words) > 1 {
				n, _ := strconv.Atoi(words[1])
				p.last = n & 255
			}
			return p.last, true
		}
		if n := len(words) - 1; words[n] == ">&2" {
			p.last = p.complain(ctx, 0, "%s", strings.Join(words[min(1, n):n], " "))
			continue
		}
		path, run := program(words[0])
		if run == nil {
			p.last = p.complain(ctx, exitNotFound, "sh: %s: not found", words[0])
			continue
		}
		p.last = p.run(ctx, run, append([]string{path}, words[1:]...))
		if p.last == exitInterrupted {
			break
		}
	}
	return p.last, false
}

// commandsOf splits a text at each ; and line end that is not quoted.
func commandsOf(text string) []string {
	var commands []string
	quote, start := byte(0), 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == quote:
			quote = 0
		case quote != 0:
		case c == '\'' || c == '"':
			quote = c
		case c == ';' || c == '\n':
			commands = append(commands, text[start:i])
			start = i + 1
		}
	}
	return append(commands, text[start:])
}

// words splits a command into words, with variables replaced and quotes removed.
func (p *process) words(command string) []string {
	var words []string
	var word strings.Builder
	quote, begun := byte(0), false
	for i := 0; i < len(command); i++ {
		c := command[i]
		switch {
		case c == quote && quote != 0:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, begun = c, true
		case c == '$' && quote != '\'':
			name := variableName(command[i+1:])
			i += len(name)
			begun = true
			switch name {
			case "":
				word.WriteByte(c)
			case "?":
				word.WriteString(strconv.Itoa(p.last))
			default:
				word.WriteString(p.env[name])
			}
		case quote == 0 && strings.IndexByte(" \t\r", c) >= 0:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

// variableName is the variable name at the beginning of a text; ? is one, too.
func variableName(text string) string {
	if strings.HasPrefix(text, "?") {
		return "?"
	}
	return text[:len(text)-len(strings.TrimLeft(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789"))]
}

// list are the names in a directory.
func (p *process) list(dir string) []string {
	dir = strings.TrimSuffix(dir, "/") + "/"
	found := map[string]bool{}
	for path := range p.files {
		if rest, below := strings.CutPrefix(path, dir); below {
			name, _, _ := strings.Cut(rest, "/")
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// open is the content of a file.
func (p *process) open(path string) (string, error) {
	if text, ok := p.files[path]; ok {
		return text, nil
	}
	return "", os.ErrNotExist
}
