package aws

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"culvert/internal/say"
)

// Bounds of what is read of an environment. ECS takes 64 kB for a whole task definition.
const (
	maxMentions    = 200
	maxValueRead   = 8 << 10
	maxHostsOfList = 32 // hosts in one list, such as Kafka's brokers
)

// mentions are the hosts that the environment of a container names, in the order of its variables; of several mentions of one
// address it is the first. Only hosts and ports are taken out of the values: a value may hold a password.
func mentions(environment []envVariable) []Mention {
	var found []Mention
	for _, v := range environment {
		if len(v.value) > maxValueRead || strings.TrimSpace(v.value) == "" {
			continue
		}
		for _, m := range read(v.name, strings.TrimSpace(v.value), environment) {
			m.Variable = v.name
			same := slices.IndexFunc(found, func(other Mention) bool { return other.Host == m.Host && other.Port == m.Port })
			if same < 0 && len(found) < maxMentions {
				found = append(found, m)
			}
		}
	}
	return found
}

// mentionsOf are the hosts that a container's environment names, and the variables that would name hosts, but whose values are
// secrets.
func mentionsOf(c types.ContainerDefinition) (found []Mention, unread []SecretRef) {
	var environment []envVariable
	for _, v := range c.Environment {
		environment = append(environment, envVariable{sdk.ToString(v.Name), sdk.ToString(v.Value)})
	}
	for _, s := range c.Secrets {
		if name := sdk.ToString(s.Name); namesHost(name) && len(unread) < maxListed {
			unread = append(unread, SecretRef{Variable: say.Brief(name), Secret: say.Brief(secretOf(sdk.ToString(s.ValueFrom)))})
		}
	}
	found = mentions(environment)
	for i := range found {
		found[i].Variable = say.Brief(found[i].Variable)
	}
	return found, unread
}

// namesHost reports whether the name of a variable suggests that its value names a host, alone or in a URL.
func namesHost(name string) bool {
	upper := strings.ToUpper(name)
	return slices.ContainsFunc(append([]string{"DSN", "CONNECTION_STRING", "CONNECTIONSTRING", "JDBC"}, hostEndings...), func(ending string) bool {
		return strings.HasSuffix(upper, ending)
	})
}

// secretOf is the name of a secret or parameter, from the ARN or name of it in a task definition. Secrets Manager adds a hyphen
// and six characters to the name in an ARN, which a key, stage and version may follow (Amazon ECS Developer Guide, "Pass
// Secrets Manager secrets through Amazon ECS environment variables").
func secretOf(from string) string {
	parts := strings.SplitN(from, ":", 8)
	if len(parts) < 6 || parts[0] != "arn" {
		return from
	}
	if parts[2] == "ssm" {
		return strings.TrimPrefix(parts[5], "parameter")
	}
	if len(parts) < 7 {
		return from
	}
	name := parts[6]
	if i := len(name) - 7; i > 0 && name[i] == '-' {
		name = name[:i]
	}
	return name
}

// envVariable is a variable of an environment.
type envVariable struct{ name, value string }

// read finds the hosts in one value. It may be a URL, a driver's own form of one, words with their values, a list of host:port,
// or a host alone whose port is in another variable.
func read(name, value string, others []envVariable) []Mention {
	if found, ok := readURL(value); ok {
		return found
	}
	if found := readDriver(value); found != nil {
		return found
	}
	if found := readPairs(value, kindOfName(name)); found != nil {
		return found
	}
	if found := readList(name, value); found != nil {
		return found
	}
	return readHost(name, value, others)
}

