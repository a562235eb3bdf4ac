package aws

import (
	"os"
	"os/user"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"

	"culvert/internal/pattern"
)

// roleSession names the session of every role that is assumed for this process. A role's aws:userid is
// ROLEID:SESSIONNAME, and policies know by it whose a Session Manager session is: so the name is the same at each renewal,
// and for all processes of one user or of one job of a pipeline, whichever of them opens, resumes or ends the session. It
// also begins the ids of sessions and shows in CloudTrail. AWS_ROLE_SESSION_NAME is the user's own choice.
func roleSession(p pipeline) string {
	if name := os.Getenv("AWS_ROLE_SESSION_NAME"); name != "" {
		return name
	}
	if p.run != "" {
		return roleSessionOf(p.run[max(0, len(p.run)-maxRoleSession+len(roleSessionPrefix)):]) // what tells runs apart is at the end
	}
	return roleSessionOf(userName())
}

// nameRoleSessions has the SDK name the role sessions that nobody has named: it would invent a name at each renewal. It
// goes behind every other option, because it adds to what those ask of the SDK's roles.
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

// roleSessionPrefix begins each name that is culvert's own; policies know them by it.
const roleSessionPrefix = "culvert-"

// IsOwnRoleSession reports whether culvert has named a role's session, or somebody who wants it to be taken for such a one.
func IsOwnRoleSession(name string) bool { return strings.HasPrefix(name, roleSessionPrefix) }

// maxRoleSession is how long the name of a role's session may be (STS API Reference, AssumeRole).
const maxRoleSession = 64

var notInRoleSession = pattern.Of(`[^\w+=,.@-]`) //nolint:gochecknoglobals // compiled when it is needed

// roleSessionOf fits STS's rule for RoleSessionName, 2 to 64 of [\w+=,.@-], whoever it is.
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
