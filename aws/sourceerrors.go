package aws

import (
	"fmt"
	"os"
	"strings"

	"culvert/internal/say"
)

// NoAccessError means that single sign-on does not give its user that permission set in that account.
type NoAccessError struct {
	Profile                string // the profile that names them
	PermissionSet, Account string
	Message                string // of single sign-on's portal
	Err                    error
}

func (e *NoAccessError) Error() string {
	return fmt.Sprintf("single sign-on gives profile %s no access with permission set %s to account %s: %s",
		e.Profile, orWord(e.PermissionSet, "(none)"), orWord(e.Account, "(none)"), orWord(e.Message, "No access"))
}
func (e *NoAccessError) Unwrap() error { return e.Err }

// Remedy is to have the permission set assigned, or to name another one.
func (e *NoAccessError) Remedy() string {
	return fmt.Sprintf("have whoever runs IAM Identity Center assign you permission set %s in account %s, or correct sso_role_name and sso_account_id of profile %s: %s lists those that you have",
		orWord(e.PermissionSet, "NAME"), orWord(e.Account, "ACCOUNT"), e.Profile, command("aws", []string{"configure", "sso", "--profile", e.Profile}))
}

// SourceProfileError means that a profile assumes its role with another profile, which gives no credentials.
type SourceProfileError struct {
	Profile, Source, Role string
	Missing               bool // there is no profile Source
	Known                 []string
	Err                   error
}

func (e *SourceProfileError) Error() string {
	if e.Missing {
		return fmt.Sprintf("profile %s assumes %s with source_profile %s, which does not exist", e.Profile, orWord(e.Role, "its role"), e.Source)
	}
	return fmt.Sprintf("profile %s assumes %s with source_profile %s, which has no credentials: no keys, single sign-on, aws login, credential_process or role",
		e.Profile, orWord(e.Role, "its role"), e.Source)
}
func (e *SourceProfileError) Unwrap() error { return e.Err }

// Remedy says how to give the source profile credentials.
func (e *SourceProfileError) Remedy() string {
	if e.Missing && len(e.Known) > 0 {
		return "correct source_profile in ~/.aws/config; profiles there are: " + strings.Join(e.Known, ", ")
	}
	return fmt.Sprintf("correct source_profile in ~/.aws/config, or give profile %s credentials: %s, or %s",
		e.Source, command("aws", []string{"configure", "sso", "--profile", e.Source}), command("aws", []string{"configure", "--profile", e.Source}))
}

// RoleSourceError means that a profile has a role, and no credentials to assume it with.
type RoleSourceError struct {
	Profile, Role string
	Source        string // credential_source; empty when the profile names none
	Err           error
}

func (e *RoleSourceError) Error() string {
	if e.Source == "" {
		return fmt.Sprintf("profile %s has the role %s, and neither source_profile nor credential_source says with whose credentials it is assumed", e.Profile, e.Role)
	}
	return fmt.Sprintf("profile %s assumes %s with the credentials of credential_source %s, where there are none", e.Profile, e.Role, e.Source)
}
func (e *RoleSourceError) Unwrap() error { return e.Err }

// Remedy says which credentials to name.
func (e *RoleSourceError) Remedy() string {
	const instead = "name a profile that has credentials: source_profile = NAME"
	switch e.Source {
	case "Environment":
		return "set AWS_ACCESS_KEY_ID and what belongs to it, or in place of credential_source " + instead
	case "":
		return fmt.Sprintf("in profile %s of ~/.aws/config %s", e.Profile, instead)
	}
	return "run it on a machine that has a role (an instance profile), or in place of credential_source " + instead
}

// NoRoleError means that there is a web identity token, and no role to assume with it.
type NoRoleError struct {
	TokenFile string
	Variable  string // the variable that the token is in; empty when it is in TokenFile
	Err       error
}

func (e *NoRoleError) Error() string {
	if e.Variable != "" {
		return fmt.Sprintf("--web-identity-token-env names a token (in %s), but nothing names the role that is to be had for it", e.Variable)
	}
	return fmt.Sprintf("AWS_WEB_IDENTITY_TOKEN_FILE names a token (%s), but nothing names the role that is to be had for it", e.TokenFile)
}
func (e *NoRoleError) Unwrap() error { return e.Err }

// Remedy says where a role can be named.
func (e *NoRoleError) Remedy() string {
	return "pass --role-arn arn:aws:iam::ACCOUNT:role/NAME, or set AWS_ROLE_ARN"
}

// TokenFileError means that the file of a web identity token cannot be read, or that the token in it has expired.
type TokenFileError struct {
	File, Role string
	Expired    bool // else it could not be read
	Err        error
}

func (e *TokenFileError) Error() string {
	switch {
	case e.Expired:
		return fmt.Sprintf("the web identity token in %s has expired", orWord(e.File, "its file"))
	case blank(e.File):
		return fmt.Sprintf("there is no web identity token in %s: it is empty", e.File)
	}
	return fmt.Sprintf("the web identity token cannot be read from %s", orWord(e.File, "its file"))
}
func (e *TokenFileError) Unwrap() error { return e.Err }

// Remedy is to have the token written again, or to check the file.
func (e *TokenFileError) Remedy() string {
	if e.Expired {
		return fmt.Sprintf("have what writes %s write it anew: the job's id_tokens in GitLab, CIRCLE_OIDC_TOKEN_V2 in CircleCI, the kubelet in EKS; a token lives minutes to an hour, so write it just before", orWord(e.File, "the file"))
	}
	return "check AWS_WEB_IDENTITY_TOKEN_FILE (or web_identity_token_file of the profile): the file has to be there, readable, before culvert starts"
}

// blank reports whether a file exists and is empty.
func blank(file string) bool {
	if file == "" {
		return false
	}
	is, err := os.Stat(file)
	return err == nil && is.Mode().IsRegular() && is.Size() == 0
}

// MFACodeError means that AWS did not take a one-time code.
type MFACodeError struct {
	Profile, Serial string
	Message         string
	Err             error
}

func (e *MFACodeError) Error() string {
	return fmt.Sprintf("AWS does not take the one-time code of %s: %s", orWord(e.Serial, "profile "+e.Profile), e.Message)
}
func (e *MFACodeError) Unwrap() error { return e.Err }

// Remedy is to try the next code.
func (e *MFACodeError) Remedy() string {
	return "try again with the next code that the device shows: each is taken once; and check mfa_serial of profile " + say.Word(e.Profile) + " and the device's clock"
}
