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
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// services answer as STS, the portal, its OIDC and the sign-in of "aws login" do, with what a test says for a path or action.
type services struct {
	*httptest.Server

	mu   sync.Mutex
	seen []string // action and role, or path
	form []map[string][]string
}

func newServices(t *testing.T, answers map[string]func(w http.ResponseWriter, r *http.Request)) *services {
	t.Helper()
	s := &services{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		what := r.URL.Path
		if action := r.PostForm.Get("Action"); action != "" {
			what = action + " " + r.PostForm.Get("RoleArn")
		}
		s.mu.Lock()
		s.seen, s.form = append(s.seen, strings.TrimSpace(what)), append(s.form, r.PostForm)
		s.mu.Unlock()
		for prefix, answer := range answers {
			if strings.HasPrefix(what, prefix) {
				answer(w, r)
				return
			}
		}
		if action, _, _ := strings.Cut(what, " "); strings.HasPrefix(action, "AssumeRole") {
			_, _ = fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>ASIA</AccessKeyId>`+
				`<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%[2]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
				action, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
			return
		}
		http.Error(w, "no", http.StatusNotFound)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *services) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.seen...)
}

// saying is an answer in the JSON services' form.
func saying(status int, code, message string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, fmt.Sprintf(`{"__type":%q,"error":%q,"message":%q,"error_description":%q}`, code, code, message, message))
	}
}

// inQuery is an answer in STS's form.
func inQuery(status int, code, message string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, message)
	}
}

// cached leaves a token of single sign-on that ends after a while.
func cached(t *testing.T, home, session string, ends time.Duration, refresh bool) {
	t.Helper()
	sum := sha1.Sum([]byte(session)) //nolint:gosec // how AWS names its files
	token := map[string]any{"accessToken": "SECRET", "expiresAt": time.Now().Add(ends).UTC().Format(time.RFC3339)}
	if refresh {
		token["refreshToken"], token["clientId"], token["clientSecret"] = "SECRET", "x", "SECRET"
	}
	write(t, filepath.Join(home, ".aws", "sso", "cache", hex.EncodeToString(sum[:])+".json"), string(must(json.Marshal(token))))
}

const chains = `
[profile corp-sso]
region = eu-west-1
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Developer
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[profile old-sso]
region = eu-west-1
sso_start_url = https://old.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 111122223333
sso_role_name = Developer
[profile one]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/one
source_profile = corp-sso
[profile two deep]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/two
source_profile = one
[profile old-one]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/one
source_profile = old-sso
[profile signed in]
region = eu-west-1
login_session = arn:aws:iam::111122223333:user/me
[profile login-one]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/one
source_profile = signed in
[profile login-two]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/two
source_profile = login-one
[profile empty]
region = eu-west-1
[profile of-empty]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/one
source_profile = empty
[profile of-none]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/one
source_profile = emptyy
[profile failing]
region = eu-west-1
credential_process = exit 3
[profile of-failing]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/one
source_profile = failing
[profile sourceless]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/alone
[profile of-the-environment]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/alone
credential_source = Environment
[profile of-the-machine]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/alone
credential_source = Ec2InstanceMetadata
`

