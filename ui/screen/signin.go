package screen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/shell"
)

// expiry is the error of a call that was refused because the credentials of a place have expired: a look at the account, the
// question who the credentials belong to, or a tunnel of that place. Nil when no call was refused for that.
func (ts *tunnels) expiry(p *place) *aws.ExpiredError {
	all := []error{p.trouble, p.who}
	for _, r := range ts.rows {
		if r.place == p && r.holder == nil {
			all = append(all, ts.ailment(r))
		}
	}
	for _, err := range all {
		if expired, ok := errors.AsType[*aws.ExpiredError](err); ok {
			return expired
		}
	}
	return nil
}

// signIn runs the command that signs in again where single sign-on, or what "aws login" did, is over. It has the terminal until
// it ends; then whatever has failed for that is tried again at once, and tunnels go on by themselves.
func signIn(ctx context.Context, ts *tunnels, p *place) wish {
	expired := ts.expiry(p)
	switch {
	case expired == nil && p.client == nil && p.trouble == nil:
		return tell("signing in; what comes of it is not known yet")
	case expired == nil:
		return tell("nothing to sign in to: no sign-in of profile " + say.Line(p.profileName()) + " is known to be over")
	case expired.Command() == nil:
		return fail(expired)
	}
	words := expired.Command()
	shown := make([]string, len(words))
	for i, w := range words {
		shown[i] = say.Word(w)
	}
	command := strings.Join(shown, " ")
	run := &shell.Program{Context: ctx, Words: words, Title: command + "; ctrl+c leads back to culvert"}
	return beside(tea.Exec(run, func(err error) tea.Msg { //nolint:contextcheck // a place has the context of the run
		return then(func() wish {
			if missing, ok := errors.AsType[*shell.NoProgramError](err); ok {
				return all(hurry(), fail(&whole{missing.Error(), "install it, or run where it is: " + command}))
			}
			if err != nil {
				return all(hurry(), fail(&SignInError{Command: command, Err: err}))
			}
			again := []wish{hurry(), tell("signed in to profile " + say.Line(expired.Profile))}
			for _, other := range slices.Clone(p.of.places) { // other places may depend on the same sign-in
				if other == p || ts.expired(other) {
					again = append(again, other.look(), other.introduce())
				}
			}
			return all(again...)
		})
	}))
}

// SignInError means that signing in again has failed; the reason was printed by its command.
type SignInError struct {
	Command string
	Err     error
}

func (e *SignInError) Error() string { return fmt.Sprintf("not signed in: %v", e.Err) }
func (e *SignInError) Unwrap() error { return e.Err }

// Remedy says how to see what the command prints.
func (e *SignInError) Remedy() string { return "run it in another terminal to see why: " + e.Command }
