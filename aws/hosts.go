package aws

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"culvert/internal/say"
)

// maxHosts bounds what one source may tell: more than that nobody looks through.
const maxHosts = 5_000

// Hosts are the private destinations that an account and its task definitions name.
type Hosts struct {
	Hosts []Host  // by name, role and address
	Gaps  []error // *GapError of each source that could not be asked, or not to its end; the others stand
}

// source is a service that knows hosts. hosts may return some beside an error.
type source struct {
	what  string // in the words of GapError
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

// AccountHosts asks every service that has private destinations for them, all at once. Each needs a permission of its own to
// list; one that is missing is a gap, and the other services are asked nevertheless.
func (c *Client) AccountHosts(ctx context.Context) Hosts {
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
			found.Hosts = append(found.Hosts, hosts...)
			if err != nil {
				found.Gaps = append(found.Gaps, &GapError{What: s.what, Err: err})
			}
		})
	}
	work.Wait()
	found.Hosts = cleanHosts(found.Hosts)
	slices.SortFunc(found.Gaps, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return found
}

var errTooManyHosts = errors.New("there are more than 5,000 of them; the rest is left out")

// cleanHosts makes strangers' words safe to show, leaves out what has no address, and puts the rest in order.
func cleanHosts(hosts []Host) []Host {
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
	return slices.CompactFunc(kept, func(a, b Host) bool {
		return a.Name == b.Name && a.Host == b.Host && a.Port == b.Port && a.Role == b.Role
	})
}
