package aws

import (
	"cmp"
	"os"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"culvert/internal/say"
)

// Shell writes commands that are meant to be pasted. They act on the account and region that culvert looks at, whatever the
// environment they are pasted into would choose by itself.
type Shell struct {
	Profile  string // empty: the default profile, or keys of the environment
	Region   string // empty as long as it is not known
	Endpoint string // that replaces every service's; empty for AWS's own
	Stream   string // endpoint of the sessions' websockets; the aws command has no flag for that
	Role     string // ARN of the role that culvert assumes on top of it; the aws command has no flag for that
	// TokenVariable has the token that the role is assumed with, if any does.
	TokenVariable string
	Document      string // that sessions are started with in place of AWS's; empty for those
	Demo          bool   // the account is the one inside culvert --demo
}

// AWS is an aws command.
func (s Shell) AWS(words ...string) string {
	account := s
	if s.Role != "" { // the profile is of whoever may assume it, perhaps in another account
		account.Profile = ""
	}
	text := command("aws", append(words, account.flags()...))
	if s.Role != "" {
		text += " (with the credentials of " + s.Role + ")"
	}
	return text
}

// Culvert is a culvert command.
func (s Shell) Culvert(words ...string) string {
	if s.Document != "" {
		words = append(words, "--document", s.Document)
	}
	if s.Demo {
		return command("culvert", append(words, "--demo"))
	}
	words = append(words, s.flags()...)
	if s.Stream != "" {
		words = append(words, "--stream-endpoint", s.Stream)
	}
	if s.Role != "" {
		words = append(words, "--role-arn", s.Role)
	}
	if s.TokenVariable != "" {
		words = append(words, "--web-identity-token-env", s.TokenVariable)
	}
	return command("culvert", words)
}

// flags are those that both commands know.
func (s Shell) flags() []string {
	var flags []string
	for _, f := range [][2]string{{"--profile", s.Profile}, {"--region", s.Region}, {"--endpoint-url", s.Endpoint}} {
		if f[1] != "" {
			flags = append(flags, f[0], f[1])
		}
	}
	return flags
}

// command quotes what a shell would take apart: names come from an account, and whoever answers for it may answer anything.
func command(program string, words []string) string {
	quoted := []string{program}
	for _, w := range words {
		quoted = append(quoted, say.Word(w))
	}
	return strings.Join(quoted, " ")
}

// Shell writes commands about the client's account.
func (c *Client) Shell() Shell { return c.shell }

// shellOf is how the account of a client is named on a command line. A profile of the environment is named too, as what is
// pasted may be pasted elsewhere, unless keys of the environment were preferred to it.
func (c *Client) shellOf(o Options) Shell {
	profile := o.Profile
	if profile == "" && o.Keys == (Keys{}) && !c.from(sdk.CredentialSourceEnvVars, sdk.CredentialSourceEnvVarsSTSWebIDToken) {
		profile = cmp.Or(os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE"))
	}
	return Shell{Profile: profile, Region: c.region, Endpoint: strings.TrimSuffix(o.Endpoint, "/"), Stream: o.StreamEndpoint, Role: o.RoleARN, TokenVariable: o.TokenVariable, Document: o.Document, Demo: o.Demo}
}
