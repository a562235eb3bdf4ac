package dbclient

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"culvert/aws"
)

// Usual are the programs that are usual for a kind, the best first; none where culvert knows none.
func Usual(kind aws.HostKind) []string {
	switch kind { //nolint:exhaustive // the others have none
	case aws.KindPostgres, aws.KindRedshift:
		return []string{"psql"}
	case aws.KindMySQL:
		return []string{"mysql", "mariadb"}
	case aws.KindRedis:
		return []string{"redis-cli", "valkey-cli"}
	case aws.KindMongo:
		return []string{"mongosh"}
	case aws.KindSQLServer:
		return []string{"sqlcmd"}
	}
	return nil
}

// KindFor is the kind of a destination, as far as the program tells where nothing else does: an environment that names a host with a port
// of its own says no more.
func KindFor(kind aws.HostKind, program string) aws.HostKind {
	if kind != aws.KindUnknown {
		return kind
	}
	name := nameOf(program)
	switch {
	case strings.HasPrefix(name, "pg") || slices.Contains([]string{"psql", "createdb", "dropdb", "vacuumdb", "reindexdb"}, name):
		return aws.KindPostgres
	case isMySQL(name) || name == "mycli":
		return aws.KindMySQL
	case isRedis(name):
		return aws.KindRedis
	case strings.HasPrefix(name, "mongo"):
		return aws.KindMongo
	case name == "sqlcmd" || name == "bcp":
		return aws.KindSQLServer
	}
	return aws.KindUnknown
}

// nameOf is a program's name without its directory.
func nameOf(program string) string {
	return strings.TrimSuffix(strings.ToLower(filepath.Base(program)), ".exe")
}

func isMySQL(name string) bool {
	return name == "mysql" || name == "mariadb" || strings.HasPrefix(name, "mariadb-") ||
		slices.Contains([]string{"mysqldump", "mysqladmin", "mysqlimport", "mysqlshow", "mysqlcheck", "mysqlslap"}, name)
}

func isRedis(name string) bool { return name == "redis-cli" || name == "valkey-cli" }

// Arguments are a program and its arguments, with those that it needs where no variable says the same. What the user has given stands
// behind them, and wins; nothing among them is a secret.
func (c *Client) Arguments(words []string) []string {
	name, own := nameOf(words[0]), []string(nil)
	skip := 1
	switch kind := c.access.Host.Kind; {
	case kind == aws.KindMySQL && isMySQL(name):
		for skip < len(words) && isFirstOfMySQL(words[skip]) {
			skip++
		}
		own = c.mysqlArguments(name)
	case kind == aws.KindRedis && isRedis(name):
		own = []string{"-h", c.at.Addr().String(), "-p", strconv.Itoa(int(c.at.Port()))}
		if c.access.User != "" {
			own = append(own, "--user", c.access.User)
		}
	case kind == aws.KindMongo && name == "mongosh":
		own = []string{c.url("")}
	case kind == aws.KindMongo && strings.HasPrefix(name, "mongo"):
		own = []string{"--uri=" + c.url("")}
	case kind == aws.KindSQLServer && name == "sqlcmd" && !c.access.Plain:
		own = []string{"-N", "-F", c.access.Host.Host}
	}
	return slices.Concat(words[:skip], own, words[skip:])
}

// isFirstOfMySQL knows the options that the MySQL and MariaDB programs take only before all others (MySQL Reference Manual,
// "Command-Line Options that Affect Option-File Handling").
func isFirstOfMySQL(word string) bool {
	name, _, _ := strings.Cut(word, "=")
	return slices.Contains([]string{"--no-defaults", "--print-defaults", "--defaults-file", "--defaults-extra-file", "--defaults-group-suffix", "--login-path", "--no-login-paths"}, name)
}

func (c *Client) mysqlArguments(name string) []string {
	own := []string{"--protocol=tcp", "--host=" + c.at.Addr().String(), "--port=" + strconv.Itoa(int(c.at.Port()))}
	if c.roots != "" {
		own = append(own, "--ssl-ca="+c.roots)
	}
	if c.access.User != "" {
		own = append(own, "--user="+c.access.User)
	}
	if c.access.Database != "" && (name == "mysql" || name == "mariadb") {
		own = append(own, "--database="+c.access.Database)
	}
	return own
}

// sslMode is PGSSLMODE.
func sslMode(plain bool) string {
	if plain {
		return "disable"
	}
	return "verify-full"
}

// postgres sets what libpq reads (its documentation, "Environment Variables"): the name that the certificate and ~/.pgpass are compared
// with, and beside it the address to connect to.
func (c *Client) postgres(v *variables) {
	v.unset("PGSERVICE") // what a service says is preferred to variables
	v.set("PGHOST", c.access.Host.Host)
	v.set("PGHOSTADDR", c.at.Addr().String())
	v.set("PGPORT", strconv.Itoa(int(c.at.Port())))
	v.set("PGSSLMODE", sslMode(c.access.Plain))
	if c.roots != "" {
		v.set("PGSSLROOTCERT", c.roots)
		v.set("PGGSSENCMODE", "disable") // which would take the place of TLS
	}
	v.fill("PGUSER", c.access.User)
	v.fill("PGDATABASE", c.access.Database)
	v.fill("PGPASSWORD", c.access.Token)
	v.fill("PSQLRC", c.rc)
}

// mysql sets what MySQL's and MariaDB's programs read, and what many others do: the first know no variables for user and TLS.
func (c *Client) mysql(v *variables) {
	v.set("MYSQL_HOST", c.at.Addr().String())
	v.set("MYSQL_TCP_PORT", strconv.Itoa(int(c.at.Port())))
	v.fill("MYSQL_USER", c.access.User)
	v.fill("MYSQL_DATABASE", c.access.Database)
	if c.access.Token != "" {
		v.set("MYSQL_PWD", c.access.Token)
		v.set("LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN", "1") // tokens are sent as they are, in TLS
	}
}

// redis sets what its programs read: nothing but the password, which is the user's own.
func (c *Client) redis(v *variables) {
	if c.access.URL {
		v.set("REDIS_URL", c.url(c.access.Token))
	}
}

// sqlServer sets what sqlcmd reads, and where OpenSSL and Go look for authorities.
func (c *Client) sqlServer(v *variables) {
	v.set("SQLCMDSERVER", "tcp:"+c.at.Addr().String()+","+strconv.Itoa(int(c.at.Port())))
	v.fill("SQLCMDUSER", c.access.User)
	v.fill("SQLCMDDBNAME", c.access.Database)
	v.fill("SSL_CERT_FILE", c.roots)
}
