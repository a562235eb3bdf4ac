package aws

import (
	"cmp"
	"os"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"culvert/internal/say"
)

// Shell writes commands that are meant to be pasted. They name the account and region that culvert uses, whatever the
// environment in which they are pasted would choose.
type Shell struct {
	Profile  string // empty for the default profile, or keys in the environment
	Region   string // empty while it is not known
	Endpoint string // in place of every service's own; empty for AWS's
	Stream   string // endpoint of the sessions' websockets; the aws command has no flag for that
	Role     string // ARN of the role that culvert assumes with the profile; the aws command has no flag for that
	// TokenVariable has the token with which the role is assumed; empty when there is none.
	TokenVariable string
	Document      string // with which sessions are started, in place of AWS's; empty for those
	Demo          bool   // the account is the one inside culvert --demo
}

// AWS is an aws command.
func (s Shell) AWS(words ...string) string {
	account := s
	if s.Role != "" { // the profile belongs to whoever may assume it, perhaps in another account
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

// flags are the flags that both commands have.
func (s Shell) flags() []string {
	var flags []string
	for _, f := range [][2]string{{"--profile", s.Profile}, {"--region", s.Region}, {"--endpoint-url", s.Endpoint}} {
		if f[1] != "" {
			flags = append(flags, f[0], f[1])
		}
	}
	return flags
}

// command quotes words that a shell would take apart. Names come from an account, and can be any text.
func command(program string, words []string) string {
	quoted := []string{program}
	for _, w := range words {
		quoted = append(quoted, say.Word(w))
	}
	return strings.Join(quoted, " ")
}

// Shell is how commands about the client's account are written.
func (c *Client) Shell() Shell { return c.shell }

// shellOf is how commands name the account of a client. A profile that only the environment names is named too, as a command
// may be pasted into another shell, unless keys in the environment are used instead of it.
func (c *Client) shellOf(o Options) Shell {
	profile := o.Profile
	if profile == "" && o.Keys == (Keys{}) && !c.from(sdk.CredentialSourceEnvVars, sdk.CredentialSourceEnvVarsSTSWebIDToken) {
		profile = cmp.Or(os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE"))
	}
	return Shell{Profile: profile, Region: c.region, Endpoint: strings.TrimSuffix(o.Endpoint, "/"), Stream: o.StreamEndpoint, Role: o.RoleARN, TokenVariable: o.TokenVariable, Document: o.Document, Demo: o.Demo}
}
