package aws

import (
	"fmt"
	"strings"
	"time"

	"culvert/internal/say"
)

// RoleDurationError means that STS, or the role, gives no credentials that last so long.
type RoleDurationError struct {
	Duration time.Duration
	Role     string // empty when no role can last so long
	Err      error  // STS's refusal
}

func (e *RoleDurationError) Error() string {
	if e.Role == "" {
		return fmt.Sprintf("--role-duration %s is none of 15m to 12h", e.Duration)
	}
	return fmt.Sprintf("role %s gives no credentials for %s: %v", e.Role, e.Duration, e.Err)
}
func (e *RoleDurationError) Unwrap() error { return e.Err }

// Remedy says how long they may last.
func (e *RoleDurationError) Remedy() string {
	if e.Role == "" {
		return "give a duration such as 2h, or leave it out: credentials are renewed by themselves"
	}
	return "leave --role-duration out, or raise the role's maximum session duration (role_session_seconds of the module); a role that another role assumes has an hour at the most"
}

// refusedDuration is a *RoleDurationError when STS complains about the duration, else nil.
func refusedDuration(err error, role string, d time.Duration) error {
	if d != 0 && err != nil && strings.Contains(err.Error(), "DurationSeconds") {
		return &RoleDurationError{Duration: d, Role: role, Err: err}
	}
	return nil
}

// RoleARNError means that a role is not named by its ARN.
type RoleARNError struct{ ARN string }

func (e *RoleARNError) Error() string { return fmt.Sprintf("role %q is no ARN", e.ARN) }

// Remedy shows how the ARN of a role is written.
func (e *RoleARNError) Remedy() string {
	return "write --role-arn as arn:aws:iam::ACCOUNT:role/NAME"
}

// NoCredentialsError means that nothing in the default chain had credentials.
type NoCredentialsError struct {
	Looked  []string
	Actions bool // in a GitHub Actions job
	Shell   Shell
	Err     error
}

func (e *NoCredentialsError) Error() string {
	return "no AWS credentials found (looked at " + strings.Join(e.Looked, ", ") + ")"
}
func (e *NoCredentialsError) Unwrap() error { return e.Err }

// Remedy says how credentials are commonly given.
func (e *NoCredentialsError) Remedy() string {
	if e.Actions {
		return "pass --role-arn and give the job `permissions: id-token: write`, or run aws-actions/configure-aws-credentials before"
	}
	profile := Shell{Profile: e.Shell.Profile}
	return fmt.Sprintf("pass --profile, run %s or %s, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", profile.AWS("sso", "login"), profile.AWS("configure"))
}

// UnopenedError wraps the reason why there are no credentials, and adds the region in which they would have been used. Its text
// is that of Err.
type UnopenedError struct {
	Region string
	Err    error
}

func (e *UnopenedError) Error() string { return e.Err.Error() }
func (e *UnopenedError) Unwrap() error { return e.Err }

// ExpiredError means that the credentials have expired, or the sign-in that they come from.
type ExpiredError struct {
	Profile string // the profile that signs in
	Through string // the profile in use, whose role is assumed with the credentials of Profile; empty when they are the same
	Login   string // the command that signs in again: "aws sso login" or "aws login"; empty when there is none
	Err     error
}

func (e *ExpiredError) Error() string {
	through := ""
	if e.Through != "" {
		through = fmt.Sprintf(" (profile %s assumes its role with it)", e.Through)
	}
	switch e.Login {
	case "aws sso login":
		return fmt.Sprintf("the SSO session of profile %s has expired or was never opened%s", e.Profile, through)
	case "aws login":
		return fmt.Sprintf("the sign-in of profile %s has expired or was never made%s", e.Profile, through)
	}
	return "the AWS credentials have expired"
}
func (e *ExpiredError) Unwrap() error { return e.Err }

// Remedy is the command that signs in again.
func (e *ExpiredError) Remedy() string {
	if e.Login == "" {
		return fmt.Sprintf("renew them (profile %s, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN in the environment)", e.Profile)
	}
	words := e.Command()
	return "run: " + command(words[0], words[1:])
}

// Command is the program and arguments that sign in again; nil when there are none.
func (e *ExpiredError) Command() []string {
	if e.Login == "" {
		return nil
	}
	return append(strings.Fields(e.Login), "--profile", e.Profile)
}

// RejectedKeyError means that AWS does not know the access key, or that the secret does not belong to it.
type RejectedKeyError struct {
	Code, Message   string
	Profile, Region string
	Shell           Shell
	Err             error
}

func (e *RejectedKeyError) Error() string {
	return fmt.Sprintf("AWS rejects the credentials: %s: %s", e.Code, e.Message)
}
func (e *RejectedKeyError) Unwrap() error { return e.Err }

// Remedy names the usual reasons.
func (e *RejectedKeyError) Remedy() string {
	return fmt.Sprintf("check the key, secret and session token of profile %s (%s), and that region %s is enabled for the account", e.Profile, e.Shell.AWS("sts", "get-caller-identity"), e.Region)
}

// CredentialError means that the source of the credentials does not give any.
type CredentialError struct {
	Profile, Region string

	Err error
}

func (e *CredentialError) Error() string {
	return fmt.Sprintf("get the credentials of profile %s: %v", e.Profile, e.Err)
}
func (e *CredentialError) Unwrap() error { return e.Err }

// Remedy says how to see the same error without culvert.
func (e *CredentialError) Remedy() string {
	return "run: " + Shell{Profile: e.Profile, Region: e.Region}.AWS("sts", "get-caller-identity") + " and correct the profile until it answers"
}

// MFAError means that a profile asks for a one-time code.
type MFAError struct {
	Profile string
	Over    bool // the session for which a code was given has ended while culvert runs
}

func (e *MFAError) Error() string {
	if e.Over {
		return fmt.Sprintf("the role's session of profile %s has ended, and another one wants a one-time code (mfa_serial)", e.Profile)
	}
	return fmt.Sprintf("profile %s assumes its role with a one-time code (mfa_serial), and there is no terminal to ask for it", e.Profile)
}

// Remedy says how to get a session in another way.
func (e *MFAError) Remedy() string {
	if e.Over {
		return "start culvert again, which asks for a code; duration_seconds of profile " + say.Word(e.Profile) + " makes the session last longer, up to the role's own maximum"
	}
	return "run it on a terminal, or open a session there first and pass it in the environment, without --profile and AWS_PROFILE: eval \"$(aws configure export-credentials --profile " +
		say.Word(e.Profile) + " --format env)\"; unset AWS_PROFILE"
}
