package tunnel_test

import (
	"context"
	"crypto/sha1" //nolint:gosec // it names a file of the SDK's cache
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

const (
	callerRole = "arn:aws:iam::111122223333:role/culvert-caller"
	outerRole  = "arn:aws:iam::111122223333:role/sign-in"
)

// credentialKind is a way to come by credentials.
type credentialKind struct {
	name    string
	config  string // ~/.aws/config
	env     map[string]string
	options aws.Options
	holder  string // whom the policy belongs to, as emulator.Attach names it
	renewal string // the action that renews them; empty when they never end
}

// issued is what an account has given for the kinds to begin with.
type issued struct {
	assumer, own       aws.Keys // of a user who may assume roles and nothing else, and of one who has the policy itself
	requestURL, bearer string   // for a job's token
	token              string   // the file with one
	permissionSet      string
}

// issue has an account give all that, and leaves in the home directory what `aws sso login` does.
func issue(t *testing.T, account *emulator.Emulator) (i issued) {
	t.Helper()
	if err := account.Attach("user/assumer", []byte(`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`)); err != nil {
		t.Fatal(err)
	}
	i.assumer.ID, i.assumer.Secret = account.User("assumer")
	i.own.ID, i.own.Secret = account.User("ci")
	i.requestURL, i.bearer = account.GitHub()
	i.token = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(i.token, []byte(jobToken(t, i.requestURL, i.bearer)), 0o600); err != nil {
		t.Fatal(err)
	}
	portal, permissionSet := account.SSO("Developer")
	i.permissionSet = permissionSet
	loggedIn(t, "corp", portal)
	loggedIn(t, "https://acme.awsapps.com/start", portal)
	return i
}

// credentialKinds are those that culvert and the SDK know and that an account on loopback can give.
func credentialKinds(i issued) []credentialKind {
	keys := "aws_access_key_id = " + i.assumer.ID + "\naws_secret_access_key = " + i.assumer.Secret + "\n"
	keysInEnv := map[string]string{"AWS_ACCESS_KEY_ID": i.assumer.ID, "AWS_SECRET_ACCESS_KEY": i.assumer.Secret}
	return []credentialKind{
		{name: "keys", env: map[string]string{"AWS_ACCESS_KEY_ID": i.own.ID, "AWS_SECRET_ACCESS_KEY": i.own.Secret}, holder: "user/ci"},
		{
			name: "SSO", holder: i.permissionSet, renewal: "GetRoleCredentials",
			config: "[default]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Developer\n" +
				"[sso-session corp]\nsso_start_url = https://acme.awsapps.com/start\nsso_region = eu-west-1\n",
		},
		{
			name: "SSO without a session's section", holder: i.permissionSet, renewal: "GetRoleCredentials",
			config: "[default]\nsso_start_url = https://acme.awsapps.com/start\nsso_region = eu-west-1\nsso_account_id = 111122223333\nsso_role_name = Developer\n",
		},
		{
			name: "profile with a role and a source profile", holder: "role/culvert-caller", renewal: "AssumeRole",
			config: "[default]\nrole_arn = " + callerRole + "\nsource_profile = base\n[profile base]\n" + keys,
		},
		{
			name: "profile with a role and a credential source", holder: "role/culvert-caller", renewal: "AssumeRole", env: keysInEnv,
			config:  "[profile ci]\nrole_arn = " + callerRole + "\ncredential_source = Environment\n",
			options: aws.Options{Profile: "ci"},
		},
		{
			name: "profile with a role behind a role", holder: "role/culvert-caller", renewal: "AssumeRole",
			config: "[default]\nrole_arn = " + callerRole + "\nsource_profile = outer\n[profile outer]\nrole_arn = " + outerRole +
				"\nsource_profile = base\n[profile base]\n" + keys,
		},
		{
			name: "profile with a role behind SSO", holder: "role/culvert-caller", renewal: "AssumeRole",
			config: "[default]\nrole_arn = " + callerRole + "\nsource_profile = outer\n[profile outer]\nsso_session = corp\nsso_account_id = 111122223333\n" +
				"sso_role_name = SignIn\n[sso-session corp]\nsso_start_url = https://acme.awsapps.com/start\nsso_region = eu-west-1\n",
		},
		{
			name: "profile with a web identity", holder: "role/culvert-caller", renewal: "AssumeRoleWithWebIdentity",
			config: "[default]\nrole_arn = " + callerRole + "\nweb_identity_token_file = " + i.token + "\n",
		},
		{
			name: "profile with a role behind a web identity", holder: "role/culvert-caller", renewal: "AssumeRole",
			config: "[default]\nrole_arn = " + callerRole + "\nsource_profile = outer\n[profile outer]\nrole_arn = " + outerRole +
				"\nweb_identity_token_file = " + i.token + "\n",
		},
		{
			name: "web identity of the environment", holder: "role/culvert-caller", renewal: "AssumeRoleWithWebIdentity",
			env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": i.token, "AWS_ROLE_ARN": callerRole},
		},
		{
			name: "role by GitHub's OIDC", holder: "role/culvert-caller", renewal: "AssumeRoleWithWebIdentity", options: aws.Options{RoleARN: callerRole},
			env: map[string]string{
				"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "42", "GITHUB_RUN_ATTEMPT": "1",
				"ACTIONS_ID_TOKEN_REQUEST_URL": i.requestURL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": i.bearer,
			},
		},
		{name: "role by keys", holder: "role/culvert-caller", renewal: "AssumeRole", env: keysInEnv, options: aws.Options{RoleARN: callerRole}},
		{
			name: "role by a profile's role", holder: "role/culvert-caller", renewal: "AssumeRole", options: aws.Options{RoleARN: callerRole},
			config: "[default]\nrole_arn = " + outerRole + "\nsource_profile = base\n[profile base]\n" + keys,
		},
	}
}

// jobToken asks for a token as a job does.
func jobToken(t *testing.T, requestURL, bearer string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, requestURL+"&audience=sts.amazonaws.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Value == "" {
		t.Fatalf("no token in %q: %v", text, err)
	}
	return answer.Value
}

