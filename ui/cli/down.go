package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"culvert/ui/control"
	"culvert/ui/headless"
)

// down ends what is up.
func (a *app) down() *cobra.Command {
	return &cobra.Command{
		Use:   "down [NAME...]",
		Short: "End the tunnels that culvert up holds, all of them when no name is given",
		Long: "Ends sets of tunnels and waits until their sessions are terminated: those of culvert up, and those that the interface\n" +
			"has left in the background (kept). It is harmless when nothing is up, and tells of a set that ended by itself. It fails\n" +
			"when a tunnel had been lost for good before, or a process had to be killed.",
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.runDown(cmd.Context(), names)
		},
		ValidArgsFunction: completeSets,
	}
}

// leftFiles is how long the log of an ended set is kept.
const leftFiles = 7 * 24 * time.Hour

func (a *app) runDown(ctx context.Context, names []string) error {
	dir := controlDir()
	defer dir.Prune(leftFiles, screenLog)
	defer a.endRuns(ctx, a) // also when nothing is up: a killed process may have left a task
	if len(names) == 0 {
		var err error
		if names, err = dir.Names(); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		return a.write("nothing is up\n")
	}
	var failed []error
	for _, name := range names {
		failed = append(failed, a.end(ctx, dir, name))
	}
	return errors.Join(failed...)
}

// end ends one set.
func (a *app) end(ctx context.Context, dir control.Dir, name string) error {
	r, _ := dir.Read(name) // Down says what is wrong with it
	last, err := dir.Down(ctx, name)
	if isAbsent(err) {
		return a.write("nothing is up under the name " + name + "\n")
	}
	err = errors.Join(err, a.giveBack(dir, r.Exported))
	how := "was told to end"
	switch {
	case last.State == control.Ended:
		how = last.Ended.String()
		a.noticef("%s %s", name, how)
	case last.Error != "":
		how = "ended: " + last.Error
	}
	if n := len(last.Left); n > 0 {
		how += fmt.Sprintf("; sessions that could not be terminated: %d", n)
	}
	a.tell(name, last, dir.Log(name))
	a.github.Summarize(headless.Summary("culvert down "+name, how, last, true))
	_, killed := errors.AsType[*control.StuckError](err)
	if last.State == control.Crashed {
		a.noticef("warning: %s: %s", name, last.Error)
	}
	if !last.Alive() && last.State != control.Ended || killed {
		a.endRecorded(ctx, a.shared.above(slices.Concat(r.Accounts, r.Former)))
	}
	for _, u := range last.Left {
		a.warn(&control.SetError{Problem: name + ": " + u.Error, Advice: u.Remedy})
	}
	if err != nil {
		return err
	}
	if err := a.write(name + " is down\n"); err != nil {
		return err
	}
	if last.State == control.Failed {
		return &control.SetError{Problem: name + " had ended before: " + last.Error, Advice: last.Remedy, Code: exitFailed}
	}
	return nil
}
