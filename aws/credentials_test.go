package aws

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestConnectSaysWhatIsMissing(t *testing.T) {
	home := isolate(t)
	write(t, filepath.Join(home, "config"), `
[default]
region = eu-west-1
[profile staging]
region = eu-west-1
[profile production]
region = eu-west-1
[profile sso]
region = eu-west-1
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Developer
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[profile mfa]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/admin
source_profile = keys
mfa_serial = arn:aws:iam::111122223333:mfa/me
[profile keys]
region = eu-west-1
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = example
[profile broken]
region = eu-west-1
credential_process = false
[profile nowhere]
output = json
`)
	for _, test := range []struct {
		name    string
		options Options
		env     map[string]string
		says    []string
	}{
		{"no region", Options{Profile: "nowhere"}, nil, []string{"no AWS region", "nowhere", "--region", "AWS_REGION"}},
		{"no credentials", Options{}, nil, []string{"no AWS credentials found", "AWS_ACCESS_KEY_ID", "profile default", "aws sso login"}},
		{"no credentials in a job", Options{}, map[string]string{"GITHUB_ACTIONS": "true"}, []string{"no AWS credentials found", "--role-arn", "id-token: write"}},
		{"no token for the role", Options{RoleARN: "arn:aws:iam::111122223333:role/ci"}, map[string]string{"GITHUB_ACTIONS": "true"}, []string{"arn:aws:iam::111122223333:role/ci", "no OIDC token", "permissions: id-token: write"}},
		{"unknown profile", Options{Profile: "stagin"}, nil, []string{`no AWS profile "stagin"`, "profiles there are: staging"}},
		{"SSO never opened", Options{Profile: "sso"}, nil, []string{"SSO session of profile sso", "aws sso login --profile sso"}},
		{"one-time code", Options{Profile: "mfa"}, nil, []string{"mfa_serial", "export-credentials --profile mfa"}},
		{"broken credential_process", Options{Profile: "broken"}, nil, []string{"get the credentials of profile broken", "get-caller-identity --profile broken"}},
		{"endpoint", Options{Endpoint: "localhost:4566"}, nil, []string{`endpoint "localhost:4566" is no URL`, "http://HOST:PORT"}},
		{"region", Options{Region: "Frankfurt"}, nil, []string{`"Frankfurt" is no AWS region`, "eu-west-1"}},
		{"role", Options{RoleARN: "ci"}, nil, []string{`role "ci" is no ARN`, "arn:aws:iam::ACCOUNT:role/NAME"}},
		{"CA bundle", Options{Profile: "keys"}, map[string]string{"AWS_CA_BUNDLE": filepath.Join(home, "config")}, []string{"CA bundle", "AWS_CA_BUNDLE"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			start := time.Now()
			_, err := Connect(t.Context(), test.options)
			if err == nil {
				t.Fatal("got no error")
			}
			mustSay(t, err, test.says...)
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("took %s, want an answer at once", took)
			}
			if strings.Contains(text(err), "\n\n") || strings.Count(text(err), "\n") > 1 {
				t.Errorf("got %q, want one line of cause and one of remedy", text(err))
			}
		})
	}
}

// A laptop has no metadata service, and some networks swallow the packets to its address.
func TestSilentMetadataServiceDoesNotHangConnect(t *testing.T) {
	isolate(t)
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+silent.Addr().String())
	start := time.Now()
	_, err = Connect(t.Context(), Options{Region: "eu-west-1"})
	e := mustBe[*NoCredentialsError](t, err)
	mustSay(t, e, "EC2 instance metadata")
	if took := time.Since(start); took > 2*metadataTimeout {
		t.Errorf("took %s, want at most %s", took, 2*metadataTimeout)
	}
}

