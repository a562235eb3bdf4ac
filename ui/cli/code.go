package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/term"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/control"
)

// codeTries is how often a code that is none may be typed.
const codeTries = 3

// rolesDir has the sessions of roles that a one-time code was asked for.
func rolesDir() string { return filepath.Join(findPaths().State, "roles") }

// signIn asks for the one-time code that the role of an account wants, on a terminal, and opens the account. That is before
// --wait begins, as people take their time, and before anything else has the terminal's keys. The client is nil where no
// code is wanted or nobody can be asked; the options are those to connect with from then on.
func (a *app) signIn(ctx context.Context, o aws.Options) (*aws.Client, aws.Options, error) {
	if a.unasked || a.shared.demo || !a.canAsk() || !aws.WantsCode(ctx, o) {
		return nil, o, nil
	}
	asking := o
	asking.Code = a.askCode
	o.Code = func(context.Context, string, string) (string, error) { return "", aws.ErrNoCode }
	client, err := aws.Connect(ctx, asking)
	return client, o, err
}

// signInTo does so for each account of a set that another process will open: the sessions of its roles are kept for that.
func (a *app) signInTo(ctx context.Context, in []control.Account) error {
	acc := &account{}
	defer acc.close()
	if a.shared.demo || !a.canAsk() {
		return nil
	}
	base, err := acc.prepare(a) //nolint:contextcheck // only the demo would start anything
	if err != nil {
		return err
	}
	all := accounts{app: a, acc: acc, base: base}
	for i, one := range in {
		if slices.Contains(in[:i], one) {
			continue
		}
		if _, _, err := a.signIn(ctx, all.options(one)); err != nil {
			return err
		}
	}
	return nil
}

// canAsk reports whether there is a user at a terminal who sees a question and can answer it.
func (a *app) canAsk() bool {
	in, isFile := a.Stdin.(*os.File)
	out, seen := a.Stderr.(*os.File)
	return isFile && seen && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))
}

func (a *app) askCode(ctx context.Context, profile, serial string) (string, error) {
	for range codeTries {
		_, _ = fmt.Fprintf(a.Stderr, "one-time code of %s for profile %s: ", say.Line(serial), say.Line(profile))
		text, err := readLine(ctx, a.Stdin)
		switch {
		case err != nil:
			_, _ = io.WriteString(a.Stderr, "\n")
			return "", err
		case aws.IsCode(text):
			return text, nil
		}
		_, _ = io.WriteString(a.Stderr, "a code has six digits\n")
	}
	return "", &codeError{}
}

// codeError is a code that was not typed.
type codeError struct{}

func (*codeError) Error() string { return "no code of six digits was typed" }

// Remedy is to type it.
func (*codeError) Remedy() string {
	return "run it again, and type the six digits that the device shows"
}

// maxLine is more than a code has.
const maxLine = 256

// readLine reads a line and no byte beyond it, which are a command's. A terminal's read cannot be called off: when ctx ends
// first, what is typed next goes nowhere, but then the process ends.
func readLine(ctx context.Context, from io.Reader) (string, error) {
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() {
		var text strings.Builder
		one := make([]byte, 1)
		for text.Len() < maxLine {
			n, err := from.Read(one)
			switch {
			case n == 1 && one[0] == '\n', errors.Is(err, io.EOF) && text.Len() > 0:
				read <- line{text: strings.TrimSpace(text.String())}
				return
			case errors.Is(err, io.EOF):
				read <- line{err: &codeError{}}
				return
			case err != nil:
				read <- line{err: fmt.Errorf("read the code: %w", err)}
				return
			}
			text.Write(one[:n])
		}
		read <- line{text: "too long"}
	}()
	select {
	case l := <-read:
		return l.text, l.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
