package dbclient

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"culvert/aws"
)

func access(kind aws.HostKind, program string) Access {
	return Access{
		Host: aws.Host{Kind: kind, Name: "orders", Host: "orders.c9.eu-west-1.rds.amazonaws.com", Port: 1433}, Local: netip.MustParseAddrPort("127.0.0.1:15432"),
		Program: program, User: "app", Token: "tok&en", Database: "shop", URL: true,
	}
}

// shown opens a way and gives what it says, with the directory and the relay's port in other words.
func shown(t *testing.T, a Access, words ...string) (arguments, added []string) {
	t.Helper()
	c, err := Open(a)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	plain := strings.NewReplacer(c.dir, "DIR", strings.ReplaceAll(c.dir, "/", "%2F"), "DIR", fmt.Sprint(c.At().Port()), "PORT").Replace
	given := []string{"HOME=/home/kim", "SQLCMDSERVER=elsewhere"}
	for _, variable := range c.Environment(given) {
		if !slices.Contains(given, variable) {
			added = append(added, plain(variable))
		}
	}
	for _, word := range c.Arguments(words) {
		arguments = append(arguments, plain(word))
		if strings.Contains(word, "tok&en") || strings.Contains(word, "tok%26en") {
			t.Errorf("the token stands among the arguments: %s", word)
		}
	}
	return arguments, added
}

// Programs that cannot be proved here get what their documentation says; psql, MariaDB and Redis are proved with the programs.
func TestEachProgramGetsWhatItKnows(t *testing.T) {
	for _, c := range []struct {
		kind             aws.HostKind
		words            string
		arguments, added string
	}{
		{
			aws.KindMongo, "/usr/bin/mongosh --quiet", "/usr/bin/mongosh mongodb://app@127.0.0.1:PORT/shop?directConnection=true&retryWrites=false --quiet",
			"DATABASE_URL=mongodb://app:tok&en@127.0.0.1:PORT/shop?directConnection=true&retryWrites=false",
		},
		{
			aws.KindMongo, "mongodump --out x", "mongodump --uri=mongodb://app@127.0.0.1:PORT/shop?directConnection=true&retryWrites=false --out x",
			"DATABASE_URL=mongodb://app:tok&en@127.0.0.1:PORT/shop?directConnection=true&retryWrites=false",
		},
		{
			aws.KindSQLServer, "sqlcmd -Q x", "sqlcmd -N -F orders.c9.eu-west-1.rds.amazonaws.com -Q x",
			"SQLCMDSERVER=tcp:127.0.0.1,PORT SQLCMDUSER=app SQLCMDDBNAME=shop SSL_CERT_FILE=DIR/authorities.pem " +
				"DATABASE_URL=sqlserver://app:tok&en@127.0.0.1:PORT?certificate=DIR%2Fauthorities.pem&database=shop&encrypt=true&hostNameInCertificate=orders.c9.eu-west-1.rds.amazonaws.com",
		},
		{
			aws.KindMySQL, "mysql --defaults-file=x -e y", "mysql --defaults-file=x --protocol=tcp --host=127.0.0.1 --port=PORT --ssl-ca=DIR/authorities.pem --user=app --database=shop -e y",
			"MYSQL_HOST=127.0.0.1 MYSQL_TCP_PORT=PORT MYSQL_USER=app MYSQL_DATABASE=shop MYSQL_PWD=tok&en LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN=1 " +
				"DATABASE_URL=mysql://app:tok&en@127.0.0.1:PORT/shop?ssl_ca=DIR%2Fauthorities.pem",
		},
		{
			aws.KindPostgres, "pg_dump shop", "pg_dump shop",
			"PGHOST=orders.c9.eu-west-1.rds.amazonaws.com PGHOSTADDR=127.0.0.1 PGPORT=PORT PGSSLMODE=verify-full PGSSLROOTCERT=DIR/authorities.pem PGGSSENCMODE=disable PGUSER=app PGDATABASE=shop PGPASSWORD=tok&en " +
				"DATABASE_URL=postgresql://app:tok&en@orders.c9.eu-west-1.rds.amazonaws.com:PORT/shop?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert=DIR%2Fauthorities.pem",
		},
	} {
		arguments, added := shown(t, access(c.kind, c.words), strings.Fields(c.words)...)
		if got := strings.Join(arguments, " "); got != c.arguments {
			t.Errorf("%s: got\n%s, want\n%s", c.words, got, c.arguments)
		}
		if got := strings.Join(added, " "); got != c.added {
			t.Errorf("%s: got\n%s, want\n%s", c.words, got, c.added)
		}
	}
}

