package doctor

import (
	"context"
	"strings"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/tunnel/front"
)

// A tunnel to any host has no far end of its own: each host that a client asks for is one. So the examination opens its own
// session to the first host that a probe names, and another session for every other probe, as the engine would.

// anyHost reports whether the examination is of a tunnel to any host.
func (x *examination) anyHost() bool { return x.Spec.Dynamic != nil }

// far is where the examination's own session leads. Where no probe names a host, that is a port of the task itself, with the same
// document as for other hosts; the agent connects to the port only for a connection, and there will be none.
func (x *examination) far() tunnel.Endpoint {
	if !x.anyHost() {
		return x.Spec.Remote
	}
	for _, u := range x.Probes {
		if remote, err := destination(u); err == nil && x.elsewhere(remote) == nil {
			return remote
		}
	}
	return tunnel.Endpoint{Host: "localhost", Port: 1}
}

// elsewhere is the finding on a host to which the tunnel does not lead by its rules; nil for other hosts.
func (x *examination) elsewhere(remote tunnel.Endpoint) *Finding {
	way, err := front.NewRules(x.Spec.Dynamic.Via, x.Spec.Dynamic.Deny).Way(remote.Host, remote.Port)
	var f Finding
	switch {
	case err != nil:
		f = fail(err)
	case way == front.Directly:
		f = skip("no --via means it: it goes directly from this machine, and not through the task")
		f.Err = &AdviceError{Problem: f.Why, Advice: "add a --via that means it, if it is behind the task"} // with an error the skipped check is shown
	default:
		return nil
	}
	return &f
}

// hostsCheck stands for the probes when there are none, so that hosts at which nobody has looked do not seem to be fine.
func (x *examination) hostsCheck() Check {
	return Check{
		ID: checkHosts, Name: "the wanted hosts can be reached", After: []string{checkHandshake},
		Run: func(context.Context) Finding {
			f := skip("no --probe names one: nobody knows whether the task resolves and reaches them, nor their TLS and their answer")
			f.Err = &AdviceError{Problem: f.Why, Advice: "add --probe https://HOST/ or --probe HOST:PORT for each"} // with an error the skipped check is shown
			return f
		},
	}
}

// DroppedError means that a destination neither accepts nor refuses a connection, and says what the task's security groups have
// to do with that.
type DroppedError struct {
	Groups []string // the task's security groups
	Shut   bool     // none of the groups lets the task out to the port
	Advice string
	Err    error // *tunnel.UnansweredError
}

func (e *DroppedError) Error() string {
	if e.Shut {
		return e.Err.Error() + ": no security group of the task (" + strings.Join(e.Groups, ", ") + ") lets it out to that port"
	}
	return e.Err.Error()
}
func (e *DroppedError) Unwrap() error { return e.Err }

// Remedy is the command that opens the port in the security group that is likely to keep it shut.
func (e *DroppedError) Remedy() string {
	if e.Shut {
		return e.Advice
	}
	return say.Remedy(e.Err) + "; " + e.Advice
}

// groupsWithin bounds asking for the task's security groups; what is wrong is known without the answer.
const groupsWithin = 5 * time.Second

// dropped makes a *DroppedError of an *tunnel.UnansweredError, if the task's security groups may be looked at. It returns other
// errors as they are.
func (x *examination) dropped(ctx context.Context, remote tunnel.Endpoint, err error) error {
	task := x.found.Task
	if !is[*tunnel.UnansweredError](err) || remote.Host == "" || task.Subnet == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), groupsWithin)
	defer cancel()
	groups, out, unseen := x.client.Outlet(ctx, task.Subnet, task.Address, remote.Port)
	if unseen != nil {
		x.Log.Debug("the task's security groups are not known", "error", unseen)
		return err
	}
	e := &DroppedError{Groups: groups, Shut: !out, Err: err}
	if e.Shut {
		e.Advice = x.permit("authorize-security-group-egress", groups[0], remote.Port, "IpRanges=[{CidrIp=0.0.0.0/0}]") + " (or a narrower range)"
		return e
	}
	e.Advice = "with the destination's group in the place of GROUP " + x.permit("authorize-security-group-ingress", "GROUP", remote.Port, otherEnd(groups, ""))
	return e
}
