package shell

import (
	"cmp"
	"context"
	"io"

	"culvert/tunnel"
)

// Foreground is Run in the form of bubbletea's ExecCommand: a program hands it to tea.Exec, which releases the terminal for
// the time. In and Out of Options should be the terminal's files; what is nil there is what the program has.
type Foreground struct {
	Context context.Context //nolint:containedctx // ExecCommand's Run has no parameter for it
	Options Options
	Exit    tunnel.Exit // of the command, once Run has returned
}

// Run runs the command.
func (f *Foreground) Run() (err error) {
	f.Exit, err = Run(f.Context, f.Options)
	return err
}

// SetStdin is where the command reads when Options do not say.
func (f *Foreground) SetStdin(r io.Reader) { f.Options.In = cmp.Or(f.Options.In, r) }

// SetStdout is where the command writes when Options do not say.
func (f *Foreground) SetStdout(w io.Writer) { f.Options.Out = cmp.Or(f.Options.Out, w) }

// SetStderr is where the command complains when Options do not say.
func (f *Foreground) SetStderr(w io.Writer) { f.Options.Err = cmp.Or(f.Options.Err, w) }
