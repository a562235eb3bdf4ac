package cli

import (
	"context"
	"errors"

	"culvert/aws"
)

// sightOf is the sight for a list of clusters, services or tasks. It has no more than the list needs, as further calls take time,
// and permissions that a user of a single cluster may not have.
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

// absent returns the error for a selection that nothing matches, with the nearest names, for which it looks beyond the selection.
// It returns nil when what was named exists but is empty.
func (s selection) absent(ctx context.Context, client *aws.Client, found *aws.Catalog) error {
	if s.Target == (aws.Target{}) {
		return nil
	}
	parts := aws.Services | aws.Tasks | aws.NamesOnly
	if s.Family != "" { // only the descriptions of tasks have their families
		parts = aws.Tasks
	}
	names, err := client.Look(ctx, aws.Sight{Cluster: s.Cluster, Service: s.Service, Parts: parts}, func(*aws.Catalog) {})
	if err == nil && notFound(names) != nil && notFound(names).Kind == "cluster" {
		names, err = client.Look(ctx, aws.Sight{Parts: aws.NamesOnly}, func(*aws.Catalog) {})
	}
	if err != nil { // the nearest names cannot be found
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

// notFound is the error of a look that has not found what it was about; nil when it has.
func notFound(c *aws.Catalog) *aws.NotFoundError {
	for _, err := range c.Gaps {
		if missing, ok := errors.AsType[*aws.NotFoundError](err); ok {
			return missing
		}
	}
	return nil
}
