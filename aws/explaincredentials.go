package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"culvert/internal/say"
)

// expired says how to renew credentials, which depends on where they come from.
func (c *Client) expired(err error) *ExpiredError {
	e := &ExpiredError{Profile: c.profile, Err: err}
	switch {
	case c.from(sdk.CredentialSourceSSO, sdk.CredentialSourceSSOLegacy, sdk.CredentialSourceProfileSSO, sdk.CredentialSourceProfileSSOLegacy):
		e.Login = "aws sso login"
	case c.from(sdk.CredentialSourceLogin, sdk.CredentialSourceProfileLogin):
		e.Login = "aws login"
	}
	if e.Login != "" && c.root.chained {
		e.Profile, e.Through = c.root.name, c.profile
	}
	return e
}

// explainCredentials explains why there are no credentials.
func (c *Client) explainCredentials(ctx context.Context, err error) error {
	explained := inTime(ctx, err, c.explainLookup)
	if ctx.Err() != nil {
		return fmt.Errorf("find credentials: %w", explained)
	}
	return explained
}

func (c *Client) explainLookup(err error) error {
	if own, ok := explained(err, operationOf(err)); ok {
		return own
	}
	if refused, ok := errors.AsType[*tokenRefusedError](err); ok {
		return c.explainTrust(refused)
	}
	_, refused := errors.AsType[smithy.APIError](err)
	status, _ := statusOf(err)
	asked := refused || addressOf(err) != ""
	operation := operationOf(err)
	switch {
	case strings.Contains(err.Error(), "failed to retrieve jwt"), operation == webIdentityAction && blank(c.tokenFile()): // stscreds has no type for the former
		return &TokenFileError{File: c.tokenFile(), Role: c.webRole(), Err: err}
	case strings.HasPrefix(operation, "sts:") && asked: // else STS was not asked, as the credentials to ask it with are missing
		return c.explainAnswer(err, about{})
	case operation == "sso:GetRoleCredentials" && codeOf(err) == "ForbiddenException":
		api, _ := errors.AsType[smithy.APIError](err)
		return &NoAccessError{Profile: orWord(c.root.name, c.profile), PermissionSet: c.root.permissionSet, Account: c.root.account, Message: say.Brief(api.ErrorMessage()), Err: err}
	case refused && (status >= http.StatusInternalServerError || status == http.StatusTooManyRequests):
		return c.explainAnswer(err, about{})
	case c.root.role != "" && c.from(sdk.CredentialSourceIMDS, sdk.CredentialSourceProfileNamedProvider):
		return &RoleSourceError{Profile: c.root.name, Role: c.root.role, Source: c.root.source, Err: err}
	case c.from(sdk.CredentialSourceIMDS):
		return &NoCredentialsError{Looked: c.looked(), Actions: c.github.Actions, Shell: c.shell, Err: err}
	case addressOf(err) != "" && !refused:
		return c.explainConnection(err, operation)
	}
	if e := c.expired(err); e.Login != "" {
		return e
	}
	return &CredentialError{Profile: orWord(c.root.name, c.profile), Region: c.region, Err: rootCredential(err)}
}

const webIdentityAction = "sts:AssumeRoleWithWebIdentity"

// webRole is the role that the chain assumes with the token of a file; "" when it is not known.
func (c *Client) webRole() string {
	if c.from(sdk.CredentialSourceEnvVarsSTSWebIDToken) {
		return orWord(c.presented, os.Getenv("AWS_ROLE_ARN"))
	}
	return c.root.role
}

func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// rootCredential drops what the cache adds to an error.
func rootCredential(err error) error {
	if inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), "failed to refresh cached credentials") {
		return inner
	}
	return err
}

// explainTrust explains why STS has refused a token that GitHub gave, or that was in a variable.
func (c *Client) explainTrust(refused *tokenRefusedError) error {
	switch codeOf(refused.Err) {
	case "ExpiredToken", "ExpiredTokenException":
		if refused.Variable != "" {
			return &TokenVariableError{Variable: refused.Variable, Role: refused.Role, Expired: true, Err: refused.Err}
		}
	case "AccessDenied", "AccessDeniedException":
		return trustError(refused.Role, refused.Claims, refused.Err)
	case "InvalidIdentityToken", "InvalidIdentityTokenException", "IDPRejectedClaim", "IDPRejectedClaimException":
		return c.providerError(refused.Role, refused.Claims, refused.Err)
	}
	return c.explainAnswer(refused.Err, about{Resource: refused.Role})
}

// claimsOfFile are the claims of the token file that the SDK has just read.
func (c *Client) claimsOfFile() claims {
	token, err := os.ReadFile(c.tokenFile())
	if err != nil {
		c.log.Debug("the token that was refused cannot be read", "error", err)
	}
	return claimsOf(strings.TrimSpace(string(token)))
}

// providerError tells the claims of a token whose issuer or audience the account does not know.
func (c *Client) providerError(role string, said claims, err error) *ProviderError {
	api, _ := errors.AsType[smithy.APIError](err)
	return &ProviderError{
		Role: role, Message: say.Brief(api.ErrorMessage()), Audience: say.Brief(string(said.Audience)), Issuer: say.Brief(strings.TrimPrefix(said.Issuer, "https://")),
		Shell: Shell{Region: c.region, Endpoint: c.shell.Endpoint}, Err: err,
	}
}

// trustError tells the claims of a token that the role's trust policy refuses.
func trustError(role string, said claims, err error) *TrustError {
	return &TrustError{
		Role: role, Issuer: say.Brief(strings.TrimPrefix(said.Issuer, "https://")), Subject: say.Brief(said.Subject),
		Audience: say.Brief(string(said.Audience)), RepositoryID: say.Brief(said.RepositoryID), Err: err,
	}
}

// looked lists the sources that the default chain has tried, in its order.
func (c *Client) looked() []string {
	places := []string{"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "profile " + c.profile + " (keys, SSO, credential_process)"}
	if !strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		places = append(places, "EC2 instance metadata")
	}
	return places
}
