package aws

import (
	"net/netip"
	"strconv"
	"strings"
)

// HostKind is what answers at a host and port, as far as its name, its port or AWS tells.
type HostKind string

// The kinds of hosts. KindUnknown is of one of which nothing but its address is known.
const (
	KindUnknown    HostKind = ""
	KindPostgres   HostKind = "postgres"
	KindMySQL      HostKind = "mysql"
	KindSQLServer  HostKind = "sqlserver"
	KindOracle     HostKind = "oracle"
	KindDB2        HostKind = "db2"
	KindRedshift   HostKind = "redshift"
	KindMongo      HostKind = "mongodb"
	KindCassandra  HostKind = "cassandra"
	KindClickHouse HostKind = "clickhouse"
	KindRedis      HostKind = "redis"
	KindMemcached  HostKind = "memcached"
	KindKafka      HostKind = "kafka"
	KindAMQP       HostKind = "amqp"
	KindMQTT       HostKind = "mqtt"
	KindNATS       HostKind = "nats"
	KindSearch     HostKind = "opensearch"
	KindLDAP       HostKind = "ldap"
	KindSMTP       HostKind = "smtp"
	KindSSH        HostKind = "ssh"
	KindGRPC       HostKind = "grpc"
	KindHTTP       HostKind = "http"
	KindHTTPS      HostKind = "https"
)

// usualPort is where a kind answers unless somebody says otherwise; 0 when there is no such port.
func (k HostKind) usualPort() uint16 { return usualPorts[k] }

// usualPorts are those of the IANA registry, and of the programs' own documentation where that has none.
//
//nolint:gochecknoglobals // a table
var usualPorts = map[HostKind]uint16{
	KindPostgres: 5432, KindMySQL: 3306, KindSQLServer: 1433, KindOracle: 1521, KindDB2: 50000, KindRedshift: 5439,
	KindMongo: 27017, KindCassandra: 9042, KindClickHouse: 9000, KindRedis: 6379, KindMemcached: 11211, KindKafka: 9092,
	KindAMQP: 5672, KindMQTT: 1883, KindNATS: 4222, KindLDAP: 389, KindSMTP: 25, KindSSH: 22, KindHTTP: 80, KindHTTPS: 443,
}

// kindOfPort is what usually answers at a port.
func kindOfPort(port uint16) HostKind {
	switch port {
	case 443, 8443:
		return KindHTTPS
	case 80, 8080, 8000, 3000:
		return KindHTTP
	case 5671:
		return KindAMQP
	case 9094, 9096, 9098:
		return KindKafka
	case 9200:
		return KindSearch
	case 8883:
		return KindMQTT
	case 636:
		return KindLDAP
	case 587, 465:
		return KindSMTP
	}
	for kind, usual := range usualPorts {
		if usual == port {
			return kind
		}
	}
	return KindUnknown
}

// Mention is a host and port that a task's own definition names.
type Mention struct {
	Host string // a name in lower case without a final dot, or an IP address
	Port uint16 // 0: it is not said, nor usual for the kind
	Kind HostKind
	// Variable is the name of the environment variable that names the host. Nothing else of its value is kept.
	Variable string
}

// Address is host:port, the host alone where the port is not known.
func (m Mention) Address() string {
	if m.Port == 0 {
		return m.Host
	}
	if strings.Contains(m.Host, ":") {
		return "[" + m.Host + "]:" + strconv.Itoa(int(m.Port))
	}
	return m.Host + ":" + strconv.Itoa(int(m.Port))
}

// cleanHost returns a host as it is kept, "" for what names none that a task could mean by it: this machine itself, a
// link-local address, a placeholder, or what no name may contain.
func cleanHost(host string) string {
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		if addr.Zone() != "" || addr.IsLoopback() || addr.IsUnspecified() || addr.IsLinkLocalUnicast() || addr.IsMulticast() {
			return ""
		}
		return addr.String()
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || !isHostName(host) {
		return ""
	}
	return host
}

// isHostName reports whether s can be the name of a host (RFC 1123 2.1, underscores as Docker and Cloud Map have them). One
// that is all digits and dots is an address that went wrong.
func isHostName(s string) bool {
	if s == "" || len(s) > 253 || strings.Trim(s, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// Host is a private destination: a host and port that tasks may reach.
type Host struct {
	Kind   HostKind
	Name   string // what people call it: the database's identifier, the broker's, the variable's host
	Role   string // of several of one name: writer, reader, instance, proxy, primary, configuration, node, broker, listener; else empty
	Host   string
	Port   uint16 // 0 when it is not known
	Source string // what says so: rds, elasticache, …; "environment" of a task definition
	ARN    string // of the thing in the account; empty where it has none, or a task definition alone names the host
	// Where it has its interfaces; empty when that is not known.
	VPC             string
	Subnets, Groups []string
	IAM             bool      // it takes tokens signed with AWS credentials for passwords
	Mentions        []NamedBy // by whose environment it is named
}

// NamedBy is a variable of a container that names a host.
type NamedBy struct {
	Cluster, Service, Family, Container, Variable string
	Secret                                        string // that holds the variable's value, and with it the host; empty where the host is known
}

// Address is host:port, the host alone where the port is not known.
func (h Host) Address() string { return Mention{Host: h.Host, Port: h.Port}.Address() }
