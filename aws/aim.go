package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"culvert/internal/say"
)

// Aim is a destination that was found by its name, and what carries connections to it.
type Aim struct {
	Route
	Through   Query // the service whose tasks reach it, or the task that was named
	Unchecked error // why nobody knows whether security groups let them in, an *UncheckedWayError; nil: they do
}

// Aim finds destinations by their names, in the forms of Routes.Route, and the best way to each: through one of the services that
// within names, as far as it does, or through its task. What within does not reach or name may be named by the rest of the account.
// It fails with the first name that leads nowhere: *NotFoundError, *UnseenError, *AmbiguousError, *NoWayError. It does not wait;
// what waiting may mend is Temporary.
func (c *Client) Aim(ctx context.Context, within Query, names ...string) (aims []Aim, err error) {
	defer func() { c.addShell(err) }()
	if within, err = c.settle(ctx, within); err != nil {
		return nil, err
	}
	if within.Cluster == "" && (within.Service != "" || within.Task != "" || within.Family != "") {
		if within, err = c.findCluster(ctx, within); err != nil {
			return nil, err
		}
	}
	at := Sight{Cluster: within.Cluster, Service: within.Service, Parts: Services | Tasks}
	pinned := within.Task != "" || within.Family != ""
	if pinned {
		task, err := c.Lookup(ctx, within)
		if err != nil {
			return nil, err
		}
		if at.Service = task.Service; task.Service != "" {
			at.Task = task.Task
		}
	}
	routes, err := c.Routes(ctx, at)
	if err != nil {
		return nil, err
	}
	if missing := missingIn(routes.Catalog); missing != nil {
		return nil, c.orNearest(ctx, within, missing)
	}
	if at.Cluster != "" && slices.ContainsFunc(names, routes.unknown) {
		routes = c.widened(ctx, routes)
	}
	if pinned && at.Service == "" {
		routes.Ways = slices.Repeat([][]Way{{{Cluster: within.Cluster, Why: "no service started its task", Verdict: Unchecked}}}, len(routes.Hosts.Hosts))
	}
	for _, name := range names {
		route, err := routes.Route(name)
		if err != nil {
			return nil, c.whyNot(ctx, within, routes, err)
		}
		a := Aim{Route: route, Through: within}
		if !pinned {
			a.Through.Cluster, a.Through.Service = route.Way.Cluster, route.Way.Service
		}
		if route.Way.Verdict == Unchecked {
			a.Unchecked = &UncheckedWayError{Host: route.Host, Through: a.Through.Target(), Why: route.Way.Why, Gap: routes.networkGap()}
		}
		aims = append(aims, a)
	}
	return aims, nil
}

// missingIn is the cluster or service that was to be looked at and is not there; nil when there is none.
func missingIn(catalog *Catalog) error {
	for _, gap := range catalog.Gaps {
		if isNotFound(gap) {
			return gap
		}
	}
	return nil
}

// unknown reports whether no destination is called so.
func (r *Routes) unknown(name string) bool {
	_, _, err := r.find(name)
	return isNotFound(err)
}

func isNotFound(err error) bool {
	_, is := errors.AsType[*NotFoundError](err)
	return is
}

// widened are routes through the same services to what all of the account's task definitions name. Whoever may not look at all of
// the account has no more than before.
func (c *Client) widened(ctx context.Context, routes *Routes) *Routes {
	all, err := c.Look(ctx, Sight{Parts: Services | Tasks}, func(*Catalog) {})
	if err != nil {
		return routes
	}
	named := c.NamedHosts(ctx, all)
	wide := *routes
	wide.Hosts = named.And(routes.Hosts)
	if wide.Ways, err = c.Ways(ctx, routes.Catalog, wide.Hosts.Hosts); err != nil && routes.networkGap() == nil {
		wide.Gaps = append(slices.Clone(wide.Gaps), err)
	}
	return &wide
}

// networkGap is why EC2 has not told the rules; nil when it has.
func (r *Routes) networkGap() error {
	if i := slices.IndexFunc(r.Gaps, isNetworkGap); i >= 0 {
		return r.Gaps[i]
	}
	return nil
}

func isNetworkGap(err error) bool {
	gap, is := errors.AsType[*GapError](err)
	return is && gap.What == securityGroups
}

// whyNot says of a name that leads nowhere what else may be the cause.
func (c *Client) whyNot(ctx context.Context, within Query, routes *Routes, err error) error {
	noWay, isNoWay := errors.AsType[*NoWayError](err)
	missing, isMissing := errors.AsType[*NotFoundError](err)
	switch {
	case isNoWay && noWay.Host.Port != 0 && len(noWay.Ways) == 0 && within.Service != "":
		if _, unready := c.Lookup(ctx, within); unready != nil {
			noWay.Err = unready
		}
	case isNoWay && noWay.Host.Port != 0 && len(noWay.Ways) == 0:
		noWay.Err = pending(routes.Catalog)
	case isMissing:
		gaps := slices.DeleteFunc(slices.Clone(routes.Gaps), isNetworkGap)
		if len(gaps) > 0 {
			return &UnseenError{Missing: missing, Gaps: gaps}
		}
	}
	return err
}

