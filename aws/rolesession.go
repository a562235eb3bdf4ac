package aws

import (
	"os"
	"os/user"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"

	"culvert/internal/pattern"
)

// roleSession is the name of the session of every role that is assumed for this process. A role's aws:userid is
// ROLEID:SESSIONNAME, by which policies tell who has opened a Session Manager session. So the name has to be the same at each
// renewal, and in all processes of one user or of one pipeline job, whichever of them opens, resumes or ends the session. The
// ids of sessions begin with it, and CloudTrail shows it. AWS_ROLE_SESSION_NAME is the user's own choice.
func roleSession(p pipeline) string {
	if name := os.Getenv("AWS_ROLE_SESSION_NAME"); name != "" {
		return name
	}
	if p.run != "" {
		return roleSessionOf(p.run[max(0, len(p.run)-maxRoleSession+len(roleSessionPrefix)):]) // the end is what tells jobs apart
	}
	return roleSessionOf(userName())
}

// nameRoleSessions has the SDK give this name to role sessions that nobody has named: it would invent a name at each renewal.
// It has to come after all other options, because it adds to what they do with the options of roles.
func (c *Client) nameRoleSessions(o *config.LoadOptions) error {
	assuming, presenting := o.AssumeRoleCredentialOptions, o.WebIdentityRoleCredentialOptions
	o.AssumeRoleCredentialOptions = func(r *stscreds.AssumeRoleOptions) {
		if assuming != nil {
			assuming(r)
		}
		r.RoleSessionName = orWord(r.RoleSessionName, c.roleSession)
	}
	o.WebIdentityRoleCredentialOptions = func(r *stscreds.WebIdentityRoleOptions) {
		if presenting != nil {
			presenting(r)
		}
		if c.presented != "" {
			r.RoleARN, r.Duration = c.presented, c.roleDuration
		}
		r.RoleSessionName = orWord(r.RoleSessionName, c.roleSession)
	}
	return nil
}

// roleSessionPrefix is the beginning of each name that culvert makes, by which policies recognise them.
const roleSessionPrefix = "culvert-"

// IsOwnRoleSession reports whether a role's session has a name of culvert's form. Others can choose such a name, too.
func IsOwnRoleSession(name string) bool { return strings.HasPrefix(name, roleSessionPrefix) }

// maxRoleSession is how long the name of a role's session may be (STS API Reference, AssumeRole).
const maxRoleSession = 64

var notInRoleSession = pattern.Of(`[^\w+=,.@-]`) //nolint:gochecknoglobals // compiled when it is needed

// roleSessionOf is a name for the role sessions of somebody that STS takes for a RoleSessionName: 2 to 64 of [\w+=,.@-].
func roleSessionOf(who string) string {
	name := roleSessionPrefix + notInRoleSession().ReplaceAllString(who, "-")
	return name[:min(len(name), maxRoleSession)]
}

// userName names the local user; on Windows it is DOMAIN\USER.
func userName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "local"
}
