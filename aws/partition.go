package aws

import (
	"context"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// suffixesOf are the domains of a region's services, the plain one first, then that of dual stack: what the SDK's endpoint
// rules put behind ssm.REGION. So every partition that the SDK knows is known here as well. The rules make no request.
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

// serviceHost is the host of a service in a region, if its name follows the rule.
func serviceHost(service, region string) string {
	for _, suffix := range suffixesOf(region) {
		return service + "." + region + "." + suffix
	}
	return service + "." + region
}

// isStreamHost reports whether a host is one of the message service: plain, FIPS or dual stack (AWS General Reference, "Systems
// Manager endpoints").
func (c *Client) isStreamHost(host string) bool {
	host = strings.ToLower(host)
	return slices.ContainsFunc(suffixesOf(c.region), func(suffix string) bool {
		behind := "." + c.region + "." + suffix
		return host == "ssmmessages"+behind || host == "ssmmessages-fips"+behind
	})
}
