package aws

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// audience is the audience of a GitHub token that AWS's trust policies expect (GitHub, "OpenID Connect in AWS").
const audience = "sts.amazonaws.com"

// github is what the environment of a GitHub Actions job tells.
type github struct {
	Actions                  bool
	requestURL, requestToken string
}

func githubEnvironment() github {
	return github{
		Actions:      os.Getenv("GITHUB_ACTIONS") == "true",
		requestURL:   os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"),
		requestToken: os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
	}
}

func (g github) canAskToken() bool { return g.requestURL != "" && g.requestToken != "" }

// webIdentity trades an OIDC token for the credentials of a role. Each Retrieve gets a new token, as GitHub's expire within
// minutes.
type webIdentity struct {
	client   *sts.Client
	source   string // of the token, in words
	token    func(context.Context) (string, error)
	variable string // the variable that the token is in; empty when GitHub is asked for it
	role     string
	session  string              // the role session's name
	duration time.Duration       // of the credentials; 0 is STS's hour
	mask     func(secret string) // may be nil
}

// Retrieve returns credentials of the role.
func (w *webIdentity) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	token, err := w.token(ctx)
	if err != nil {
		return sdk.Credentials{}, err
	}
	if w.mask != nil {
		w.mask(token)
	}
	in := &sts.AssumeRoleWithWebIdentityInput{RoleArn: &w.role, RoleSessionName: &w.session, WebIdentityToken: &token}
	if w.duration != 0 {
		in.DurationSeconds = sdk.Int32(int32(w.duration / time.Second)) //nolint:gosec // 12 h at the most
	}
	out, err := w.client.AssumeRoleWithWebIdentity(ctx, in)
	if long := refusedDuration(err, w.role, w.duration); long != nil {
		return sdk.Credentials{}, long
	}
	if err != nil {
		return sdk.Credentials{}, &tokenRefusedError{Role: w.role, Variable: w.variable, Claims: claimsOf(token), Err: err}
	}
	if out.Credentials == nil {
		return sdk.Credentials{}, &AnswerError{Operation: "sts:AssumeRoleWithWebIdentity", Problem: "no credentials"}
	}
	return sdk.Credentials{
		AccessKeyID:     sdk.ToString(out.Credentials.AccessKeyId),
		SecretAccessKey: sdk.ToString(out.Credentials.SecretAccessKey),
		SessionToken:    sdk.ToString(out.Credentials.SessionToken),
		Source:          w.source,
		CanExpire:       true,
		Expires:         sdk.ToTime(out.Credentials.Expiration),
		AccountID:       accountOf(w.role),
	}, nil
}

// tokenRefusedError is STS's refusal of a token, with the token's claims for the explanation.
type tokenRefusedError struct {
	Role     string
	Variable string // the variable that the token was in; empty for GitHub's
	Claims   claims
	Err      error
}

func (e *tokenRefusedError) Error() string { return e.Err.Error() }
func (e *tokenRefusedError) Unwrap() error { return e.Err }

const tokenAttempts = 4

// token asks GitHub for an OIDC token. It tries again when the service does not answer or fails.
func (g github) token(ctx context.Context, client sdk.HTTPClient) (string, error) {
	for attempt := 1; ; attempt++ {
		token, err := g.askToken(ctx, client)
		if err == nil {
			return token, nil
		}
		refused, isRefused := errors.AsType[*TokenError](err)
		if attempt == tokenAttempts || ctx.Err() != nil || settled(err) || (isRefused && refused.Status < http.StatusInternalServerError) {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(time.Duration(attempt*attempt) * 200 * time.Millisecond):
		}
	}
}

func (g github) askToken(ctx context.Context, client sdk.HTTPClient) (string, error) {
	u, err := url.Parse(g.requestURL)
	if err != nil {
		return "", &TokenError{Problem: "ACTIONS_ID_TOKEN_REQUEST_URL is no URL"}
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", &TokenError{Problem: "ACTIONS_ID_TOKEN_REQUEST_URL is no URL"}
	}
	request.Header.Set("Authorization", "Bearer "+g.requestToken)
	response, err := client.Do(request)
	if err != nil {
		return "", &TokenError{Host: u.Host, Status: http.StatusServiceUnavailable, Problem: "no answer", Err: err}
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", &TokenError{Host: u.Host, Status: response.StatusCode, Problem: response.Status}
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&answer); err != nil || answer.Value == "" {
		return "", &TokenError{Host: u.Host, Status: response.StatusCode, Problem: "an answer without a token"}
	}
	return answer.Value, nil
}

// claims are those claims of a token that trust policies can have conditions on.
type claims struct {
	Issuer       string       `json:"iss"`
	Subject      string       `json:"sub"`
	Audience     stringOrList `json:"aud"`
	RepositoryID string       `json:"repository_id"`
}

// stringOrList is a JSON string, or a list of strings joined: RFC 7519 allows both for aud.
type stringOrList string

func (s *stringOrList) UnmarshalJSON(data []byte) error {
	var list []string
	if json.Unmarshal(data, &list) == nil {
		*s = stringOrList(strings.Join(list, ", "))
		return nil
	}
	return json.Unmarshal(data, (*string)(s))
}

// claimsOf reads the payload of a token, only to show it: the signature is not checked. A token that cannot be read has no
// claims.
func claimsOf(token string) claims {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return claims{}
	}
	return c
}
