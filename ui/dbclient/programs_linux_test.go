package dbclient

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"culvert/aws"
	"culvert/internal/need"
)

const trueName = "orders.private.example"

// attempt is what came of a program.
type attempt struct {
	out  string
	err  error
	said []string // by culvert
}

// try runs a program as culvert db does, on a server that stands for the tunnel.
func try(t *testing.T, server string, kind aws.HostKind, change func(*Access), env []string, words ...string) attempt {
	t.Helper()
	need.Command(t, words[0])
	local, err := netip.ParseAddrPort(server)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said []string
	a := Access{Host: aws.Host{Kind: kind, Name: "orders", Host: trueName, Port: 5432}, Local: local, Program: words[0], Say: func(text string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, text)
	}}
	change(&a)
	c, err := Open(a)
	if err != nil {
		t.Fatal(err)
	}
	words = c.Arguments(words)
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Env = c.Environment(append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "MYSQL") }), env...))
	out, err := cmd.CombinedOutput()
	if closing := c.Close(); closing != nil {
		t.Error(closing)
	}
	return attempt{strings.TrimSpace(string(out)), err, said}
}

func (a attempt) succeeds(t *testing.T, want string) {
	t.Helper()
	if a.err != nil || a.out != want || len(a.said) > 0 {
		t.Errorf("got %q, %v, said %q, want %q", a.out, a.err, a.said, want)
	}
}

func (a attempt) fails(t *testing.T, why string) {
	t.Helper()
	if text := a.out + strings.Join(a.said, "\n"); a.err == nil && a.out != "" && !strings.Contains(a.out, "rror") || !strings.Contains(text, why) {
		t.Errorf("got %q, %v, said %q, want %q", a.out, a.err, a.said, why)
	}
}

func TestPsqlVerifiesTheTrueName(t *testing.T) {
	t.Parallel()
	good, other := need.Secure(t, trueName), need.Secure(t, "other.private.example")
	server, impostor := need.Postgres(t, good), need.Postgres(t, other)
	select1 := []string{"psql", "-XAtw", "-c", "select current_user || ssl from pg_stat_ssl where pid = pg_backend_pid()", "postgres"}
	// What points elsewhere in the user's environment does not lead there.
	env := []string{"PGPASSWORD=pw", "PGUSER=app", "PGSERVICE=nowhere", "PGHOST=localhost", "PGHOSTADDR=127.0.0.9", "PGPORT=1", "PGSSLMODE=disable"}
	trust := func(a *Access) { a.CA = good.Authority }
	try(t, server, aws.KindPostgres, trust, env, select1...).succeeds(t, "apptrue")
	try(t, server, aws.KindUnknown, trust, env, select1...).succeeds(t, "apptrue")
	try(t, server, aws.KindPostgres, func(a *Access) { trust(a); a.User, a.Token = "app", "pw" }, env[2:], select1...).succeeds(t, "apptrue")
	try(t, server, aws.KindPostgres, func(a *Access) { trust(a); a.User, a.Token, a.Database, a.URL = "app", "pw", "postgres", true }, nil,
		"sh", "-c", `env -u PGHOST -u PGPASSWORD -u PGHOSTADDR -u PGPORT -u PGSSLMODE psql -XAtw -c 'select 1' "$DATABASE_URL"`).succeeds(t, "1")
	try(t, server, aws.KindPostgres, func(*Access) {}, env, select1...).fails(t, "certificate verify failed")
	try(t, server, aws.KindPostgres, func(a *Access) { a.CA = other.Authority }, env, select1...).fails(t, "certificate verify failed")
	try(t, impostor, aws.KindPostgres, func(a *Access) { a.CA = other.Authority }, env, select1...).fails(t, `does not match host name "`+trueName+`"`)
	try(t, server, aws.KindPostgres, func(a *Access) { a.Plain = true }, env, select1...).fails(t, "pg_hba.conf rejects")
}

func TestMariaDBMeetsTheTrueName(t *testing.T) {
	t.Parallel()
	good, other := need.Secure(t, trueName), need.Secure(t, "other.private.example")
	server, impostor := need.MariaDB(t, good), need.MariaDB(t, other)
	trust := func(a *Access) { a.CA = good.Authority }
	query := "show status like 'Ssl_version'"
	for _, words := range [][]string{
		{"mariadb", "--no-defaults", "-u", "root", "-Ne", query}, {"mysql", "-u", "root", "-Ne", query}, {"mariadb", "--ssl-verify-server-cert", "-u", "root", "-Ne", query},
	} {
		try(t, server, aws.KindMySQL, trust, nil, words...).succeeds(t, "Ssl_version\tTLSv1.3")
		try(t, server, aws.KindMySQL, func(*Access) {}, nil, words...).fails(t, "the certificate of "+trueName+" is not accepted: x509: certificate signed by unknown authority")
		try(t, impostor, aws.KindMySQL, func(a *Access) { a.CA = other.Authority }, nil, words...).fails(t, "not "+trueName)
	}
	try(t, server, aws.KindMySQL, func(a *Access) { trust(a); a.User, a.Database = "root", "information_schema" }, nil, "mariadb", "-Ne", "select concat(database(), repeat('x', 3))").succeeds(t, "information_schemaxxx")
	plainly := try(t, server, aws.KindMySQL, trust, nil, "mariadb", "-u", "root", "--skip-ssl", "-Ne", query)
	if len(plainly.said) != 1 || !strings.Contains(plainly.out, "has not asked for TLS") {
		t.Errorf("culvert says %q and the program shows %q, want both to say that it has not asked for TLS", plainly.said, plainly.out)
	}
	// Much data goes through as it is.
	big := try(t, server, aws.KindMySQL, trust, nil, "mariadb", "-u", "root", "-Ne", "select repeat('x', 3000000)")
	if big.err != nil || len(big.out) != 3_000_000 {
		t.Errorf("got %d bytes, %v", len(big.out), big.err)
	}
}

func TestRedisMeetsTheTrueName(t *testing.T) {
	t.Parallel()
	good, other := need.Secure(t, trueName), need.Secure(t, "other.private.example")
	server, impostor := need.Redis(t, good), need.Redis(t, other)
	env := []string{"REDISCLI_AUTH=pw"}
	try(t, server, aws.KindRedis, func(a *Access) { a.CA = good.Authority }, env, "redis-cli", "ping").succeeds(t, "PONG")
	try(t, server, aws.KindRedis, func(a *Access) { a.CA = good.Authority; a.URL = true }, env, "sh", "-c", `redis-cli -u "$REDIS_URL" ping`).succeeds(t, "PONG")
	try(t, server, aws.KindRedis, func(a *Access) { a.CA = good.Authority; a.User = "default" }, env, "redis-cli", "ping").succeeds(t, "PONG")
	try(t, server, aws.KindRedis, func(*Access) {}, env, "redis-cli", "ping").fails(t, "the certificate of "+trueName+" is not accepted: x509: certificate signed by unknown authority")
	try(t, impostor, aws.KindRedis, func(a *Access) { a.CA = other.Authority }, env, "redis-cli", "ping").fails(t, "not "+trueName)
	plain := need.Server(t, func(c *net.TCPConn) { _, _ = c.Write([]byte("-ERR unknown command\r\n")) })
	try(t, plain, aws.KindRedis, func(*Access) {}, env, "redis-cli", "ping").fails(t, trueName+" does not speak TLS")
}
