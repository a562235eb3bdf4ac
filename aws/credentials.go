package aws

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"culvert/internal/pattern"
)

// Keys are an access key that is used as it is. The zero value is none.
type Keys struct {
	ID      string
	Secret  string `json:"-"`
	Session string `json:"-"`
}

const (
	metadataTimeout = 2 * time.Second  // for a value of EC2's metadata service, with all tries: a laptop has no such service
	expiryWindow    = 5 * time.Minute  // how long before their end credentials are renewed
	retryRenewal    = 20 * time.Second // how long credentials that could not be renewed are used before the next attempt
	maxAttempts     = 5                // of one call, unless AWS_MAX_ATTEMPTS or the profile says otherwise
	maxBackoff      = 5 * time.Second  // the longest pause between two attempts
)

// configure sets the SDK's configuration and the cache of credentials.
func (c *Client) configure(ctx context.Context, o Options) error {
	base := c.fixedConfig(o)
	c.chain = &chain{first: base.Credentials}
	role, err := o.role()
	if err != nil {
		return err
	}
	if o.Keys == (Keys{}) {
		if !c.github.canAskToken() && o.presentsFile() {
			c.presented = o.RoleARN
		}
		load := func(ctx context.Context) (sdk.Config, error) { return c.loadConfig(ctx, o) }
		if base, err = load(ctx); err != nil {
			return c.explainConfig(err)
		}
		c.chain, c.root = &chain{first: base.Credentials, load: load}, rootProfileOf(base)
	}
	if base.Region == "" {
		return &NoRegionError{Profile: c.profile}
	}
	if !regionForm().MatchString(base.Region) {
		return &RegionError{Region: base.Region, Profile: o.Profile}
	}
	c.region = base.Region
	c.shell = c.shellOf(o)
	provider := sdk.CredentialsProvider(c.chain)
	if role != "" && (c.presented == "" || o.TokenVariable != "") {
		provider = c.roleCredentials(base, o, role)
	}
	c.credentials = sdk.NewCredentialsCache(&lasting{source: provider, mask: o.Mask}, func(o *sdk.CredentialsCacheOptions) {
		o.ExpiryWindow = expiryWindow
	})
	base.Credentials = c.credentials
	if client, ok := base.HTTPClient.(*awshttp.BuildableClient); ok { // loading has replaced our own client
		base.HTTPClient = plainBodies{client}
	}
	c.config = base
	return nil
}

// fixedConfig is the configuration that uses Options.Keys.
func (c *Client) fixedConfig(o Options) sdk.Config {
	return sdk.Config{
		Region:      o.Region,
		Credentials: credentials.NewStaticCredentialsProvider(o.Keys.ID, o.Keys.Secret, o.Keys.Session),
		HTTPClient:  c.httpClient(),
		Retryer:     adaptiveRetryer(0),
		APIOptions:  []func(*middleware.Stack) error{c.bounds.addTo},
	}
}

// adaptiveRetryer slows a client down while AWS throttles it. 0 attempts mean maxAttempts.
func adaptiveRetryer(attempts int) func() sdk.Retryer {
	return func() sdk.Retryer {
		return retry.NewAdaptiveMode(func(a *retry.AdaptiveModeOptions) {
			a.StandardOptions = append(a.StandardOptions, func(s *retry.StandardOptions) {
				s.MaxAttempts, s.MaxBackoff = cmp.Or(attempts, maxAttempts), maxBackoff
			})
		})
	}
}

// loadConfig reads environment and files as every AWS tool does. The SDK does not get Options.Endpoint, as it would send
// everything there; where the calls for credentials go is decided by destinations.
func (c *Client) loadConfig(ctx context.Context, o Options) (sdk.Config, error) {
	metadata, destinations := &metadata{}, &destinations{options: o, codes: c.codes}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(c.httpClient()),
		config.WithLogger(sdkLog(c.log)),
		config.WithAPIOptions([]func(*middleware.Stack) error{c.bounds.addTo}),
		config.WithEC2RoleCredentialOptions(func(r *ec2rolecreds.Options) { r.Client = metadata }),
	}
	if o.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(o.Profile))
	}
	if o.Region != "" {
		options = append(options, config.WithRegion(o.Region))
	}
	options = append(append(options, destinations.load()...), c.nameRoleSessions) // it adds to the options before it
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if below, undo := c.loginBelow(ctx, err); below != nil {
		defer undo()
		options = append(options, below)
		cfg, err = config.LoadDefaultConfig(ctx, options...)
	}
	if err != nil {
		return sdk.Config{}, err
	}
	bundle, err := otherBundle(cfg)
	if err != nil {
		return sdk.Config{}, err
	}
	if bundle != nil {
		trusting := c.httpClient().WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig.RootCAs = bundle })
		if cfg, err = config.LoadDefaultConfig(ctx, append(options, config.WithHTTPClient(trusting))...); err != nil {
			return sdk.Config{}, err
		}
	}
	metadata.config, destinations.config = cfg, cfg
	cfg.Retryer = adaptiveRetryer(cfg.RetryMaxAttempts)
	return cfg, nil
}

// idleConnection is how long a connection to an API is kept for the next call. It is longer than the time between two looks at
// a task, so that the connection is still there when a session has to be resumed.
const idleConnection = 5 * time.Minute

