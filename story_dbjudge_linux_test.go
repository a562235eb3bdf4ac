package main

import (
	"bytes"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// judged is an account with a real PostgreSQL in its network, under two names of which one is in its certificate.
type judged struct {
	t         *testing.T
	account   *emulator.Emulator
	authority string
	env       []string
}

const ledgerHost = "ledger.private.example"

func newJudged(t *testing.T) *judged {
	t.Helper()
	secured := need.Secure(t, ledgerHost)
	server := need.Postgres(t, secured)
	fleet := emulator.Unbonded()
	fleet.Hosts = map[string]string{ledgerHost + ":5432": server, "alias.private.example:5432": server}
	fleet.Inventory.Databases = append(fleet.Inventory.Databases,
		emulator.Possession{Name: "ledger", Engine: "postgres", Host: ledgerHost, Port: 5432},
		emulator.Possession{Name: "alias", Engine: "postgres", Host: "alias.private.example", Port: 5432})
	account, err := emulator.Start(emulator.Options{Fleet: fleet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	dir := t.TempDir()
	return &judged{t, account, secured.Authority, append(account.Env(),
		"PATH="+os.Getenv("PATH"), "HOME="+dir, "TMPDIR="+dir, "XDG_STATE_HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_RUNTIME_DIR="+dir, "PGUSER=app", "PGPASSWORD=pw")}
}

// db runs culvert db, and returns what it printed and its exit code.
func (j *judged) db(args ...string) (out, complaint string, code int) {
	j.t.Helper()
	cmd := exec.CommandContext(j.t.Context(), need.Command(j.t, "culvert"), append([]string{"db"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = j.env, &stdout, &stderr
	err := cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		code = ended.ExitCode()
	} else if err != nil {
		j.t.Fatal(err)
	}
	return strings.TrimSpace(stdout.String()), stderr.String(), code
}

func TestRealPostgresIsMetByItsTrueName(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts PostgreSQL: make test")
	}
	j := newJudged(t)
	query := []string{"--", "psql", "-XAtw", "-c", "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()", "postgres"}
	for name, c := range map[string]struct {
		args []string
		out  string
		why  string
		code int
	}{
		"its authority":       {append([]string{"ledger", "--ca", j.authority}, query...), "app|t", "", 0},
		"AWS's authorities":   {append([]string{"ledger"}, query...), "", "certificate verify failed", 2},
		"another name":        {append([]string{"alias", "--ca", j.authority}, query...), "", `does not match host name "alias.private.example"`, 2},
		"a port here":         {[]string{"0:ledger", "--ca", j.authority, "--", "psql", "-XAtwc", "select 1", "-h", ledgerHost, "-p", "{{.Port}}", "postgres"}, "1", "", 0},
		"the program's code":  {[]string{"ledger", "--ca", j.authority, "--", "psql", "-Xc", "nonsense", "postgres"}, "", "syntax error", 1},
		"standard input":      {[]string{"ledger", "--ca", j.authority, "--database", "postgres", "--", "sh", "-c", "echo 'select 6*7' | psql -XAt"}, "42", "", 0},
		"no TLS, as was said": {append([]string{"ledger", "--tls=no"}, query...), "", "pg_hba.conf rejects", 2},
		"no such program":     {[]string{"ledger", "--", "psqll"}, "", "psqll", 127},
	} {
		out, complaint, code := j.db(c.args...)
		if out != c.out || !strings.Contains(complaint, c.why) || code != c.code {
			t.Errorf("%s: got %q, code %d, want %q, %d and %q in\n%s", name, out, code, c.out, c.code, c.why, complaint)
		}
	}
	need.Eventually(t, "the end of the sessions", func() bool { return len(j.account.Sessions()) == 0 })
}

// A token's form is judged by botocore (TestDatabaseTokensAreThoseOfBotocore) and by the demo's database; here, that it is the host's own and
// nowhere but in the program's environment.
func TestTokensAreInTheProgramsEnvironmentAlone(t *testing.T) {
	t.Parallel()
	j := newJudged(t)
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	tokens := map[string]bool{}
	if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:5432"); err == nil { // else somebody else has the usual port
		t.Cleanup(func() { _ = l.Close() })
	}
	for range 2 {
		begun := time.Now().UTC().Truncate(time.Second)
		// The program keeps its token, then looks for its signature in everybody's arguments and in the files of the run.
		script := `printf %s "$PGPASSWORD" >` + dir + `/token; signature=${PGPASSWORD##*X-Amz-Signature=}; case $DATABASE_URL in *$signature*) echo in the URL;; esac
			case $(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ') in *$signature*) echo in arguments;; esac
			for file in $(find "$TMPDIR" -type f); do case $(tr '\0' ' ' <$file) in *$signature*) echo in $file;; esac; done; exit 9`
		out, complaint, code := j.db("ledger", "--iam", "app", "--url", "-o", "json", "--log-level", "debug", "--log-file", log, "--", "sh", "-c", script)
		if out != "in the URL" || code != 9 {
			t.Errorf("got %q, code %d, want the token in the environment alone\n%s", out, code, complaint)
		}
		token, err := os.ReadFile(filepath.Join(dir, "token"))
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse("https://" + string(token))
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		at, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
		if u.Host != ledgerHost+":5432" || q.Get("Action") != "connect" || q.Get("DBUser") != "app" || q.Get("X-Amz-Expires") != "900" ||
			!strings.HasSuffix(q.Get("X-Amz-Credential"), "/eu-west-1/rds-db/aws4_request") || err != nil || at.Before(begun) {
			t.Errorf("got the token %s", token)
		}
		tokens[string(token)] = true
		signature := q.Get("X-Amz-Signature")
		logged, err := os.ReadFile(log)
		if err != nil || len(logged) == 0 {
			t.Errorf("there is no log: %v", err)
		}
		if strings.Contains(complaint, "in use") {
			t.Errorf("it is told that the usual port is taken, which nobody has asked for:\n%s", complaint)
		}
		for where, text := range map[string]string{"the events": complaint, "the log": string(logged)} {
			if signature == "" || strings.Contains(text, signature) || strings.Contains(text, "X-Amz-Signature") {
				t.Errorf("the token is in %s:\n%s", where, text)
			}
		}
		time.Sleep(time.Until(at.Add(time.Second))) // tokens tell the second
	}
	if len(tokens) != 2 {
		t.Error("the second start has the token of the first")
	}
}
