package cli

import (
	"context"
	"errors"

	"culvert/aws"
)

// sightOf is what a list of clusters, services or tasks has to look at, and no more: the calls for all the rest cost time,
// and permissions that whoever may use one cluster need not have.
func sightOf(what string, named aws.Query) aws.Sight {
	at := aws.Sight{Cluster: named.Cluster, Service: named.Service, Task: named.Task}
	switch what {
	case listClusters:
		at.Parts = aws.ClusterDetails | aws.Tasks
		if named.Service != "" {
			at.Parts |= aws.Services
		}
	case listServices:
		at.Parts = aws.Services | aws.Tasks | aws.Ports
	default:
		at.Parts = aws.Tasks | aws.Ports
	}
	return at
}

// absent explains a selection that nothing answers to, with the nearest names: for those it looks further than was asked
// for. It returns nil when what was named exists but is empty.
func (s selection) absent(ctx context.Context, client *aws.Client, found *aws.Catalog) error {
	if s.Target == (aws.Target{}) {
		return nil
	}
	parts := aws.Services | aws.Tasks | aws.NamesOnly
	if s.Family != "" { // which only descriptions name
		parts = aws.Tasks
	}
	names, err := client.Look(ctx, aws.Sight{Cluster: s.Cluster, Service: s.Service, Parts: parts}, func(*aws.Catalog) {})
	if err == nil && notFound(names) != nil && notFound(names).Kind == "cluster" {
		names, err = client.Look(ctx, aws.Sight{Parts: aws.NamesOnly}, func(*aws.Catalog) {})
	}
	if err != nil { // what is called similarly is not to be had
		if missing := notFound(found); missing != nil {
			return missing
		}
		return err
	}
	called := s
	called.Container = ""
	if err := called.missing(names); err != nil || s.Container == "" {
		return err
	}
	all, err := client.Look(ctx, aws.Sight{Cluster: s.Cluster, Service: s.Service, Task: s.Task}, func(*aws.Catalog) {})
	if err != nil {
		return err
	}
	return s.missing(all)
}

// notFound is what a look has not found of what it was about; nil when that is there.
func notFound(c *aws.Catalog) *aws.NotFoundError {
	for _, err := range c.Gaps {
		if missing, ok := errors.AsType[*aws.NotFoundError](err); ok {
			return missing
		}
	}
	return nil
}
