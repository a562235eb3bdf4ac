package aws

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"culvert/internal/say"
)

// maxHosts is how many hosts of one source are kept: nobody looks through more.
const maxHosts = 5_000

// Hosts are the private destinations that an account and its task definitions name.
type Hosts struct {
	Hosts []Host // sorted by name, role and address
	// Unread are variables that would name hosts, but whose values are secrets.
	Unread []NamedBy
	Gaps   []error // a *GapError for each source that could not be asked, or not completely; the other hosts are valid
}

// source is a service that knows hosts. hosts may return some of them together with an error.
type source struct {
	what  string // as a GapError says it
	hosts func(context.Context) ([]Host, error)
}

func (c *Client) sources() []source {
	return []source{
		{"databases", c.databases}, {"database clusters", c.databaseClusters}, {"database proxies", c.databaseProxies},
		{"caches", c.caches}, {"serverless caches", c.serverlessCaches}, {"MemoryDB clusters", c.memoryClusters},
		{"search domains", c.searchDomains}, {"Kafka clusters", c.kafkaClusters}, {"message brokers", c.brokers},
		{"warehouses", c.warehouses}, {"serverless warehouses", c.workgroups}, {"internal load balancers", c.loadBalancers},
		{"names of Cloud Map", c.cloudMapNames}, {"Kubernetes endpoints", c.kubernetesEndpoints},
	}
}

// AccountHosts asks every service that has private destinations for them, several at a time. Each needs a permission of its
// own; a missing one is a gap, and does not keep the other services from being asked.
func (c *Client) AccountHosts(ctx context.Context) Hosts { return c.askSources(ctx, func(Hosts) {}) }

// askSources is AccountHosts. It calls update with all that is known whenever a service has answered, one call at a time.
func (c *Client) askSources(ctx context.Context, update func(Hosts)) Hosts {
	var found Hosts
	var mu sync.Mutex
	var work sync.WaitGroup
	for _, s := range c.sources() {
		work.Go(func() {
			release, err := c.slot(ctx)
			var hosts []Host
			if err == nil {
				hosts, err = s.hosts(ctx)
				release()
			}
			if len(hosts) > maxHosts {
				hosts, err = hosts[:maxHosts], cmp.Or(err, errTooManyHosts)
			}
			mu.Lock()
			defer mu.Unlock()
			found.Hosts = cleanHosts(slices.Concat(found.Hosts, hosts))
			if err != nil {
				found.Gaps = append(slices.Clone(found.Gaps), &GapError{What: s.what, Err: err})
				slices.SortFunc(found.Gaps, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
			}
			update(found)
		})
	}
	work.Wait()
	return found
}

// NamedHosts are the hosts that are named in the task definitions which the services of a catalog use, and the tasks that no
// service started. It needs ecs:DescribeTaskDefinition and no other permission.
func (c *Client) NamedHosts(ctx context.Context, catalog *Catalog) Hosts {
	users := map[string][]NamedBy{} // by task definition
	use := func(arn string, by NamedBy) {
		if arn != "" && !slices.Contains(users[arn], by) {
			users[arn] = append(users[arn], by)
		}
	}
	for _, k := range catalog.Clusters {
		for _, s := range k.Services {
			use(s.TaskDefinition, NamedBy{Cluster: k.Name, Service: s.Name})
		}
		for _, t := range k.Tasks {
			if t.Service == "" {
				use(t.TaskDefinition, NamedBy{Cluster: k.Name, Family: t.Family})
			}
		}
	}
	arns := slices.Sorted(maps.Keys(users)) // in an order, as it decides what the bounds leave out
	definitions, failures := make([]Definition, len(arns)), make([]error, len(arns))
	var work sync.WaitGroup
	for i, arn := range arns {
		work.Go(func() { definitions[i], failures[i] = c.definition(ctx, arn) })
	}
	work.Wait()
	var found Hosts
	for i, arn := range arns {
		for _, user := range users[arn] {
			found.add(definitions[i], user)
		}
		if failures[i] != nil && len(found.Gaps) == 0 { // the first gap stands for all: a permission that is missing for one is missing for each
			found.Gaps = append(found.Gaps, &GapError{What: "task definitions", Err: failures[i]})
		}
	}
	found.Hosts = joinMentions(sortHosts(found.Hosts))
	found.Unread = sortUsers(found.Unread)
	return found
}

// add adds the hosts that a task definition names, for one of its users.
func (h *Hosts) add(d Definition, by NamedBy) {
	for _, container := range d.Containers {
		by.Container = container.Name
		for _, m := range container.Mentions {
			if len(h.Hosts) < maxHosts {
				by.Variable = m.Variable
				h.Hosts = append(h.Hosts, Host{Kind: m.Kind, Host: m.Host, Port: m.Port, Source: "environment", Mentions: []NamedBy{by}})
			}
		}
		for _, s := range container.Unread {
			if len(h.Unread) < maxHosts {
				unread := by
				unread.Variable, unread.Secret = s.Variable, s.Secret
				h.Unread = append(h.Unread, unread)
			}
		}
	}
}

// sortUsers sorts them in place. Each comes once, though two revisions of a family may say the same.
func sortUsers(all []NamedBy) []NamedBy {
	slices.SortFunc(all, func(a, b NamedBy) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Service, b.Service), strings.Compare(a.Family, b.Family),
			strings.Compare(a.Container, b.Container), strings.Compare(a.Variable, b.Variable), strings.Compare(a.Secret, b.Secret))
	})
	return slices.Compact(all)
}

