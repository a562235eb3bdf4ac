package emulator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// programs are the programs of the containers; argv[0] is the path.
func programs() map[string]func(context.Context, *process, []string) int {
	return map[string]func(context.Context, *process, []string) int{
		"sh": shell, "cat": cat, "echo": echo, "printf": printf, "env": env, "ls": ls, "stty": stty, "sleep": sleep,
		"seq": seq, "wc": wc, "yes": yes,
		"true":     func(context.Context, *process, []string) int { return 0 },
		"false":    func(context.Context, *process, []string) int { return 1 },
		"hostname": func(ctx context.Context, p *process, _ []string) int { return p.print(ctx, p.files["/etc/hostname"]) },
		"id": func(ctx context.Context, p *process, _ []string) int {
			return p.print(ctx, "uid=0(root) gid=0(root)\n")
		},
	}
}

func cat(ctx context.Context, p *process, argv []string) int {
	if len(argv) == 1 {
		p.stdin(ctx, func(text []byte) bool { return p.print(ctx, string(text)) == 0 })
		return 0
	}
	code := 0
	for _, path := range argv[1:] {
		text, err := p.open(path)
		if err != nil {
			code = p.complain(ctx, 1, "cat: %s: No such file or directory", path)
			continue
		}
		p.print(ctx, text)
	}
	return code
}

func echo(ctx context.Context, p *process, argv []string) int {
	return p.print(ctx, strings.Join(argv[1:], " ")+"\n")
}

// printf understands %s and
// , and repeats its format until no arguments are left.
func printf(ctx context.Context, p *process, argv []string) int {
	if len(argv) < 2 {
		return p.complain(ctx, 2, "printf: missing operand")
	}
	parts, args := strings.Split(strings.ReplaceAll(argv[1], `\n`, "\n"), "%s"), argv[2:]
	for first := true; first || (len(parts) > 1 && len(args) > 0); first = false {
		var text strings.Builder
		text.WriteString(parts[0])
		for _, part := range parts[1:] {
			if len(args) > 0 {
				text.WriteString(args[0])
				args = args[1:]
			}
			text.WriteString(part)
		}
		if code := p.print(ctx, text.String()); code != 0 {
			return code
		}
	}
	return 0
}

func env(ctx context.Context, p *process, _ []string) int {
	for _, name := range slices.Sorted(maps.Keys(p.env)) {
		p.print(ctx, name+"="+p.env[name]+"\n")
	}
	return 0
}

func ls(ctx context.Context, p *process, argv []string) int {
	dir := "/"
	if len(argv) > 1 {
		dir = argv[1]
	}
	names := p.list(dir)
	if len(names) == 0 {
		return p.complain(ctx, 2, "ls: %s: No such file or directory", dir)
	}
	return p.print(ctx, strings.Join(names, "\n")+"\n")
}

// stty understands size, echo and -echo.
func stty(ctx context.Context, p *process, argv []string) int {
	for _, word := range argv[1:] {
		switch word {
		case "size":
			size := p.tty.measure()
			p.print(ctx, fmt.Sprintf("%d %d\n", size.Rows, size.Cols))
		case "echo", "-echo":
			p.tty.echo(word == "echo")
		default:
			return p.complain(ctx, 1, "stty: invalid argument '%s'", word)
		}
	}
	return 0
}

func sleep(ctx context.Context, p *process, argv []string) int {
	if len(argv) < 2 {
		return p.complain(ctx, 1, "sleep: missing operand")
	}
	seconds, err := strconv.ParseFloat(argv[1], 64)
	if err != nil || seconds < 0 || seconds > 1e6 {
		return p.complain(ctx, 1, "sleep: invalid time interval '%s'", argv[1])
	}
	if pause(ctx, time.Duration(seconds*float64(time.Second))) != nil {
		return exitInterrupted
	}
	return 0
}

func seq(ctx context.Context, p *process, argv []string) int {
	last := 0
	if len(argv) > 1 {
		last, _ = strconv.Atoi(argv[1])
	}
	for i := 1; i <= last; i++ {
		if code := p.print(ctx, strconv.Itoa(i)+"\n"); code != 0 {
			return code
		}
	}
	return 0
}

// wc counts the bytes of its input.
func wc(ctx context.Context, p *process, _ []string) int {
	n := 0
	p.stdin(ctx, func(text []byte) bool {
		n += len(text)
		return true
	})
	return p.print(ctx, strconv.Itoa(n)+"\n")
}

func yes(ctx context.Context, p *process, argv []string) int {
	word := "y"
	if len(argv) > 1 {
		word = strings.Join(argv[1:], " ")
	}
	for {
		if code := p.print(ctx, word+"\n"); code != 0 {
			return code
		}
	}
}
