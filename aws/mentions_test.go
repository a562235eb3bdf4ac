package aws

import (
	"slices"
	"strings"
	"testing"
)

func TestMentionsAreHostsAndPortsAlone(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        []string // KIND HOST:PORT
		beside      []string // other variables, NAME=value
	}{
		{name: "DATABASE_URL", value: "postgres://orders:s3cret@orders-db.internal:5432/orders?sslmode=require", want: []string{"postgres orders-db.internal:5432"}},
		{name: "DATABASE_URL", value: "postgresql://u:p@db.internal/orders", want: []string{"postgres db.internal:5432"}},
		{name: "DATABASE_URL", value: "postgresql+asyncpg://u:p%40@db.internal:6432/x", want: []string{"postgres db.internal:6432"}},
		{name: "DATABASE_URL", value: "mysql2://root:a/b@c@db.internal:3307/shop", want: []string{"mysql db.internal:3307"}},
		{name: "DB", value: "mongodb://u:p@a.internal:27017,b.internal:27018/?replicaSet=rs0", want: []string{"mongodb a.internal:27017", "mongodb b.internal:27018"}},
		{name: "MONGO_URL", value: "mongodb+srv://u:p@cluster0.abc.mongodb.net/db"},
		{name: "SPRING_DATASOURCE_URL", value: "jdbc:postgresql://db.internal/orders?user=a&password=b", want: []string{"postgres db.internal:5432"}},
		{name: "JDBC", value: "jdbc:aws-wrapper:mysql://db.internal:3306/x", want: []string{"mysql db.internal:3306"}},
		{name: "JDBC", value: "jdbc:sqlserver://sql.corp.example:1433;databaseName=x;user=sa;password=y", want: []string{"sqlserver sql.corp.example:1433"}},
		{name: "JDBC", value: "jdbc:oracle:thin:scott/tiger@ora.internal:1521:ORCL", want: []string{"oracle ora.internal:1521"}},
		{name: "JDBC", value: "jdbc:oracle:thin:@//ora.internal:1522/svc", want: []string{"oracle ora.internal:1522"}},
		{name: "DSN", value: "user:pa:ss@tcp(db.internal:3306)/shop?parseTime=true", want: []string{"mysql db.internal:3306"}},
		{name: "DSN", value: "host=db.internal port=6543 user=u password=p dbname=x", want: []string{"postgres db.internal:6543"}},
		{name: "ConnectionStrings__Default", value: "Server=tcp:sql.internal,1444;Database=x;User Id=sa;Password=y", want: []string{"sqlserver sql.internal:1444"}},
		{name: "ConnectionStrings__Default", value: `Data Source=sql.internal\SQLEXPRESS;Initial Catalog=x;Password=y`, want: []string{"sqlserver sql.internal:1433"}},
		{name: "ConnectionStrings__Pg", value: "Host=pg.internal;Port=5433;Database=x;Username=u;Password=p;SslMode=Require", want: []string{"postgres pg.internal:5433"}},
		{name: "REDIS_CONNECTION", value: "cache.internal:6380,password=abc,ssl=True,abortConnect=False", want: []string{"redis cache.internal:6380"}},
		{name: "REDIS_URL", value: "rediss://:secret@master.cache.x1.euw1.cache.amazonaws.com:6379/0", want: []string{"redis master.cache.x1.euw1.cache.amazonaws.com:6379"}},
		{name: "REDIS_HOST", value: "cache.internal", beside: []string{"REDIS_PORT=6390"}, want: []string{"redis cache.internal:6390"}},
		{name: "REDIS_HOST", value: "cache", want: []string{"redis cache:6379"}},
		{name: "DB_HOST", value: "db.internal", beside: []string{"DB_PORT=5432"}, want: []string{"postgres db.internal:5432"}},
		{name: "DB_HOST", value: "db.internal", want: []string{" db.internal"}},
		{name: "PGHOST", value: "pg.internal", beside: []string{"PGPORT=6000"}, want: []string{"postgres pg.internal:6000"}},
		{name: "KAFKA_BROKERS", value: "b-1.kafka.internal:9092,b-2.kafka.internal:9092", want: []string{"kafka b-1.kafka.internal:9092", "kafka b-2.kafka.internal:9092"}},
		{name: "KAFKA_BROKERS", value: "SASL_SSL://b-1.k:9096,SASL_SSL://b-2.k:9096", want: []string{"kafka b-1.k:9096", "kafka b-2.k:9096"}},
		{name: "RABBITMQ_URL", value: "amqps://u:p@mq.internal/vhost", want: []string{"amqp mq.internal:5671"}},
		{name: "ORDERS_URL", value: "http://orders.internal/", want: []string{"http orders.internal:80"}},
		{name: "BILLING", value: "https://billing.internal", want: []string{"https billing.internal:443"}},
		{name: "UPSTREAM", value: "[fd12::5]:8080", want: []string{"http [fd12::5]:8080"}},
		{name: "UPSTREAM", value: "10.0.3.7:9000", want: []string{"clickhouse 10.0.3.7:9000"}},
		{name: "MEMCACHED_ENDPOINT", value: "mc.abc.cfg.euw1.cache.amazonaws.com:11211", want: []string{"memcached mc.abc.cfg.euw1.cache.amazonaws.com:11211"}},

		{name: "REDIS_URL", value: "redis://localhost:6379"},
		{name: "DB_HOST", value: "127.0.0.1"},
		{name: "ECS_METADATA", value: "http://169.254.170.2/v4"},
		{name: "IMAGE", value: "nginx:1.27"},
		{name: "IMAGE", value: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/app:42"},
		{name: "TZ", value: "UTC"},
		{name: "VERSION", value: "1.2.3"},
		{name: "CRON", value: "10:30"},
		{name: "RANGE", value: "1.2.3.4.5:80"},
		{name: "GREETING", value: "hello: world"},
		{name: "SECRET", value: "user:12345"},
		{name: "ARN", value: "arn:aws:sqs:eu-west-1:111122223333:queue"},
		{name: "URL", value: "unix:///run/x.sock"},
		{name: "URL", value: "https://"},
		{name: "HOST", value: "${DB_HOST}"},
		{name: "HOST", value: "a b/c"},
		{name: "JSON", value: `{"host":"db.internal"}`},
	} {
		environment := []envVariable{{c.name, c.value}}
		for _, pair := range c.beside {
			name, value, _ := strings.Cut(pair, "=")
			environment = append(environment, envVariable{name, value})
		}
		var got []string
		for _, m := range mentions(environment) {
			got = append(got, string(m.Kind)+" "+m.Address())
			if m.Variable != c.name {
				t.Errorf("%s=%s: got %s from %s", c.name, c.value, m.Address(), m.Variable)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s=%s: got %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

// Which of several port variables counts does not depend on chance.
func TestTheMoreExplicitPortVariableCounts(t *testing.T) {
	host := envVariable{"CLICKHOUSE_HOST", "ch.internal"}
	for _, c := range []struct {
		environment []envVariable
		want        uint16
	}{
		{[]envVariable{host, {"CLICKHOUSE_PORT", "8123"}, {"CLICKHOUSE_TCP_PORT", "9001"}}, 9001},
		{[]envVariable{{"CLICKHOUSE_TCP_PORT", "9001"}, {"CLICKHOUSE_PORT", "8123"}, host}, 9001},
		{[]envVariable{host, {"CLICKHOUSE_PORT", "8123"}, {"CLICKHOUSE_TCP_PORT", "none"}}, 8123},
		{[]envVariable{host, {"CLICKHOUSE_PORT", "8123"}, {"clickhouse_port", "8124"}}, 8124},
	} {
		for range 20 {
			if got := mentions(c.environment); len(got) != 1 || got[0].Port != c.want {
				t.Fatalf("%v: got %+v, want port %d", c.environment, got, c.want)
			}
		}
	}
}

func FuzzMentionsKeepNoSecret(f *testing.F) {
	f.Add("DATABASE_URL", "postgres://u:", "@db.internal:5432/x")
	f.Add("DSN", "host=a.internal password=", " port=5432")
	f.Add("C", "Server=a.b,1433;Password=", ";")
	f.Fuzz(func(t *testing.T, name, before, after string) {
		const secret = "s3cr3t/hunter2"
		for _, m := range mentions([]envVariable{{name, before + secret + after}}) {
			if strings.Contains(m.Host, "hunter2") || m.Host != cleanHost(m.Host) {
				t.Errorf("%s=%s…%s: got %q", name, before, after, m.Host)
			}
		}
	})
}
