// Package aws answers two questions: what can be reached in an account, and may I have a session?
package aws

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"culvert/internal/pattern"
)

// Options say which account and region to use, and how.
type Options struct {
	Profile, Region string
	Endpoint        string // for every service whose requests are signed; EndpointTrusted says whether for the others, too
	// EndpointTrusted says that the user named Endpoint for this run, on the command line or in the environment. Only then is
	// STS sent web identity tokens there: whoever sees such a token can use it, so an Endpoint from a file is not trusted with
	// one.
	EndpointTrusted bool
	// StreamEndpoint is where the websockets of sessions are dialled, in place of the host that StartSession names: a VPC
	// endpoint for ssmmessages without private DNS. When it is empty, AWS_ENDPOINT_URL_SSMMESSAGES or the services of the
	// profile may name one.
	StreamEndpoint string
	RoleDuration   time.Duration // of the credentials of RoleARN; 0 is STS's hour
	RoleARN        string        // assumed with GitHub's OIDC token in a job that can get one, else with the credentials that are found
	// TokenVariable is the environment variable that holds a web identity token, with which RoleARN (or AWS_ROLE_ARN) is
	// assumed; empty when there is none.
	TokenVariable string
	// Keys are used as they are, for the demo account: no profile, file or environment is read.
	Keys Keys
	// Document is the name or ARN of the account's own document for port sessions, in place of AWS's two; empty for AWS's.
	Document string
	Demo     bool // the account is culvert's own, which other programs cannot find by themselves
	Log      *slog.Logger
	// Mask is called with every secret that is fetched (GitHub's OIDC token, credentials that expire) before the secret is
	// used, for a log that hides secrets. May be nil.
	Mask func(secret string)
	// Code asks the user for one-time codes, which are needed for roles of profiles with mfa_serial; nil when nobody can be
	// asked. KeptRoles is the directory where the session of such a role is kept for later commands, as long as it lasts;
	// empty when it is not kept.
	Code      AskCode
	KeptRoles string

	// DialContext opens every connection to AWS, or to a proxy; nil for the system's sockets.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	silence time.Duration // in place of the constant, for tests
}

// Client talks to one account and region. Its methods are safe for concurrent use.
type Client struct {
	log             *slog.Logger
	region, profile string
	shell           Shell
	github          github
	pipeline        pipeline
	roleSession     string // of every role that is assumed here, unless the user has named it
	proxies         *proxies
	bounds          bounds
	config          sdk.Config
	chain           *chain
	codes           *oneTime
	root            rootProfile   // the root profile as it was at the start
	roleDuration    time.Duration // Options.RoleDuration
	presented       string        // the role of AWS_WEB_IDENTITY_TOKEN_FILE that Options names, as the environment names none; else empty
	credentials     *sdk.CredentialsCache
	definitions     definitions
	foundLast       foundTasks
	described       describedDefinitions
	unreached       unreached
	peers           peers
	calls           chan struct{} // one slot for each call in flight while listing
	endpointURL     string        // Options.Endpoint
	ownDocument     string        // Options.Document
	streamEndpoint  *url.URL      // of websockets; nil when StartSession says where
	overridden      bool          // the SSM endpoint is not AWS's own
	skew            atomic.Int64  // how far AWS's clock is ahead of ours, in nanoseconds
	account         atomic.Pointer[string]
	identity        atomic.Pointer[Identity] // as STS last told it
	early           atomic.Pointer[early]    // whoever takes it out of here owns it
	dial            dialFunc                 // Options.DialContext

	ecs *ecs.Client
	ssm *ssm.Client
	sts *sts.Client
	kms *kms.Client
}

// maxCalls bounds the calls in flight while listing. ECS's request buckets are refilled with 20 tokens a second (ECS API
// throttling).
const maxCalls = 8

// Connect resolves region and credentials. It calls no other service than those that the credentials need.
func Connect(ctx context.Context, o Options) (*Client, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := CheckEndpoint(o.Endpoint); err != nil {
		return nil, err
	}
	if o.Document != "" {
		if err := CheckDocument(o.Document); err != nil {
			return nil, err
		}
	}
	c := &Client{
		log:     o.Log,
		profile: profileName(o.Profile),
		github:  githubEnvironment(), pipeline: pipelineEnvironment(),
		proxies: newProxies(o.Log),
		calls:   make(chan struct{}, maxCalls),

		endpointURL: o.Endpoint, ownDocument: o.Document, dial: o.DialContext,
	}
	c.roleSession, c.roleDuration = roleSession(c.pipeline), o.RoleDuration
	c.codes = &oneTime{log: o.Log, ask: o.Code, dir: o.KeptRoles, profile: c.profile, handed: map[string]string{}}
	c.bounds = bounds{silence: o.silence, proxies: c.proxies}
	ctx, _ = withOngoing(ctx)
	if err := CheckRole(o.RoleARN); err != nil {
		return nil, err
	}
	if d := o.RoleDuration; d != 0 && (d < 15*time.Minute || d > 12*time.Hour) {
		return nil, &RoleDurationError{Duration: d}
	}
	if err := c.configure(ctx, o); err != nil {
		return nil, err
	}
	c.ecs = ecs.NewFromConfig(c.config, func(s *ecs.Options) { s.BaseEndpoint = override(s.BaseEndpoint, o.Endpoint) })
	c.ssm = ssm.NewFromConfig(c.config, func(s *ssm.Options) { s.BaseEndpoint = override(s.BaseEndpoint, o.Endpoint) })
	c.kms = kms.NewFromConfig(c.config, func(s *kms.Options) { s.BaseEndpoint = override(s.BaseEndpoint, o.Endpoint) })
	c.sts = sts.NewFromConfig(c.config, o.signers)
	c.overridden = c.ssm.Options().BaseEndpoint != nil
	if err := c.findStreamEndpoint(ctx, o); err != nil {
		return nil, err
	}

	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return nil, &UnopenedError{Region: c.region, Err: c.explainCredentials(ctx, err)}
	}
	c.learnAccount(credentials.AccountID)
	return c, nil
}

