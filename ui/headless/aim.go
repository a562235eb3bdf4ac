package headless

import (
	"context"
	"slices"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// Toward is the forward with the destination that its name (--to) was found to mean.
func (f Forward) Toward(a aws.Aim) Forward {
	f.Spec.Remote = tunnel.Endpoint{Host: a.Host.Host, Port: a.Host.Port}
	f.Query = a.Through
	return f
}

// nameless reports whether a forward has no name of a destination (--to) that is still to be looked up.
func (f Forward) nameless() bool { return f.Spec.To == "" || f.Spec.Remote != tunnel.Endpoint{} }

// aim looks up what the names of destinations (--to) mean, and completes wanted with it. Forwards of an account that go through
// the same services share one lookup. errs has the error of each forward at its index; the first error ends the lookups.
func (r *run) aim(ctx context.Context, c *aws.Client, wanted []Forward) []error {
	errs := make([]error, len(wanted))
	for i, f := range wanted {
		if f.nameless() {
			continue
		}
		var names []string
		var at []int
		for j, other := range wanted {
			if !other.nameless() && other.Query == f.Query {
				names, at = append(names, other.Spec.To), append(at, j)
			}
		}
		aims, err := persist(ctx, f.Spec.To, r.notices, func() ([]aws.Aim, error) { return c.Aim(ctx, f.Query, names...) })
		if err != nil {
			errs[i] = err
			return errs
		}
		for j, a := range aims {
			wanted[at[j]] = wanted[at[j]].Toward(a)
			r.notice(a)
		}
	}
	return errs
}

// notice tells the user what could not be checked of the way to a named destination.
func (r *run) notice(a aws.Aim) {
	if a.Unchecked != nil {
		r.notices.say(WithRemedy(a.Unchecked))
	}
}

// WithRemedy is an error in one line, with what to do about it where that is known.
func WithRemedy(err error) string {
	if cure := say.Remedy(err); cure != "" {
		return err.Error() + "; remedy: " + cure
	}
	return err.Error()
}

// anyError reports whether one of errs is not nil.
func anyError(errs []error) bool {
	return slices.ContainsFunc(errs, func(err error) bool { return err != nil })
}
