package aws

import (
	"context"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// suffixesOf are the domains that a region's services are in, the plain one first, then that of dual stack: what the
// SDK's own endpoint rules put behind ssm.REGION. So a partition that the SDK learns of is known here as well. The rules ask nobody.
func suffixesOf(region string) []string {
	var suffixes []string
	for _, dualStack := range []bool{false, true} {
		found, err := ssm.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), ssm.EndpointParameters{
			Region: &region, UseFIPS: sdk.Bool(false), UseDualStack: &dualStack,
		})
		if err != nil {
			continue // the partition has no dual stack
		}
		suffix, ok := strings.CutPrefix(found.URI.Hostname(), "ssm."+region+".")
		if ok && !slices.Contains(suffixes, suffix) {
			suffixes = append(suffixes, suffix)
		}
	}
	return suffixes
}

// serviceHost is where a region's service is, as far as its name follows the rule.
func serviceHost(service, region string) string {
	for _, suffix := range suffixesOf(region) {
		return service + "." + region + "." + suffix
	}
	return service + "." + region
}

// isStreamHost knows the hosts of the message service: plain, FIPS and dual stack (AWS General Reference, "Systems
// Manager endpoints").
func (c *Client) isStreamHost(host string) bool {
	host = strings.ToLower(host)
	return slices.ContainsFunc(suffixesOf(c.region), func(suffix string) bool {
		behind := "." + c.region + "." + suffix
		return host == "ssmmessages"+behind || host == "ssmmessages-fips"+behind
	})
}
