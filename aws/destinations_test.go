package aws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // as below
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// destination is a server that notes what it is asked for and refuses all of it. As a proxy it notes where a client wanted to go.
type destination struct {
	*httptest.Server

	mu   sync.Mutex
	seen []string // "CONNECT host", an action, or a path
}

func newDestination(t *testing.T) *destination {
	t.Helper()
	d := &destination{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.Path
		switch {
		case r.Method == http.MethodConnect:
			asked = "CONNECT " + strings.TrimSuffix(r.Host, ":443")
		case r.FormValue("Action") != "":
			asked = r.FormValue("Action")
		}
		if r.URL.IsAbs() { // to a proxy
			asked += " at " + r.URL.Host
		}
		d.mu.Lock()
		d.seen = append(d.seen, asked)
		d.mu.Unlock()
		http.Error(w, "no", http.StatusForbidden)
	}))
	t.Cleanup(d.Close)
	return d
}

// asked is what the server was asked for, each once.
func (d *destination) asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(d.seen)))
}

// bearing makes a home directory with every kind of credentials that has a bearer.
func bearing(t *testing.T) {
	t.Helper()
	home := isolate(t)
	part := base64.RawURLEncoding.EncodeToString
	write(t, filepath.Join(home, "token"), part([]byte(`{}`))+"."+part([]byte(`{"sub":"a"}`))+".c2ln")
	write(t, filepath.Join(home, "config"), `
[profile sso]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Developer
[profile stale]
sso_session = old
sso_account_id = 111122223333
sso_role_name = Developer
[profile legacy]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 111122223333
sso_role_name = Developer
[profile role-by-sso]
role_arn = arn:aws:iam::111122223333:role/admin
source_profile = sso
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[sso-session old]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[profile web]
role_arn = arn:aws:iam::111122223333:role/ci
web_identity_token_file = `+filepath.Join(home, "token")+`
[profile login]
login_session = arn:aws:iam::111122223333:user/me
[profile role-by-web]
role_arn = arn:aws:iam::111122223333:role/admin
source_profile = web
[profile role]
role_arn = arn:aws:iam::111122223333:role/admin
source_profile = keys
[profile keys]
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = example
[profile own]
role_arn = arn:aws:iam::111122223333:role/ci
web_identity_token_file = `+filepath.Join(home, "token")+`
endpoint_url = http://own.example
[profile own-service]
role_arn = arn:aws:iam::111122223333:role/ci
web_identity_token_file = `+filepath.Join(home, "token")+`
services = here
[services here]
sts =
  endpoint_url = http://sts-of-the-profile.example
`)
	for name, ends := range map[string]time.Duration{"corp": time.Hour, "old": -time.Hour, "https://corp.awsapps.com/start": time.Hour} {
		sum := sha1.Sum([]byte(name)) //nolint:gosec // how AWS names its files
		write(t, filepath.Join(home, ".aws", "sso", "cache", hex.EncodeToString(sum[:])+".json"), fmt.Sprintf(
			`{"accessToken":"SECRET","refreshToken":"SECRET","clientId":"x","clientSecret":"SECRET","expiresAt":%q}`, time.Now().Add(ends).UTC().Format(time.RFC3339)))
	}
	key := must(x509.MarshalECPrivateKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
	sum := sha256.Sum256([]byte("arn:aws:iam::111122223333:user/me"))
	login := must(json.Marshal(map[string]any{
		"accessToken": map[string]any{
			"accessKeyId": "ASIA", "secretAccessKey": "SECRET", "sessionToken": "SECRET", "accountId": "111122223333", "expiresAt": time.Now().Add(-time.Hour).UTC(),
		},
		"clientId": "x", "refreshToken": "SECRET", "dpopKey": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})),
	}))
	write(t, filepath.Join(home, ".aws", "login", "cache", hex.EncodeToString(sum[:])+".json"), string(login))
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
}

