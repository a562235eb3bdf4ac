package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/tunnel/bond"
)

// bonds reports whether connections might go through a relay, which only opens ports of the task itself.
func (x *examination) bonds() bool {
	return !x.anyHost() && x.Spec.Remote.Host == "" && x.Relay != tunnel.RelayNo
}

func (x *examination) relayCheck() Check {
	return Check{
		ID: checkRelay, Name: "a relay that bonds sessions answers", After: []string{checkHandshake}, Lasts: true,
		Causes: []Cause{
			{"E8", "the port mapping named `culvert-relay` is of no use, on another container's loopback, or its container has stopped", "mend the mapping, or see the container's log; connections go without it meanwhile"},
			{"E9", "the relay does not answer, or is none of culvert's", "see the log of the container that maps the port `culvert-relay`; connections go without it meanwhile"},
			{"E10", "the relay speaks another version", "use the relay's image of this culvert's release (`relay_image`)"},
			{"E11", "the task is too small for what the relay bonds", "give it 1 vCPU and 1 GB at least (`cpu`, `memory`), or take `relay_image` out"},
		},
		Run: func(ctx context.Context) Finding {
			found, err := x.client.Relay(ctx, x.found.Target, true)
			none, missing := errors.AsType[*aws.NoRelayError](err)
			switch {
			case missing && none.Why == aws.RelayUnmapped && x.Relay != tunnel.RelayRequire:
				return skip("there is none: no port mapping of the task definition is named " + aws.RelayName)
			case missing:
				return x.unbonded(err)
			case err != nil:
				return blind(err)
			}
			where := fmt.Sprintf("%s, port %d", found.Container, found.Port)
			theirs, err := x.greet(ctx, found.Port)
			switch {
			case err != nil:
				return x.unbonded(&RelayError{Where: where, Err: err}, where)
			case found.Small():
				return Finding{Verdict: Warn, Err: &SmallRelayError{Relay: found}, Evidence: []string{where + theirs}}
			}
			return pass(where+theirs, fmt.Sprintf("the task affords %d sessions at full rate", found.Affords()))
		},
	}
}

// unbonded is the finding that the relay cannot be used: a failure when a relay is required, else a warning, as connections go
// without one.
func (x *examination) unbonded(err error, evidence ...string) Finding {
	if x.Relay == tunnel.RelayRequire {
		return fail(err, evidence...)
	}
	return Finding{Verdict: Warn, Err: err, Evidence: evidence}
}

// greet says hello to the relay over a session of its own, and returns as evidence how long the answer took.
func (x *examination) greet(ctx context.Context, port uint16) (string, error) {
	own, err := x.openTunnel(ctx, tunnel.Endpoint{Port: port})
	if err != nil {
		return "", err
	}
	defer x.end(ctx, own)
	if err := own.await(ctx, x.Patience); err != nil {
		return "", err
	}
	conn, err := own.tunnel.Dial()
	if err != nil {
		return "", err
	}
	began := time.Now()
	b := bond.New(bond.Config{Build: x.Build})
	defer b.Close() //nolint:errcheck // nothing has gone through it
	if _, err := b.Join(ctx, conn); err != nil {
		if refused := own.whyEnded(ctx); refused != nil {
			err = refused
		}
		return "", err
	}
	return " answers after " + brief(time.Since(began)), nil
}

// RelayError means that a relay cannot be used.
type RelayError struct {
	Where string
	Err   error
}

func (e *RelayError) Error() string { return fmt.Sprintf("the relay (%s): %v", e.Where, e.Err) }
func (e *RelayError) Unwrap() error { return e.Err }

// Remedy says which release to use for a relay of another version, else where to look.
func (e *RelayError) Remedy() string {
	if remedy := say.Remedy(e.Err); remedy != "" && errors.As(e.Err, new(*bond.VersionError)) {
		return remedy
	}
	return "see the log of the container " + aws.RelayName + ", and whether it runs; --relay no does not look for it"
}

// SmallRelayError means that a relay's task is too small to carry several sessions at their full rate.
type SmallRelayError struct{ Relay aws.Relay }

func (e *SmallRelayError) Error() string {
	return fmt.Sprintf("the relay answers, but its task has %d CPU units and %d MiB: sessions at full rate that it carries: %d", e.Relay.CPU, e.Relay.Memory, e.Relay.Affords())
}

// Remedy names the least size of the task.
func (e *SmallRelayError) Remedy() string {
	return fmt.Sprintf("give the task %d CPU units and %d MiB at least (cpu and memory of the Terraform module, Size large of the CloudFormation template), or do without the relay: a smaller task is no faster by it", aws.LeastRelayCPU, aws.LeastRelayMemory)
}

// relayCause knows the causes that are about relays.
func relayCause(err error) string {
	relay, unusable := errors.AsType[*RelayError](err)
	switch {
	case is[*aws.NoRelayError](err):
		return "E8"
	case unusable && is[*bond.VersionError](relay.Err):
		return "E10"
	case unusable:
		return "E9"
	case is[*SmallRelayError](err):
		return "E11"
	}
	return ""
}