func TestVariablesOfTheUserAreLeftWhereTheySayMore(t *testing.T) {
	a := access(aws.KindPostgres, "psql")
	a.User, a.Token, a.Database, a.URL, a.Else = "", "", "", false, []string{"PGUSER=demo", "PGDATABASE=orders"}
	c, err := Open(a)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	env := c.Environment([]string{"PGUSER=kim", "PGPASSWORD=of kim", "PGSERVICE=x", "PGSSLMODE=disable"})
	for variable, want := range map[string]bool{
		"PGUSER=kim": true, "PGUSER=demo": false, "PGDATABASE=orders": true, "PGPASSWORD=of kim": true, "PGSERVICE=x": false, "PGSSLMODE=disable": false, "PGSSLMODE=verify-full": true,
	} {
		if slices.Contains(env, variable) != want {
			t.Errorf("%s: got %q", variable, env)
		}
	}
}

func TestFilesAreTheUsersAloneAndGoAway(t *testing.T) {
	a := access(aws.KindPostgres, "psql")
	a.Welcome = "table orders;"
	c, err := Open(a)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if n++; info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: others may look into it: %s", path, info.Mode())
		}
		text, _ := os.ReadFile(path) //nolint:gosec // our own
		if strings.Contains(string(text), a.Token) {
			t.Errorf("%s holds the token", path)
		}
		return nil
	})
	if err != nil || n != 3 {
		t.Errorf("got %d files and directories, %v", n, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("they are still there: %v", err)
	}
}

func TestWhatWouldBeInVainIsSaidFirst(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.pem")
	if err := os.WriteFile(none, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change      func(*Access)
		why, remedy string
	}{
		"a web server":      {func(a *Access) { a.Host.Kind = aws.KindHTTP }, "orders (orders.c9.eu-west-1.rds.amazonaws.com:1433) is http", "culvert --headless --to orders.c9.eu-west-1.rds.amazonaws.com:1433"},
		"nobody knows what": {func(a *Access) { a.Host.Kind, a.Program = "", "./migrate" }, "is not known", "-- psql"},
		"token, no TLS":     {func(a *Access) { a.Plain = true }, "not sent without TLS", "--tls=no"},
		"no such file":      {func(a *Access) { a.CA = "/nonexistent/ca.pem" }, "/nonexistent/ca.pem", "--ca"},
		"no certificate":    {func(a *Access) { a.CA = none }, "there is no certificate in", "--ca"},
		"another region":    {func(a *Access) { a.Host.Host = "orders.c9.il-central-1.rds.amazonaws.com" }, "il-central-1", "https://truststore.pki.rds.amazonaws.com/il-central-1/il-central-1-bundle.pem"},
	} {
		a := access(aws.KindPostgres, "psql")
		c.change(&a)
		_, err := Open(a)
		cured, ok := errors.AsType[interface {
			error
			Remedy() string
		}](err)
		if !ok || !strings.Contains(err.Error(), c.why) || !strings.Contains(cured.Remedy(), c.remedy) {
			t.Errorf("%s: got %v, want %q and %q", name, err, c.why, c.remedy)
		}
		if err := Check(a); err == nil {
			t.Errorf("%s: it is opened first", name)
		}
	}
}
