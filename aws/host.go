package aws

import (
	"net/netip"
	"strconv"
	"strings"
)

// HostKind is what answers at a host and port, as far as its name, its port or AWS tells.
type HostKind string

// The kinds of hosts. KindUnknown means that only the address is known.
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

// usualPort is the port at which a kind answers by default; 0 when it has none.
func (k HostKind) usualPort() uint16 { return usualPorts[k] }

// usualPorts are the ports of the IANA registry, or of the programs' documentation for those that have none there.
//
//nolint:gochecknoglobals // a table
var usualPorts = map[HostKind]uint16{
	KindPostgres: 5432, KindMySQL: 3306, KindSQLServer: 1433, KindOracle: 1521, KindDB2: 50000, KindRedshift: 5439,
	KindMongo: 27017, KindCassandra: 9042, KindClickHouse: 9000, KindRedis: 6379, KindMemcached: 11211, KindKafka: 9092,
	KindAMQP: 5672, KindMQTT: 1883, KindNATS: 4222, KindLDAP: 389, KindSMTP: 25, KindSSH: 22, KindHTTP: 80, KindHTTPS: 443,
}

// kindOfPort is the kind of host that usually answers at a port.
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

// Mention is a host and port that a task definition names.
type Mention struct {
	Host string // a name in lower case without a final dot, or an IP address
	Port uint16 // 0 when it is neither named nor known from the kind
	Kind HostKind
	// Variable is the name of the environment variable that names the host. Nothing else of its value is kept.
	Variable string
}

// Address is host:port, or the host alone when the port is not known.
func (m Mention) Address() string {
	if m.Port == 0 {
		return m.Host
	}
	if strings.Contains(m.Host, ":") {
		return "[" + m.Host + "]:" + strconv.Itoa(int(m.Port))
	}
	return m.Host + ":" + strconv.Itoa(int(m.Port))
}

// cleanHost returns a host in the form in which it is kept. It returns "" for a host that a task cannot mean as a destination:
// the task itself, a link-local or multicast address, and what cannot be the name of a host.
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

// isHostName reports whether s can be the name of a host (RFC 1123 2.1, and underscores, which Docker and Cloud Map allow). A
// name of digits and dots alone is a wrong address.
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
	Name   string // what people call it: the identifier of the database or broker, the host in a variable
	Role   string // writer, reader, instance, proxy, primary, configuration, node, broker, listener, …; empty when a name has one host
	Host   string
	Port   uint16 // 0 when it is not known
	Source string // what names it: rds, elasticache, …; "environment" of a task definition
	ARN    string // of the resource in the account; empty when it has none, or when only a task definition names the host
	// VPC, Subnets and Groups are those of its network interfaces; empty when they are not known.
	VPC             string
	Subnets, Groups []string
	IAM             bool      // it takes tokens signed with AWS credentials as passwords
	Mentions        []NamedBy // variables that name it
}

// NamedBy is a variable of a container that names a host.
type NamedBy struct {
	Cluster, Service, Family, Container, Variable string
	Secret                                        string // the secret that holds the variable's value, and so the host; empty when the host is known
}

// Address is host:port, or the host alone when the port is not known.
func (h Host) Address() string { return Mention{Host: h.Host, Port: h.Port}.Address() }
