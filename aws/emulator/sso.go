package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

const (
	ssoPath = "/federation/credentials"
	ssoUser = "ines@acme.example" // who is signed in; the session name of the roles
)

// roleCredentials is the answer of GetRoleCredentials (IAM Identity Center Portal API Reference).
type roleCredentials struct {
	Key ssoKey `json:"roleCredentials"`
}

type ssoKey struct {
	ID      string `json:"accessKeyId"`
	Secret  string `json:"secretAccessKey"`
	Token   string `json:"sessionToken"`
	Expires int64  `json:"expiration"` // milliseconds since the epoch
}

// SSO returns an access token of the portal, as `aws sso login` leaves it in its cache, and the role of a permission set in
// this account ("role/NAME", for Attach).
func (e *Emulator) SSO(permissionSet string) (accessToken, role string) {
	return e.portal, "role/" + e.ssoRole(permissionSet)
}

func (e *Emulator) ssoRole(permissionSet string) string {
	sum := sha256.Sum256([]byte(e.fleet.id + "/" + permissionSet))
	return "AWSReservedSSO_" + permissionSet + "_" + hex.EncodeToString(sum[:8])
}

// serveSSO is the portal's GetRoleCredentials, which has a bearer token in place of a signature.
func (e *Emulator) serveSSO(w http.ResponseWriter, r *http.Request) {
	e.count("GetRoleCredentials")
	query := r.URL.Query()
	if r.Header.Get("X-Amz-Sso_bearer_token") != e.portal {
		e.refuse(w, &apiError{Code: "UnauthorizedException", Message: "Session token not found or invalid", Status: http.StatusUnauthorized})
		return
	}
	if query.Get("account_id") != e.fleet.id || query.Get("role_name") == "" {
		e.refuse(w, &apiError{Code: "ForbiddenException", Message: "No access", Status: http.StatusForbidden})
		return
	}
	role := e.ssoRole(query.Get("role_name"))
	if err := e.data.admit(&request{HTTP: r}, "sso", "GetRoleCredentials", role); err != nil {
		e.refuse(w, err)
		return
	}
	_, one := e.roleKey(role, ssoUser, time.Hour)
	e.answer(w, http.StatusOK, roleCredentials{ssoKey{ID: one.ID, Secret: one.Secret, Token: one.Token, Expires: one.expires.UnixMilli()}})
}
