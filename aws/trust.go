package aws

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// NoIDTokenError means that a job in GitHub Actions is to assume a role, but may not ask for an OIDC token.
type NoIDTokenError struct {
	Role string
	Err  error
}

func (e *NoIDTokenError) Error() string {
	return fmt.Sprintf("assume %s: this GitHub job has no OIDC token (ACTIONS_ID_TOKEN_REQUEST_URL is not set) and no other AWS credentials", e.Role)
}
func (e *NoIDTokenError) Unwrap() error { return e.Err }

// Remedy is the line that the workflow lacks.
func (e *NoIDTokenError) Remedy() string {
	return "add `permissions: id-token: write` to the job (with `contents: read` if it checks out; pull requests from forks never get it)"
}

// TokenError means that GitHub did not give an OIDC token although the job may ask for one.
type TokenError struct {
	Host    string
	Status  int // of the HTTP answer; 503 when there was none
	Problem string
	Err     error
}

func (e *TokenError) Error() string {
	text := "ask GitHub for an OIDC token: " + e.Problem
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}
func (e *TokenError) Unwrap() error { return e.Err }

// Temporary is true for errors on GitHub's side.
func (e *TokenError) Temporary() bool { return e.Status >= 500 }

// Remedy depends on whose fault it is.
func (e *TokenError) Remedy() string {
	if e.Temporary() {
		return fmt.Sprintf("try again; check that the runner reaches %s and look at https://www.githubstatus.com", e.Host)
	}
	return "check that the job still runs and has `permissions: id-token: write`; the right to ask ends with the job"
}

// githubIssuer issues the tokens of GitHub Actions.
const githubIssuer = "token.actions.githubusercontent.com"

// TrustError means that a role's trust policy does not accept an OIDC token.
type TrustError struct {
	Role                            string
	Issuer                          string // of the token, without https://
	Subject, Audience, RepositoryID string // of the token; empty when it could not be read
	Err                             error
}

func (e *TrustError) Error() string {
	text := fmt.Sprintf("%s does not trust this token: it has sub %q, aud %q", orWord(e.Role, "the role"), e.Subject, e.Audience)
	if e.RepositoryID != "" {
		text += fmt.Sprintf(", repository_id %q", e.RepositoryID)
	}
	return text
}
func (e *TrustError) Unwrap() error { return e.Err }

// Remedy is the condition that the trust policy needs. The subject of a repository that was made, renamed or moved since
// 2026-07-15 has ids in it (GitHub, "Immutable subject claims").
func (e *TrustError) Remedy() string {
	issuer := orWord(e.Issuer, githubIssuer)
	conditions := map[string]map[string]string{"StringEquals": {issuer + ":aud": orWord(e.Audience, audience)}}
	subject, changes := lastingSubject(issuer, e.Subject)
	if changes {
		conditions["StringLike"] = map[string]string{issuer + ":sub": subject}
	} else {
		conditions["StringEquals"][issuer+":sub"] = subject
	}
	condition := statementJSON(conditions)
	text := fmt.Sprintf("let the trust policy of %s allow sts:AssumeRoleWithWebIdentity with the condition %s", orWord(e.Role, "the role"), condition)
	if e.RepositoryID != "" {
		text += fmt.Sprintf(" (or %s:repository_id = %q instead of the subject)", issuer, e.RepositoryID)
	}
	if changes {
		text += "; the rest of this subject is another one in each run"
	}
	if immutable(e.Subject) {
		text += "; this repository's subject has the immutable form repo:owner@ID/name@ID:…, which a pattern like repo:owner/name:* does not match"
	}
	return text
}

// immutable reports whether a subject names owner and repository with ids.
func immutable(subject string) bool {
	repository, ok := strings.CutPrefix(subject, "repo:")
	if !ok {
		return false
	}
	repository, _, _ = strings.Cut(repository, ":")
	return strings.Contains(repository, "@")
}

// lastingSubject is a subject in the form in which a trust policy can name it: with a star for the part that changes with each
// run, if there is one. The forms are those that each system documents for its tokens.
func lastingSubject(issuer, subject string) (pattern string, changes bool) {
	switch {
	case issuer == buildkiteIssuer: // organization:O:pipeline:P:ref:R:commit:C:step:S
		if at := strings.LastIndex(subject, ":commit:"); at >= 0 {
			return subject[:at] + ":commit:*", true
		}
	case strings.HasPrefix(issuer, circleIssuer): // org/O/project/P/user/U, and in the second form /vcs-origin/…/vcs-ref/…
		if before, user, found := strings.Cut(subject, "/user/"); found {
			if _, after, more := strings.Cut(user, "/"); more {
				return before + "/user/*/" + after, true
			}
			return before + "/user/*", true
		}
	case strings.HasPrefix(issuer, bitbucketIssuer): // {repository}:{step}, or {repository}:{environment}:{step}
		if at := strings.LastIndex(subject, ":"); at >= 0 {
			return subject[:at] + ":*", true
		}
	}
	return subject, false
}

// The issuers of tokens whose subjects change with each run, without https://.
const (
	buildkiteIssuer = "agent.buildkite.com"
	circleIssuer    = "oidc.circleci.com/org/"
	bitbucketIssuer = "api.bitbucket.org/"
)

// ProviderError means that the account does not know the issuer of a token as an identity provider, or not with this audience.
type ProviderError struct {
	Role, Message, Audience string
	Issuer                  string // of the token, without https://; empty when it could not be read
	Shell                   Shell  // of the present account, without role and profile: whoever runs the command has to be allowed to change IAM
	Err                     error
}

func (e *ProviderError) Error() string {
	whose := "GitHub's token (aud %q)"
	if e.Issuer != "" && e.Issuer != githubIssuer {
		whose = "the token of " + strings.ReplaceAll(e.Issuer, "%", "%%") + " (aud %q)"
	}
	return fmt.Sprintf("assume %s: the account does not accept "+whose+": %s", orWord(e.Role, "the role"), e.Audience, e.Message)
}
func (e *ProviderError) Unwrap() error { return e.Err }

// Remedy creates the provider, or adds the audience to the existing one.
func (e *ProviderError) Remedy() string {
	role, _ := arn.Parse(e.Role) // an invalid ARN has no account
	account, issuer := role.AccountID, orWord(e.Issuer, githubIssuer)
	command := e.Shell.AWS("iam", "create-open-id-connect-provider", "--url", "https://"+issuer, "--client-id-list", orWord(e.Audience, audience))
	if account != "" && strings.Contains(e.Message, "audience") {
		command = e.Shell.AWS("iam", "add-client-id-to-open-id-connect-provider", "--open-id-connect-provider-arn",
			"arn:"+role.Partition+":iam::"+account+":oidc-provider/"+issuer, "--client-id", orWord(e.Audience, audience))
	}
	return fmt.Sprintf("in account %s run: %s", orWord(account, "of the role"), command)
}
