package aws

import (
	"errors"
	"slices"
	"strings"
)

// Sight says which part of an account is to be looked at; nothing else is asked for. The zero Sight is all of it.
type Sight struct {
	Cluster string // its name; empty for all, which needs ListClusters
	Service string // its name, in each of the clusters; empty for all
	Task    string // its id, or the beginning of that; empty for all tasks, of the service if one is named
	Parts   Parts  // 0 for all
}

// Parts are what is to be known of clusters. Each part needs calls of its own.
type Parts uint8

// The parts.
const (
	ClusterDetails Parts = 1 << iota // status, and ECS's counts
	Services
	Tasks
	Ports     // of the tasks' containers, from the task definitions
	NamesOnly // only the names of services and tasks
)

// wants reports whether a part is to be looked at.
func (s Sight) wants(part Parts) bool {
	if part == NamesOnly {
		return s.Parts&NamesOnly != 0
	}
	return s.Parts == 0 || s.Parts&part != 0
}

// kinds are the kinds of gaps (GapError.What) that a look at s can have.
func (s Sight) kinds() []string {
	var kinds []string
	for part, of := range map[Parts][]string{
		ClusterDetails: {"details of clusters"},
		Services:       {"services", "details of services"},
		Tasks:          {"tasks", "details of tasks"},
		Ports:          {"task definitions"},
	} {
		if s.wants(part) {
			kinds = append(kinds, of...)
		}
	}
	if s.Cluster == "" {
		kinds = append(kinds, "clusters")
	}
	return kinds
}

// With is the catalog after a later look at s: what the look has asked about is replaced by what it has found, the rest stays.
// When s names a cluster that was not found, the cluster is left out. The receiver may be nil.
func (c *Catalog) With(s Sight, later *Catalog) *Catalog {
	merged := *later
	merged.Clusters, merged.Gaps = nil, nil
	before := map[string]Cluster{}
	if c != nil {
		for _, k := range c.Clusters {
			before[k.Name] = k
			if s.Cluster != "" && k.Name != s.Cluster {
				merged.Clusters = append(merged.Clusters, k)
			}
		}
		merged.Gaps = s.standing(c.Gaps, later.Gaps)
	}
	missing := false
	for _, err := range later.Gaps {
		none, ok := errors.AsType[*NotFoundError](err)
		switch {
		case ok && none.Kind == "cluster":
			missing = true
		case ok && none.Kind == "service": // the list of services lacks it already
		default:
			merged.Gaps = append(merged.Gaps, err)
		}
	}
	if !missing {
		for _, k := range later.Clusters {
			merged.Clusters = append(merged.Clusters, s.onto(before[k.Name], k))
		}
	}
	slices.SortFunc(merged.Clusters, func(a, b Cluster) int { return strings.Compare(a.Name, b.Name) })
	return &merged
}

// standing are those gaps of before about which a later look at s has not asked again.
func (s Sight) standing(before, later []error) []error {
	var all []error
	asked := s.kinds()
	for _, err := range before {
		gap, ok := errors.AsType[*GapError](err)
		switch {
		case !ok || !slices.Contains(asked, gap.What):
		case s.Cluster == "" || len(gap.Clusters) == 0:
			continue
		default:
			if err = without(gap, s.Cluster); err == nil {
				continue
			}
		}
		if !slices.ContainsFunc(later, func(e error) bool { return e.Error() == err.Error() }) {
			all = append(all, err)
		}
	}
	return all
}

// without is the gap for its other clusters; nil when it has none.
func without(gap *GapError, cluster string) error {
	others := *gap
	others.Clusters = slices.DeleteFunc(slices.Clone(gap.Clusters), func(name string) bool { return name == cluster })
	if len(others.Clusters) == 0 {
		return nil
	}
	return &others
}

// onto is a cluster as a look at s has found it, with what was known before of the parts that the look has not asked about.
func (s Sight) onto(before, later Cluster) Cluster {
	merged := later
	if !s.wants(ClusterDetails) {
		merged.Status, merged.Counts = before.Status, before.Counts
	}
	if merged.ARN == "" {
		merged.ARN = before.ARN
	}
	switch {
	case !s.wants(Services):
		merged.Services = before.Services
	case s.Service != "":
		merged.Services = append(slices.DeleteFunc(slices.Clone(before.Services), func(v Service) bool { return v.Name == s.Service }), later.Services...)
		slices.SortFunc(merged.Services, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	}
	switch {
	case !s.wants(Tasks):
		merged.Tasks = before.Tasks
	case s.Service != "" || s.Task != "":
		merged.Tasks = append(slices.DeleteFunc(slices.Clone(before.Tasks), s.has), later.Tasks...)
		slices.SortFunc(merged.Tasks, byService)
	}
	return merged
}

// has reports whether a task is among those in sight.
func (s Sight) has(t Task) bool {
	if s.Task != "" {
		return strings.HasPrefix(t.ID, s.Task)
	}
	return s.Service == "" || t.Service == s.Service
}
