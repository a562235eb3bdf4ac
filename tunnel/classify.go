package tunnel

import (
	"errors"

	"culvert/aws"
)

// denied reports whether an error means that a policy forbids the call.
func denied(err error) bool {
	_, ok := errors.AsType[*aws.DeniedError](err)
	return ok
}

// hopeless reports whether there is no use in asking again to resume a session, though another session may still be allowed.
// Expired credentials are no such reason, as they are renewed.
func hopeless(err error) bool { return denied(err) }

// barred reports whether the way to AWS is barred by something that stays as it is: a proxy that wants a login, an unknown
// certificate, a wrong setting. A tunnel that has never been open ends with such an error; one that was open may only be in
// another network for a while.
func barred(err error) bool {
	if e, ok := errors.AsType[*aws.UnreachableError](err); ok {
		return !e.Temporary()
	}
	_, unusable := errors.AsType[*aws.ProxyURLError](err)
	return unusable
}

// lostForGood reports whether no later try can open a session, because the request itself is wrong or a policy forbids it.
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
		return s.Pinned || s.Target.Service == "" && s.Target.Family == "" // no other task will take its place
	}
	return denied(err)
}
