package emulator

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The types of STS's query protocol. Each answer is <Action>Response with <Action>Result in it, and the id of the request.

type identityAnswer struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	ARN       string   `xml:"GetCallerIdentityResult>Arn"`
	UserID    string   `xml:"GetCallerIdentityResult>UserId"`
	Account   string   `xml:"GetCallerIdentityResult>Account"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type temporaryKey struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string `xml:"SecretAccessKey"`
	SessionToken    string `xml:"SessionToken"`
	Expiration      string `xml:"Expiration"`
}

type assumedUser struct {
	ID  string `xml:"AssumedRoleId"`
	ARN string `xml:"Arn"`
}

type assumeAnswer struct {
	XMLName   xml.Name     `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
	User      assumedUser  `xml:"AssumeRoleResult>AssumedRoleUser"`
	Key       temporaryKey `xml:"AssumeRoleResult>Credentials"`
	RequestID string       `xml:"ResponseMetadata>RequestId"`
}

type webIdentityAnswer struct {
	XMLName   xml.Name     `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
	Subject   string       `xml:"AssumeRoleWithWebIdentityResult>SubjectFromWebIdentityToken"`
	Audience  string       `xml:"AssumeRoleWithWebIdentityResult>Audience"`
	User      assumedUser  `xml:"AssumeRoleWithWebIdentityResult>AssumedRoleUser"`
	Key       temporaryKey `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	Provider  string       `xml:"AssumeRoleWithWebIdentityResult>Provider"`
	RequestID string       `xml:"ResponseMetadata>RequestId"`
}

// stsAction serves a call of STS.
func (e *Emulator) stsAction(r *http.Request, body []byte, form url.Values) (any, error) {
	action := form.Get("Action")
	req := &request{Body: body, Region: scopeRegion(r), HTTP: r}
	if action != "AssumeRoleWithWebIdentity" { // this action is not signed
		who, err := e.verify(r, "sts", body)
		if err != nil {
			return nil, inQueryWords(err)
		}
		req.Caller = who
	}
	if err := e.data.admit(req, "sts", action, or(form.Get("RoleArn"), "*")); err != nil {
		return nil, err
	}
	switch action {
	case "GetCallerIdentity":
		return identityAnswer{ARN: req.Caller.ARN, UserID: req.Caller.UserID, Account: e.fleet.id, RequestID: uuid.NewString()}, nil
	case "AssumeRole":
		user, one, err := e.assume(form, "AssumeRole")
		return assumeAnswer{User: user, Key: one, RequestID: uuid.NewString()}, err
	case "AssumeRoleWithWebIdentity":
		return e.assumeWithToken(form)
	}
	return nil, &apiError{Code: "InvalidAction", Message: fmt.Sprintf("Could not find operation %s for version %s", action, form.Get("Version"))}
}

// inQueryWords gives the refusal of a signature the code of the query protocol, which differs from that of the JSON services.
func inQueryWords(err error) error {
	refusal := asAPIError(err)
	said := apiError{Code: refusal.Code, Message: refusal.Message, Status: http.StatusForbidden}
	switch refusal.Code {
	case "MissingAuthenticationTokenException":
		said.Code, said.Message = "MissingAuthenticationToken", "Request is missing Authentication Token"
	case "UnrecognizedClientException":
		said.Code = "InvalidClientTokenId"
	case "ExpiredTokenException":
		said.Code = "ExpiredToken"
	case invalidSignature:
		said.Code = "SignatureDoesNotMatch"
	case "IncompleteSignatureException":
		said.Code, said.Status = "IncompleteSignature", http.StatusBadRequest
	}
	return &said
}

