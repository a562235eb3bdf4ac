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

// signers moves STS to Options.Endpoint for calls that are signed: a signature is of no use to who sees it.
func (o Options) signers(s *sts.Options) { s.BaseEndpoint = override(s.BaseEndpoint, o.Endpoint) }

// bearers moves STS to Options.Endpoint for calls that carry a web identity token, if the user named it for this run.
func (o Options) bearers(s *sts.Options) {
	if o.EndpointTrusted {
		o.signers(s)
	}
}

// destinations say where the credential chain calls. Roles are assumed, by signed calls, at Options.Endpoint; web identity
// tokens go there only if it is trusted; the tokens of single sign-on never do. What is not moved goes where AWS's own
// settings say. Those that hold for every service (AWS_ENDPOINT_URL, endpoint_url of the profile) the SDK reads only after
// it has made the chain, and then heeds them everywhere but there; AWS's other tools know no such exception.
type destinations struct {
	options Options
	codes   *oneTime
	config  sdk.Config // as loaded, set after the chain was made and before its first call
}

// load are the options that let the SDK make its chain with these destinations. The SDK's client of "aws login" takes
// none: it goes where that service's own settings say.
func (d *destinations) load() []func(*config.LoadOptions) error {
	return []func(*config.LoadOptions) error{
		config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			if o.SerialNumber != nil {
				o.TokenProvider = neverAsked
				o.Duration = cmp.Or(o.Duration, stsDuration)
			}
			if client, ok := o.Client.(*sts.Client); ok { // once the SDK only wants to see whether a code will be needed
				o.Client = chainSTS{client, d.signers, d.oneTime}
			}
		}),
		config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			if client, ok := o.Client.(*sts.Client); ok { // once the SDK only wants to see whether there is one
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

// stsDuration is how long the session of a role lasts when nothing is said, at STS and with the aws command. The SDK's own is a
// quarter of that, and a code would be asked for as often.
const stsDuration = time.Hour

// general is the endpoint of a service, else what AWS's settings have for every service.
func (d *destinations) general(own *string) *string {
	if own != nil {
		return own
	}
	return d.config.BaseEndpoint
}

// oneTime is who assumes roles that want a code, in the knowledge of where STS is.
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

// chainSSO is the credential chain's client of the access portal.
type chainSSO struct {
	client *sso.Client
	to     *destinations
}

func (c chainSSO) GetRoleCredentials(ctx context.Context, in *sso.GetRoleCredentialsInput, options ...func(*sso.Options)) (*sso.GetRoleCredentialsOutput, error) {
	return c.client.GetRoleCredentials(ctx, in, append(options, func(s *sso.Options) { s.BaseEndpoint = c.to.general(s.BaseEndpoint) })...)
}

// moved is where a service without a client of the SDK is served, as the SDK finds it for its own: Options.Endpoint, else
// what AWS's settings have for the service, else for every service. Empty is AWS's own place.
func (c *Client) moved(ctx context.Context, service string) string {
	switch {
	case c.endpointURL != "":
		return c.endpointURL
	case c.ignoresEndpoints(ctx):
		return ""
	}
	return cmp.Or(c.ownEndpoint(ctx, service), sdk.ToString(c.config.BaseEndpoint))
}

// ignoresEndpoints reports whether AWS's settings for endpoints are shut off.
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
