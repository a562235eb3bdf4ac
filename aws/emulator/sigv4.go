package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	isoBasic  = "20060102T150405Z"
	maxSkew   = 5 * time.Minute

	invalidSignature = "InvalidSignatureException" // STS calls it SignatureDoesNotMatch
)

// authorization is a parsed Authorization header.
type authorization struct {
	keyID, date, region, service string
	signed                       []string // header names, lower case, sorted
	signature                    string
}

// verify checks that a request has a valid SigV4 signature for a service in its headers, made over the given body (nil for
// none) with a key of the account that has not expired. It refuses with an *apiError that has the text of the JSON services.
// Source: "Create a signed AWS API request" in the IAM User Guide.
func (e *Emulator) verify(r *http.Request, service string, body []byte) (caller, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return caller{}, &apiError{Code: "MissingAuthenticationTokenException", Message: "Missing Authentication Token"}
	}
	auth, err := parseAuthorization(header)
	if err != nil {
		return caller{}, err
	}
	one, ok := e.keys.find(auth.keyID)
	if !ok || one.Token != r.Header.Get("X-Amz-Security-Token") {
		return caller{}, &apiError{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}
	}
	if !one.expires.IsZero() && !e.now().Before(one.expires) {
		return caller{}, &apiError{Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}
	}
	signedAt, err := e.signedAt(r, auth)
	if err != nil {
		return caller{}, err
	}
	if auth.service != service {
		return caller{}, &apiError{Code: invalidSignature, Message: fmt.Sprintf("Credential should be scoped to correct service: '%s'.", service)}
	}
	hash := sha256.Sum256(body)
	payload := hex.EncodeToString(hash[:])
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && claimed != payload {
		return caller{}, &apiError{Code: invalidSignature, Message: "The value for x-amz-content-sha256 does not match the body."}
	}
	for _, must := range []string{"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} {
		if (must == "host" || r.Header.Get(must) != "") && !slices.Contains(auth.signed, must) {
			return caller{}, &apiError{Code: invalidSignature, Message: fmt.Sprintf("'%s' must be a 'SignedHeader' in the AWS Authorization.", must)}
		}
	}
	want := signature(one.Secret, auth, signedAt, canonical(r, auth.signed, payload))
	if !hmac.Equal([]byte(want), []byte(auth.signature)) {
		return caller{}, &apiError{Code: invalidSignature, Message: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	}
	return one.caller, nil
}

func parseAuthorization(header string) (authorization, error) {
	incomplete := &apiError{Code: "IncompleteSignatureException", Message: "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters."}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return authorization{}, incomplete
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || parts["SignedHeaders"] == "" || parts["Signature"] == "" {
		return authorization{}, incomplete
	}
	return authorization{
		keyID: scope[0], date: scope[1], region: scope[2], service: scope[3],
		signed: strings.Split(parts["SignedHeaders"], ";"), signature: parts["Signature"],
	}, nil
}

// signedAt is when a request was signed. It refuses a time that differs too much from the account's clock.
func (e *Emulator) signedAt(r *http.Request, auth authorization) (time.Time, error) {
	at, err := time.Parse(isoBasic, r.Header.Get("X-Amz-Date"))
	if err != nil || at.Format("20060102") != auth.date {
		return at, &apiError{Code: "IncompleteSignatureException", Message: "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"}
	}
	now := e.now().UTC()
	switch {
	case at.Before(now.Add(-maxSkew)):
		return at, &apiError{Code: invalidSignature, Message: fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)",
			at.Format(isoBasic), now.Add(-maxSkew).Format(isoBasic), now.Format(isoBasic))}
	case at.After(now.Add(maxSkew)):
		return at, &apiError{Code: invalidSignature, Message: fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)",
			at.Format(isoBasic), now.Add(maxSkew).Format(isoBasic), now.Format(isoBasic))}
	}
	return at, nil
}

// canonical is the canonical request: method, path encoded once more, sorted query, signed headers, hash of the body.
func canonical(r *http.Request, signed []string, payload string) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escape(or(r.URL.EscapedPath(), "/"), "/") + "\n" + canonicalQuery(r.URL.Query()) + "\n")
	for _, name := range signed {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n" + payload)
	return b.String()
}

func canonicalQuery(query url.Values) string {
	var pairs []string
	for name, values := range query {
		for _, value := range values {
			pairs = append(pairs, escape(name, "")+"="+escape(value, ""))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// headerValue is the value of a header, trimmed and joined. net/http keeps Host, and a Content-Length that the client did not
// send as a header, elsewhere.
func headerValue(r *http.Request, name string) string {
	if name == "host" {
		return r.Host
	}
	values := slices.Clone(r.Header.Values(name))
	if len(values) == 0 && name == "content-length" {
		return strconv.FormatInt(r.ContentLength, 10)
	}
	for i, value := range values {
		values[i] = strings.Join(strings.Fields(value), " ")
	}
	return strings.Join(values, ",")
}

// escape percent-encodes all characters except the unreserved ones of RFC 3986 and those in keep.
func escape(text, keep string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~"+keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func signature(secretKey string, auth authorization, at time.Time, request string) string {
	sum := sha256.Sum256([]byte(request))
	scope := auth.date + "/" + auth.region + "/" + auth.service + "/aws4_request"
	text := algorithm + "\n" + at.Format(isoBasic) + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	k := []byte("AWS4" + secretKey)
	for _, part := range []string{auth.date, auth.region, auth.service, "aws4_request", text} {
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(part))
		k = mac.Sum(nil)
	}
	return hex.EncodeToString(k)
}

// scopeRegion is the region that a request was signed for.
func scopeRegion(r *http.Request) string {
	auth, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return ""
	}
	return auth.region
}

// scopeService is the service that a request was signed for; empty when the request was not signed.
func scopeService(r *http.Request) string {
	auth, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return ""
	}
	return auth.service
}