// pending is why tasks of a catalog are not ready yet, of one that will be; nil when there is none.
func pending(catalog *Catalog) error {
	for _, k := range catalog.Clusters {
		for _, t := range k.Tasks {
			for _, container := range t.Containers {
				if err := t.Ready(container); err != nil && t.Service != "" && Temporary(err) {
					return err
				}
			}
		}
	}
	return nil
}

// UncheckedWayError means that a way was chosen of which nobody knows whether security groups admit it.
type UncheckedWayError struct {
	Host    Host
	Through Target
	Why     string
	Gap     error // what EC2 was asked for and did not say; nil when that is not why
}

func (e *UncheckedWayError) Error() string {
	text := fmt.Sprintf("the way to %s through %s is not checked: %s", e.Host.Address(), e.Through, say.Line(e.Why))
	if e.Gap != nil {
		text += " (" + e.Gap.Error() + ")"
	}
	return text
}

// Unwrap gives the gap, of which the remedy may be said.
func (e *UncheckedWayError) Unwrap() error { return e.Gap }

// Remedy is the gap's; there is nothing else to do but to try the way.
func (e *UncheckedWayError) Remedy() string { return say.Remedy(e.Gap) }

// UnseenError means that a destination was not found, and that it may be among what could not be listed.
type UnseenError struct {
	Missing *NotFoundError
	Gaps    []error // not empty
}

// mostGaps is how many gaps are told one by one.
const mostGaps = 3

func (e *UnseenError) Error() string {
	var told []string
	for _, gap := range e.Gaps[:min(len(e.Gaps), mostGaps)] {
		told = append(told, inShort(gap))
	}
	if more := len(e.Gaps) - len(told); more > 0 {
		told = append(told, fmt.Sprintf("and %d more", more))
	}
	return e.Missing.Error() + ", and not everything could be asked: " + strings.Join(told, "; ")
}

// inShort is a gap without the words of IAM: several of them have the same cause.
func inShort(err error) string {
	gap, isGap := errors.AsType[*GapError](err)
	denied, isDenied := errors.AsType[*DeniedError](err)
	if isGap && isDenied {
		return "list " + gap.What + ": " + denied.Action + " is not allowed"
	}
	return err.Error()
}

// Unwrap gives what is said of the name.
func (e *UnseenError) Unwrap() []error { return append([]error{e.Missing}, e.Gaps...) }

// Temporary reports whether it may be found in a moment: a service was too busy to tell.
func (e *UnseenError) Temporary() bool {
	return slices.ContainsFunc(e.Gaps, func(gap error) bool {
		_, busy := errors.AsType[*ThrottledError](gap)
		return busy
	})
}

// Remedy is the nearest names where there are any, and how what was not asked can be.
func (e *UnseenError) Remedy() string {
	remedy := say.Remedy(e.Gaps[0])
	if len(e.Missing.Near) > 0 {
		remedy = e.Missing.Remedy() + "; or " + remedy
	}
	if len(e.Gaps) > 1 {
		remedy += "; " + e.Missing.Shell.Culvert("doctor", "policy", "--to", "--cluster", "CLUSTER") + " prints all that it takes"
	}
	return remedy
}

// DestinationNames are what Aim finds in a part of the account and takes for one thing. Beside an error they are what was found until then.
func (c *Client) DestinationNames(ctx context.Context, at Sight) ([]string, error) {
	var account Hosts
	var asking sync.WaitGroup
	asking.Go(func() { account = c.AccountHosts(ctx) })
	at.Parts = Services | Tasks
	catalog, err := c.Look(ctx, at, func(*Catalog) {})
	var named Hosts
	if err == nil {
		named = c.NamedHosts(ctx, catalog)
	}
	asking.Wait()
	if err == nil {
		err = ctx.Err()
	}
	all := &Routes{Catalog: &Catalog{}, Hosts: named.And(account)}
	called := map[string]int{}
	for _, h := range all.Hosts.Hosts {
		called[h.Name]++
	}
	var names []string
	for _, h := range all.Hosts.Hosts {
		name := h.Name + "/" + h.Role
		if called[h.Name] == 1 {
			name = h.Name
		}
		for _, name := range []string{h.Name, name} {
			if _, _, err := all.find(name); err != nil {
				name = h.Address()
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}