// assume makes a temporary key for a role of the account.
func (e *Emulator) assume(form url.Values, action string) (assumedUser, temporaryKey, error) {
	role, session := form.Get("RoleArn"), form.Get("RoleSessionName")
	prefix := "arn:aws:iam::" + e.fleet.id + ":role/"
	invalid := func(format string, args ...any) (assumedUser, temporaryKey, error) {
		return assumedUser{}, temporaryKey{}, &apiError{Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
	}
	if !regexp.MustCompile(`^[\w+=,.@-]{2,64}$`).MatchString(session) {
		return invalid("1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*", session)
	}
	if !regexp.MustCompile(`^arn:[\w-]+:iam::\d{12}:role/.+$`).MatchString(role) {
		return invalid("%s is invalid", role)
	}
	name, ours := strings.CutPrefix(role, prefix)
	if !ours {
		return assumedUser{}, temporaryKey{}, notAuthorized(action, role)
	}
	if serial := form.Get("SerialNumber"); serial != "" {
		if err := e.codes.take(serial, form.Get("TokenCode")); err != nil {
			return assumedUser{}, temporaryKey{}, err
		}
	}
	seconds := 3600
	if text := form.Get("DurationSeconds"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 900 || n > 43200 {
			return invalid("1 validation error detected: Value '%s' at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200", text)
		}
		seconds = n
	}
	who, one := e.roleKey(nameOf(name), session, time.Duration(seconds)*time.Second)
	return assumedUser{ID: who.UserID, ARN: who.ARN}, temporaryKey{
		AccessKeyID: one.ID, SecretAccessKey: one.Secret, SessionToken: one.Token, Expiration: one.expires.UTC().Format(time.RFC3339),
	}, nil
}

// codes are the one-time codes of devices. Any six digits are a valid code, except the code that a device was used with last,
// as each can be used only once (IAM User Guide, "MFA"), and 000000, for tests that need a wrong code.
type codes struct {
	mu   sync.Mutex
	last map[string]string // by the device's serial number
}

func (c *codes) take(serial, code string) error {
	if !regexp.MustCompile(`^[0-9]{6}$`).MatchString(code) {
		return &apiError{Code: "ValidationError", Message: fmt.Sprintf("1 validation error detected: Value '%s' at 'tokenCode' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\d]*", code)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if code == "000000" || c.last[serial] == code {
		return &apiError{Code: "AccessDenied", Message: "MultiFactorAuthentication failed with invalid MFA one time pass code. ", Status: http.StatusForbidden}
	}
	if c.last == nil || len(c.last) > 1000 {
		c.last = map[string]string{}
	}
	c.last[serial] = code
	return nil
}

// roleKey makes a temporary key of a role for a session of that name. It is valid for Faults.RoleLife or, when that is 0, for
// life.
func (e *Emulator) roleKey(role, session string, life time.Duration) (caller, key) {
	who := caller{
		ARN:         "arn:aws:sts::" + e.fleet.id + ":assumed-role/" + role + "/" + session,
		UserID:      e.RoleID(role) + ":" + session,
		SessionName: session,
	}
	if short := e.data.knobs().RoleLife; short > 0 {
		life = short
	}
	return who, e.keys.temporary(who, e.now().Add(life))
}

// RoleID is the unique id of the role of that name, which never changes, as in IAM ("IAM identifiers"). The user id of whoever
// has assumed the role is ROLEID:SESSIONNAME.
func (e *Emulator) RoleID(name string) string {
	sum := sha256.Sum256([]byte(e.fleet.id + "/" + name))
	return "AROA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

func notAuthorized(action, role string) error {
	text := "Not authorized to perform sts:" + action
	if action == "AssumeRole" {
		text = "User is not authorized to perform: sts:AssumeRole on resource: " + role
	}
	return &apiError{Code: "AccessDenied", Message: text, Status: http.StatusForbidden}
}

// assumeWithToken accepts tokens that the emulator has signed for GitHub or one of Options.Providers, if Options.Trust accepts
// their claims.
func (e *Emulator) assumeWithToken(form url.Values) (any, error) {
	claims, err := e.github.check(form.Get("WebIdentityToken"), e.now(), func(issuer string) bool {
		_, known := e.audienceOf(issuer)
		return known
	})
	if err != nil {
		return nil, err
	}
	role := form.Get("RoleArn")
	if e.trust != nil {
		err = e.trust(role, claims)
	} else if audience, _ := e.audienceOf(claims.Issuer); claims.Audience != audience {
		return nil, &apiError{Code: "InvalidIdentityToken", Message: "Incorrect token audience"}
	}
	if err != nil {
		e.log.Info("role does not trust the token", "role", role, "subject", claims.Subject, "error", err)
		return nil, notAuthorized("AssumeRoleWithWebIdentity", role)
	}
	user, one, err := e.assume(form, "AssumeRoleWithWebIdentity")
	if err != nil {
		return nil, err
	}
	return webIdentityAnswer{
		Subject: claims.Subject, Audience: claims.Audience, User: user, Key: one, RequestID: uuid.NewString(),
		Provider: "arn:aws:iam::" + e.fleet.id + ":oidc-provider/" + strings.TrimPrefix(claims.Issuer, "https://"),
	}, nil
}
