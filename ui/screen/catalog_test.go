package screen

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"culvert/aws"
)

const account = "111122223333"

// ready is a task of a service that can carry a tunnel, with a container for each name.
func readyTask(cluster, service string, n int, containers ...string) aws.Task {
	id := fmt.Sprintf("%08x%024x", n*2654435761%(1<<32), n)
	t := aws.Task{
		ID: id, ARN: "arn:aws:ecs:eu-west-1:" + account + ":task/" + cluster + "/" + id, Cluster: cluster, Service: service,
		Status: "RUNNING", DesiredStatus: "RUNNING", Health: "HEALTHY", Connectivity: "CONNECTED", LaunchType: "FARGATE",
		PlatformVersion: "1.4.0", Platform: "Linux", ExecEnabled: true, Deployment: "ecs-svc/1",
		TaskDefinition: "arn:aws:ecs:eu-west-1:" + account + ":task-definition/" + service + ":12",
		StartedAt:      start().Add(-time.Duration(n+1) * time.Hour),
		Subnet:         "subnet-0a1b2c3d4e5f60718", Address: fmt.Sprintf("10.20.0.%d", 10+n%200),
	}
	for i, name := range containers {
		t.Containers = append(t.Containers, aws.Container{
			Name: name, Image: account + ".dkr.ecr.eu-west-1.amazonaws.com/" + name + ":1.4", RuntimeID: id + "-" + fmt.Sprint(1000+i), Status: "RUNNING", Health: "HEALTHY",
			Agent: aws.Agent{Status: "RUNNING", StartedAt: t.StartedAt.Add(20 * time.Second)},
			Ports: []aws.Port{{Container: uint16(3128 + i), Protocol: "tcp"}},
		})
	}
	return t
}

func service(cluster, name string, tasks int) aws.Service {
	return aws.Service{
		Name: name, Cluster: cluster, Status: "ACTIVE", Desired: tasks, Running: tasks, ExecEnabled: true, LaunchType: "FARGATE",
		TaskDefinition: "arn:aws:ecs:eu-west-1:" + account + ":task-definition/" + name + ":12", Deployment: "ecs-svc/1",
		Deployments: []aws.Deployment{{
			Status: "PRIMARY", TaskDefinition: "arn:aws:ecs:eu-west-1:" + account + ":task-definition/" + name + ":12",
			Desired: tasks, Running: tasks, Rollout: "COMPLETED", CreatedAt: start().Add(-26 * time.Hour),
		}},
		Network: aws.Interfaces{Subnets: []string{"subnet-0a1b2c3d4e5f60718"}, Groups: []string{"sg-0e1f203142536475a"}},
		Events:  []aws.Event{{At: start().Add(-time.Hour), Text: "(service " + name + ") has reached a steady state."}},
	}
}

// sampleAccount is an account with one of everything that can happen to a task.
func sampleAccount() *aws.Catalog {
	squid := service("automation", "squid", 2)
	reports := service("automation", "reports", 1)
	reports.ExecEnabled = false
	batch := service("automation", "batch", 4)
	batch.Running, batch.Pending, batch.Deploying = 3, 1, true
	idle := service("automation", "idle", 0)

	off := readyTask("automation", "reports", 3, "reports")
	off.ExecEnabled = false
	starting := readyTask("automation", "batch", 4, "batch")
	starting.Containers[0].Agent = aws.Agent{Status: "PENDING"}
	dead := readyTask("automation", "batch", 5, "batch")
	dead.Containers[0].Agent = aws.Agent{Status: "STOPPED", Reason: "ExecuteCommandAgent process exited with exit code: 1"}
	dead.LaunchType, dead.CapacityProvider = "FARGATE", "FARGATE_SPOT"
	leaving := readyTask("automation", "batch", 6, "batch")
	leaving.DesiredStatus, leaving.StoppedReason, leaving.Health = "STOPPED", "Your Spot Task was interrupted.", "UNHEALTHY"
	coming := readyTask("automation", "batch", 7, "batch")
	coming.Status, coming.StartedAt, coming.Health = "PENDING", time.Time{}, "UNKNOWN"
	loose := readyTask("automation", "", 8, "etl")

	return &aws.Catalog{
		Taken: start(),
		Clusters: []aws.Cluster{
			{
				Name: "automation", ARN: "arn:aws:ecs:eu-west-1:" + account + ":cluster/automation", Status: "ACTIVE",
				Services: []aws.Service{batch, idle, reports, squid},
				Tasks: []aws.Task{
					readyTask("automation", "squid", 1, "squid"), readyTask("automation", "squid", 2, "squid"), off, starting, dead, leaving, coming, loose,
				},
			},
			{Name: "empty", ARN: "arn:aws:ecs:eu-west-1:" + account + ":cluster/empty", Status: "ACTIVE"},
			{
				Name: "shop", ARN: "arn:aws:ecs:eu-west-1:" + account + ":cluster/shop", Status: "ACTIVE",
				Services: []aws.Service{service("shop", "web", 1)},
				Tasks:    []aws.Task{readyTask("shop", "web", 20, "nginx", "app", "otel")},
			},
		},
	}
}

// crowd is one service with many tasks.
func crowd(tasks int) *aws.Catalog {
	k := aws.Cluster{Name: "shop", Status: "ACTIVE", Services: []aws.Service{service("shop", "web", tasks)}}
	for i := range tasks {
		k.Tasks = append(k.Tasks, readyTask("shop", "web", i, "web"))
	}
	return &aws.Catalog{Taken: start(), Clusters: []aws.Cluster{k}}
}

// counted has ECS count in its clusters what the catalog holds of them.
func counted(c *aws.Catalog) *aws.Catalog {
	for i := range c.Clusters {
		k := &c.Clusters[i]
		if k.Status == "" {
			continue
		}
		k.Counts = aws.Counts{Services: len(k.Services)}
		for _, t := range k.Tasks {
			if t.Status == "RUNNING" {
				k.Counts.Running++
			} else {
				k.Counts.Pending++
			}
		}
	}
	return c
}

// arrives lets a catalog be what a finished look has found.
func arrives(a *app, c *aws.Catalog) {
	a.here.seeing = looks{everything: a.now}
	a.here.catalog = counted(c)
	a.grant(refreshed(a.here))
}

// visiting is an interface on an account with this catalog.
func visiting(t *testing.T, c *aws.Catalog, w, h int) *app {
	t.Helper()
	a := newTestApp(t, Options{}, w, h)
	arrives(a, c)
	return a
}

// under is the row with the cursor.
func under(t *testing.T, a *app) string {
	t.Helper()
	for line := range strings.Lines(shot(a)) {
		if strings.Contains(line, a.theme.Glyph.Cursor) {
			return line
		}
	}
	t.Fatalf("no row has the cursor:\n%s", shot(a))
	return ""
}

// denied is a gap in what was found.
func denied(what, cluster string) error {
	return &aws.GapError{What: what, Clusters: []string{cluster}, Err: &aws.DeniedError{
		Action: "ecs:List" + strings.ToUpper(what[:1]) + what[1:], Principal: "arn:aws:sts::" + account + ":assumed-role/Developer/kim",
		Statement: aws.Statement{Effect: "Allow", Action: []string{"ecs:ListServices"}, Resource: []string{"*"}}, Err: errors.New("AccessDeniedException"),
	}}
}