// jobToken serves GitHub's token endpoint and counts the tokens it gave.
func jobToken(t *testing.T, claims string) *atomic.Int32 {
	t.Helper()
	var count atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("audience"); got != "sts.amazonaws.com" {
			t.Errorf("got audience %q", got)
		}
		if r.URL.Query().Get("api-version") != "2.0" {
			t.Errorf("the URL's own query got lost: %s", r.URL)
		}
		if got := r.Header.Get("Authorization"); got != "Bearer job-secret" {
			t.Errorf("got authorization %q", got)
		}
		n := count.Add(1)
		if n == 1 {
			w.WriteHeader(http.StatusBadGateway) // GitHub's service is not always well
			return
		}
		part := base64.RawURLEncoding.EncodeToString
		_, _ = fmt.Fprintf(w, `{"count":1,"value":"%s.%s.c2lnbmF0dXJl"}`, part([]byte(`{"alg":"RS256"}`)), part([]byte(claims)))
	}))
	t.Cleanup(server.Close)
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_RUN_ID", "4711")
	t.Setenv("GITHUB_RUN_ATTEMPT", "2")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", server.URL+"/token?api-version=2.0")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-secret")
	return &count
}

func roleAnswer(expires time.Time) raw {
	return raw{Body: `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>` +
		`<SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>` + expires.UTC().Format(time.RFC3339) +
		`</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`}
}

const ciRole = "arn:aws:iam::111122223333:role/ci"

func TestRoleThroughGitHubFetchesTokenOnEachRefresh(t *testing.T) {
	isolate(t)
	tokens := jobToken(t, `{"sub":"repo:acme/shop:ref:refs/heads/main","aud":"sts.amazonaws.com"}`)
	f := newFake(t, map[string]answer{
		"AssumeRoleWithWebIdentity": func(map[string]any) any { return roleAnswer(time.Now().Add(time.Minute)) }, // within the window: renewed at once
		"ListClusters":              func(map[string]any) any { return map[string]any{"clusterArns": []string{}} },
	})
	c, err := Connect(t.Context(), Options{Region: "eu-west-1", Endpoint: f.URL, EndpointTrusted: true, RoleARN: ciRole})
	if err != nil {
		t.Fatal(text(err))
	}
	for range 2 {
		if _, err := c.Discover(t.Context()); err != nil {
			t.Fatal(text(err))
		}
	}
	calls := f.calls("AssumeRoleWithWebIdentity")
	if got := int(tokens.Load()) - 1; got != len(calls) || got < 3 {
		t.Errorf("got %d tokens for %d refreshes, want one each and at least 3", got, len(calls))
	}
	if got := calls[0]["RoleSessionName"]; got != "culvert-4711-2" {
		t.Errorf("got role session name %v, want culvert-4711-2", got)
	}
	if got := f.header("AssumeRoleWithWebIdentity").Get("Authorization"); got != "" {
		t.Errorf("got a signed AssumeRoleWithWebIdentity: %q", got)
	}
	if got := f.header("ListClusters").Get("Authorization"); !strings.Contains(got, "ASIAROLE") {
		t.Errorf("got authorization %q, want the role's key", got)
	}
}