// httpClient honours the proxy variables, but never uses our own listeners as a proxy. The time limit of a call is in bounds;
// the limits here are longer, and end what a call that was given up has left behind.
func (c *Client) httpClient() *awshttp.BuildableClient {
	later := c.bounds.within() + c.bounds.within()/10
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = later }).
		WithTransportOptions(func(t *http.Transport) {
			t.Proxy = c.Proxy
			if c.dial != nil {
				t.DialContext = c.dial
			}
			t.TLSHandshakeTimeout = later
			t.MaxResponseHeaderBytes = maxHeader
			t.IdleConnTimeout = idleConnection
			if t.TLSClientConfig == nil {
				t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
			}
			t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0) // Client.TLS shares this cache
			t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
				return refusalOf(answer)
			}
		})
}

// metadata is EC2's metadata service with a time limit, as most machines have none.
type metadata struct{ config sdk.Config }

func (m *metadata) GetMetadata(ctx context.Context, in *imds.GetMetadataInput, options ...func(*imds.Options)) (*imds.GetMetadataOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	client := imds.NewFromConfig(m.config, func(o *imds.Options) { o.Retryer = retry.AddWithMaxAttempts(retry.NewStandard(), 2) })
	return client.GetMetadata(ctx, in, options...)
}

// chain is the default chain of credential providers. It reads the files again whenever the cache asks again, so that a later
// "aws sso login" or a rewritten credentials file is noticed.
type chain struct {
	first sdk.CredentialsProvider // of the configuration that was loaded at the start
	load  func(context.Context) (sdk.Config, error)
	used  bool // needs no lock: the cache makes one call at a time
}

func (c *chain) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	if !c.used || c.load == nil {
		c.used = true
		return c.first.Retrieve(ctx)
	}
	cfg, err := c.load(ctx)
	if err != nil {
		return sdk.Credentials{}, err
	}
	return cfg.Credentials.Retrieve(ctx)
}

// lasting goes on with credentials that are still valid while new ones cannot be had. Only the cache calls it, one call at a
// time.
type lasting struct {
	source sdk.CredentialsProvider
	mask   func(secret string) // called with the secrets of credentials that expire, which only this process knows; may be nil
	until  time.Time           // the true end of the last credentials; the cache moves it forward by expiryWindow
}

func (l *lasting) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	found, err := l.source.Retrieve(ctx)
	if err == nil {
		l.until = found.Expires
		if l.mask != nil && found.CanExpire {
			l.mask(found.SecretAccessKey)
			l.mask(found.SessionToken)
		}
	}
	return found, err
}

// HandleFailToRefresh is called by the cache when Retrieve has failed; last is zero when there have been no credentials before.
func (l *lasting) HandleFailToRefresh(_ context.Context, last sdk.Credentials, err error) (sdk.Credentials, error) {
	if !last.HasKeys() || !last.CanExpire || !time.Now().Before(l.until) {
		return sdk.Credentials{}, err
	}
	last.Expires = time.Now().Add(expiryWindow + retryRenewal) // the cache subtracts the window again
	return last, nil
}

// Expires is when the present credentials end, whether or not they are renewed then; zero when they do not end.
func (c *Client) Expires(ctx context.Context) (time.Time, error) {
	found, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return time.Time{}, c.explainCredentials(ctx, err)
	}
	if !found.CanExpire {
		return time.Time{}, nil
	}
	return found.Expires.Add(expiryWindow), nil // the cache has moved their end forward
}

// roleCredentials assumes a role: with the token of Options.TokenVariable, with GitHub's OIDC token in a job that can get one,
// else with the credentials that the chain finds.
func (c *Client) roleCredentials(cfg sdk.Config, o Options, role string) sdk.CredentialsProvider {
	if o.TokenVariable != "" || c.github.canAskToken() {
		cfg.Credentials = sdk.AnonymousCredentials{} // AssumeRoleWithWebIdentity is not signed
		w := &webIdentity{client: sts.NewFromConfig(cfg, o.bearers), source: "GitHub OIDC", role: role, session: c.roleSession, duration: o.RoleDuration, mask: o.Mask}
		w.token = func(ctx context.Context) (string, error) {
			return c.github.token(ctx, boundedClient{c.httpClient(), c.bounds})
		}
		if o.TokenVariable != "" {
			w.source, w.variable = "web identity token in "+o.TokenVariable, o.TokenVariable
			w.token = func(context.Context) (string, error) { return tokenIn(o.TokenVariable, role) }
		}
		return w
	}
	cfg.Credentials = &caller{chain: c.chain, github: c.github, role: role}
	return stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg, o.signers), role, func(r *stscreds.AssumeRoleOptions) {
		r.RoleSessionName = c.roleSession
		if o.RoleDuration != 0 {
			r.Duration = o.RoleDuration
		}
	})
}

// caller gets the credentials with which a role is assumed. In a GitHub job that has neither credentials nor a token, its error
// says what is missing.
type caller struct {
	chain  *chain
	github github
	role   string
}

func (c *caller) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	found, err := c.chain.Retrieve(ctx)
	if err != nil && c.github.Actions && ctx.Err() == nil {
		return found, &NoIDTokenError{Role: c.role, Err: err}
	}
	return found, err
}

// ProviderSources passes on which sources the chain has used.
func (c *chain) ProviderSources() []sdk.CredentialSource {
	if p, ok := c.first.(sdk.CredentialProviderSource); ok {
		return p.ProviderSources()
	}
	return nil
}

// from reports whether the credentials come from one of the given sources.
func (c *Client) from(sources ...sdk.CredentialSource) bool {
	return slices.ContainsFunc(c.chain.ProviderSources(), func(s sdk.CredentialSource) bool { return slices.Contains(sources, s) })
}

// regionForm is how regions are written. They become parts of host names, so nothing else may be in them.
var regionForm = pattern.Of(`^[a-z]{2,5}(-[a-z]+)+-[0-9]+$`) //nolint:gochecknoglobals // compiled when it is needed
