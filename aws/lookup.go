package aws

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"slices"
	"strings"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"culvert/internal/near"
)

// Lookup finds a container to which a session can be opened, with as few calls as the query allows: when a task is named
// nothing is listed, when a service is named only its tasks are. Without a task it chooses one of the ready tasks at random,
// preferring those that are HEALTHY and of the newest deployment. It does not wait: what is not ready yet is a *NotReadyError,
// which is Temporary when waiting may help. A name of another account, region or partition is an *ElsewhereError before
// anything is looked at.
func (c *Client) Lookup(ctx context.Context, q Query) (Target, error) {
	q, err := c.settle(ctx, q)
	if err != nil {
		return Target{}, err
	}
	return c.seek(ctx, q)
}

// settle parses a query, and checks that it is about this client's account and region.
func (c *Client) settle(ctx context.Context, q Query) (Query, error) {
	q, err := q.Parse()
	if err != nil {
		return q, err
	}
	return q, c.CheckHome(ctx, q.Home)
}

// seek is Lookup of a query that settle has returned.
func (c *Client) seek(ctx context.Context, q Query) (_ Target, err error) {
	defer func() { c.addShell(err) }()
	if q.Cluster == "" {
		if q, err = c.findCluster(ctx, q); err != nil {
			return Target{}, err
		}
	}
	tasks, err := c.tasks(ctx, q)
	if err != nil {
		return Target{}, err
	}
	ready, err := c.ready(ctx, q, tasks)
	if err != nil {
		return Target{}, err
	}
	if q.Service != "" && q.Task == "" {
		c.remember(q, ready)
	}
	chosen := ready[random(len(ready))]
	c.foundLast.keep(chosen.task)
	return chosen.target(q), nil
}

// findCluster adds the cluster to a query without one: the only cluster, else the only one that has the service, task or
// family.
func (c *Client) findCluster(ctx context.Context, q Query) (Query, error) {
	clusters, err := c.clusterNames(ctx)
	switch {
	case err != nil:
		return q, err
	case len(clusters) == 0:
		return q, &NotFoundError{Kind: "cluster", Name: "*", Region: c.region, Account: c.accountID()}
	case len(clusters) == 1:
		q.Cluster = clusters[0]
		return q, nil
	case q.Service == "" && q.Task == "" && q.Family == "":
		return q, &AmbiguousError{Kind: "cluster", Candidates: clusters}
	}
	var mu sync.Mutex
	var work sync.WaitGroup
	var homes, names []string
	var failures []error
	for _, cluster := range clusters {
		work.Go(func() {
			has, near, err := c.has(ctx, cluster, q)
			mu.Lock()
			defer mu.Unlock()
			if has {
				homes = append(homes, cluster)
			}
			if err != nil {
				failures = append(failures, err)
			}
			names = append(names, near...)
		})
	}
	work.Wait()
	slices.Sort(homes)
	kind, name := "service", q.Service
	switch {
	case q.Task != "" && name == "":
		kind, name = "task", q.Task
	case name == "":
		kind, name = "family", q.Family
	}
	switch {
	case len(homes) == 1:
		q.Cluster = homes[0]
		return q, nil
	case len(homes) > 1:
		for i, home := range homes {
			homes[i] = home + "/" + name
		}
		return q, &AmbiguousError{Kind: "target", Name: name, Candidates: homes}
	case len(failures) > 0:
		return q, failures[0]
	}
	return q, &NotFoundError{Kind: kind, Name: name, Near: near.Names(name, names, maxNear), Region: c.region, Account: c.accountID()}
}

// has reports whether a cluster has the service of a query, or its task when it names no service, and which names it has
// instead. For a query of a family alone it reports whether the cluster has tasks of that.
func (c *Client) has(ctx context.Context, cluster string, q Query) (has bool, names []string, err error) {
	if q.Service == "" && q.Task == "" {
		err = c.listFamily(ctx, cluster, q.Family, types.DesiredStatusRunning, func([]string) { has = true })
		return has, nil, err
	}
	page := func(arns []string) {
		for _, arn := range arns {
			name := lastPart(arn)
			has = has || name == q.Service || (q.Service == "" && isTaskName(q.Task, name))
			names = append(names, cluster+"/"+name)
		}
	}
	if q.Service != "" {
		err = c.listServices(ctx, cluster, page)
	} else {
		err = c.listTasks(ctx, cluster, "", types.DesiredStatusRunning, page)
	}
	return has, names, err
}