// schemes say what answers at a URL. Behind tls:// and tcp:// only the port tells.
//
//nolint:gochecknoglobals // a table
var schemes = map[string]HostKind{
	"postgres": KindPostgres, "postgresql": KindPostgres, "pgsql": KindPostgres, "postgis": KindPostgres, "cockroachdb": KindPostgres,
	"mysql": KindMySQL, "mysql2": KindMySQL, "mariadb": KindMySQL, "aurora": KindMySQL,
	"sqlserver": KindSQLServer, "mssql": KindSQLServer, "jtds": KindSQLServer, "oracle": KindOracle, "db2": KindDB2,
	"redshift": KindRedshift, "mongodb": KindMongo, "cassandra": KindCassandra, "clickhouse": KindClickHouse, "ch": KindClickHouse,
	"redis": KindRedis, "rediss": KindRedis, "valkey": KindRedis, "valkeys": KindRedis, "memcached": KindMemcached, "memcache": KindMemcached,
	"kafka": KindKafka, "plaintext": KindKafka, "sasl_ssl": KindKafka, "sasl_plaintext": KindKafka, "ssl": KindKafka,
	"amqp": KindAMQP, "amqps": KindAMQP, "mqtt": KindMQTT, "mqtts": KindMQTT, "nats": KindNATS,
	"opensearch": KindSearch, "elasticsearch": KindSearch, "ldap": KindLDAP, "ldaps": KindLDAP, "smtp": KindSMTP, "smtps": KindSMTP,
	"ssh": KindSSH, "sftp": KindSSH, "grpc": KindGRPC, "grpcs": KindGRPC, "http": KindHTTP, "https": KindHTTPS, "ws": KindHTTP, "wss": KindHTTPS,
	"tcp": KindUnknown, "tls": KindUnknown, "stomp": KindUnknown, "stomp+ssl": KindUnknown,
}

// schemePorts are the ports of schemes that have another usual port than their kind.
//
//nolint:gochecknoglobals // a table
var schemePorts = map[string]uint16{"amqps": 5671, "mqtts": 8883, "ldaps": 636, "smtps": 465, "grpcs": 443, "sasl_ssl": 9096, "ssl": 9094}

// readURL reads SCHEME://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…][/…], also with the prefixes of JDBC and SQLAlchemy. isURL
// reports whether the value is a URL at all, even if it names no host: then no part of it may be taken for a name.
func readURL(value string) (found []Mention, isURL bool) {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok {
		return nil, false
	}
	if strings.Count(value, "://") > 1 && strings.Contains(value, ",") { // PLAINTEXT://a:9092,PLAINTEXT://b:9092
		for one := range strings.SplitSeq(value, ",") {
			if strings.Count(one, "://") == 1 && len(found) < maxHostsOfList {
				more, _ := readURL(strings.TrimSpace(one))
				found = append(found, more...)
			}
		}
		return found, true
	}
	scheme = strings.ToLower(scheme)
	scheme = strings.TrimPrefix(scheme, "jdbc:")
	if i := strings.LastIndexByte(scheme, ':'); i >= 0 { // jdbc:aws-wrapper:postgresql, jdbc:otel:mysql
		scheme = scheme[i+1:]
	}
	first, driver, _ := strings.Cut(scheme, "+") // postgresql+asyncpg, redis+sentinel
	if scheme == "mongodb+srv" || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-._") != "" || driver == "unix" {
		return nil, true // an SRV record names the hosts
	}
	kind, known := schemes[scheme]
	if !known {
		if kind, known = schemes[first]; !known {
			return nil, true
		}
	}
	hosts := rest
	if end := strings.IndexAny(hosts, "/?;# \t\"'"); end >= 0 {
		hosts = hosts[:end]
	}
	if at := strings.LastIndexByte(rest, '@'); at >= len(hosts) && strings.Contains(hosts, ":") && !strings.ContainsAny(rest[:at], "?#") {
		// A password has an unescaped slash: what follows the last @ is the host, if it can be one.
		hosts = rest[at:]
		if end := strings.IndexAny(hosts, "/?;#"); end >= 0 {
			hosts = hosts[:end]
		}
	}
	hosts = hosts[strings.LastIndexByte(hosts, '@')+1:]
	port := schemePorts[scheme]
	if port == 0 {
		port = kind.usualPort()
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if m, ok := mentioned(host, port); ok && len(found) < maxHostsOfList {
			if m.Kind = kind; kind == KindUnknown {
				m.Kind = kindOfPort(m.Port)
			}
			found = append(found, m)
		}
	}
	return found, true
}

// readDriver reads connection strings of drivers that are no URLs: those of Go's MySQL driver, and those of Oracle's JDBC
// driver.
//
//	user:password@tcp(host:3306)/name
//	jdbc:oracle:thin:[user/password]@[//]host:1521[:/]name
func readDriver(value string) []Mention {
	if before, rest, ok := strings.Cut(value, "@tcp("); ok && !strings.ContainsAny(before, " \t") {
		inner, _, closed := strings.Cut(rest, ")")
		if m, ok := mentioned(inner, KindMySQL.usualPort()); ok && closed {
			m.Kind = KindMySQL
			return []Mention{m}
		}
		return nil
	}
	lower := strings.ToLower(value)
	if rest, ok := strings.CutPrefix(lower, "jdbc:oracle:"); ok {
		_, rest, ok = cutLast(rest, "@")
		if !ok {
			return nil
		}
		rest = strings.TrimPrefix(rest, "//")
		if end := strings.IndexAny(rest, "/?"); end >= 0 {
			rest = rest[:end]
		}
		if parts := strings.Split(rest, ":"); len(parts) > 2 { // host:port:SID
			rest = parts[0] + ":" + parts[1]
		}
		if m, ok := mentioned(rest, KindOracle.usualPort()); ok {
			m.Kind = KindOracle
			return []Mention{m}
		}
	}
	return nil
}