// override is the endpoint of the flag, else what environment and profile have configured.
func override(configured *string, flag string) *string {
	if flag == "" {
		return configured
	}
	return &flag
}

// CheckEndpoint refuses what is no endpoint, and an endpoint with a user name or password: that would stand in arguments and
// records that others can read, and no service of AWS wants it. The error is an *EndpointError.
func CheckEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case strings.Contains(endpoint, "@"): // even if it cannot be parsed: an error must not repeat a password
		return &EndpointError{Secret: true}
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return &EndpointError{URL: endpoint}
	}
	return nil
}

// profileName is the profile that the SDK will use.
func profileName(flag string) string {
	for _, name := range []string{flag, os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE")} {
		if name != "" {
			return name
		}
	}
	return "default"
}

// Region is the region that was resolved.
func (c *Client) Region() string { return c.region }

// Profile is the profile that was resolved; "default" when none was named.
func (c *Client) Profile() string { return c.profile }

// Identity is who the credentials belong to.
type Identity struct{ Account, ARN, UserID string }

// RoleID is the unique id of the role that was assumed, which all sessions of the role share. It is "" for an identity that is
// no role: a user, the root user, a federated user.
func (i Identity) RoleID() string {
	id, _, _ := strings.Cut(i.UserID, ":")
	if !roleIDForm().MatchString(id) {
		return ""
	}
	return id
}

// RoleSession is the name of the role's session, with which the ids of its Session Manager sessions begin. It is "" for an
// identity that is no role.
func (i Identity) RoleSession() string {
	if i.RoleID() == "" {
		return ""
	}
	_, name, _ := strings.Cut(i.UserID, ":")
	return name
}

// roleIDForm is how IAM writes the unique id of a role ("Unique identifiers").
var roleIDForm = pattern.Of(`^AROA[A-Z0-9]{12,60}$`) //nolint:gochecknoglobals // compiled when it is needed

// Identity asks STS.
func (c *Client) Identity(ctx context.Context) (Identity, error) {
	out, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, fmt.Errorf("ask who the credentials belong to: %w", c.explain(ctx, err, about{}))
	}
	c.learnSkew(out.ResultMetadata)
	id := Identity{Account: sdk.ToString(out.Account), ARN: sdk.ToString(out.Arn), UserID: sdk.ToString(out.UserId)}
	c.learnAccount(id.Account)
	if id.Account != "" {
		c.identity.Store(&id)
	}
	return id, nil
}

// learnAccount remembers the account id, for the ARNs in remedies.
func (c *Client) learnAccount(id string) {
	if id != "" {
		c.account.Store(&id)
	}
}

// accountID is the account id if it is known, else "".
func (c *Client) accountID() string {
	if id := c.account.Load(); id != nil {
		return *id
	}
	return ""
}

// Overridden reports whether the SSM endpoint was overridden by flag, environment or profile.
func (c *Client) Overridden() bool { return c.overridden }

// TLS is the configuration for connections that are not the SDK's: it trusts AWS_CA_BUNDLE as the SDK does. The caller owns the
// copy.
func (c *Client) TLS() *tls.Config {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if client, ok := c.config.HTTPClient.(plainBodies); ok {
		if t := client.GetTransport().TLSClientConfig; t != nil {
			settings = t.Clone()
		}
	}
	settings.NextProtos = []string{"http/1.1"} // the handshake of a websocket is HTTP/1.1
	return settings
}

// GenerateDataKey asks KMS for the 64 bytes that an encrypted session needs.
func (c *Client) GenerateDataKey(ctx context.Context, key string, encryptionContext map[string]string) (plain, sealed []byte, err error) {
	out, err := c.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId:             &key,
		NumberOfBytes:     sdk.Int32(64),
		EncryptionContext: encryptionContext,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("generate data key: %w", c.explain(ctx, err, about{Resource: key}))
	}
	if len(out.Plaintext) != 64 || len(out.CiphertextBlob) == 0 {
		return nil, nil, &AnswerError{Operation: "kms:GenerateDataKey", Problem: fmt.Sprintf("a key of %d bytes instead of 64", len(out.Plaintext))}
	}
	return out.Plaintext, out.CiphertextBlob, nil
}

// now is the time by AWS's clock, if answers have told it, else by ours.
func (c *Client) now() time.Time { return time.Now().Add(time.Duration(c.skew.Load())) }