// Whoever assumes a role with the credentials of another profile logs in to that one, however deep it is.
func TestChainOfProfilesNamesTheOneToLogInTo(t *testing.T) {
	for name, test := range map[string]struct {
		profile string
		token   time.Duration // of the sign-in; 0: there is none
		refresh bool
		answers map[string]func(http.ResponseWriter, *http.Request)
		says    []string
		never   []string
	}{
		"never opened":            {profile: "one", says: []string{"SSO session of profile corp-sso", "profile one assumes its role with it", "run: aws sso login --profile corp-sso"}},
		"never opened, two deep":  {profile: "two deep", says: []string{"profile two deep assumes", "run: aws sso login --profile corp-sso"}},
		"never opened, old form":  {profile: "old-one", says: []string{"run: aws sso login --profile old-sso"}},
		"never opened, no chain":  {profile: "corp-sso", says: []string{"run: aws sso login --profile corp-sso"}, never: []string{"assumes"}},
		"expired":                 {profile: "one", token: -time.Hour, says: []string{"run: aws sso login --profile corp-sso"}},
		"expired, two deep":       {profile: "two deep", token: -time.Hour, says: []string{"run: aws sso login --profile corp-sso"}},
		"expired, old form":       {profile: "old-one", token: -time.Hour, says: []string{"run: aws sso login --profile old-sso"}},
		"refresh refused":         {profile: "one", token: -time.Hour, refresh: true, answers: map[string]func(http.ResponseWriter, *http.Request){"/token": saying(400, "invalid_grant", "Invalid refresh token provided")}, says: []string{"run: aws sso login --profile corp-sso"}},
		"refresh refused, deep":   {profile: "two deep", token: -time.Hour, refresh: true, answers: map[string]func(http.ResponseWriter, *http.Request){"/token": saying(400, "invalid_grant", "Invalid refresh token provided")}, says: []string{"run: aws sso login --profile corp-sso"}},
		"signed out elsewhere":    {profile: "two deep", token: time.Hour, answers: map[string]func(http.ResponseWriter, *http.Request){"/federation": saying(401, "UnauthorizedException", "Session token not found or invalid")}, says: []string{"run: aws sso login --profile corp-sso"}},
		"no access":               {profile: "corp-sso", token: time.Hour, answers: map[string]func(http.ResponseWriter, *http.Request){"/federation": saying(403, "ForbiddenException", "No access")}, says: []string{"no access with permission set Developer to account 111122223333", "assign you permission set Developer", "aws configure sso --profile corp-sso"}, never: []string{"aws sso login"}},
		"no access, two deep":     {profile: "two deep", token: time.Hour, answers: map[string]func(http.ResponseWriter, *http.Request){"/federation": saying(403, "ForbiddenException", "No access")}, says: []string{"profile corp-sso", "permission set Developer"}, never: []string{"aws sso login"}},
		"no access, old form":     {profile: "old-one", token: time.Hour, answers: map[string]func(http.ResponseWriter, *http.Request){"/federation": saying(403, "ForbiddenException", "No access")}, says: []string{"profile old-sso", "permission set Developer"}},
		"the portal is ill":       {profile: "one", token: time.Hour, answers: map[string]func(http.ResponseWriter, *http.Request){"/federation": saying(500, "InternalServerException", "oops")}, says: []string{"sso:GetRoleCredentials", "oops", "try again"}, never: []string{"aws sso login"}},
		"aws login, never made":   {profile: "login-one", says: []string{"sign-in of profile signed in", "run: aws login --profile 'signed in'"}, never: []string{"nil"}},
		"aws login, two deep":     {profile: "login-two", says: []string{"sign-in of profile signed in", "profile login-two assumes", "run: aws login --profile 'signed in'"}, never: []string{"nil"}},
		"nothing to assume with":  {profile: "of-empty", says: []string{"source_profile empty, which has no credentials", "aws configure --profile empty"}, never: []string{"nil"}},
		"no such source profile":  {profile: "of-none", says: []string{"source_profile emptyy, which does not exist", "profiles there are: empty"}},
		"a process below a role":  {profile: "of-failing", says: []string{"profile failing", "get-caller-identity --profile failing"}},
		"a role without a source": {profile: "sourceless", says: []string{"profile sourceless has the role arn:aws:iam::111122223333:role/alone, and neither source_profile nor credential_source", "source_profile = NAME"}, never: []string{"aws sso login"}},
		"none in the environment": {profile: "of-the-environment", says: []string{"credential_source Environment, where there are none", "set AWS_ACCESS_KEY_ID"}},
		"none of the machine":     {profile: "of-the-machine", says: []string{"credential_source Ec2InstanceMetadata, where there are none", "instance profile"}},
		"a role that is not ours": {profile: "one", token: time.Hour, answers: map[string]func(http.ResponseWriter, *http.Request){"AssumeRole": inQuery(403, "AccessDenied", "User: arn:aws:sts::111122223333:assumed-role/x/y is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/one")}, says: []string{"not allowed: sts:AssumeRole", "trust policy"}, never: []string{"aws sso login"}},
	} {
		t.Run(name, func(t *testing.T) {
			home := isolate(t)
			write(t, filepath.Join(home, "config"), chains)
			if test.token != 0 {
				cached(t, home, "corp", test.token, test.refresh)
				cached(t, home, "https://old.awsapps.com/start", test.token, false)
			}
			answers := map[string]func(http.ResponseWriter, *http.Request){"/federation": func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"ASIA","secretAccessKey":"s","sessionToken":"t","expiration":%d}}`, time.Now().Add(time.Hour).UnixMilli())
			}}
			maps.Copy(answers, test.answers)
			t.Setenv("AWS_ENDPOINT_URL", newServices(t, answers).URL)
			t.Setenv("AWS_MAX_ATTEMPTS", "1")
			_, err := Connect(t.Context(), Options{Profile: test.profile})
			if err == nil {
				t.Fatal("got no error")
			}
			mustSay(t, err, test.says...)
			for _, never := range append(test.never, "SECRET", "--log-level") {
				if strings.Contains(text(err), never) {
					t.Errorf("got %s, with %q in it", text(err), never)
				}
			}
		})
	}
}

// What "aws login" has left is the source of roles, one and two deep, as for the aws command.
func TestRolesAreAssumedWithTheSignInOfAWSLogin(t *testing.T) {
	home := isolate(t)
	t.Setenv("TMPDIR", t.TempDir())
	write(t, filepath.Join(home, "config"), chains)
	key := must(x509.MarshalECPrivateKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
	sum := sha256.Sum256([]byte("arn:aws:iam::111122223333:user/me"))
	write(t, filepath.Join(home, ".aws", "login", "cache", hex.EncodeToString(sum[:])+".json"), string(must(json.Marshal(map[string]any{
		"accessToken": map[string]any{"accessKeyId": "ASIALOGIN", "secretAccessKey": "s", "sessionToken": "t", "accountId": "111122223333", "expiresAt": time.Now().Add(time.Hour).UTC()},
		"clientId":    "x", "refreshToken": "SECRET", "dpopKey": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})),
	}))))
	for profile, roles := range map[string][]string{"login-one": {"one"}, "login-two": {"one", "two"}} {
		s := newServices(t, nil)
		t.Setenv("AWS_ENDPOINT_URL", s.URL)
		if _, err := Connect(t.Context(), Options{Profile: profile}); err != nil {
			t.Fatalf("%s: %s", profile, text(err))
		}
		var want []string
		for _, role := range roles {
			want = append(want, "AssumeRole arn:aws:iam::111122223333:role/"+role)
		}
		if got := s.asked(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: asked for %q, want %q", profile, got, want)
		}
	}
	if left := must(os.ReadDir(os.Getenv("TMPDIR"))); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A token in a file and --role-arn are enough, as GitLab and CircleCI have them.
func TestRoleForTheTokenOfAFile(t *testing.T) {
	part := base64.RawURLEncoding.EncodeToString
	token := part([]byte(`{}`)) + "." + part([]byte(`{"iss":"https://gitlab.com","sub":"project_path:a/b:ref:main","aud":"sts.amazonaws.com"}`)) + ".c2ln"
	const other = "arn:aws:iam::111122223333:role/other"
	for name, test := range map[string]struct {
		role    string
		env     map[string]string // $TOKEN is the file
		gone    bool
		empty   bool
		answers map[string]func(http.ResponseWriter, *http.Request)
		asked   []string
		says    []string
	}{
		"the flag alone":          {role: ciRole, asked: []string{"AssumeRoleWithWebIdentity " + ciRole}},
		"the flag and a variable": {role: ciRole, env: map[string]string{"AWS_ROLE_ARN": ciRole}, asked: []string{"AssumeRoleWithWebIdentity " + ciRole}},
		"a role behind another":   {role: ciRole, env: map[string]string{"AWS_ROLE_ARN": other}, asked: []string{"AssumeRoleWithWebIdentity " + other, "AssumeRole " + ciRole}},
		"the variable alone":      {env: map[string]string{"AWS_ROLE_ARN": ciRole}, asked: []string{"AssumeRoleWithWebIdentity " + ciRole}},
		"keys before it":          {role: ciRole, env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, asked: []string{"AssumeRole " + ciRole}},
		"no role":                 {says: []string{"nothing names the role", "pass --role-arn", "AWS_ROLE_ARN"}},
		"expired": {
			role: ciRole, answers: map[string]func(http.ResponseWriter, *http.Request){"AssumeRoleWithWebIdentity": inQuery(400, "ExpiredTokenException", "Token expired: current date/time 1 must be before the expiration date/time 0")},
			asked: []string{"AssumeRoleWithWebIdentity " + ciRole}, says: []string{"the web identity token in $TOKEN has expired", "write it anew", "GitLab"},
		},
		"expired, by the variable": {
			env: map[string]string{"AWS_ROLE_ARN": ciRole}, answers: map[string]func(http.ResponseWriter, *http.Request){"AssumeRoleWithWebIdentity": inQuery(400, "ExpiredTokenException", "Token expired")},
			asked: []string{"AssumeRoleWithWebIdentity " + ciRole}, says: []string{"the web identity token in $TOKEN has expired"},
		},
		"expired, of a profile": {
			env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_PROFILE": "web"}, answers: map[string]func(http.ResponseWriter, *http.Request){"AssumeRoleWithWebIdentity": inQuery(400, "ExpiredTokenException", "Token expired")},
			asked: []string{"AssumeRoleWithWebIdentity " + ciRole}, says: []string{"the web identity token in $TOKEN has expired"},
		},
		"not trusted": {
			role: ciRole, answers: map[string]func(http.ResponseWriter, *http.Request){"AssumeRoleWithWebIdentity": inQuery(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")},
			asked: []string{"AssumeRoleWithWebIdentity " + ciRole}, says: []string{ciRole + " does not trust this token", "project_path:a/b:ref:main", "gitlab.com:sub"},
		},
		"a file that is empty": {
			role: ciRole, empty: true, answers: map[string]func(http.ResponseWriter, *http.Request){"AssumeRoleWithWebIdentity": inQuery(400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT")},
			asked: []string{"AssumeRoleWithWebIdentity " + ciRole}, says: []string{"no web identity token in $TOKEN: it is empty", "AWS_WEB_IDENTITY_TOKEN_FILE"},
		},
		"a file that is gone": {role: ciRole, gone: true, says: []string{"cannot be read from $TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"}},
	} {
		t.Run(name, func(t *testing.T) {
			home := isolate(t)
			file := filepath.Join(home, "token")
			if !test.gone {
				write(t, file, map[bool]string{false: token}[test.empty])
			}
			write(t, filepath.Join(home, "config"), "[default]\n[profile web]\nrole_arn = "+ciRole+"\nweb_identity_token_file = "+file+"\n")
			s := newServices(t, test.answers)
			for variable, value := range map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": file, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": s.URL, "AWS_MAX_ATTEMPTS": "1"} {
				t.Setenv(variable, value)
			}
			for variable, value := range test.env {
				t.Setenv(variable, value)
			}
			_, err := Connect(t.Context(), Options{RoleARN: test.role})
			switch {
			case len(test.says) == 0 && err != nil:
				t.Errorf("got %s", text(err))
			case len(test.says) > 0 && err == nil:
				t.Error("got no error")
			}
			for _, want := range test.says {
				mustSay(t, err, strings.ReplaceAll(want, "$TOKEN", file))
			}
			if got := s.asked(); fmt.Sprint(got) != fmt.Sprint(test.asked) {
				t.Errorf("asked for %q, want %q", got, test.asked)
			}
			for _, form := range s.form {
				if session := form["RoleSessionName"]; len(session) != 1 || !strings.HasPrefix(session[0], "culvert-") {
					t.Errorf("the session's name is %q", session)
				}
			}
		})
	}
}
