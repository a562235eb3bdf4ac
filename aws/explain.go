package aws

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"culvert/internal/near"
	"culvert/internal/say"
)

// about is what a call was about, as far as the explanation of its failure needs to know.
type about struct {
	Cluster  string
	Service  string
	Document string
	Resource string // ARN or id
	Target   Target
}

// explain turns an error of the SDK into one of this package, with facts and a remedy. It wraps the cause.
func (c *Client) explain(ctx context.Context, err error, at about) error {
	if err == nil {
		return nil
	}
	return inTime(ctx, err, func(err error) error {
		if own, ok := explained(err, operationOf(err)); ok {
			return own
		}
		if strings.Contains(err.Error(), "failed to refresh cached credentials") { // aws.CredentialsCache has no type for it
			return c.explainLookup(err)
		}
		return c.explainAnswer(err, at)
	})
}

// inTime explains a failure, unless the caller has cancelled the call. When the caller's deadline has ended it, the cause is
// what the last try had met.
func inTime(ctx context.Context, err error, explain func(error) error) error {
	if ctx.Err() == nil {
		return explain(err)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		if met := obstacle(ctx, err); met != nil {
			return &OverdueError{Err: explain(met), Over: context.Cause(ctx)}
		}
	}
	return context.Cause(ctx)
}

// obstacle is what a call had met when its caller's deadline ended it; nil when that is not known.
func obstacle(ctx context.Context, err error) error {
	if met, ok := errors.AsType[*obstacleError](err); ok {
		return met.err
	}
	if _, ok := errors.AsType[*StallError](err); ok {
		return err
	}
	return ongoingOf(ctx).obstacle()
}

// remedied is an error with a remedy, as every error type of this package is.
type remedied interface {
	error
	Remedy() string
}

// explained finds an error of this package below the SDK's wrapping.
func explained(err error, operation string) (remedied, bool) {
	own, ok := errors.AsType[remedied](err)
	if answer, senseless := own.(*AnswerError); senseless && answer.Operation == "" {
		named := *answer
		named.Operation = operation
		return &named, true
	}
	return own, ok
}

// explainAnswer explains a failed call by AWS's answer, or by why there was none.
func (c *Client) explainAnswer(err error, at about) error {
	operation := operationOf(err)
	status, request := statusOf(err)
	if decoding, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return &AnswerError{Operation: operation, Address: addressOf(err), Status: status, Problem: say.Brief(decoding.Error()), Err: err}
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return c.explainConnection(err, operation)
	}
	code, message := api.ErrorCode(), say.Brief(api.ErrorMessage())
	_, throttling := retry.DefaultThrottleErrorCodes[code]
	switch {
	case throttling || status == http.StatusTooManyRequests:
		return &ThrottledError{Operation: operation, Attempts: attemptsOf(err), Err: err}
	case isClockCode(code, message):
		return &ClockError{Ahead: aheadOf(err), Err: err}
	}
	switch code {
	case "ExpiredToken", "ExpiredTokenException":
		c.credentials.Invalidate()          // so that the next call reads the files again
		if operation == webIdentityAction { // the SDK's call, with the token of a file
			return &TokenFileError{File: c.tokenFile(), Role: c.webRole(), Expired: true, Err: err}
		}
		return c.expired(err)
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidSignatureException", "SignatureDoesNotMatch",
		"IncompleteSignature", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "OptInRequired":
		c.credentials.Invalidate()
		return &RejectedKeyError{Code: code, Message: message, Profile: c.profile, Region: c.region, Shell: c.shell, Err: err}
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError":
		if operation == webIdentityAction {
			return trustError(c.webRole(), c.claimsOfFile(), err)
		}
		if operation == "sts:AssumeRole" && strings.Contains(message, "MultiFactorAuthentication failed") {
			return &MFACodeError{Profile: c.profile, Message: message, Err: err}
		}
		return c.denied(err, message, operation, at)
	case "InvalidIdentityToken", "InvalidIdentityTokenException", "IDPRejectedClaim", "IDPRejectedClaimException":
		if operation == webIdentityAction {
			return c.providerError(c.webRole(), c.claimsOfFile(), err)
		}
	case "ClusterNotFoundException":
		return &NotFoundError{Kind: "cluster", Name: at.Cluster, Region: c.region, Account: c.accountID(), Shell: c.shell, Err: err}
	case "ServiceNotFoundException", "ServiceNotActiveException":
		return &NotFoundError{Kind: "service", Name: at.Service, In: "cluster " + at.Cluster, Region: c.region, Account: c.accountID(), Shell: c.shell, Err: err}
	case "TargetNotConnected":
		return &NotConnectedError{Target: at.Target, Region: c.region, Account: c.accountID(), Err: err}
	case "InvalidDocument", "InvalidDocumentVersion":
		return &DocumentError{Document: at.Document, Region: c.region, Message: message, Shell: c.shell, Err: err}
	case "InvalidParameters":
		if c.ownDocument != "" {
			return &DocumentError{Document: at.Document, Region: c.region, Message: message, Shell: c.shell, Unfit: true, Err: err}
		}
	case "UnknownError", "":
		return &AnswerError{Operation: operation, Address: addressOf(err), Status: status, Problem: orWord(message, "no AWS error code in it"), Err: err}
	}
	return &FaultError{Operation: operation, Code: code, Message: message, Status: status, Request: request, Err: err}
}

