package aws

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"culvert/internal/near"
	"culvert/internal/say"
)

// Routes are what can be reached: the private destinations that an account and its task definitions name, and the ways to them.
type Routes struct {
	Catalog *Catalog // of the services and tasks that were looked at
	Hosts            // Gaps are also those of the catalog and of the ways
	Ways    [][]Way  // at the index of the host in Hosts.Hosts, the best way first
}

// Routes looks for private destinations, and for the services in a part of the account through whose tasks they can be reached.
// It asks ECS and the services that have destinations at the same time. It fails when ECS cannot be asked at all; everything
// else that is missing is a gap.
func (c *Client) Routes(ctx context.Context, at Sight) (*Routes, error) {
	return c.FindRoutes(ctx, at, func(*Routes) {})
}

// FindRoutes is Routes. update is called with what is known so far, one call at a time and never after the end. The ways in it
// are still empty.
func (c *Client) FindRoutes(ctx context.Context, at Sight, update func(*Routes)) (*Routes, error) {
	var mu sync.Mutex
	var named, account Hosts
	looked := &Catalog{}
	all := func() *Routes {
		r := &Routes{Catalog: looked, Hosts: named.And(account)}
		r.Gaps = slices.Concat(looked.Gaps, r.Gaps)
		r.Ways = make([][]Way, len(r.Hosts.Hosts))
		return r
	}
	var asking sync.WaitGroup
	asking.Go(func() {
		c.askSources(ctx, func(h Hosts) {
			mu.Lock()
			defer mu.Unlock()
			account = h
			update(all())
		})
	})
	defer asking.Wait()
	catalog, err := c.Look(ctx, at, func(*Catalog) {})
	if err != nil {
		return nil, err
	}
	mentioned := c.NamedHosts(ctx, catalog)
	mu.Lock()
	looked, named = catalog, mentioned
	update(all())
	mu.Unlock()
	asking.Wait()
	r := all()
	r.Ways, err = c.Ways(ctx, catalog, r.Hosts.Hosts)
	if err != nil {
		r.Gaps = append(r.Gaps, err)
	}
	return r, nil
}

// Concerns reports whether a destination matters to the tasks that were looked at: they name it, or it is not known to be in
// another VPC.
func (r *Routes) Concerns(i int) bool {
	return len(r.Hosts.Hosts[i].Mentions) > 0 || slices.ContainsFunc(r.Ways[i], func(w Way) bool { return !w.Elsewhere })
}

// Route is a destination and the way to it.
type Route struct {
	Host Host // with its port
	Way  Way  // Admitted, or Unchecked for the reason in Why
}

// Route finds the destination of a name, and the best way to it. The name is one that a list of destinations shows: a name, a
// name and a role as in orders/reader, a host, an address or an ARN. NAME:PORT adds a port that is not known, or replaces it.
// Of several roles it chooses the one that can be written to. It fails with *NotFoundError, *AmbiguousError or *NoWayError.
func (r *Routes) Route(name string) (Route, error) {
	at, port, err := r.find(name)
	if err != nil {
		return Route{}, err
	}
	h := r.Hosts.Hosts[at]
	if port != 0 {
		h.Port = port
	}
	switch ways := r.Ways[at]; {
	case h.Port == 0:
		return Route{}, &NoWayError{Host: h}
	case len(ways) == 0 || ways[0].Verdict == NoRule && h.Port == r.Hosts.Hosts[at].Port:
		return Route{}, &NoWayError{Host: h, Ways: ways, Shell: r.Catalog.Shell}
	case h.Port != r.Hosts.Hosts[at].Port:
		way := ways[0]
		way.Verdict, way.Missing, way.Why = Unchecked, nil, "the rules were looked at for another port"
		return Route{Host: h, Way: way}, nil
	default:
		return Route{Host: h, Way: ways[0]}, nil
	}
}

