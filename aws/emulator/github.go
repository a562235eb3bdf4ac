package emulator

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	gitHubTokenPath = "/github/token" //nolint:gosec // a path
	gitHubIssuer    = "https://token.actions.githubusercontent.com"
	gitHubTokenLife = 5 * time.Minute
	keyBits         = 2048
	// gitHubRepository is the id of a repository whose subject has no ids.
	gitHubRepository = "813217"
)

// Claims are the claims of an OIDC token that trust policies can have conditions on.
type Claims struct {
	Issuer       string `json:"iss"`
	Subject      string `json:"sub"`
	Audience     string `json:"aud"`
	Repository   string `json:"repository,omitempty"`
	RepositoryID string `json:"repository_id,omitempty"`
	Issued       int64  `json:"iat"`
	Expires      int64  `json:"exp"`
}

// github stands in for the token endpoint of GitHub Actions, and for the keys that it publishes.
type github struct {
	bearer string
	key    func() (*rsa.PrivateKey, error) // made on first use, as it takes a while

	mu      sync.Mutex
	subject string
	now     func() time.Time
}

func newGitHub(now func() time.Time) *github {
	return &github{
		bearer: rand.Text(), subject: "repo:acme/shop:ref:refs/heads/main", now: now,
		key: sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, keyBits) }),
	}
}

// GitHub returns what a job with `permissions: id-token: write` has in its environment: the URL to ask for a token, and the
// bearer token to ask with.
func (e *Emulator) GitHub() (requestURL, requestToken string) {
	return e.URL() + gitHubTokenPath + "?api-version=2.0", e.github.bearer
}

// GitHubSubject sets the subject of GitHub's tokens from now on.
func (e *Emulator) GitHubSubject(subject string) {
	e.github.mu.Lock()
	defer e.github.mu.Unlock()
	e.github.subject = subject
}

// IDToken is a token of the issuer that the claims name: one of Options.Providers, or one that the account does not know. It is
// valid for five minutes from now unless the claims say otherwise.
func (e *Emulator) IDToken(c Claims) (string, error) {
	if c.Issued == 0 {
		c.Issued = e.now().Unix()
	}
	if c.Expires == 0 {
		c.Expires = e.now().Add(gitHubTokenLife).Unix()
	}
	return e.github.sign(c)
}

// audienceOf is the audience that the account accepts from an issuer.
func (e *Emulator) audienceOf(issuer string) (audience string, known bool) {
	if issuer == gitHubIssuer {
		return "sts.amazonaws.com", true
	}
	audience, known = e.providers[issuer]
	return audience, known
}

// ServeHTTP answers GET …?audience=A with {"value": token}.
func (g *github) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+g.bearer {
		http.Error(w, `{"message":"Unauthorized"}`, http.StatusUnauthorized)
		return
	}
	audience := or(r.URL.Query().Get("audience"), "https://github.com/acme")
	g.mu.Lock()
	subject := g.subject
	g.mu.Unlock()
	now := g.now()
	repository, id := repositoryOf(subject)
	token, err := g.sign(Claims{
		Issuer: gitHubIssuer, Subject: subject, Audience: audience, Repository: repository, RepositoryID: id,
		Issued: now.Unix(), Expires: now.Add(gitHubTokenLife).Unix(),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err := json.NewEncoder(w).Encode(map[string]any{"count": len(token), "value": token}); err != nil {
		return // the client has gone
	}
}

// repositoryOf returns a subject's repository as owner/name, and its id: that of a subject in the immutable form
// repo:owner@ID/name@ID:…, else gitHubRepository.
func repositoryOf(subject string) (name, id string) {
	named, _, _ := strings.Cut(strings.TrimPrefix(subject, "repo:"), ":")
	owner, name, _ := strings.Cut(named, "/")
	owner, _, _ = strings.Cut(owner, "@")
	name, id, _ = strings.Cut(name, "@")
	return owner + "/" + name, or(id, gitHubRepository)
}

// sign makes a JWT (RS256, RFC 7519).
func (g *github) sign(claims Claims) (string, error) {
	private, err := g.key()
	if err != nil {
		return "", fmt.Errorf("make signing key: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"RS256","kid":"1"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	signed, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signed), nil
}

// check reads a token as STS does, and checks its form, its signature, its expiry, and whether the account knows the issuer.
func (g *github) check(token string, now time.Time, known func(issuer string) bool) (Claims, error) {
	invalid := func(text string) (Claims, error) {
		return Claims{}, &apiError{Code: "InvalidIdentityToken", Message: text}
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	var claims Claims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	if !known(claims.Issuer) {
		return invalid("No OpenIDConnect provider found in your account for " + claims.Issuer)
	}
	private, err := g.key()
	if err != nil {
		return Claims{}, fmt.Errorf("make signing key: %w", err)
	}
	signed, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, sum[:], signed) != nil {
		return invalid("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	}
	if now.Unix() >= claims.Expires {
		return Claims{}, &apiError{Code: "ExpiredTokenException", Message: "Token expired: current date/time must be before the expiration date/time"}
	}
	return claims, nil
}
