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

// rootProfile is the profile that the credentials really come from: the one at the end of a chain of source_profile, where
// people sign in. The zero value is none.
type rootProfile struct {
	name                   string
	sso, login             bool   // it signs in by IAM Identity Center, or by "aws login"
	account, permissionSet string // of IAM Identity Center
	tokenFile, role        string // of a web identity
	source                 string // credential_source of the role
	chained                bool   // it is the source_profile of another profile
}

// rootProfileOf finds the root profile in the configuration that the SDK has loaded.
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

// loginBelow makes the SDK load a chain of profiles that ends in one of "aws login". The SDK resolves such chains, but its
// check that a source profile has credentials at all does not know that kind (config 1.33.15), and fails with the error <nil>.
// So the profile gets a credential_process as well, which the SDK resolves only after the login. err is the error of the check;
// overlay and undo are nil when it is about something else.
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

// awsFile is the path of one of AWS's files: that of its variable, else the usual one.
func awsFile(variable, usual string) string { return orWord(os.Getenv(variable), usual) }

// presentsFile reports whether Options.RoleARN is the role to assume with the token in AWS_WEB_IDENTITY_TOKEN_FILE. GitLab,
// CircleCI and others write a token into a file and leave the role to the job.
func (o Options) presentsFile() bool {
	role := os.Getenv("AWS_ROLE_ARN")
	return o.RoleARN != "" && o.Profile == "" && os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && (role == "" || role == o.RoleARN) &&
		(os.Getenv("AWS_ACCESS_KEY_ID") == "" || os.Getenv("AWS_SECRET_ACCESS_KEY") == "")
}

// tokenFile is the file of the web identity token that the credential chain uses.
func (c *Client) tokenFile() string {
	if c.from(sdk.CredentialSourceEnvVarsSTSWebIDToken) {
		return os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
	}
	return c.root.tokenFile
}
