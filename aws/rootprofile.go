package aws

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// rootProfile is the profile that the credentials really come from: the one at the end of a chain of source_profile, which
// is where people log in. The zero value is none.
type rootProfile struct {
	name                   string
	sso, login             bool   // it is of IAM Identity Center, or of "aws login"
	account, permissionSet string // of the former
	tokenFile, role        string // of a web identity
	source                 string // credential_source of the role
	chained                bool   // another profile leads to it
}

// rootProfileOf finds it in what the SDK has loaded.
func rootProfileOf(cfg sdk.Config) rootProfile {
	for _, source := range cfg.ConfigSources {
		profile, ok := source.(config.SharedConfig)
		if !ok {
			continue
		}
		root := &profile
		for root.Source != nil {
			root = root.Source
		}
		return rootProfile{
			name: root.Profile, chained: root != &profile,
			sso:     root.SSOSession != nil || root.SSOStartURL != "",
			login:   root.LoginSession != "",
			account: root.SSOAccountID, permissionSet: root.SSORoleName, tokenFile: root.WebIdentityTokenFile, role: root.RoleARN, source: root.CredentialSource,
		}
	}
	return rootProfile{}
}

// loginBelow lets the SDK load a chain of profiles that ends in one of "aws login". The SDK's resolver of chains knows that
// kind, but its check whether a source profile has credentials at all does not (config 1.33.15), and says <nil>. So that
// profile gets another kind beside it, which the resolver looks at only after. err is what the check said; nil when it is
// about something else.
func (c *Client) loginBelow(ctx context.Context, err error) (overlay config.LoadOptionsFunc, undo func()) {
	failed, ok := errors.AsType[config.SharedConfigAssumeRoleError](err)
	if !ok || failed.Err != nil || strings.ContainsAny(failed.Profile, "[]\r\n") {
		return nil, nil
	}
	source, err := config.LoadSharedConfigProfile(ctx, failed.Profile, func(o *config.LoadSharedConfigOptions) {
		o.ConfigFiles, o.CredentialsFiles = []string{awsFile("AWS_CONFIG_FILE", config.DefaultSharedConfigFilename())},
			[]string{awsFile("AWS_SHARED_CREDENTIALS_FILE", config.DefaultSharedCredentialsFilename())}
	})
	if err != nil || source.LoginSession == "" {
		return nil, nil
	}
	file, err := os.CreateTemp("", "culvert-profile-")
	if err != nil {
		c.log.Debug("a profile of aws login cannot be used as a source profile", "error", err)
		return nil, nil
	}
	undo = func() { _ = os.Remove(file.Name()) }
	section := "profile " + failed.Profile
	if failed.Profile == "default" {
		section = failed.Profile
	}
	_, err = fmt.Fprintf(file, "[%s]\ncredential_process = exit 1\n", section)
	if err = errors.Join(err, file.Close()); err != nil {
		undo()
		return nil, nil
	}
	return config.WithSharedConfigFiles([]string{awsFile("AWS_CONFIG_FILE", config.DefaultSharedConfigFilename()), file.Name()}), undo
}

// awsFile is one of AWS's files: where its variable says, else its usual place.
func awsFile(variable, usual string) string { return orWord(os.Getenv(variable), usual) }

// presentsFile reports whether Options.RoleARN is the role for the token that AWS_WEB_IDENTITY_TOKEN_FILE names: GitLab,
// CircleCI and others write a token and leave the role to the job.
func (o Options) presentsFile() bool {
	role := os.Getenv("AWS_ROLE_ARN")
	return o.RoleARN != "" && o.Profile == "" && os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && (role == "" || role == o.RoleARN) &&
		(os.Getenv("AWS_ACCESS_KEY_ID") == "" || os.Getenv("AWS_SECRET_ACCESS_KEY") == "")
}

// tokenFile is the file of the web identity token that the chain presents.
func (c *Client) tokenFile() string {
	if c.from(sdk.CredentialSourceEnvVarsSTSWebIDToken) {
		return os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
	}
	return c.root.tokenFile
}
