package aws

import (
	"cmp"
	"context"
	"os"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// signers moves STS to Options.Endpoint for signed calls: whoever sees a signature cannot use it for anything else.
func (o Options) signers(s *sts.Options) { s.BaseEndpoint = override(s.BaseEndpoint, o.Endpoint) }

// bearers moves STS to Options.Endpoint for calls that carry a web identity token, if the user named it for this run.
func (o Options) bearers(s *sts.Options) {
	if o.EndpointTrusted {
		o.signers(s)
	}
}

// destinations say where the credential chain calls. Roles are assumed, by signed calls, at Options.Endpoint. Web identity
// tokens are sent there only if it is trusted, tokens of single sign-on never. What is not moved goes where AWS's own settings
// say. The SDK reads the settings for every service (AWS_ENDPOINT_URL, endpoint_url of the profile) only after it has made the
// chain, so it follows them everywhere but there; AWS's other tools make no such exception, so destinations adds them.
type destinations struct {
	options Options
	codes   *oneTime
	config  sdk.Config // as loaded, set after the chain was made and before its first call
}

// load are the options with which the SDK makes its chain with these destinations. The SDK's client of "aws login" has no such
// option: it goes where the settings of that service say.
func (d *destinations) load() []func(*config.LoadOptions) error {
	return []func(*config.LoadOptions) error{
		config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			if o.SerialNumber != nil {
				o.TokenProvider = neverAsked
				o.Duration = cmp.Or(o.Duration, stsDuration)
			}
			if client, ok := o.Client.(*sts.Client); ok { // it is no client when the SDK only wants to know whether a code will be needed
				o.Client = chainSTS{client, d.signers, d.oneTime}
			}
		}),
		config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			if client, ok := o.Client.(*sts.Client); ok { // it is no client when the SDK only wants to know whether there is a role
				o.Client = chainSTS{client, d.bearers, nil}
			}
		}),
		config.WithSSOProviderOptions(func(o *ssocreds.Options) {
			if client, ok := o.Client.(*sso.Client); ok {
				o.Client = chainSSO{client, d}
			}
		}),
		config.WithSSOTokenProviderOptions(func(o *ssocreds.SSOTokenProviderOptions) {
			o.ClientOptions = append(o.ClientOptions, func(s *ssooidc.Options) { s.BaseEndpoint = d.general(s.BaseEndpoint) })
		}),
	}
}

// stsDuration is how long a role's session lasts by default, at STS and with the aws command. The SDK's own default is a
// quarter of that, so that codes would be asked for four times as often.
const stsDuration = time.Hour

// general is the endpoint of a service or, when it has none of its own, what AWS's settings have for every service.
func (d *destinations) general(own *string) *string {
	if own != nil {
		return own
	}
	return d.config.BaseEndpoint
}

// oneTime is what assumes roles that want a code, told where STS is.
func (d *destinations) oneTime() *oneTime {
	d.codes.of = []string{d.codes.profile, d.options.Endpoint, sdk.ToString(d.config.BaseEndpoint), os.Getenv("AWS_ENDPOINT_URL_STS"), os.Getenv("AWS_CONFIG_FILE")}
	return d.codes
}

func (d *destinations) signers(s *sts.Options) {
	s.BaseEndpoint = d.general(s.BaseEndpoint)
	d.options.signers(s)
}

func (d *destinations) bearers(s *sts.Options) {
	s.BaseEndpoint = d.general(s.BaseEndpoint)
	d.options.bearers(s)
}

// chainSTS is the credential chain's client of STS.
type chainSTS struct {
	client  *sts.Client
	aim     func(*sts.Options)
	oneTime func() *oneTime // for roles that want a code
}

func (c chainSTS) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput, options ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	call := func(in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
		return c.client.AssumeRole(ctx, in, append(options, c.aim)...)
	}
	if in.SerialNumber != nil && c.oneTime != nil {
		return c.oneTime().assume(ctx, in, call)
	}
	return call(in)
}

func (c chainSTS) AssumeRoleWithWebIdentity(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput, options ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	return c.client.AssumeRoleWithWebIdentity(ctx, in, append(options, c.aim)...)
}

// chainSSO is the credential chain's client of single sign-on's access portal.
type chainSSO struct {
	client *sso.Client
	to     *destinations
}

func (c chainSSO) GetRoleCredentials(ctx context.Context, in *sso.GetRoleCredentialsInput, options ...func(*sso.Options)) (*sso.GetRoleCredentialsOutput, error) {
	return c.client.GetRoleCredentials(ctx, in, append(options, func(s *sso.Options) { s.BaseEndpoint = c.to.general(s.BaseEndpoint) })...)
}

// moved is where a service that has no client of the SDK is served, as the SDK finds it for its own clients: Options.Endpoint,
// else what AWS's settings have for the service, else what they have for every service. It is empty for AWS's own endpoint.
func (c *Client) moved(ctx context.Context, service string) string {
	switch {
	case c.endpointURL != "":
		return c.endpointURL
	case c.ignoresEndpoints(ctx):
		return ""
	}
	return cmp.Or(c.ownEndpoint(ctx, service), sdk.ToString(c.config.BaseEndpoint))
}

// ignoresEndpoints reports whether AWS's settings for endpoints are switched off (AWS_IGNORE_CONFIGURED_ENDPOINT_URLS).
func (c *Client) ignoresEndpoints(ctx context.Context) bool {
	for _, source := range c.config.ConfigSources {
		if s, ok := source.(interface {
			GetIgnoreConfiguredEndpoints(ctx context.Context) (bool, bool, error)
		}); ok {
			if ignored, found, err := s.GetIgnoreConfiguredEndpoints(ctx); err == nil && found {
				return ignored
			}
		}
	}
	return false
}

// ownEndpoint is what AWS's settings have for a service alone: AWS_ENDPOINT_URL_<SERVICE>, or its section of the profile's
// services.
func (c *Client) ownEndpoint(ctx context.Context, service string) string {
	if c.ignoresEndpoints(ctx) {
		return ""
	}
	for _, source := range c.config.ConfigSources {
		if s, ok := source.(interface {
			GetServiceBaseEndpoint(ctx context.Context, service string) (string, bool, error)
		}); ok {
			if own, found, err := s.GetServiceBaseEndpoint(ctx, service); err == nil && found {
				return own
			}
		}
	}
	return ""
}
