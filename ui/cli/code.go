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

// codeTries is how often the user is asked when what was typed is no code.
const codeTries = 3

// rolesDir is the directory with the sessions of roles for which the user has typed a one-time code.
func rolesDir() string { return filepath.Join(findPaths().State, "roles") }

// signIn asks at the terminal for the one-time code that the role of an account wants, and opens the account. It is called before
// --wait begins, as typing takes people some time, and before anything else reads the terminal's keys. The client is nil when no
// code is wanted or nobody can be asked. The options are those to connect with from then on; they ask for no code.
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

// signInTo calls signIn for each account of a set that another process will open. The sessions of the roles are kept in rolesDir
// for that process.
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

// codeError says that the user has typed no code.
type codeError struct{}

func (*codeError) Error() string { return "no code of six digits was typed" }

// Remedy says what a code looks like.
func (*codeError) Remedy() string {
	return "run it again, and type the six digits that the device shows"
}

// maxLine is the most bytes that readLine reads: more than a code has.
const maxLine = 256

// readLine reads a line and no byte after it, as those bytes are for a command. A read from a terminal cannot be cancelled: if
// ctx ends first, the read goes on and takes the next line that is typed, but then the process ends.
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
