package emulator

import "time"

// Demo is the account of culvert --demo: region eu-west-1, three clusters, more than a hundred tasks, and the private network
// of cli.md ("The demo account").
func Demo() Fleet {
	return Fleet{
		VPC: true,
		Clusters: []Cluster{
			{Name: "automation", Services: automation()},
			{Name: "data", Services: dataServices(), Tasks: jobs()},
			{Name: "shop", Services: shopServices()},
		},
		Definitions: []Task{onDemand()},
		Inventory: Inventory{
			Databases: []Possession{{Name: "orders-db", Engine: "postgres", Host: "orders-db.internal", Port: 5432}},
			Caches:    []Possession{{Name: "sessions", Host: "sessions.internal", Port: 6379, Closed: true}},
			Balancers: []Possession{{Name: "web", Engine: "HTTP", Host: "web.internal", Port: 80}},
		},
		Plan: []Planned{{After: agentPatience, Do: func(e *Emulator) {
			for _, id := range e.Tasks("automation", "batch")[:1] {
				_ = e.SetAgent(id, "STOPPED", "unable to start ExecuteCommandAgent [pre-start]: could not find certs") // the task may be gone
			}
		}}},
	}
}

// Unbonded is Demo without its relay, for tests that count sessions: with a relay there are as many as the load needs.
func Unbonded() Fleet {
	f := Demo()
	squid := &f.Clusters[0].Services[0].Task
	squid.Containers = squid.Containers[:1]
	return f
}

// agentPatience is how long the agent of batch is PENDING before it gives up.
const agentPatience = 90 * time.Second

// one is a task with a single container.
func one(name, image string, ports map[uint16]string) Task {
	return Task{Containers: []Container{{Name: name, Image: image, Ports: ports, Health: "HEALTHY"}}}
}

func automation() []Service {
	squid := one("squid", "ubuntu/squid:5.2-22.04_beta", map[uint16]string{3128: Proxy})
	squid.Revision = 12
	squid.Containers[0].Environment = []string{"TZ=UTC", "SQUID_ACCESS_LOG=stdio:/dev/stdout"}
	squid.CPU, squid.Memory = "1024", "2048"
	squid.Containers = append(squid.Containers, bonding())
	reports := one("reports", "", map[uint16]string{8080: Web})
	reports.ExecOff = true
	batch := one("batch", "", map[uint16]string{9000: Web})
	batch.Containers[0].Agent = Agent{Status: "PENDING"}
	lost := one("batch", "", map[uint16]string{9000: Web})
	lost.Containers[0].Agent = Agent{Status: "STOPPED", Reason: "ExecuteCommandAgent process exited with exit code: 1"}
	batch.Age = 30 * time.Second
	return []Service{
		{Name: "squid", Count: 2, Task: squid, Steady: true},
		{Name: "reports", Count: 2, Task: reports, Steady: true},
		{Name: "batch", Count: 1, Task: batch, Tasks: []Task{lost}, Steady: true},
	}
}

// bonding is the container of the relay, as culvert's module puts it beside the proxy. Its root file system is read-only, so no
// exec agent starts in it.
func bonding() Container {
	return Container{
		Name: "culvert-relay", Image: "culvert", Command: []string{"relay", "--listen", "127.0.0.1:7300", "--to", "127.0.0.1:3128"},
		Ports: map[uint16]string{7300: Relay}, PortNames: map[uint16]string{7300: "culvert-relay"}, NonEssential: true, ReadonlyRootFS: true, Health: "HEALTHY",
		Agent: Agent{Status: "STOPPED"},
	}
}

// onDemand is the proxy of culvert's module as a task that is run for the time of a tunnel.
func onDemand() Task {
	task := one("squid", "ubuntu/squid:5.2-22.04_beta", map[uint16]string{3128: Proxy})
	task.Family = "culvert-squid"
	task.Containers[0].EntryPoint = []string{"/bin/sh", "-c"}
	task.Containers[0].Command = []string{"exec squid -N -f /tmp/culvert-squid/squid.conf"}
	return task
}