func TestRoleIsAskedForAsLongAsWasSaid(t *testing.T) {
	isolate(t)
	jobToken(t, `{"sub":"repo:acme/shop:ref:refs/heads/main","aud":"sts.amazonaws.com"}`)
	f := newFake(t, map[string]answer{
		"AssumeRoleWithWebIdentity": func(in map[string]any) any {
			if in["DurationSeconds"] != "7200" {
				return refusal{Status: 400, Code: "ValidationError", Message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."}
			}
			return roleAnswer(time.Now().Add(2 * time.Hour))
		},
		"ListClusters": func(map[string]any) any { return map[string]any{"clusterArns": []string{}} },
	})
	for asked, says := range map[time.Duration]string{
		2 * time.Hour:    "",
		12 * time.Hour:   "role " + ciRole + " gives no credentials for 12h0m0s",
		13 * time.Hour:   "--role-duration 13h0m0s is none of 15m to 12h",
		14 * time.Minute: "--role-duration 14m0s is none of 15m to 12h",
	} {
		c, err := Connect(t.Context(), Options{Region: "eu-west-1", Endpoint: f.URL, EndpointTrusted: true, RoleARN: ciRole, RoleDuration: asked})
		if err == nil {
			_, err = c.Discover(t.Context())
		}
		if says == "" && err != nil {
			t.Errorf("%s: %s", asked, text(err))
		}
		if says != "" {
			mustSay(t, mustBe[*RoleDurationError](t, err), says)
		}
	}
}

func TestRefusedTokenShowsClaimsAndNeverItself(t *testing.T) {
	for _, test := range []struct {
		name, code, message string
		says                []string
	}{
		{"trust policy", "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", []string{
			"repo:acme@12/shop@34:ref:refs/heads/main", "sts.amazonaws.com", `repository_id "34"`, "token.actions.githubusercontent.com:sub", "immutable form",
		}},
		{"no provider", "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com", []string{
			"No OpenIDConnect provider", "in account 111122223333 run: aws iam create-open-id-connect-provider", "--client-id-list sts.amazonaws.com",
		}},
		{"audience", "InvalidIdentityToken", "Incorrect token audience", []string{"Incorrect token audience", "sts.amazonaws.com"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			isolate(t)
			jobToken(t, `{"sub":"repo:acme@12/shop@34:ref:refs/heads/main","aud":["sts.amazonaws.com"],"repository_id":"34"}`)
			f := newFake(t, map[string]answer{
				"AssumeRoleWithWebIdentity": func(map[string]any) any { return refusal{Status: 403, Code: test.code, Message: test.message} },
			})
			_, err := Connect(t.Context(), Options{Region: "eu-west-1", Endpoint: f.URL, EndpointTrusted: true, RoleARN: ciRole})
			mustSay(t, err, test.says...)
			if strings.Contains(text(err), "c2lnbmF0dXJl") {
				t.Errorf("the token is shown: %s", text(err))
			}
		})
	}
}

func TestRoleWithoutGitHubIsAssumedWithOwnCredentials(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{
		"AssumeRole": func(map[string]any) any {
			return refusal{Status: 403, Code: "AccessDenied", Message: "User: arn:aws:iam::111122223333:user/me is not authorized to perform: sts:AssumeRole on resource: " + ciRole}
		},
	})
	_, err := f.connectEnv(t, Options{RoleARN: ciRole})
	e := mustBe[*DeniedError](t, err)
	mustSay(t, e, "sts:AssumeRole", "let the trust policy of "+ciRole+" name arn:aws:iam::111122223333:user/me, and add to the policy of arn:aws:iam::111122223333:user/me: ", `"Action":["sts:AssumeRole"],"Resource":["`+ciRole+`"]`)
}

