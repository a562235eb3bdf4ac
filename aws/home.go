package aws

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"culvert/internal/pattern"
)

// Home is the partition, account and region that an ARN names. A name that was not written as an ARN has none: it is looked for
// in the account and region of the client.
type Home struct {
	Partition, Account, Region string
	ARN                        string // as it was written
}

// known reports whether there is a home.
func (h Home) known() bool { return h != Home{} }

// differs reports whether two homes differ in partition, account or region.
func (h Home) differs(other Home) bool {
	return h.Partition != other.Partition || h.Account != other.Account || h.Region != other.Region
}

// String names the account and region, and the partition when it is not "aws".
func (h Home) String() string {
	text := "account " + orWord(h.Account, "(unknown)") + ", " + h.Region
	if h.Partition != "" && h.Partition != "aws" {
		text += " of partition " + h.Partition
	}
	return text
}

// CheckHome checks, before anything is opened or shown, that a client uses the partition, account and region that an ARN names;
// it fails with an *ElsewhereError when it does not. It asks STS once who the client is; without a home it does nothing. When
// STS does not answer, the account cannot be checked, and the error says so.
func (c *Client) CheckHome(ctx context.Context, h Home) error {
	if !h.known() {
		return nil
	}
	id, err := c.caller(ctx)
	here := Home{Partition: c.partition(), Account: cmp.Or(id.Account, c.accountID()), Region: c.region}
	if a, parsing := arn.Parse(id.ARN); parsing == nil && a.Partition != "" {
		here.Partition = a.Partition
	}
	switch {
	case err != nil && h.Region == here.Region && h.Partition == here.Partition:
		return fmt.Errorf("%s is of account %s, and whose account this is cannot be found out: %w", h.ARN, h.Account, err)
	case err == nil && !h.differs(here):
		return nil
	}
	return &ElsewhereError{
		ARN: h.ARN, Partition: h.Partition, Account: h.Account, Region: h.Region,
		HerePartition: here.Partition, HereAccount: here.Account, HereRegion: here.Region,
	}
}

// caller is whom the credentials belong to. STS is asked until it has answered once.
func (c *Client) caller(ctx context.Context) (Identity, error) {
	if id := c.identity.Load(); id != nil {
		return *id, nil
	}
	id, err := c.Identity(ctx)
	if err == nil && id.Account == "" {
		return Identity{}, &AnswerError{Operation: "sts:GetCallerIdentity", Problem: "it names no account"}
	}
	return id, err
}

// ElsewhereError means that an ARN is of another partition, account or region than the client uses.
type ElsewhereError struct {
	ARN                                    string
	Partition, Account, Region             string // of the ARN
	HerePartition, HereAccount, HereRegion string
}

func (e *ElsewhereError) Error() string {
	there, here := Home{Account: e.Account, Region: e.Region}, Home{Account: e.HereAccount, Region: e.HereRegion}
	text := fmt.Sprintf("you are in %s; %s is in %s", here, e.ARN, there)
	if e.Partition != e.HerePartition {
		text += fmt.Sprintf(" (partition %s here, %s there)", e.HerePartition, e.Partition)
	}
	return text
}

// Remedy names the flags with which culvert would use those of the ARN.
func (e *ElsewhereError) Remedy() string {
	if home := partitionOf(e.Region); e.Partition != "" && e.Partition != home {
		return fmt.Sprintf("correct the ARN: region %s belongs to partition %s, not to %s", e.Region, home, e.Partition)
	}
	var ways []string
	if e.Region != e.HereRegion {
		ways = append(ways, "--region "+e.Region)
	}
	if e.Account != e.HereAccount && e.HereAccount != "" {
		ways = append(ways, "the --profile or --role-arn of account "+e.Account)
	}
	if len(ways) == 0 {
		ways = append(ways, "the --profile of an account of partition "+e.Partition)
	}
	return "pass " + strings.Join(ways, " and ")
}