// Who sees a bearer's secret has it: an endpoint is told none unless the user named it for this very run, and single sign-on
// never leaves its own.
func TestBearerSecretsGoWhereTheirOwnSettingsSay(t *testing.T) {
	const portal, oidc, sts = "CONNECT portal.sso.eu-west-1.amazonaws.com", "CONNECT oidc.eu-west-1.amazonaws.com", "CONNECT sts.eu-west-1.amazonaws.com"
	const signin = "CONNECT eu-west-1.signin.aws.amazon.com"
	const here = "here" // AWS's own variables have this server
	tokenFile := func(t *testing.T) {
		t.Helper()
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(os.Getenv("HOME"), "token"))
		t.Setenv("AWS_ROLE_ARN", ciRole)
	}
	for name, test := range map[string]struct {
		profile, role string
		trusted       bool
		env           map[string]string
		also          func(*testing.T)
		endpoint      []string // what Options.Endpoint is asked for
		elsewhere     []string // who else, or what AWS's own endpoint is asked for
	}{
		"single sign-on":                              {profile: "sso", elsewhere: []string{portal}},
		"single sign-on, endpoint named":              {profile: "sso", trusted: true, elsewhere: []string{portal}},
		"single sign-on, old form":                    {profile: "legacy", trusted: true, elsewhere: []string{portal}},
		"single sign-on to renew":                     {profile: "stale", trusted: true, elsewhere: []string{oidc}},
		"single sign-on below a role":                 {profile: "role-by-sso", trusted: true, elsewhere: []string{portal}},
		"single sign-on of AWS_ENDPOINT_URL":          {profile: "sso", env: map[string]string{"AWS_ENDPOINT_URL": here}, elsewhere: []string{"/federation/credentials"}},
		"single sign-on of its own variable":          {profile: "sso", env: map[string]string{"AWS_ENDPOINT_URL_SSO": here, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, elsewhere: []string{"/federation/credentials"}},
		"renewal of AWS_ENDPOINT_URL":                 {profile: "stale", env: map[string]string{"AWS_ENDPOINT_URL": here}, elsewhere: []string{"/token"}},
		"aws login":                                   {profile: "login", trusted: true, elsewhere: []string{signin}},
		"aws login of its own variable":               {profile: "login", env: map[string]string{"AWS_ENDPOINT_URL_SIGNIN": here}, elsewhere: []string{"/v1/token"}},
		"token file":                                  {also: tokenFile, elsewhere: []string{sts}},
		"token file, endpoint named":                  {also: tokenFile, trusted: true, endpoint: []string{"AssumeRoleWithWebIdentity"}},
		"token file of AWS_ENDPOINT_URL":              {also: tokenFile, env: map[string]string{"AWS_ENDPOINT_URL": here}, elsewhere: []string{"AssumeRoleWithWebIdentity"}},
		"token file of STS's variable":                {also: tokenFile, env: map[string]string{"AWS_ENDPOINT_URL_STS": here, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, elsewhere: []string{"AssumeRoleWithWebIdentity"}},
		"token file with variables that are shut off": {also: tokenFile, env: map[string]string{"AWS_ENDPOINT_URL": here, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, elsewhere: []string{sts}},
		"web identity of a profile":                   {profile: "web", elsewhere: []string{sts}},
		"web identity of a profile, endpoint named":   {profile: "web", trusted: true, endpoint: []string{"AssumeRoleWithWebIdentity"}},
		"web identity below a role":                   {profile: "role-by-web", elsewhere: []string{sts}},
		"GitHub":                                      {role: ciRole, also: func(t *testing.T) { t.Helper(); jobToken(t, `{"sub":"a"}`) }, elsewhere: []string{sts}},
		"GitHub, endpoint named":                      {role: ciRole, trusted: true, also: func(t *testing.T) { t.Helper(); jobToken(t, `{"sub":"a"}`) }, endpoint: []string{"AssumeRoleWithWebIdentity"}},
		"GitHub of AWS_ENDPOINT_URL":                  {role: ciRole, also: func(t *testing.T) { t.Helper(); jobToken(t, `{"sub":"a"}`) }, env: map[string]string{"AWS_ENDPOINT_URL": here}, elsewhere: []string{"AssumeRoleWithWebIdentity"}},
		"endpoint of the profile":                     {profile: "own", elsewhere: []string{"AssumeRoleWithWebIdentity at own.example"}},
		"endpoint of the profile's services":          {profile: "own-service", elsewhere: []string{"AssumeRoleWithWebIdentity at sts-of-the-profile.example"}},
		"keys of a role, which sign":                  {profile: "role", endpoint: []string{"AssumeRole"}},
		"keys for a role, which sign":                 {profile: "keys", role: ciRole, endpoint: []string{"AssumeRole"}},
	} {
		t.Run(name, func(t *testing.T) {
			bearing(t)
			endpoint, elsewhere := newDestination(t), newDestination(t)
			t.Setenv("HTTPS_PROXY", elsewhere.URL)
			t.Setenv("HTTP_PROXY", elsewhere.URL)
			for variable, value := range test.env {
				t.Setenv(variable, strings.ReplaceAll(value, here, elsewhere.URL))
			}
			if test.also != nil {
				test.also(t)
			}
			_, err := Connect(t.Context(), Options{Profile: test.profile, Endpoint: endpoint.URL, EndpointTrusted: test.trusted, RoleARN: test.role})
			if err == nil {
				t.Fatal("got no error of servers that refuse everything")
			}
			if strings.Contains(text(err), "SECRET") {
				t.Errorf("got %s", text(err))
			}
			if got := endpoint.asked(); !slices.Equal(got, test.endpoint) {
				t.Errorf("the endpoint was asked for %q, want %q", got, test.endpoint)
			}
			if got := elsewhere.asked(); !slices.Equal(got, test.elsewhere) {
				t.Errorf("others were asked for %q, want %q (%s)", got, test.elsewhere, text(err))
			}
		})
	}
}

func TestEndpointWithAPasswordIsRefusedWithoutRepeatingIt(t *testing.T) {
	for _, endpoint := range []string{"http://user:hunter2@127.0.0.1:1", "https://hunter2@aws.example", "user:hunter2@host", "http://user:hunter2@ho st", "http://a:hunter2@%zz"} {
		err := CheckEndpoint(endpoint)
		_ = mustBe[*EndpointError](t, err)
		if strings.Contains(text(err), "hunter2") || !strings.Contains(text(err), "password") {
			t.Errorf("%s: got %s", endpoint, text(err))
		}
	}
}

// IAM and EC2 are called without a client of the SDK, by the same rules.
func TestHintsAreAskedForWhereTheSDKWould(t *testing.T) {
	const keys = "region = eu-west-1\naws_access_key_id = a\naws_secret_access_key = b\n"
	const flag, own, general = "http://flag.example", "http://own.example", "http://general.example"
	for name, test := range map[string]struct {
		flag   string
		env    map[string]string
		config string
		want   string
	}{
		"AWS":                   {"", nil, "", "https://ec2.eu-west-1.amazonaws.com"},
		"flag over variable":    {flag, map[string]string{"AWS_ENDPOINT_URL_EC2": own, "AWS_ENDPOINT_URL": general}, "", flag},
		"own over general":      {"", map[string]string{"AWS_ENDPOINT_URL_EC2": own, "AWS_ENDPOINT_URL": general}, "", own},
		"general":               {"", map[string]string{"AWS_ENDPOINT_URL": general, "AWS_ENDPOINT_URL_IAM": own}, "", general},
		"profile":               {"", nil, "endpoint_url = " + general + "\n", general},
		"services of a profile": {"", nil, "services = x\n[services x]\nec2 =\n  endpoint_url = " + own + "\n", own},
		"shut off":              {"", map[string]string{"AWS_ENDPOINT_URL_EC2": own, "AWS_ENDPOINT_URL": general, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "", "https://ec2.eu-west-1.amazonaws.com"},
	} {
		t.Run(name, func(t *testing.T) {
			home := isolate(t)
			write(t, filepath.Join(home, "config"), "[default]\n"+keys+test.config)
			for variable, value := range test.env {
				t.Setenv(variable, value)
			}
			c, err := Connect(t.Context(), Options{Endpoint: test.flag})
			if err != nil {
				t.Fatal(text(err))
			}
			if got, _ := c.endpoint(t.Context(), ec2API()); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
