package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

func jsonOf(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bare is an environment without anything of AWS's.
func bare(t *testing.T) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, name := range []string{
		"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_ENDPOINT_URL", "GITHUB_ACTIONS", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "AWS_CA_BUNDLE",
	} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, "credentials"))
}

const role = "arn:aws:iam::111122223333:role/deploy"

func TestA1NoRegion(t *testing.T) {
	bare(t)
	c := newClinic(t, healthy())
	c.connect(aws.Options{})
	c.finds("region", "A1", "--region", "AWS_REGION")
}

func TestA2NoCredentials(t *testing.T) {
	bare(t)
	c := newClinic(t, healthy())
	c.connect(aws.Options{Region: "eu-west-1", Endpoint: c.account.URL()})
	c.finds("credentials", "A2", "AWS_ACCESS_KEY_ID", "aws sso login")
}

func TestA3ExpiredCredentials(t *testing.T) {
	c := newClinic(t, healthy())
	key, _ := c.account.Credentials()
	c.account.ExpireCredentials(key)
	c.finds("identity", "A3", "expired", "renew")
}

func TestA3UnknownKey(t *testing.T) {
	c := newClinic(t, healthy())
	c.as("AKIAIOSFODNN7EXAMPLE", "wrong")
	c.finds("identity", "A3", "rejects the credentials")
}

func TestA4ClockIsNotAWSs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	c := newClinicWith(t, emulator.Options{Fleet: healthy(), Now: func() time.Time { return time.Now().Add(9 * time.Minute) }})
	c.warns("clock", "A4", "behind of AWS's", "set the clock")
}

func TestA5NoTokenInGitHubJob(t *testing.T) {
	bare(t)
	t.Setenv("GITHUB_ACTIONS", "true")
	c := newClinic(t, healthy())
	c.connect(aws.Options{Region: "eu-west-1", Endpoint: c.account.URL(), EndpointTrusted: true, RoleARN: role})
	c.finds("credentials", "A5", "permissions: id-token: write")
}

func TestA6RoleDoesNotTrustTheToken(t *testing.T) {
	bare(t)
	c := newClinicWith(t, emulator.Options{Fleet: healthy(), Trust: func(string, emulator.Claims) error { return errors.New("another subject") }})
	c.account.GitHubSubject("repo:acme@1/web@2:ref:refs/heads/main")
	asJob(t, c.account.GitHub)
	c.connect(aws.Options{Region: "eu-west-1", Endpoint: c.account.URL(), EndpointTrusted: true, RoleARN: role})
	c.finds("credentials", "A6", "repo:acme@1/web@2:ref:refs/heads/main", `repository_id "2"`, "immutable form")
}

func asJob(t *testing.T, gitHub func() (string, string)) {
	t.Helper()
	address, token := gitHub()
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", address)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token)
}

func TestA7AccountDoesNotKnowTheProvider(t *testing.T) {
	bare(t)
	stranger := newClinic(t, emulator.Fleet{}) // another GitHub: its tokens are signed by a key that nobody here knows
	asJob(t, stranger.account.GitHub)
	c := newClinic(t, healthy())
	c.connect(aws.Options{Region: "eu-west-1", Endpoint: c.account.URL(), EndpointTrusted: true, RoleARN: role})
	c.finds("credentials", "A7", "create-open-id-connect-provider")
}

func TestA8ARNOfAnotherAccount(t *testing.T) {
	c := newClinic(t, healthy())
	c.options.Query = aws.Query{Service: "arn:aws:ecs:eu-west-1:999900001111:service/c/s"}
	c.finds("cluster", "A8", "you are in account 111122223333", "999900001111")
}

func TestA8ARNOfAnotherRegion(t *testing.T) {
	c := newClinic(t, healthy())
	c.options.Query = aws.Query{Service: "arn:aws:ecs:us-east-1:111122223333:service/c/s"}
	c.finds("cluster", "A8", "pass --region us-east-1")
}

func TestA9NobodyAnswersAtTheEndpoint(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	bare(t)
	c := newClinic(t, healthy())
	gone := refusing
	key, secret := c.account.Credentials()
	t.Setenv("AWS_ACCESS_KEY_ID", key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	c.connect(aws.Options{Region: "eu-west-1", Endpoint: "http://" + gone})
	c.finds("cluster", "A9", gone, "network, VPN, firewall")
}

func TestA9SomethingShowsItsOwnCertificate(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	bare(t)
	c := newClinic(t, healthy())
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quietLog()
	server.StartTLS()
	t.Cleanup(server.Close)
	key, secret := c.account.Credentials()
	t.Setenv("AWS_ACCESS_KEY_ID", key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	c.connect(aws.Options{Region: "eu-west-1", Endpoint: server.URL})
	c.finds("cluster", "A9", "AWS_CA_BUNDLE")
}

func TestA10LocalPortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newClinic(t, healthy())
	c.options.Spec.Local = netip.MustParseAddrPort(l.Addr().String())
	report := c.finds("listen", "A10", "is in use by", "--local-port 0")
	if r := resultOf(t, report, "answer"); r.Finding.Err != nil {
		t.Errorf("the rest of the path is looked at as well: got %v", r.Finding.Err)
	}
}

func TestA11Throttled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	bare(t)
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ecs:*", Kind: emulator.Throttle}}
	})
	key, secret := c.account.Credentials()
	t.Setenv("AWS_ACCESS_KEY_ID", key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	c.connect(aws.Options{Region: "eu-west-1", Endpoint: c.account.URL()})
	c.finds("cluster", "A11", "is throttled", "wait and try again")
}

// The engine's own errors are the doctor's: one voice.
func TestDoctorSaysWhatTheTunnelSays(t *testing.T) {
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:StartSession"}}
	})
	report := c.examine()
	client, err := c.options.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Identity(t.Context()); err != nil { // as the doctor did: the remedies name the account
		t.Fatal(err)
	}
	engine := tunnel.New(tunnel.Options{Client: client})
	opened, err := engine.Open(tunnel.Spec{Target: report.Target, Remote: tunnel.Endpoint{Port: 3128}, Local: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "the tunnel's failure", func() bool { s, _ := opened.State(); return s == tunnel.Failed })
	_, lost := opened.State()
	if got, want := report.First().Finding.Err.Error(), lost.Error(); got != want {
		t.Errorf("the doctor says %q, the tunnel %q", got, want)
	}
	remedied, ok := errors.AsType[*aws.DeniedError](lost)
	if !ok || report.First().Remedy() != remedied.Remedy() {
		t.Errorf("the remedies differ: %q", report.First().Remedy())
	}
	if err := engine.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
