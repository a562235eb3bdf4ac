package aws

import (
	"net/url"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

// Serves reports whether the client itself calls a host: an endpoint of ECS, Session Manager, STS or KMS, be it AWS's own in
// this region or one of the settings.
func (c *Client) Serves(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	service, behind, _ := strings.Cut(host, ".")
	switch strings.TrimSuffix(service, "-fips") {
	case "ssm", "ssmmessages", "ecs", "sts", "kms":
		if behind == "amazonaws.com" || slices.ContainsFunc(suffixesOf(c.region), func(suffix string) bool { return behind == c.region+"."+suffix }) {
			return true
		}
	}
	for _, endpoint := range []string{
		c.endpointURL, c.StreamEndpoint(), sdk.ToString(c.ssm.Options().BaseEndpoint), sdk.ToString(c.ecs.Options().BaseEndpoint),
		sdk.ToString(c.sts.Options().BaseEndpoint), sdk.ToString(c.kms.Options().BaseEndpoint),
	} {
		if u, err := url.Parse(endpoint); err == nil && endpoint != "" && strings.EqualFold(u.Hostname(), host) {
			return true
		}
	}
	return false
}
