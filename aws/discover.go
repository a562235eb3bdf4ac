package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"culvert/internal/say"
)

// Discover lists everything in the account. What cannot be listed becomes a *GapError of the catalog; an error means that there
// is nothing at all to show.
func (c *Client) Discover(ctx context.Context) (*Catalog, error) {
	return c.Look(ctx, Sight{}, func(*Catalog) {})
}

// Look lists what is in sight, and nothing else, with Discover's errors. each is for a screen that fills as pages arrive: it is
// called with growing catalogs, one call at a time. The last of them is the one that is returned.
func (c *Client) Look(ctx context.Context, at Sight, each func(*Catalog)) (*Catalog, error) {
	return c.survey(ctx, &survey{each: each, at: at})
}

// Names lists the names of clusters and services, and nothing else about them: ListClusters, and ListServices for every cluster
// for which skip is false. each is called as by Look.
func (c *Client) Names(ctx context.Context, each func(*Catalog), skip func(cluster string) bool) (*Catalog, error) {
	return c.survey(ctx, &survey{each: each, at: Sight{Parts: Services | NamesOnly}, skip: skip})
}

// survey does what Look and Names have in common.
func (c *Client) survey(ctx context.Context, s *survey) (*Catalog, error) {
	looking, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	s.client, s.giveUp, s.clusters, s.definitions = c, giveUp, map[string]*found{}, map[string]*Definition{}
	var err error
	if s.at.Cluster != "" {
		s.addClusters(looking, []string{s.at.Cluster})
	} else {
		err = c.listClusters(looking, func(arns []string) { s.addClusters(looking, arns) })
	}
	if err != nil {
		s.gap("clusters", "", err)
	}
	s.work.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("discover: %w", s.inTheWay(context.Cause(ctx)))
	}
	if err != nil && len(s.clusters) == 0 {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	return s.publish(), nil
}

// survey is a Look or Names that is under way.
type survey struct {
	client *Client
	each   func(*Catalog)
	giveUp context.CancelCauseFunc // ends all calls
	at     Sight
	skip   func(string) bool // whether a cluster is not looked into; nil for none
	work   sync.WaitGroup

	publishing sync.Mutex // makes calls of each one at a time; locked before mu

	mu            sync.Mutex
	clusters      map[string]*found
	definitions   map[string]*Definition // of the tasks, by ARN, as the client may forget them; nil for one that is or could not be read
	noDefinitions bool                   // reading one was denied, as all others would be
	gaps          []*GapError
}

// found is what is known of a cluster so far.
type found struct {
	cluster  Cluster
	services map[string]Service
	tasks    map[string]Task
}

// addClusters adds clusters, by names or ARNs, and starts looking into them.
func (s *survey) addClusters(ctx context.Context, arns []string) {
	var fresh []string
	s.mu.Lock()
	for _, arn := range arns {
		name := lastPart(arn)
		if name == "" || s.clusters[name] != nil {
			continue
		}
		k := &found{cluster: Cluster{Name: name}, services: map[string]Service{}, tasks: map[string]Task{}}
		if name != arn {
			k.cluster.ARN = arn
		}
		s.clusters[name] = k
		fresh = append(fresh, name)
	}
	s.mu.Unlock()
	if s.at.wants(ClusterDetails) {
		for batch := range slices.Chunk(fresh, clusterBatch) {
			s.work.Go(func() { s.describeClusters(ctx, batch) })
		}
	}
	for _, name := range fresh {
		if s.skip != nil && s.skip(name) {
			continue
		}
		if s.at.wants(Services) {
			s.work.Go(func() { s.lookAtServices(ctx, name) })
		}
		if s.at.wants(Tasks) {
			s.work.Go(func() { s.lookAtTasks(ctx, name) })
		}
	}
	s.publish()
}

func (s *survey) describeClusters(ctx context.Context, names []string) {
	at := about{}
	if len(names) == 1 {
		at.Cluster = names[0]
	}
	out, err := call(ctx, s.client, at, func(ctx context.Context) (*ecs.DescribeClustersOutput, error) {
		return s.client.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: names})
	})
	if err != nil {
		s.gap("details of clusters", "", err)
		if !s.at.wants(Services) { // then the services are counted from their names
			for _, name := range names {
				s.work.Go(func() { s.lookAtServices(ctx, name) })
			}
		}
		return
	}
	s.mu.Lock()
	for _, k := range out.Clusters {
		if known := s.clusters[sdk.ToString(k.ClusterName)]; known != nil {
			known.cluster.ARN, known.cluster.Status = sdk.ToString(k.ClusterArn), sdk.ToString(k.Status)
			known.cluster.Counts = Counts{Services: int(k.ActiveServicesCount), Running: int(k.RunningTasksCount), Pending: int(k.PendingTasksCount)}
			s.client.learnAccount(accountOf(known.cluster.ARN))
		}
	}
	s.mu.Unlock()
	s.publish()
}