func (c *Client) clusterNames(ctx context.Context) ([]string, error) {
	var names []string
	err := c.listClusters(ctx, func(arns []string) {
		for _, arn := range arns {
			c.learnAccount(accountOf(arn))
			names = append(names, lastPart(arn))
		}
	})
	if err != nil && len(names) == 0 {
		return nil, err
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// tasks describes the tasks that a query with a cluster may mean.
func (c *Client) tasks(ctx context.Context, q Query) ([]Task, error) {
	if q.Family != "" && q.Task == "" {
		return c.familyTasks(ctx, q)
	}
	if isWholeTaskID(q.Task) {
		tasks, err := c.describeTasks(ctx, q.Cluster, []string{q.Task})
		if err != nil {
			return nil, c.orNearest(ctx, q, err)
		}
		if len(tasks) > 0 && (q.Service == "" || tasks[0].Service == q.Service) {
			return tasks, nil
		}
	}
	var arns []string
	err := c.listTasks(ctx, q.Cluster, q.Service, types.DesiredStatusRunning, func(page []string) { arns = append(arns, page...) })
	if err != nil && len(arns) == 0 {
		return nil, c.orNearest(ctx, q, err)
	}
	if q.Task != "" {
		if arns, err = matching(q, arns); err != nil {
			return nil, err
		}
	}
	shuffle(arns)
	var tasks []Task
	for batch := range slices.Chunk(arns, taskBatch) {
		more, err := c.describeTasks(ctx, q.Cluster, batch)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, slices.DeleteFunc(more, func(t Task) bool { return q.Service != "" && t.Service != q.Service })...)
		if q.Service != "" && slices.ContainsFunc(tasks, hasReady) {
			break // there are enough to choose from
		}
	}
	return tasks, nil
}

// isWholeTaskID reports whether an id is as long as the ids of tasks: 32 hexadecimal digits or, before 2018, a UUID.
func isWholeTaskID(id string) bool { return len(id) == 32 || len(id) == 36 }

// matching is the one task that the query's task names.
func matching(q Query, arns []string) ([]string, error) {
	ids := make([]string, 0, len(arns))
	var found []string
	for _, arn := range arns {
		ids = append(ids, lastPart(arn))
		if isTaskName(q.Task, lastPart(arn)) {
			found = append(found, lastPart(arn))
		}
	}
	in := "cluster " + q.Cluster
	if q.Service != "" {
		in = "service " + q.Cluster + "/" + q.Service
	}
	switch len(found) {
	case 0:
		return nil, &NotFoundError{Kind: "task", Name: q.Task, In: in, Near: near.Names(q.Task, ids, maxNear)}
	case 1:
		return found, nil
	}
	slices.Sort(found)
	return nil, &AmbiguousError{Kind: "task", Name: q.Task, In: in, Candidates: found}
}

func hasReady(t Task) bool {
	return slices.ContainsFunc(t.Containers, func(c Container) bool { return t.Ready(c) == nil })
}

// orNearest adds the nearest names to a *NotFoundError.
func (c *Client) orNearest(ctx context.Context, q Query, err error) error {
	missing, ok := errors.AsType[*NotFoundError](err)
	if !ok {
		return err
	}
	named := *missing
	switch named.Kind {
	case "cluster":
		if names, err := c.clusterNames(ctx); err == nil {
			named.Near = near.Names(named.Name, names, maxNear)
		}
	case "service":
		var names []string
		// What was listed before a failure is worth showing.
		_ = c.listServices(ctx, q.Cluster, func(arns []string) {
			for _, arn := range arns {
				names = append(names, lastPart(arn))
			}
		})
		named.Near = near.Names(named.Name, names, maxNear)
	}
	named.Account = c.accountID()
	return &named
}

// candidate is a container that can carry a session.
type candidate struct {
	task      Task
	container Container
}

// target is the answer to a query. It also says which parts were not named, so that they may be others another time.
func (k candidate) target(q Query) Target {
	t := Target{Cluster: k.task.Cluster, Service: k.task.Service, Task: k.task.ID, Container: k.container.Name, RuntimeID: k.container.RuntimeID}
	if t.Service == "" {
		t.Family = orWord(q.Family, k.task.Family)
	}
	if q.Container == "" && !q.Shell {
		t.AnyContainer, t.Port = true, q.Port
	}
	return t
}

// ready are the containers to choose from, one for each of the best tasks; there is at least one unless the error says why not.
func (c *Client) ready(ctx context.Context, q Query, tasks []Task) ([]candidate, error) {
	var ready []candidate
	var unready []error
	for _, t := range tasks {
		containers, err := c.candidates(ctx, q, t)
		if err != nil {
			unready = append(unready, err)
			continue
		}
		ready = append(ready, candidate{t, containers[0]})
	}
	if len(ready) == 0 {
		return nil, c.whyNone(ctx, q, tasks, unready)
	}
	if q.Service == "" && q.Task == "" && q.Family == "" {
		if services := servicesOf(ready); len(services) > 1 {
			return nil, &AmbiguousError{Kind: "service", In: "cluster " + q.Cluster, Candidates: services}
		}
	}
	ready = best(ready, func(k candidate) int { return one(c.unreached.has(idOf(k.task, k.container))) })
	if q.Family != "" && q.Task == "" {
		return []candidate{newest(ready)}, nil
	}
	ready = best(ready, func(k candidate) int { return healthRank(k.task.Health) })
	if newest := c.newestDeployment(ctx, ready); newest != "" {
		ready = best(ready, func(k candidate) int { return one(k.task.Deployment != newest) })
	}
	return ready, nil
}

// best keeps the candidates of the lowest rank.
func best(candidates []candidate, rank func(candidate) int) []candidate {
	least := rank(slices.MinFunc(candidates, func(a, b candidate) int { return rank(a) - rank(b) }))
	return slices.DeleteFunc(candidates, func(k candidate) bool { return rank(k) != least })
}

func one(worse bool) int {
	if worse {
		return 1
	}
	return 0
}

func healthRank(health string) int {
	switch health {
	case "HEALTHY":
		return 0
	case "UNHEALTHY":
		return 2
	}
	return 1 // UNKNOWN: there is no health check, or it has given no result yet
}

// newestDeployment is the deployment to prefer; "" when all candidates are of one. ECS is asked for it; when the caller may not
// ask, it is the deployment of the task that started last.
func (c *Client) newestDeployment(ctx context.Context, ready []candidate) string {
	if !slices.ContainsFunc(ready, func(k candidate) bool { return k.task.Deployment != ready[0].task.Deployment }) {
		return ""
	}
	newest := slices.MaxFunc(ready, func(a, b candidate) int { return a.task.StartedAt.Compare(b.task.StartedAt) })
	services, err := c.describeServices(ctx, newest.task.Cluster, []string{newest.task.Service})
	if err == nil && len(services) == 1 && slices.ContainsFunc(ready, func(k candidate) bool { return k.task.Deployment == services[0].Deployment }) {
		return services[0].Deployment
	}
	return newest.task.Deployment
}

func servicesOf(candidates []candidate) []string {
	names := make([]string, 0, len(candidates))
	for _, k := range candidates {
		names = append(names, orWord(k.task.Service, "(task "+k.task.ID+")"))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// random is a number below n; n must be positive.
func random(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		return 0
	}
	return int(i.Int64())
}

func shuffle(names []string) {
	for i := len(names) - 1; i > 0; i-- {
		j := random(i + 1)
		names[i], names[j] = names[j], names[i]
	}
}

// mostLooked bounds how many tasks ContainerNames describes.
const mostLooked = 10

// ContainerNames are the names of the containers of a task, of a service's tasks, or of a cluster's. It describes some of the
// tasks, with two calls at most.
func (c *Client) ContainerNames(ctx context.Context, q Query) ([]string, error) {
	tasks := []string{q.Task}
	if !isWholeTaskID(q.Task) {
		in := ecs.ListTasksInput{Cluster: &q.Cluster, DesiredStatus: types.DesiredStatusRunning, MaxResults: sdk.Int32(pageSize)}
		if q.Service != "" {
			in.ServiceName = &q.Service
		}
		out, err := call(ctx, c, about{Cluster: q.Cluster, Service: q.Service}, func(ctx context.Context) (*ecs.ListTasksOutput, error) {
			return c.ecs.ListTasks(ctx, &in)
		})
		if err != nil {
			return nil, err
		}
		tasks = slices.DeleteFunc(out.TaskArns, func(arn string) bool { return !strings.HasPrefix(lastPart(arn), q.Task) })
		tasks = tasks[:min(len(tasks), mostLooked)]
	}
	if len(tasks) == 0 {
		return nil, nil
	}
	described, err := c.describeTasks(ctx, q.Cluster, tasks)
	var names []string
	for _, t := range described {
		names = append(names, t.containerNames()...)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}
