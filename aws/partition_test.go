package aws

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"culvert/internal/need"
)

// The SDK's own list of partitions is the judge: of every region in it the hosts of the stream are known, and no others.
func TestEveryPartitionOfTheSDKIsKnown(t *testing.T) {
	where, err := exec.CommandContext(t.Context(), need.Command(t, "go"), "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(where)), "internal", "endpoints", "awsrulesfn", "partitions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Partitions []struct {
			ID      string `json:"id"`
			Outputs struct {
				DNSSuffix          string `json:"dnsSuffix"`
				DualStackDNSSuffix string `json:"dualStackDnsSuffix"`
				GlobalRegion       string `json:"implicitGlobalRegion"`
			} `json:"outputs"`
			Regions map[string]any `json:"regions"`
		} `json:"partitions"`
	}
	if err := json.Unmarshal(text, &list); err != nil || len(list.Partitions) < 8 {
		t.Fatalf("got %d partitions, %v", len(list.Partitions), err)
	}
	regions := 0
	for _, partition := range list.Partitions {
		for region := range partition.Regions {
			if !regexp.MustCompile(`-[0-9]$`).MatchString(region) {
				continue // aws-global and the like
			}
			regions++
			c := must(Connect(t.Context(), Options{Region: region, Keys: Keys{ID: "a", Secret: "b"}}))
			if got := c.partition(); got != partition.ID {
				t.Errorf("%s: got partition %s, want %s", region, got, partition.ID)
			}
			if got, want := suffixesOf(region), []string{partition.Outputs.DNSSuffix, partition.Outputs.DualStackDNSSuffix}; !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", region, got, want)
			}
			iam, global := "iam."+partition.Outputs.GlobalRegion+"."+partition.Outputs.DNSSuffix, partition.Outputs.GlobalRegion
			if own, ok := map[string][2]string{ // what botocore's rules for IAM say of those whose name is older than the rule
				"aws": {"iam.amazonaws.com", "us-east-1"}, "aws-cn": {"iam.cn-north-1.amazonaws.com.cn", "cn-north-1"}, "aws-us-gov": {"iam.us-gov.amazonaws.com", "us-gov-west-1"},
			}[partition.ID]; ok {
				iam, global = own[0], own[1]
			}
			if at, signedFor := c.endpoint(t.Context(), iamAPI()); at != "https://"+iam || signedFor != global {
				t.Errorf("%s: got IAM at %s signed for %s, want %s for %s", region, at, signedFor, iam, global)
			}
			for _, host := range []string{"ssmmessages.", "ssmmessages-fips."} {
				for _, suffix := range []string{partition.Outputs.DNSSuffix, partition.Outputs.DualStackDNSSuffix} {
					at := host + region + "." + suffix
					if err := c.CheckStreamURL("wss://" + at + "/v1/data-channel/x"); err != nil {
						t.Errorf("%s: %v", at, err)
					}
					for _, elsewhere := range []string{at + ".example", "x" + at, host + "xx-test-1." + suffix, suffix} {
						err := c.CheckStreamURL("wss://" + elsewhere + "/v1/data-channel/x")
						_ = mustBe[*StreamURLError](t, err)
						mustSay(t, err, "wss://ssmmessages."+region+"."+partition.Outputs.DNSSuffix)
					}
				}
			}
		}
	}
	if regions < 40 {
		t.Errorf("only %d regions", regions)
	}
}