// partitionOf is the partition of AWS that a region belongs to (AWS General Reference, "AWS service endpoints"). The second
// word of regions in isolated partitions is iso, isob, isoe and so on.
func partitionOf(region string) string {
	parts := strings.Split(region, "-")
	if len(parts) < 3 {
		return "aws"
	}
	isolated, isIsolated := strings.CutPrefix(parts[1], "iso")
	switch {
	case parts[0] == "cn":
		return "aws-cn"
	case parts[0] == "eusc":
		return "aws-eusc"
	case parts[1] == "gov":
		return "aws-us-gov"
	case isIsolated && isolated == "":
		return "aws-iso"
	case isIsolated:
		return "aws-iso-" + isolated
	}
	return "aws"
}

// partition is the partition of the client's region.
func (c *Client) partition() string { return partitionOf(c.region) }

// reference is what an ECS ARN names.
type reference struct {
	Kind                           string // cluster, service, task or task-definition
	Home                           Home
	Cluster, Service, Task, Family string
}

// How the parts of an ARN are written (IAM User Guide, "Amazon Resource Names"; names: ECS API Reference).
//
//nolint:gochecknoglobals // compiled when they are needed
var (
	partitionForm = pattern.Of(`^aws(-[a-z]+)*$`)
	accountIDForm = pattern.Of(`^[0-9]{12}$`)
	nameForm      = pattern.Of(`^[A-Za-z0-9_-]{1,255}$`)
)

// mostNames is how many names may follow a kind in an ARN; 0 for a kind that is no target. ARNs of services and tasks from
// before 2018 do not have the cluster.
func mostNames(kind string) int {
	switch kind {
	case "cluster", taskDefinition:
		return 1
	case "service", "task":
		return 2
	}
	return 0
}

const taskDefinition = "task-definition"

// isARN tells an ARN from a plain name.
func isARN(text string) bool { return strings.HasPrefix(text, "arn:") }

// parseARN reads the ARN of a cluster, service, task or task definition. A *TargetFormError says what is wrong with any other
// text.
func parseARN(text string) (reference, error) {
	bad := func(format string, args ...any) (reference, error) {
		return reference{}, &TargetFormError{Form: text, Problem: fmt.Sprintf(format, args...)}
	}
	parts := strings.SplitN(text, ":", 6)
	if len(parts) < 6 {
		return bad("not the ARN of an ECS cluster, service or task: it has %d parts of 6", len(parts))
	}
	ref := reference{Home: Home{Partition: parts[1], Region: parts[3], Account: parts[4], ARN: text}}
	kind, rest, _ := strings.Cut(parts[5], "/")
	names := strings.Split(rest, "/")
	most := mostNames(kind)
	switch {
	case parts[2] != "ecs":
		return bad("not the ARN of an ECS cluster, service or task: its service is %q", parts[2])
	case most == 0:
		return bad("not the ARN of an ECS cluster, service or task: it names a %q", kind)
	case !partitionForm().MatchString(parts[1]):
		return bad("%q is no partition of AWS", parts[1])
	case !regionForm().MatchString(parts[3]):
		return bad("%q is no AWS region", parts[3])
	case !accountIDForm().MatchString(parts[4]):
		return bad("its account is %q, not twelve digits", parts[4])
	case len(names) > most:
		return bad("%d names behind %s/, there can be %d", len(names), kind, most)
	}
	for _, name := range names {
		if kind == taskDefinition { // the revision may follow the name
			name, _, _ = strings.Cut(name, ":")
		}
		if !nameForm().MatchString(name) {
			return bad("%q is no name of a %s", name, kind)
		}
	}
	last := names[len(names)-1]
	ref.Kind = kind
	if len(names) > 1 {
		ref.Cluster = names[0]
	}
	switch kind {
	case "cluster":
		ref.Cluster = last
	case "service":
		ref.Service = last
	case "task":
		ref.Task = last
	case taskDefinition:
		ref.Family = last
	}
	return ref, nil
}