// isClockCode reports whether AWS refuses a signature because of its time.
func isClockCode(code, message string) bool {
	switch code {
	case "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture":
		return true
	case "InvalidSignatureException", "SignatureDoesNotMatch":
		return strings.Contains(message, "Signature expired") || strings.Contains(message, "not yet current")
	}
	return false
}

// explainConnection explains a call that got no answer.
func (c *Client) explainConnection(err error, operation string) error {
	if own, ok := errors.AsType[*ProxyURLError](err); ok {
		return own
	}
	address := addressOf(err)
	if address == "" {
		return fmt.Errorf("%s: %w", operation, err)
	}
	e := &UnreachableError{Address: address, Err: rootOf(err), Scheme: otherScheme(err)}
	if proxy := c.proxyFor(err); proxy != nil {
		e.Proxy, e.ProxyScheme, e.ProxyUser = proxy.Host, proxy.Scheme, proxy.User != nil
	}
	if refusal, ok := errors.AsType[*proxyRefusalError](err); ok {
		e.Refused, e.Logins = refusal.Status, refusal.Logins
	}
	if socksLogin(err) {
		e.Refused = http.StatusProxyAuthRequired
	}
	if stalled, ok := errors.AsType[*StallError](err); ok {
		e.Stream = stalled.stream
	}
	e.AtProxy = atProxy(err)
	_, e.Trust = errors.AsType[*tls.CertificateVerificationError](err)
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		e.Trust = true
	}
	_, e.OtherName = errors.AsType[x509.HostnameError](err)
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		e.Unknown = lookup.IsNotFound
	}
	return e
}

// Unreachable explains why a websocket to Session Manager could not be opened.
func (c *Client) Unreachable(u *url.URL, err error) error {
	explained := c.explainConnection(&url.Error{Op: "dial", URL: (&url.URL{Scheme: webURL(u).Scheme, Host: u.Host}).String(), Err: err}, "dial")
	if e, ok := errors.AsType[*UnreachableError](explained); ok {
		e.Stream = true
	}
	return explained
}

// proxyFor is the proxy through which a failed request went; nil when there was none.
func (c *Client) proxyFor(err error) *url.URL {
	failed, ok := errors.AsType[*url.Error](err)
	if !ok {
		return nil
	}
	u, err := url.Parse(failed.URL)
	if err != nil {
		return nil
	}
	proxy, err := c.proxies.forURL(u)
	if err != nil {
		return nil
	}
	return proxy
}

// rootOf drops the SDK's wrapping and the URL, which the explanation has anyway.
func rootOf(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		if errors.Is(failed.Err, io.EOF) {
			return fmt.Errorf("the connection was closed without an answer: %w", failed.Err)
		}
		return failed.Err
	}
	return err
}

// addressOf is the host:port to which a failed call was sent; "" when it was not sent.
func addressOf(err error) string {
	var u *url.URL
	if failed, ok := errors.AsType[*url.Error](err); ok {
		u, _ = url.Parse(failed.URL)
	} else if answered, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answered.Response != nil && answered.Response.Response != nil && answered.Response.Request != nil {
		u = answered.Response.Request.URL
	}
	if u == nil || u.Host == "" {
		return ""
	}
	return hostPort(u)
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), map[string]string{"http": "80"}[u.Scheme]+map[string]string{"https": "443"}[u.Scheme])
}

// operationOf is the name, as in policies, of the innermost call that failed: a call for credentials is made within another
// call.
func operationOf(err error) string {
	name := "AWS call"
	for {
		o, ok := errors.AsType[*smithy.OperationError](err)
		if !ok {
			return name
		}
		name = strings.ToLower(o.Service()) + ":" + o.Operation()
		err = o.Err
	}
}

func statusOf(err error) (status int, request string) {
	if answered, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		request = answered.ServiceRequestID()
	}
	if answered, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = answered.HTTPStatusCode()
	}
	return status, request
}

func attemptsOf(err error) int {
	if most, ok := errors.AsType[*retry.MaxAttemptsError](err); ok {
		return most.Attempt
	}
	return 0
}

// aheadOf is how far the clock of the endpoint that answered is ahead of ours, by the Date header of its answer.
func aheadOf(err error) time.Duration {
	answered, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || answered.Response == nil || answered.Response.Response == nil {
		return 0
	}
	date, err := http.ParseTime(answered.Response.Header.Get("Date"))
	if err != nil {
		return 0
	}
	return time.Until(date).Round(time.Second)
}

// explainConfig explains why the configuration could not be loaded.
func (c *Client) explainConfig(err error) error {
	if own, ok := explained(err, ""); ok {
		return own
	}
	if failed, ok := errors.AsType[config.SharedConfigAssumeRoleError](err); ok {
		return &SourceProfileError{
			Profile: c.profile, Source: failed.Profile, Role: failed.RoleARN, Missing: failed.Err != nil,
			Known: near.Names(failed.Profile, Profiles(), maxNear), Err: err,
		}
	}
	if _, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return &NoProfileError{Profile: c.profile, Known: near.Names(c.profile, Profiles(), 8), Err: err}
	}
	if token := os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"); token != "" && err.Error() == "role ARN is not set" { // the SDK has no type for it
		return &NoRoleError{TokenFile: token, Err: err}
	}
	if _, ok := errors.AsType[config.AssumeRoleTokenProviderNotSetError](err); ok {
		return &MFAError{Profile: c.profile}
	}
	return &ConfigError{Profile: c.profile, Err: err}
}
