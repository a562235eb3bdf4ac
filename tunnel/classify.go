package tunnel

import (
	"errors"

	"culvert/aws"
)

// denied reports whether a policy forbids a call.
func denied(err error) bool {
	_, ok := errors.AsType[*aws.DeniedError](err)
	return ok
}

// hopeless reports whether asking to resume a session again is of no use: another session may still be allowed.
// Expired credentials are not among the reasons, they get renewed.
func hopeless(err error) bool { return denied(err) }

// barred reports whether a proxy that wants a login, an unknown certificate or a setting keeps culvert from AWS. A tunnel
// that has never been open ends with it; one that was may only be in another network for a while.
func barred(err error) bool {
	if e, ok := errors.AsType[*aws.UnreachableError](err); ok {
		return !e.Temporary()
	}
	_, unusable := errors.AsType[*aws.ProxyURLError](err)
	return unusable
}

// lostForGood reports whether no later try can open a session: what is wrong is in the request or in a policy, not in
// the weather.
func lostForGood(err error, s Spec) bool {
	if _, ok := errors.AsType[*ResumeError](err); ok {
		return false // another session may still be allowed
	}
	if _, ok := errors.AsType[*aws.DocumentError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*aws.StreamURLError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*aws.NotFoundError](err); ok {
		return true
	}
	if closed, ok := errors.AsType[*ClosedError](err); ok {
		return closed.Forbidden()
	}
	if _, ok := errors.AsType[*aws.TaskGoneError](err); ok {
		return s.Pinned || s.Target.Service == "" && s.Target.Family == "" // nothing will take its place
	}
	return denied(err)
}