// And joins the hosts that task definitions name with those of the account. A host that both have becomes one, with the
// variables that name it.
func (h *Hosts) And(account Hosts) Hosts {
	joined := Hosts{Hosts: slices.Clone(account.Hosts), Unread: h.Unread, Gaps: slices.Concat(h.Gaps, account.Gaps)}
	at := map[string][]int{} // indexes of the account's hosts, by host
	for i, k := range joined.Hosts {
		at[k.Host] = append(at[k.Host], i)
	}
	for _, named := range h.Hosts {
		known := false
		for _, i := range at[named.Host] {
			k := &joined.Hosts[i]
			if k.Port == named.Port || named.Port == 0 {
				k.Mentions = append(slices.Clone(k.Mentions), named.Mentions...)
				known = true
			}
		}
		if !known {
			joined.Hosts = append(joined.Hosts, named)
		}
	}
	joined.Hosts = cleanHosts(joined.Hosts)
	return joined
}

// joinMentions makes one host of several with the same address. hosts are sorted, so that these are side by side.
func joinMentions(hosts []Host) []Host {
	var joined []Host
	for _, h := range hosts {
		last := len(joined) - 1
		if last < 0 || joined[last].Host != h.Host || joined[last].Port != h.Port {
			joined = append(joined, h)
			continue
		}
		joined[last].Kind = orKind(joined[last].Kind, h.Kind)
		joined[last].Mentions = append(joined[last].Mentions, h.Mentions...)
	}
	for i := range joined {
		joined[i].Mentions = sortUsers(joined[i].Mentions)
	}
	return joined
}

var errTooManyHosts = errors.New("there are more than 5,000 of them; the rest is left out")

// cleanHosts is sortHosts without repetitions.
func cleanHosts(hosts []Host) []Host {
	return slices.CompactFunc(sortHosts(hosts), func(a, b Host) bool {
		return a.Name == b.Name && a.Host == b.Host && a.Port == b.Port && a.Role == b.Role
	})
}

// sortHosts makes text from outside safe to show, leaves out hosts without a usable address, and sorts the rest. It reuses
// hosts.
func sortHosts(hosts []Host) []Host {
	kept := hosts[:0]
	for _, h := range hosts {
		h.Host = cleanHost(h.Host)
		if h.Host == "" {
			continue
		}
		h.Name, h.Role, h.ARN, h.VPC = say.Brief(cmp.Or(h.Name, h.Host)), say.Brief(h.Role), say.Brief(h.ARN), say.Brief(h.VPC)
		h.Subnets, h.Groups = briefly(h.Subnets), briefly(h.Groups)
		kept = append(kept, h)
	}
	slices.SortStableFunc(kept, func(a, b Host) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Role, b.Role), strings.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port), strings.Compare(a.Source, b.Source))
	})
	return kept
}
