package headless

import (
	"context"
	"slices"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// Toward is a forward whose destination is named, once it is found what the name means.
func (f Forward) Toward(a aws.Aim) Forward {
	f.Spec.Remote = tunnel.Endpoint{Host: a.Host.Host, Port: a.Host.Port}
	f.Query = a.Through
	return f
}

// nameless reports whether everything of a forward is known but its container.
func (f Forward) nameless() bool { return f.Spec.To == "" || f.Spec.Remote != tunnel.Endpoint{} }

// aim finds what the names of destinations mean, for all forwards of an account that are to go through the same services by one
// look. wanted are completed; an error stands where the forward does that it is about.
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

// notice says of a way what nobody has looked at.
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

// anyError reports whether there is one.
func anyError(errs []error) bool {
	return slices.ContainsFunc(errs, func(err error) bool { return err != nil })
}
