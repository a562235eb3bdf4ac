package aws

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// The policy for destinations has what the documentation says that each kind takes.
func TestThePolicyForDestinationsIsTheDocumentedOne(t *testing.T) {
	text, err := os.ReadFile("../docs/hosts.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, found := range regexp.MustCompile("`((?:rds|elasticache|memorydb|es|kafka|mq|redshift|redshift-serverless|elasticloadbalancing|servicediscovery|eks|ec2|ecs):[A-Z][A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, found[1])
	}
	slices.Sort(documented)
	granted := destinationActions()
	slices.Sort(granted)
	if documented = slices.Compact(documented); !slices.Equal(documented, granted) {
		t.Errorf("got %q, documented are %q", granted, documented)
	}
}
