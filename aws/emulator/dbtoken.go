package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// databaseTokenLife is the longest time for which a token may be valid (RDS User Guide, "IAM database authentication").
const databaseTokenLife = 900 * time.Second

// isDatabaseToken tells a token from a password.
func isDatabaseToken(password string) bool { return strings.Contains(password, "X-Amz-Signature=") }

// databaseLogin checks the token with which somebody logs in to a database as a user: a presigned request without its scheme,
// for that host, port and user, made with a key that has rds-db:connect. The errors are for tests; a real database only says
// that the login failed.
func (e *Emulator) databaseLogin(host string, port uint16, user, token string) error {
	u, err := url.Parse("https://" + token)
	if err != nil {
		return errors.New("it is no request")
	}
	query := u.Query()
	scope := strings.Split(query.Get("X-Amz-Credential"), "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || query.Get("X-Amz-Algorithm") != algorithm || query.Get("X-Amz-SignedHeaders") != "host" {
		return errors.New("it is not signed as it should be")
	}
	auth := authorization{keyID: scope[0], date: scope[1], region: scope[2], service: scope[3], signature: query.Get("X-Amz-Signature")}
	if at := host + ":" + strconv.Itoa(int(port)); u.Host != at {
		return fmt.Errorf("it is for %q, and this is %s", u.Host, at)
	}
	if u.Path != "/" || query.Get("Action") != "connect" || query.Get("DBUser") != user {
		return fmt.Errorf("it is for the user %q", query.Get("DBUser"))
	}
	if auth.service != "rds-db" || auth.region != e.region() {
		return fmt.Errorf("it is signed for %s in %s", auth.service, auth.region)
	}
	seconds, err := strconv.Atoi(query.Get("X-Amz-Expires"))
	life := time.Duration(seconds) * time.Second
	if err != nil || life <= 0 || life > databaseTokenLife {
		return fmt.Errorf("it is good for %q seconds", query.Get("X-Amz-Expires"))
	}
	at, err := time.Parse(isoBasic, query.Get("X-Amz-Date"))
	if err != nil || at.Format("20060102") != auth.date || at.After(e.now().Add(maxSkew)) || e.now().After(at.Add(life)) {
		return fmt.Errorf("it is of %s for %s, and that is not now", query.Get("X-Amz-Date"), life)
	}
	one, known := e.keys.find(auth.keyID)
	if !known || one.Token != query.Get("X-Amz-Security-Token") || !one.expires.IsZero() && !e.now().Before(one.expires) {
		return errors.New("it is signed with no key of the account")
	}
	query.Del("X-Amz-Signature")
	nothing := sha256.Sum256(nil)
	presigned := &http.Request{Method: http.MethodGet, Host: u.Host, URL: &url.URL{Path: "/", RawQuery: query.Encode()}}
	want := signature(one.Secret, auth, at, canonical(presigned, []string{"host"}, hex.EncodeToString(nothing[:])))
	if !hmac.Equal([]byte(want), []byte(auth.signature)) {
		return errors.New("its signature is wrong")
	}
	who := &request{Caller: one.caller, Region: auth.region, HTTP: presigned}
	if err := e.data.admit(who, "rds-db", "connect", e.fleet.arn("rds-db", "dbuser:db-DEMO/"+user)); err != nil {
		return errors.New("rds-db:connect is not allowed")
	}
	return nil
}
