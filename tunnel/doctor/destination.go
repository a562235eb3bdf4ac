package doctor

import (
	"context"
	"errors"

	"culvert/aws"
	"culvert/tunnel"
)

// destinationCheck finds the host and port of a named destination, and a service that reaches it: the later checks are about
// these.
func (x *examination) destinationCheck() Check {
	return Check{
		ID: checkDestination, Name: "the destination is known, and a service may reach it", After: []string{checkCredentials, checkIdentity},
		Behind: []string{checkListen}, // which reads what is written here
		Causes: []Cause{
			{"H1", "no destination of that name, or several; what could not be listed is named with its permission", "name one of the nearest, or its address and port; add the statement that is shown"},
			{"H2", "no service has a way to it: no rule of the security groups lets its tasks out or in, or no task is ready", "the `aws ec2 authorize-security-group-…` that is shown"},
		},
		Run: func(ctx context.Context) Finding {
			aims, err := x.client.Aim(ctx, x.Query, x.Spec.To)
			if err != nil {
				return fail(err)
			}
			to := aims[0]
			x.Query, x.Spec.Remote = to.Through, tunnel.Endpoint{Host: to.Host.Host, Port: to.Host.Port}
			evidence := x.Spec.To + " is " + to.Host.Address() + " (" + to.Host.Source + "), through " + to.Through.Target().String()
			if to.Unchecked != nil {
				return pass(evidence, to.Unchecked.Error())
			}
			return pass(evidence + ", whose security groups are let in")
		},
	}
}

// named reports whether the far end is still to be found.
func (x *examination) named() bool { return x.Spec.To != "" && x.Spec.Remote == tunnel.Endpoint{} }

// destinationCause knows the causes in finding a named destination.
func destinationCause(err error) string {
	missing, isMissing := errors.AsType[*aws.NotFoundError](err)
	ambiguous, isAmbiguous := errors.AsType[*aws.AmbiguousError](err)
	switch {
	case is[*aws.NoWayError](err):
		return "H2"
	case isMissing && missing.Kind == "destination", isAmbiguous && ambiguous.Kind == "destination":
		return "H1"
	}
	return ""
}
