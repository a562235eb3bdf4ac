package emulator

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
)

func TestDatabaseLetsInWhoComesWithoutTLS(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", e.vpc.servers[Postgres])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// A startup message of protocol 3.0 with a user.
	if _, err := conn.Write([]byte("\x00\x00\x00\x10\x00\x03\x00\x00user\x00a\x00\x00")); err != nil {
		t.Fatal(err)
	}
	hello := make([]byte, 9)
	if _, err := io.ReadFull(conn, hello); err != nil || string(hello) != "R\x00\x00\x00\x08\x00\x00\x00\x00" {
		t.Fatalf("startup = %q, %v, want AuthenticationOk", hello, err)
	}
}

// psql asks the database of the demo as libpq does, verifying its certificate.
func psql(t *testing.T, e *Emulator, password string, args ...string) (string, error) {
	t.Helper()
	_, port, err := net.SplitHostPort(e.vpc.servers[Postgres])
	if err != nil {
		t.Fatal(err)
	}
	roots := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(roots, e.CACertificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), need.Command(t, "psql"), append([]string{"-XAtw", "-d", "host=orders-db.internal hostaddr=127.0.0.1 port=" + port + " user=app sslmode=verify-full sslrootcert=" + roots}, args...)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestPsqlFindsTheOrdersOfTheShop(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	body := strings.NewReader(`{"customer":"Kim O'Hara","item":"grate","total":12.5}`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+e.vpc.servers[Orders]+"/orders", body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	for query, want := range map[string]string{
		"select 1":                                 "1",
		"SELECT count(*)\n FROM orders;":           "6",
		"select current_user":                      "app",
		"select * from orders where id = 1042":     "1042|Tom Akers|headwall, precast|1290.00|packed",
		"select * from orders order by id limit 1": "1041|Ines Falk|culvert pipe, 600 mm|412.50|shipped",
		"\\dt": "public|orders|table|demo",
	} {
		if got, err := psql(t, e, "any", "-c", query); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", query, got, err, want)
		}
	}
	if got, err := psql(t, e, "any", "-c", "table orders"); !strings.Contains(got, "1046|Kim O'Hara|grate|12.50|new") || err != nil {
		t.Errorf("got %s, %v, want what the shop was told as well", got, err)
	}
	for query, why := range map[string]string{
		"drop table orders": "does not know this query", "\\dt customers": "does not know this query", "select * from orders limit x": "is no number",
	} {
		if got, err := psql(t, e, "any", "-c", query); !strings.Contains(got, why) || query[0] != '\\' && err == nil {
			t.Errorf("%s: got %q, %v, want %q", query, got, err, why)
		}
	}
	if got, err := psql(t, e, "", "-c", "select 1"); err == nil || !strings.Contains(got, "no password supplied") {
		t.Errorf("without a password: got %q, %v", got, err)
	}
}

// The tokens are made by botocore, as `aws rds generate-db-auth-token` has it make them.
func TestDatabaseTakesTokensThatAreGoodAlone(t *testing.T) {
	python := need.Command(t, "python3")
	now := time.Now().UTC().Truncate(time.Second)
	e := open(t, Options{Fleet: Demo(), Now: func() time.Time { return now }})
	elsewhere := e.keys.temporary(e.fleet.user("demo"), now.Add(time.Hour))
	poor, poorSecret := e.User("poor")
	if err := e.Attach("user/poor", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds:DescribeDBInstances","Resource":"*"}]}`)); err != nil {
		t.Fatal(err)
	}
	type form struct {
		Host    string `json:"host"`
		Port    int    `json:"port"`
		User    string `json:"user"`
		Region  string `json:"region"`
		ID      string `json:"id"`
		Secret  string `json:"secret"`
		Session string `json:"session"`
		Date    string `json:"date"`
	}
	good := form{databaseHost, databasePort, "app", "eu-west-1", staticKeyID, staticSecret, "", now.Format(isoBasic)}
	cases := []struct {
		change func(*form)
		why    string
	}{
		{func(*form) {}, ""},
		{func(f *form) { f.ID, f.Secret, f.Session = elsewhere.ID, elsewhere.Secret, elsewhere.Token }, ""},
		{func(f *form) { f.Date = now.Add(-14 * time.Minute).Format(isoBasic) }, ""},
		{func(f *form) { f.Date = now.Add(-16 * time.Minute).Format(isoBasic) }, "not now"},
		{func(f *form) { f.Date = now.Add(6 * time.Minute).Format(isoBasic) }, "not now"},
		{func(f *form) { f.Host = "localhost" }, `it is for "localhost:5432"`},
		{func(f *form) { f.Port = 15432 }, "orders-db.internal:15432"},
		{func(f *form) { f.User = "root" }, `the user "root"`},
		{func(f *form) { f.Region = "us-east-1" }, "rds-db in us-east-1"},
		{func(f *form) { f.Secret = "another" }, "signature is wrong"},
		{func(f *form) { f.ID = "AKIANOBODY" }, "no key of the account"},
		{func(f *form) { f.ID, f.Secret = elsewhere.ID, elsewhere.Secret }, "no key of the account"}, // without the session's token
		{func(f *form) { f.ID, f.Secret = poor, poorSecret }, "rds-db:connect is not allowed"},
	}
	var forms []form
	for _, c := range cases {
		f := good
		c.change(&f)
		forms = append(forms, f)
	}
	input, err := json.Marshal(forms)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "../testdata/dbtoken.py")
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ask botocore: %v", err)
	}
	var tokens []string
	if err := json.Unmarshal(out, &tokens); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		err := e.databaseLogin(databaseHost, databasePort, "app", tokens[i])
		if (c.why == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("token %d: got %v, want %q", i, err, c.why)
		}
	}
	if got, err := psql(t, e, tokens[0], "-c", "select current_user"); got != "app" || err != nil {
		t.Errorf("with a token: got %q, %v", got, err)
	}
	if got, err := psql(t, e, strings.Replace(tokens[0], "DBUser=app", "DBUser=root", 1), "-c", "select 1"); err == nil || !strings.Contains(got, "password authentication failed") {
		t.Errorf("with another's token: got %q, %v", got, err)
	}
}
