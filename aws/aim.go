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

// Aim is a destination that was found by its name, and the target through which connections get there.
type Aim struct {
	Route
	Through   Query // the service whose tasks reach the destination, or the task that was named
	Unchecked error // why it is not known whether security groups admit connections, an *UncheckedWayError; nil when they do
}

// Aim finds destinations by their names, in the forms that Routes.Route takes, and the best way to each: through the task that
// within names, or through one of the services that within leaves to choose from. A name that nothing within refers to is
// looked for in the rest of the account. Aim fails with the first name that leads nowhere: *NotFoundError, *UnseenError,
// *AmbiguousError, *NoWayError. It does not wait: errors that may pass by waiting are Temporary.
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

// missingIn is the error that the cluster or service which was to be looked at does not exist; nil when it does.
func missingIn(catalog *Catalog) error {
	for _, gap := range catalog.Gaps {
		if isNotFound(gap) {
			return gap
		}
	}
	return nil
}

// unknown reports whether no destination has a name.
func (r *Routes) unknown(name string) bool {
	_, _, err := r.find(name)
	return isNotFound(err)
}

func isNotFound(err error) bool {
	_, is := errors.AsType[*NotFoundError](err)
	return is
}

// widened are routes through the same services to all that the task definitions of the account name. Where the caller may not
// look at the whole account, the routes stay as they are.
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

// networkGap is why EC2 could not be asked for the security groups; nil when it has told them.
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

// whyNot adds to the error of a name that leads nowhere what else may be the cause.
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

// pending is why a task of the catalog that a service has started cannot carry a session yet; nil when there is no such task.
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

// UncheckedWayError means that a way was chosen of which it is not known whether security groups admit it.
type UncheckedWayError struct {
	Host    Host
	Through Target
	Why     string
	Gap     error // which list EC2 did not give; nil when that is not the reason
}

func (e *UncheckedWayError) Error() string {
	text := fmt.Sprintf("the way to %s through %s is not checked: %s", e.Host.Address(), e.Through, say.Line(e.Why))
	if e.Gap != nil {
		text += " (" + e.Gap.Error() + ")"
	}
	return text
}

// Unwrap is the gap, which may have a remedy.
func (e *UncheckedWayError) Unwrap() error { return e.Gap }

// Remedy is the gap's. All else that can be done is to try the way.
func (e *UncheckedWayError) Remedy() string { return say.Remedy(e.Gap) }

// UnseenError means that a destination was not found, but may be in a list that could not be had.
type UnseenError struct {
	Missing *NotFoundError
	Gaps    []error // not empty
}

// mostGaps is how many gaps an error tells one by one.
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

// inShort is a gap without the text of IAM's refusal, which several gaps have in common.
func inShort(err error) string {
	gap, isGap := errors.AsType[*GapError](err)
	denied, isDenied := errors.AsType[*DeniedError](err)
	if isGap && isDenied {
		return "list " + gap.What + ": " + denied.Action + " is not allowed"
	}
	return err.Error()
}

// Unwrap are the errors that it is made of.
func (e *UnseenError) Unwrap() []error { return append([]error{e.Missing}, e.Gaps...) }

// Temporary reports whether the destination may be found in a moment, as a service was too busy to give its list.
func (e *UnseenError) Temporary() bool {
	return slices.ContainsFunc(e.Gaps, func(gap error) bool {
		_, busy := errors.AsType[*ThrottledError](gap)
		return busy
	})
}

// Remedy is the nearest names, if there are any, and how to be allowed the lists that are missing.
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

// DestinationNames are the names in a part of the account that Aim would find and that mean one destination each. When there is
// an error they are those that were found before it.
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