func (s *survey) lookAtServices(ctx context.Context, cluster string) {
	if s.at.Service != "" && s.at.wants(Services) && !s.at.wants(NamesOnly) {
		s.describeServices(ctx, cluster, []string{s.at.Service})
		return
	}
	err := s.client.listServices(ctx, cluster, func(arns []string) {
		if s.at.wants(NamesOnly) || !s.at.wants(Services) {
			s.addServices(cluster, namedServices(cluster, arns))
			return
		}
		for batch := range slices.Chunk(arns, serviceBatch) {
			s.work.Go(func() { s.describeServices(ctx, cluster, batch) })
		}
	})
	s.gap("services", cluster, err)
}

func (s *survey) describeServices(ctx context.Context, cluster string, arns []string) {
	services, err := s.client.describeServices(ctx, cluster, arns)
	if err != nil {
		services = namedServices(cluster, arns)
		s.gap("details of services", cluster, err)
	}
	s.addServices(cluster, services)
}

// namedServices are services of which only the names are known.
func namedServices(cluster string, arns []string) []Service {
	services := make([]Service, 0, len(arns))
	for _, arn := range arns {
		services = append(services, Service{Name: lastPart(arn), ARN: arn, Cluster: cluster})
	}
	return services
}

func (s *survey) addServices(cluster string, services []Service) {
	s.mu.Lock()
	for _, service := range services {
		if k := s.clusters[cluster]; k != nil && service.Status != "INACTIVE" {
			k.services[service.Name] = service
		}
	}
	s.mu.Unlock()
	s.publish()
}

func (s *survey) lookAtTasks(ctx context.Context, cluster string) {
	if isWholeTaskID(s.at.Task) && !s.at.wants(NamesOnly) {
		s.describeTasks(ctx, cluster, []string{s.at.Task})
		return
	}
	err := s.client.listTasks(ctx, cluster, s.at.Service, types.DesiredStatusRunning, func(arns []string) {
		arns = slices.DeleteFunc(arns, func(arn string) bool { return !strings.HasPrefix(lastPart(arn), s.at.Task) })
		if s.at.wants(NamesOnly) {
			s.addTasks(ctx, cluster, s.namedTasks(cluster, arns))
			return
		}
		for batch := range slices.Chunk(arns, taskBatch) {
			s.work.Go(func() { s.describeTasks(ctx, cluster, batch) })
		}
	})
	s.gap("tasks", cluster, err)
}

func (s *survey) describeTasks(ctx context.Context, cluster string, arns []string) {
	tasks, err := s.client.describeTasks(ctx, cluster, arns)
	if err != nil {
		tasks = s.namedTasks(cluster, arns)
		s.gap("details of tasks", cluster, err)
	}
	s.addTasks(ctx, cluster, tasks)
}

// namedTasks are tasks of which only the ids are known, and the service when one was named.
func (s *survey) namedTasks(cluster string, arns []string) []Task {
	tasks := make([]Task, 0, len(arns))
	for _, arn := range arns {
		tasks = append(tasks, Task{ID: lastPart(arn), ARN: arn, Cluster: cluster, Service: s.at.Service})
	}
	return tasks
}

func (s *survey) addTasks(ctx context.Context, cluster string, tasks []Task) {
	var definitions []string
	s.mu.Lock()
	for _, task := range tasks {
		if k := s.clusters[cluster]; k != nil && task.Status != "STOPPED" {
			k.tasks[task.ID] = task
		}
		arn := task.TaskDefinition
		if _, asked := s.definitions[arn]; asked || arn == "" {
			continue
		}
		if known, ok := s.client.definitions.find(arn); ok {
			s.definitions[arn] = &known
		} else if s.at.wants(Ports) {
			s.definitions[arn] = nil
			definitions = append(definitions, arn)
		}
	}
	s.mu.Unlock()
	s.publish()
	for _, arn := range definitions {
		s.work.Go(func() { s.describeDefinition(ctx, arn) })
	}
}