func shopServices() []Service {
	checkout := one("checkout", "", map[uint16]string{8080: Web})
	checkout.Revision = 41
	next := checkout
	next.Revision = 42
	web := Task{Revision: 7, CPU: "1024", Memory: "2048", Containers: []Container{
		{Name: "nginx", Image: "public.ecr.aws/nginx/nginx:1.27", Ports: map[uint16]string{80: Web}, Health: "HEALTHY"},
		{
			Name: "app", Ports: map[uint16]string{3000: Web}, Health: "HEALTHY",
			Environment: []string{"NODE_ENV=production", "ORDERS_URL=http://orders.internal/", "FEATURES=gabions,flaps"},
			Secrets:     []string{"DB_PASSWORD=arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/orders-db-Ab12Cd"},
			Command:     []string{"node", "server.js", "--port=3000", "--session-secret=not-for-your-eyes"},
		},
		{Name: "otel", Image: "public.ecr.aws/aws-observability/aws-otel-collector:v0.43.1", Ports: map[uint16]string{4317: ""}, UDP: []uint16{2000}, NonEssential: true},
	}}
	spot := one("recommend", "", map[uint16]string{8080: Web})
	spot.CapacityProvider = "FARGATE_SPOT"
	search := one("search", "", map[uint16]string{9200: Web})
	search.Launch = "EC2"
	later := one("cart", "", map[uint16]string{8080: Web})
	later.ExecOff = true
	reclaimed := spot
	reclaimed.Status, reclaimed.StoppedReason, reclaimed.StopCode = "STOPPED", "Your Spot Task was interrupted.", "SpotInterruption"
	return []Service{
		{Name: "web", Count: 24, Task: web},
		{Name: "checkout", Count: 4, Task: checkout, Rollout: &Rollout{Task: next, Running: 2, Pending: 1}, Desired: 6, Steady: true},
		{Name: "cart", Count: 8, Task: later, ExecLater: true},
		{Name: "search", Count: 6, Task: search},
		{Name: "recommend", Count: 12, Task: spot, Tasks: []Task{reclaimed}},
		{Name: "mail", Count: 4, Task: one("mail", "", map[uint16]string{8025: Web, 25: ""})},
	}
}

func dataServices() []Service {
	airflow := one("scheduler", "apache/airflow:2.10.3", map[uint16]string{8793: Web})
	airflow.Containers = append(airflow.Containers, Container{Name: "log-router", Image: "amazon/aws-for-fluent-bit:stable", NonEssential: true})
	kafka := one("connect", "confluentinc/cp-kafka-connect:7.8.0", map[uint16]string{8083: Web})
	kafka.CapacityProvider = "data-ec2"
	old := one("legacy", "", map[uint16]string{8080: Web})
	old.PlatformVersion = "1.3.0"
	old.Containers[0].Agent = Agent{Absent: true}
	sick := one("warehouse", "", map[uint16]string{8123: Web})
	sick.Containers[0].Health = "UNHEALTHY"
	db := one("pgbouncer", "bitnami/pgbouncer:1.23.1", map[uint16]string{6432: Postgres})
	return []Service{
		{Name: "airflow", Count: 3, Task: airflow},
		{Name: "connect", Count: 10, Task: kafka},
		{Name: "legacy", Count: 2, Task: old},
		{Name: "pgbouncer", Count: 3, Task: db},
		{Name: "stream", Count: 20, Task: one("stream", "", map[uint16]string{8080: Web})},
		{Name: "warehouse", Count: 5, Task: one("warehouse", "", map[uint16]string{8123: Web}), Tasks: []Task{sick}},
	}
}

// jobs are tasks that no service started, enough of them to make lists long.
func jobs() []Task {
	var all []Task
	for i := range 9 {
		t := one("etl", "", nil)
		t.Family, t.Revision = "etl-nightly", 1+i/5
		t.Age = time.Duration(5+i) * time.Minute
		if i == 8 {
			t.Status, t.StoppedReason = "STOPPED", "Essential container in task exited"
		}
		all = append(all, t)
	}
	noRole := one("migrate", "", nil)
	noRole.Family, noRole.NoRole = "migrate", true
	noRole.Containers[0].Agent = Agent{Status: "STOPPED", Reason: "unable to start ExecuteCommandAgent [create]: no credentials"}
	return append(all, noRole)
}