// Whoever runs "aws sso login" or a tool that rewrites the credentials file must not have to start culvert anew.
func TestExpiredCredentialsAreReadAnew(t *testing.T) {
	home := isolate(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	t.Setenv("AWS_REGION", "eu-west-1")
	f := newFake(t, nil)
	f.answers = map[string]answer{"ListClusters": func(map[string]any) any {
		if strings.Contains(f.header("ListClusters").Get("Authorization"), "AKIDOLD") {
			return refusal{Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}
		}
		return map[string]any{"clusterArns": []string{}}
	}}
	credentials := filepath.Join(home, "credentials")
	write(t, credentials, "[default]\naws_access_key_id = AKIDOLD\naws_secret_access_key = x\naws_session_token = y\n")
	c, err := Connect(t.Context(), Options{Endpoint: f.URL})
	if err != nil {
		t.Fatal(text(err))
	}
	_, err = c.Discover(t.Context())
	_ = mustBe[*ExpiredError](t, err)
	write(t, credentials, "[default]\naws_access_key_id = AKIDNEW\naws_secret_access_key = x\naws_session_token = y\n")
	if _, err := c.Discover(t.Context()); err != nil {
		t.Errorf("got %s after the file was rewritten", text(err))
	}
}

func TestGoodCredentialsOutliveFailedRefresh(t *testing.T) {
	isolate(t)
	jobToken(t, `{}`)
	well := true
	f := newFake(t, map[string]answer{
		"AssumeRoleWithWebIdentity": func(map[string]any) any {
			if !well {
				return refusal{Status: 403, Code: "AccessDenied", Message: "not now"}
			}
			return roleAnswer(time.Now().Add(expiryWindow + time.Second)) // the cache thinks it expired after a second
		},
		"ListClusters": func(map[string]any) any { return map[string]any{"clusterArns": []string{}} },
	})
	c, err := Connect(t.Context(), Options{Region: "eu-west-1", Endpoint: f.URL, EndpointTrusted: true, RoleARN: ciRole})
	if err != nil {
		t.Fatal(text(err))
	}
	well = false
	last, err := c.credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keeper := &lasting{source: c.chain, until: last.Expires.Add(expiryWindow)}
	kept, err := keeper.HandleFailToRefresh(t.Context(), last, errTest)
	if err != nil || kept.AccessKeyID != "ASIAROLE" || !kept.Expires.After(time.Now()) {
		t.Errorf("got %v, %v; want the credentials that are still good", kept.AccessKeyID, err)
	}
	keeper.until = time.Now().Add(-time.Second)
	if _, err := keeper.HandleFailToRefresh(t.Context(), last, errTest); err == nil {
		t.Error("got credentials that have truly expired")
	}
}

func TestProfilesListsBothFiles(t *testing.T) {
	home := isolate(t)
	write(t, filepath.Join(home, "config"), "[default]\n[profile a b]\n[sso-session x]\n[services y]\n  [profile dev]\n")
	write(t, filepath.Join(home, "credentials"), "[dev]\n[old]\n")
	if got := fmt.Sprint(Profiles()); got != "[a b default dev old]" {
		t.Errorf("got %s", got)
	}
}

// In Kubernetes and elsewhere the token is a file; its refusal deserves the same words.
func TestRefusedTokenFileShowsItsClaims(t *testing.T) {
	home := isolate(t)
	part := base64.RawURLEncoding.EncodeToString
	write(t, home+"/token", part([]byte(`{}`))+"."+part([]byte(`{"iss":"https://oidc.eks.example/id/1","sub":"system:serviceaccount:a:b","aud":"sts.amazonaws.com"}`))+".c2lnbmF0dXJl")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", home+"/token")
	t.Setenv("AWS_ROLE_ARN", ciRole)
	f := newFake(t, map[string]answer{"AssumeRoleWithWebIdentity": func(map[string]any) any {
		return refusal{Status: 403, Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	}})
	_, err := Connect(t.Context(), Options{Region: "eu-west-1", Endpoint: f.URL, EndpointTrusted: true})
	_ = mustBe[*TrustError](t, err)
	mustSay(t, err, ciRole, "system:serviceaccount:a:b", `"oidc.eks.example/id/1:sub"`)
}

// A role is assumed anew every hour: what goes wrong then is told in the call that needed it.
func TestRefusalAtRefreshIsExplained(t *testing.T) {
	isolate(t)
	jobToken(t, `{"sub":"repo:acme/shop:ref:refs/heads/main"}`)
	f := newFake(t, nil)
	f.answers = map[string]answer{"AssumeRoleWithWebIdentity": func(map[string]any) any {
		if len(f.calls("AssumeRoleWithWebIdentity")) > 1 {
			return refusal{Status: 403, Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
		}
		return roleAnswer(time.Now().Add(-time.Second))
	}}
	c, err := Connect(t.Context(), Options{Region: "eu-west-1", Endpoint: f.URL, EndpointTrusted: true, RoleARN: ciRole})
	if err != nil {
		t.Fatal(text(err))
	}
	_, err = c.Discover(t.Context())
	_ = mustBe[*TrustError](t, err)
	err = c.SignUpgrade(t.Context(), &http.Request{URL: must(url.Parse("wss://x.example/"))})
	_ = mustBe[*TrustError](t, err)
}

func TestCABundleServesSDKAndWebsocket(t *testing.T) {
	home := isolate(t)
	inspecting := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"clusterArns":[]}`) }))
	defer inspecting.Close()
	write(t, home+"/ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: inspecting.Certificate().Raw})))
	t.Setenv("AWS_CA_BUNDLE", home+"/ca.pem")
	c, err := (&fake{Server: inspecting}).connectEnv(t, Options{})
	if err != nil {
		t.Fatal(text(err))
	}
	if _, err := c.Discover(t.Context()); err != nil {
		t.Error(text(err))
	}
	transport := &http.Transport{TLSClientConfig: c.TLS()}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(inspecting.URL)
	if err != nil {
		t.Fatalf("got %v, want a connection that is not the SDK's to trust the bundle too", err)
	}
	_ = response.Body.Close()
}
