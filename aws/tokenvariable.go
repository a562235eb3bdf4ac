package aws

import (
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"culvert/internal/pattern"
)

// A pipeline's OIDC token is in a variable of the job in GitLab, CircleCI, Bitbucket and Jenkins; in Buildkite and Azure a
// command puts it into one. From there it is used without being written to a file, where it would stay.

// maxIdentityToken is how many characters a token may have (STS API Reference, AssumeRoleWithWebIdentity).
const maxIdentityToken = 20000

// variableForm is the form of variable names in a shell.
var variableForm = pattern.Of(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`) //nolint:gochecknoglobals // compiled when it is needed

// CheckTokenVariable refuses what is no name of a variable, with a *TokenNameError.
func CheckTokenVariable(name string) error {
	if name != "" && !variableForm().MatchString(name) {
		return &TokenNameError{}
	}
	return nil
}

// TokenNameError means that what was given is no name of a variable. It may be the token itself, so it is not repeated.
type TokenNameError struct{}

func (e *TokenNameError) Error() string {
	return "what is given is no name of an environment variable (it is not shown, as it may be the token)"
}

// Remedy says what is wanted.
func (e *TokenNameError) Remedy() string {
	return "give the name of the variable, without a dollar sign, such as CULVERT_ID_TOKEN; a token that stood on a command line was to be seen there"
}

// role is the role to assume, if any. For a token in a variable it may be the one in AWS_ROLE_ARN.
func (o Options) role() (string, error) {
	if o.TokenVariable == "" {
		return o.RoleARN, nil
	}
	if err := CheckTokenVariable(o.TokenVariable); err != nil {
		return "", err
	}
	role := orWord(o.RoleARN, os.Getenv("AWS_ROLE_ARN"))
	if role == "" {
		return "", &NoRoleError{Variable: o.TokenVariable}
	}
	return role, CheckRole(role)
}

// CheckRole refuses what is no ARN, with a *RoleARNError.
func CheckRole(role string) error {
	if _, err := arn.Parse(role); err != nil && role != "" {
		return &RoleARNError{ARN: role}
	}
	return nil
}

// tokenIn is the token that is in a variable now.
func tokenIn(variable, role string) (string, error) {
	token := strings.TrimSpace(os.Getenv(variable)) // a command's output ends with a line break
	if token == "" || len(token) > maxIdentityToken {
		return "", &TokenVariableError{Variable: variable, Role: role, TooLong: token != ""}
	}
	return token, nil
}

// TokenVariableError means that a variable has no token that could be used.
type TokenVariableError struct {
	Variable, Role   string
	TooLong, Expired bool // else there is no token
	Err              error
}

func (e *TokenVariableError) Error() string {
	switch {
	case e.Expired:
		return fmt.Sprintf("the web identity token in %s has expired", e.Variable)
	case e.TooLong:
		return fmt.Sprintf("what is in %s is longer than a web identity token can be", e.Variable)
	}
	return fmt.Sprintf("assume %s: there is no web identity token in the environment variable %s", e.Role, e.Variable)
}
func (e *TokenVariableError) Unwrap() error { return e.Err }

// Remedy says how the CI system of this job sets the variable.
func (e *TokenVariableError) Remedy() string {
	where := "have the pipeline set " + e.Variable + " for this job, and export it to culvert"
	for _, s := range tokenSources() {
		if s.system.runsHere() {
			where = s.words(e.Variable)
		}
	}
	if e.Expired {
		return "start culvert sooner after the token was made: it lives minutes to an hour, and a process cannot get another one into its environment. " +
			"Where credentials are to outlive it, write it to a file that is kept new, and name that in AWS_WEB_IDENTITY_TOKEN_FILE. What sets it: " + where
	}
	return where
}

// tokenSource says how a CI system puts a token into a variable.
type tokenSource struct {
	system system
	words  func(variable string) string
}

func tokenSources() []tokenSource {
	return []tokenSource{
		{system{mark: "GITLAB_CI"}, func(v string) string { return "add to the job: id_tokens: {" + v + ": {aud: " + audience + "}}" }},
		{system{mark: "CIRCLECI"}, func(v string) string {
			return "name CIRCLE_OIDC_TOKEN_V2, or have the job's steps set " + v + " by circleci run oidc get; CircleCI sets its tokens in jobs that are not built from a fork"
		}},
		{system{mark: "BUILDKITE"}, func(v string) string {
			return "run " + v + `="$(buildkite-agent oidc request-token --audience ` + audience + `)" and export ` + v + " before culvert"
		}},
		{system{mark: "BITBUCKET_BUILD_NUMBER"}, func(string) string { return "add oidc: true to the step, and name BITBUCKET_STEP_OIDC_TOKEN" }},
		{system{mark: "TF_BUILD"}, func(v string) string {
			return "ask SYSTEM_OIDCREQUESTURI for a token and export it as " + v + " in the same step (docs/ci/azure.md has the lines)"
		}},
		{system{mark: "JENKINS_URL"}, func(v string) string {
			return "wrap the step in withCredentials([string(credentialsId: 'ID', variable: '" + v + "')]), ID being an id token of the OpenID Connect Provider plugin"
		}},
	}
}
