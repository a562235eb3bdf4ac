package emulator

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestCallerIsWhoseKeySigned(t *testing.T) {
	e := open(t, Options{})
	config := sdk(t, e)
	out := must[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(config).GetCallerIdentity(t.Context(), nil))
	if *out.Arn != "arn:aws:iam::111122223333:user/demo" || *out.Account != "111122223333" || *out.UserId == "" {
		t.Errorf("identity = %s %s %s", *out.Arn, *out.Account, *out.UserId)
	}
	id, secret := e.User("ines")
	config.Credentials = credentials.NewStaticCredentialsProvider(id, secret, "")
	out = must[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(config).GetCallerIdentity(t.Context(), nil))
	if *out.Arn != "arn:aws:iam::111122223333:user/ines" {
		t.Errorf("identity with the other key = %s", *out.Arn)
	}
}

func TestAssumedRoleWorksUntilItExpires(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	e := open(t, Options{Fleet: Demo(), Now: clock})
	config := sdk(t, e)
	out := must[*sts.AssumeRoleOutput](t)(sts.NewFromConfig(config).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::111122223333:role/path/tunnel"), RoleSessionName: aws.String("culvert-1"), DurationSeconds: aws.Int32(900),
	}))
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::111122223333:assumed-role/tunnel/culvert-1" {
		t.Errorf("assumed role = %s", *out.AssumedRoleUser.Arn)
	}
	if left := out.Credentials.Expiration.Sub(now); left < 899*time.Second || left > 900*time.Second {
		t.Errorf("credentials end in %s, want 900 s", left)
	}
	id := *out.Credentials.AccessKeyId
	config.Credentials = credentials.NewStaticCredentialsProvider(id, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	client, asRole := ecs.NewFromConfig(config), sts.NewFromConfig(config)
	if _, err := client.ListClusters(t.Context(), nil); err != nil {
		t.Fatalf("list with the role: %v", err)
	}
	e.ExpireCredentials(id)
	if _, err := client.ListClusters(t.Context(), nil); code(err) != "ExpiredTokenException" {
		t.Errorf("expired, ECS: %v, want ExpiredTokenException", err)
	}
	if _, err := asRole.GetCallerIdentity(t.Context(), nil); code(err) != "ExpiredToken" {
		t.Errorf("expired, STS: %v, want ExpiredToken", err)
	}
	e.RenewCredentials(id, time.Minute)
	if _, err := client.ListClusters(t.Context(), nil); err != nil {
		t.Errorf("renewed: %v", err)
	}
	config.Credentials = credentials.NewStaticCredentialsProvider(id, *out.Credentials.SecretAccessKey, "another token")
	if _, err := ecs.NewFromConfig(config).ListClusters(t.Context(), nil); code(err) != "UnrecognizedClientException" {
		t.Errorf("wrong session token: %v, want UnrecognizedClientException", err)
	}
}

func TestRolesOfOthersAreRefused(t *testing.T) {
	e := open(t, Options{})
	client := sts.NewFromConfig(sdk(t, e))
	for _, c := range []struct{ role, session, want string }{
		{"arn:aws:iam::999999999999:role/x", "ok", "AccessDenied"},
		{"not an arn", "ok", "ValidationError"},
		{"arn:aws:iam::111122223333:role/x", "a b", "ValidationError"},
	} {
		_, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &c.role, RoleSessionName: &c.session})
		if code(err) != c.want {
			t.Errorf("role %s session %q: %v, want %s", c.role, c.session, err, c.want)
		}
	}
}

// gitHubToken asks as a job does.
func gitHubToken(t *testing.T, e *Emulator, audience string) string {
	t.Helper()
	url, bearer := e.GitHub()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"&audience="+audience, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("token endpoint: %s, %v", resp.Status, err)
	}
	return body.Value
}

func TestGitHubTokenAssumesTheRoleThatTrustsIt(t *testing.T) {
	var ahead atomic.Int64 // of the account's clock
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	e := open(t, Options{Now: clock, Trust: func(role string, c Claims) error {
		if !strings.HasSuffix(role, "role/ci") || !strings.HasPrefix(c.Subject, "repo:acme/shop:") {
			return errors.New("another repository")
		}
		return nil
	}})
	config := sdk(t, e)
	config.Credentials = aws.AnonymousCredentials{}
	client := sts.NewFromConfig(config)
	assume := func(role, token string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
		return client.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: aws.String("arn:aws:iam::111122223333:role/" + role), RoleSessionName: aws.String("culvert-77-1"), WebIdentityToken: &token,
		})
	}
	token := gitHubToken(t, e, "sts.amazonaws.com")
	out := must[*sts.AssumeRoleWithWebIdentityOutput](t)(assume("ci", token))
	if *out.SubjectFromWebIdentityToken != "repo:acme/shop:ref:refs/heads/main" || *out.Audience != "sts.amazonaws.com" || *out.Credentials.SessionToken == "" {
		t.Errorf("answer = %+v", out)
	}
	_, err := assume("other", token)
	if code(err) != "AccessDenied" || !strings.Contains(err.Error(), "Not authorized to perform sts:AssumeRoleWithWebIdentity") {
		t.Errorf("role that does not trust: %v", err)
	}
	e.GitHubSubject("repo:acme@1/shop@2:ref:refs/heads/main")
	if _, err := assume("ci", gitHubToken(t, e, "sts.amazonaws.com")); code(err) != "AccessDenied" {
		t.Errorf("subject of the new format: %v, want AccessDenied", err)
	}
	for what, bad := range map[string]string{"garbage": "abc.def", "forged": token[:len(token)-8] + "AAAAAAAA"} {
		if _, err := assume("ci", bad); code(err) != "InvalidIdentityTokenException" && code(err) != "InvalidIdentityToken" {
			t.Errorf("%s token: %v, want InvalidIdentityToken", what, err)
		}
	}
	ahead.Store(int64(time.Hour))
	if _, err := assume("ci", token); code(err) != "ExpiredTokenException" {
		t.Errorf("old token: %v, want ExpiredTokenException", err)
	}
}

func TestWithoutTrustTheAudienceDecides(t *testing.T) {
	e := open(t, Options{})
	config := sdk(t, e)
	config.Credentials = aws.AnonymousCredentials{}
	_, err := sts.NewFromConfig(config).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String("arn:aws:iam::111122223333:role/ci"), RoleSessionName: aws.String("x1"), WebIdentityToken: aws.String(gitHubToken(t, e, "elsewhere")),
	})
	if code(err) != "InvalidIdentityToken" || !strings.Contains(err.Error(), "Incorrect token audience") {
		t.Errorf("wrong audience: %v, want InvalidIdentityToken", err)
	}
}