func (s *survey) describeDefinition(ctx context.Context, arn string) {
	s.mu.Lock()
	skip := s.noDefinitions
	s.mu.Unlock()
	if skip {
		return
	}
	definition, err := s.client.definition(ctx, arn)
	if err != nil {
		if _, denied := errors.AsType[*DeniedError](err); denied {
			s.mu.Lock()
			s.noDefinitions = true
			s.mu.Unlock()
		}
		s.gap("task definitions", "", err)
		return
	}
	s.mu.Lock()
	s.definitions[arn] = &definition
	s.mu.Unlock()
	s.publish()
}

// gap notes the failure to list something; a nil err is none. The same failure in several clusters becomes one gap.
func (s *survey) gap(what, cluster string, err error) {
	if err == nil {
		return
	}
	if _, stalled := errors.AsType[*StallError](err); stalled {
		s.giveUp(err) // each of the other calls would wait as long as this one to find that out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if missing, ok := errors.AsType[*NotFoundError](err); ok && s.at.Cluster == "" {
		switch missing.Kind {
		case "cluster":
			delete(s.clusters, cluster) // it was deleted while we looked
			return
		case "service":
			return // the service is in another cluster
		}
	}
	for _, g := range s.gaps {
		if g.What == what && sameFailure(g.Err, err) {
			if cluster != "" && !slices.Contains(g.Clusters, cluster) {
				g.Clusters = append(g.Clusters, cluster)
			}
			return
		}
	}
	g := &GapError{What: what, Err: err}
	if cluster != "" {
		g.Clusters = []string{cluster}
	}
	s.gaps = append(s.gaps, g)
}

// inTheWay is the error that was met when the caller's time was over, if one has a remedy, else over itself.
func (s *survey) inTheWay(over error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.gaps {
		if errors.Is(g.Err, over) && say.Remedy(g.Err) != "" {
			return g.Err
		}
	}
	return over
}

// sameFailure reports whether two failures have the same remedy.
func sameFailure(a, b error) bool {
	deniedA, okA := errors.AsType[*DeniedError](a)
	deniedB, okB := errors.AsType[*DeniedError](b)
	if okA && okB {
		return deniedA.Action == deniedB.Action && deniedA.Why == deniedB.Why
	}
	_, okA = errors.AsType[*ThrottledError](a)
	_, okB = errors.AsType[*ThrottledError](b)
	return (okA && okB) || a.Error() == b.Error()
}

// publish makes a catalog of what is known and calls each with it.
func (s *survey) publish() *Catalog {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	catalog := s.catalog()
	s.each(catalog)
	return catalog
}

func (s *survey) catalog() *Catalog {
	s.mu.Lock()
	defer s.mu.Unlock()
	catalog := &Catalog{Taken: time.Now(), Clusters: make([]Cluster, 0, len(s.clusters)), Shell: s.client.shell}
	for _, name := range slices.Sorted(maps.Keys(s.clusters)) {
		k := s.clusters[name]
		cluster := k.cluster
		for _, service := range slices.Sorted(maps.Keys(k.services)) {
			cluster.Services = append(cluster.Services, k.services[service])
		}
		for _, task := range k.tasks {
			if service, ok := k.services[task.Service]; ok {
				task.Origin = task.Origin.with(service)
			}
			cluster.Tasks = append(cluster.Tasks, s.defined(task))
		}
		slices.SortFunc(cluster.Tasks, byService)
		catalog.Clusters = append(catalog.Clusters, cluster)
	}
	for _, g := range s.gaps {
		catalog.Gaps = append(catalog.Gaps, s.settled(g))
	}
	slices.SortFunc(catalog.Gaps, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return catalog
}

// byService orders the tasks of a cluster by service, then by id.
func byService(a, b Task) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.ID, b.ID))
}

// defined is a copy of a task with what its definition says, if that is known by now.
func (s *survey) defined(task Task) Task {
	if definition := s.definitions[task.TaskDefinition]; definition != nil {
		return definition.in(task)
	}
	return task
}

// settled is a copy of a gap. A gap in several clusters gets a remedy for all of them.
func (s *survey) settled(g *GapError) *GapError {
	settled := &GapError{What: g.What, Clusters: slices.Sorted(slices.Values(g.Clusters)), Err: g.Err}
	if denied, ok := errors.AsType[*DeniedError](g.Err); ok && len(g.Clusters) > 1 {
		all := *denied
		all.Resource, all.Statement = "", s.client.statement(denied.Action, "", about{})
		settled.Err = &all
	}
	return settled
}