// find finds the one destination of a name, and the port that the name ends with; 0 when it has none.
func (r *Routes) find(name string) (at int, port uint16, err error) {
	if found := r.called(name); len(found) > 0 {
		at, err = r.one(name, found)
		return at, 0, err
	}
	if host, text, err := net.SplitHostPort(name); err == nil {
		if n, err := strconv.ParseUint(text, 10, 16); err == nil && n > 0 {
			if found := r.called(host); len(found) > 0 {
				at, err := r.one(host, found)
				return at, uint16(n), err
			}
		}
	}
	var names []string
	for _, h := range r.Hosts.Hosts {
		names = append(names, h.Name, h.Host)
	}
	slices.Sort(names)
	return 0, 0, &NotFoundError{Kind: "destination", Name: name, Near: near.Names(name, slices.Compact(names), maxNear), Shell: r.Catalog.Shell}
}

// called are the destinations that a name may mean, by their indexes in Hosts.
func (r *Routes) called(name string) []int {
	if name == "" {
		return nil // it would match hosts without an ARN
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	forms := []func(Host) string{
		func(h Host) string { return h.ARN },
		Host.Address,
		func(h Host) string { return h.Name + "/" + h.Role },
		func(h Host) string { return h.Name },
		func(h Host) string { return h.Host },
	}
	for _, form := range forms {
		var found []int
		for i, h := range r.Hosts.Hosts {
			if strings.EqualFold(strings.TrimSuffix(form(h), "."), name) {
				found = append(found, i)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// one chooses one of several destinations: of several roles the one that can be written to, and any of those at the same
// address.
func (r *Routes) one(name string, found []int) (int, error) {
	for _, role := range []string{"writer", "primary", "configuration"} {
		in := slices.DeleteFunc(slices.Clone(found), func(i int) bool { return r.Hosts.Hosts[i].Role != role })
		if len(in) > 0 {
			found = in
			break
		}
	}
	var addresses []string
	for _, i := range found {
		addresses = append(addresses, r.Hosts.Hosts[i].Address())
	}
	slices.Sort(addresses)
	if addresses = slices.Compact(addresses); len(addresses) > 1 {
		return 0, &AmbiguousError{Kind: "destination", Name: name, Candidates: addresses}
	}
	return found[0], nil
}

// NoWayError means that a destination is known, but cannot be reached as things are.
type NoWayError struct {
	Host  Host  // when its Port is 0, the port is what is missing
	Ways  []Way // none of them is open; empty when no task can carry a session
	Shell Shell
	Err   error // why no task is ready, when that is known
}

func (e *NoWayError) Unwrap() error { return e.Err }

func (e *NoWayError) Error() string {
	switch {
	case e.Host.Port == 0:
		return "the port of " + say.Line(e.Host.Name) + " is not known"
	case len(e.Ways) == 0 && e.Err != nil:
		return "no ready task through which " + say.Line(e.Host.Name) + " could be reached: " + e.Err.Error()
	case len(e.Ways) == 0:
		return "no ready task through which " + say.Line(e.Host.Name) + " could be reached"
	}
	return fmt.Sprintf("no way to %s: %s/%s is the nearest, and %s", say.Line(e.Host.Name), e.Ways[0].Cluster, e.Ways[0].Service, e.Ways[0].Why)
}

// Remedy is to add the port to the name, or the command that adds the missing rule.
func (e *NoWayError) Remedy() string {
	switch {
	case e.Host.Port == 0:
		return "say it: " + say.Line(e.Host.Name) + ":PORT"
	case len(e.Ways) == 0 && say.Remedy(e.Err) != "":
		return say.Remedy(e.Err)
	case len(e.Ways) == 0:
		return e.Shell.Culvert("list", "tasks") + " shows which tasks are ready; --cluster and --service choose where to look"
	case e.Ways[0].Missing != nil:
		return "let it in: " + e.Ways[0].Missing.Command(e.Shell)
	}
	return "look at the rules of both security groups"
}