// loggedIn leaves in the home directory what `aws sso login` leaves for a session, or for a start URL.
func loggedIn(t *testing.T, session, accessToken string) {
	t.Helper()
	sum := sha1.Sum([]byte(session)) //nolint:gosec // as the SDK does
	dir := filepath.Join(os.Getenv("HOME"), ".aws", "sso", "cache")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"accessToken": accessToken, "expiresAt": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, hex.EncodeToString(sum[:])+".json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// machine keeps the test's own settings away from the SDK, and gives it a home.
func machine(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		for _, prefix := range []string{"AWS_", "GITHUB_", "ACTIONS_"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "") // restores it afterwards
				_ = os.Unsetenv(name)
			}
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// A row: the hourly close while bytes are in flight, under exactly the shipped policy, with credentials that are renewed
// in between, for every kind of them. The policy knows a session's owner by ${aws:userid}, which is ROLEID:SESSIONNAME: a
// name that is invented anew at each renewal, as the SDK's are, loses the session. Another process of the same user or
// run, such as `culvert down`, must be the same owner too.
func TestFaultTransfersOutliveTheHourlyCloseUnderEachKindOfCredentials(t *testing.T) {
	skipInShort(t)
	for _, kind := range credentialKinds(issued{}) {
		t.Run(kind.name, func(t *testing.T) {
			if !need.Process(t) {
				return
			}
			machine(t)
			w := newFaultWorldAt(t, need.Server(t, answer), tunnel.Options{}, func(f *emulator.Faults) {
				f.RoleLife = time.Minute // within the time before the end in which credentials are renewed: for each call
				// What an agent lost it repairs one message in 100 ms (A1): it must lose some, and not many.
				f.Pacing = 10 * time.Millisecond
			})
			t.Setenv("AWS_ENDPOINT_URL_STS", w.account.URL())
			t.Setenv("AWS_ENDPOINT_URL_SSO", w.account.URL())
			underKind(t, w, kind.name)
		})
	}
}

// underKind gives the caller's policy to the credentials of a kind, and uses them.
func underKind(t *testing.T, w *faultWorld, name string) {
	t.Helper()
	kinds := credentialKinds(issue(t, w.account))
	kind := kinds[slices.IndexFunc(kinds, func(k credentialKind) bool { return k.name == name })]
	least, err := json.Marshal(aws.CallerPolicy(aws.Reach{
		Region: "eu-west-1", Account: "111122223333", Cluster: "c",
		AnyChannel: strings.HasPrefix(name, "SSO"), // which names the session, so no policy knows it
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.account.Attach(kind.holder, least); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(kind.config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	for name, value := range kind.env {
		t.Setenv(name, value)
	}
	kind.options.Region, kind.options.Endpoint = "eu-west-1", w.account.URL()
	outlivesTheClose(t, w, kind, func() *aws.Client {
		t.Helper()
		client, err := aws.Connect(t.Context(), kind.options)
		if err != nil {
			t.Fatal(err)
		}
		return client
	})
}

// outlivesTheClose holds a tunnel of one process through three closes, and another process against it.
func outlivesTheClose(t *testing.T, w *faultWorld, kind credentialKind, process func() *aws.Client) {
	t.Helper()
	engine := tunnel.New(tunnel.Options{Client: process(), Log: w.options.Log, Lanes: 1, UploadRate: 1_000_000}) // one lane, so that each close shows
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := engine.Close(ctx); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	}()
	events := watch(t, engine)
	tn, err := engine.Open(tunnel.Spec{
		Target: aws.Target{Cluster: "c", Service: "s", Container: "app"}, Remote: tunnel.Endpoint{Port: port},
	})
	if err != nil {
		t.Fatal(err)
	}
	events.await(t, tn, tunnel.Open)
	first := tn.Link()
	renewed := w.account.Calls(kind.renewal)

	enough := make(chan struct{})
	var working sync.WaitGroup
	for name, one := range map[string]trade{"download": download, "upload": upload} {
		conn := w.dial(tn)
		working.Go(func() {
			if rounds, err := keep(conn, one, 60_000, enough); err != nil || rounds == 0 {
				t.Errorf("%s: %d rounds, %v", name, rounds, err)
			}
		})
	}
	for range 3 {
		before := tn.Stats()
		need.Eventually(t, "bytes to flow", func() bool {
			s := tn.Stats()
			return t.Failed() || (s.Sent > before.Sent+50_000 && s.Received > before.Received+50_000)
		})
		w.account.CloseClientLeg(1000)
		events.next(t, "a close", func(e tunnel.Event) bool { return e.State != tunnel.Open })
		events.await(t, tn, tunnel.Open)
	}
	close(enough)
	working.Wait()
	if got := tn.Link().Session; got != first.Session {
		t.Errorf("the session is now %s, want %s resumed", got, first.Session)
	}
	if kind.renewal != "" && w.account.Calls(kind.renewal) < renewed+3 {
		t.Errorf("%d renewals, want one for each close at least", w.account.Calls(kind.renewal)-renewed)
	}

	later := process()
	left, err := later.StartSession(t.Context(), first.Target, aws.PortForward(port))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := process().ResumeSession(t.Context(), left.ID); err != nil {
		t.Errorf("another process resumes: %v", err)
	}
	if err := process().TerminateSession(t.Context(), left.ID); err != nil {
		t.Errorf("another process ends the session: %v", err)
	}
	if err := tn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if sessions := w.account.Sessions(); len(sessions) > 0 {
		t.Errorf("%d sessions are left: %+v", len(sessions), sessions)
	}
}