// cutLast is strings.Cut at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// readPairs reads words with their values: those of libpq, with blanks between them, those of ADO.NET and ODBC, with
// semicolons, and StackExchange.Redis's list of hosts with options.
//
//	host=db.internal port=5432 dbname=orders
//	Server=tcp:db.internal,1433;Database=orders
//	cache.internal:6379,password=…,ssl=True
func readPairs(value string, kind HostKind) []Mention {
	if !strings.Contains(value, "=") {
		return nil
	}
	separator := " "
	if strings.Contains(value, ";") {
		separator = ";"
	} else if strings.Contains(value, ",") && !strings.Contains(value, " ") {
		separator = ","
	}
	words := map[string]string{}
	var bare []string
	for part := range strings.SplitSeq(value, separator) {
		word, of, ok := strings.Cut(part, "=")
		if !ok {
			bare = append(bare, strings.TrimSpace(part))
			continue
		}
		word = strings.ToLower(strings.TrimSpace(word))
		if _, twice := words[word]; !twice {
			words[word] = strings.Trim(strings.TrimSpace(of), `'"`)
		}
	}
	if separator == "," { // hosts, then options
		var found []Mention
		for _, host := range bare {
			if m, ok := mentioned(host, KindRedis.usualPort()); ok && len(found) < maxHostsOfList {
				m.Kind = orKind(kind, kindOfPort(m.Port))
				found = append(found, m)
			}
		}
		return found
	}
	var at string
	for _, word := range []string{"host", "hostaddr", "server", "data source", "address", "addr", "network address", "hostname"} {
		if at = words[word]; at != "" {
			break
		}
	}
	at = strings.TrimPrefix(strings.TrimPrefix(at, "tcp:"), "np:")
	at, _, _ = strings.Cut(at, `\`) // the rest is SQL Server's name of an instance
	host, port, _ := strings.Cut(at, ",")
	switch {
	case port != "": // SQL Server writes host,port
		host += ":" + strings.TrimSpace(port)
		kind = orKind(KindSQLServer, kind)
	case words["port"] != "" && host != "":
		host = joined(host, words["port"])
	}
	if kind == KindUnknown {
		switch {
		case words["dbname"] != "" || words["sslmode"] != "":
			kind = KindPostgres
		case words["initial catalog"] != "" || words["data source"] != "":
			kind = KindSQLServer
		}
	}
	m, ok := mentioned(host, kind.usualPort())
	if !ok {
		return nil
	}
	m.Kind = orKind(kind, kindOfPort(m.Port))
	return []Mention{m}
}

// readList reads one or more host:port, with commas, semicolons or blanks between them. It is no such list unless each has a
// port.
func readList(name, value string) []Mention {
	var found []Mention
	for _, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		m, ok := mentioned(part, 0)
		if !ok || m.Port == 0 || !plausible(m.Host, name) {
			return nil
		}
		m.Kind = orKind(kindOfName(name), kindOfPort(m.Port))
		if len(found) < maxHostsOfList {
			found = append(found, m)
		}
	}
	return found
}

// hostEndings are how the names of variables end that hold a host; portEndings are those of the variable with its port. Of several
// port variables the last ending counts: TCP_PORT says of which protocol the port is, and sessions carry TCP alone, while PORT
// beside it may be that of HTTP, as with ClickHouse.
//
//nolint:gochecknoglobals // tables
var (
	hostEndings = []string{"HOST", "HOSTNAME", "HOSTADDR", "ENDPOINT", "ADDR", "ADDRESS", "SERVER", "SERVERS", "BROKERS", "NODES", "URL", "URI", "DOMAIN"}
	portEndings = []string{"PORT", "TCP_PORT"}
)

// readHost reads one or several hosts without ports, from a variable whose name says that it holds a host. The port is in
// another variable of the same prefix, or is the usual one. Of variables whose names differ in case alone the last one counts.
func readHost(name, value string, others []envVariable) []Mention {
	upper := strings.ToUpper(name)
	prefix, says := "", false
	for _, ending := range hostEndings {
		if before, ok := strings.CutSuffix(upper, ending); ok && (before == "" || before[len(before)-1] == '_' || before == "PG" || ending == "HOST") {
			prefix, says = before, true
			break
		}
	}
	if !says {
		return nil
	}
	kind := kindOfName(name)
	port := kind.usualPort()
	for _, ending := range portEndings {
		for _, other := range others {
			if strings.ToUpper(other.name) != prefix+ending {
				continue
			}
			if n, err := strconv.ParseUint(strings.TrimSpace(other.value), 10, 16); err == nil && n > 0 {
				port = uint16(n)
			}
		}
	}
	var found []Mention
	for _, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }) {
		m, ok := mentioned(part, port)
		if !ok || !plausible(m.Host, name) {
			return nil
		}
		m.Kind = orKind(kind, kindOfPort(m.Port))
		if len(found) < maxHostsOfList {
			found = append(found, m)
		}
	}
	return found
}

// plausible reports whether a word is meant as a host. A word without a dot may be anything, unless the name of the variable
// says that it holds a host.
func plausible(host, variable string) bool {
	if strings.Contains(host, ".") || strings.Contains(host, ":") {
		return true
	}
	upper := strings.ToUpper(variable)
	for _, ending := range []string{"HOST", "HOSTNAME", "ENDPOINT", "ADDR", "ADDRESS", "SERVER", "SERVERS", "BROKERS", "NODES"} {
		if strings.HasSuffix(upper, ending) {
			return true
		}
	}
	return false
}

// kindOfName is the kind of host that the name of a variable suggests.
func kindOfName(name string) HostKind {
	upper := strings.ToUpper(name)
	if strings.HasPrefix(upper, "PGHOST") {
		return KindPostgres
	}
	for _, k := range []struct {
		word string
		kind HostKind
	}{
		{"POSTGRES", KindPostgres}, {"MYSQL", KindMySQL}, {"MARIADB", KindMySQL}, {"MSSQL", KindSQLServer}, {"SQLSERVER", KindSQLServer},
		{"ORACLE", KindOracle}, {"REDSHIFT", KindRedshift}, {"MONGO", KindMongo}, {"DOCUMENTDB", KindMongo}, {"DOCDB", KindMongo},
		{"CASSANDRA", KindCassandra}, {"CLICKHOUSE", KindClickHouse}, {"REDIS", KindRedis}, {"VALKEY", KindRedis}, {"MEMCACHE", KindMemcached},
		{"KAFKA", KindKafka}, {"RABBIT", KindAMQP}, {"AMQP", KindAMQP}, {"MQTT", KindMQTT}, {"NATS", KindNATS}, {"OPENSEARCH", KindSearch},
		{"ELASTIC", KindSearch}, {"LDAP", KindLDAP}, {"SMTP", KindSMTP}, {"BOOTSTRAP_SERVERS", KindKafka},
	} {
		if strings.Contains(upper, k.word) {
			return k.kind
		}
	}
	return KindUnknown
}

func orKind(kind, other HostKind) HostKind {
	if kind != KindUnknown {
		return kind
	}
	return other
}

// joined is host:port; a host that has a port already keeps it.
func joined(host, port string) string {
	if strings.Count(host, ":") == 1 || strings.HasPrefix(host, "[") {
		return host
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]:" + port
	}
	return host + ":" + port
}

// mentioned reads HOST or HOST:PORT, with IPv6 addresses in brackets or alone. usual is the port when none is written.
func mentioned(s string, usual uint16) (Mention, bool) {
	s = strings.TrimSpace(s)
	host, port := s, usual
	if _, err := netip.ParseAddr(s); err != nil {
		if before, digits, ok := cutLast(s, ":"); ok {
			n, err := strconv.ParseUint(digits, 10, 16)
			if err != nil || n == 0 || strings.Contains(before, ":") && !strings.HasPrefix(before, "[") {
				return Mention{}, false
			}
			host, port = before, uint16(n)
		}
	}
	if host = cleanHost(host); host == "" {
		return Mention{}, false
	}
	return Mention{Host: host, Port: port}, true
}
