package cli

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// completionTimeout bounds how long a shell waits for AWS when the user asks for names.
const completionTimeout = 5 * time.Second

// mostAsked is of how many clusters names are asked for where none is named.
const mostAsked = 25

// completeTargets lets the shell complete the names of a target by asking AWS, and those that need no asking.
func (a *app) completeTargets(cmd *cobra.Command, aim *aim) {
	for flag, names := range map[string]func(*completer, string) []string{
		"cluster":   func(c *completer, _ string) []string { return c.clusters() },
		"service":   func(c *completer, _ string) []string { return c.inClusters(c.services) },
		"family":    func(c *completer, _ string) []string { return c.inClusters(c.families) },
		"task":      func(c *completer, _ string) []string { return c.inClusters(c.tasks) },
		"container": func(c *completer, _ string) []string { return c.containers() },
		"target":    (*completer).targets,
		"to":        (*completer).destinations,
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			found, directive := offered(a.complete(cmd.Context(), aim, typed, names))
			if flag == "target" && len(found) > 0 && strings.HasSuffix(found[0], "/") {
				directive |= cobra.ShellCompDirectiveNoSpace // it goes on
			}
			return found, directive
		}) // fails only for a flag that does not exist
	}
	for flag, names := range map[string]func() []string{"profile": aws.Profiles, "region": aws.Regions} {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return offered(beginning(names(), typed))
		}) // fails where the root command has done it for all
	}
	for flag, words := range map[string][]string{"dynamic": {"1080", "0"}, "via": {"*.internal", "10.0.0.0/8"}, "deny": nil, "warm": nil, "destinations": nil} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // as above
	}
}

// complete finds names; whatever goes wrong, a shell wants no error but nothing.
func (a *app) complete(ctx context.Context, aim *aim, typed string, names func(*completer, string) []string) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	if a.shared.resolve() != nil {
		return nil
	}
	a.unasked = true
	at, err := aim.names()
	if err != nil {
		return nil
	}
	a.shared.goHome(at)
	c := &completer{app: a, ctx: ctx, at: at}
	if !a.shared.demo { // that account is another one each time
		c.known = nameFile(findPaths().State, a.shared.own())
	}
	defer c.close()
	return beginning(names(c, typed), typed)
}

// completer finds the names for one press of the tab key. Every list that it asks for is one call, but for what has pages.
type completer struct {
	app   *app
	ctx   context.Context //nolint:containedctx // it lives as long as the completion
	at    aws.Query       // what the command line names already
	known *nameCache      // nil: nothing is remembered

	opening sync.Once
	account *account // nil when it cannot be opened
}

func (c *completer) client() *aws.Client {
	c.opening.Do(func() { c.account, _ = c.app.connect(c.ctx) })
	if c.account == nil {
		return nil
	}
	return c.account.client
}

func (c *completer) close() {
	c.known.write()
	if c.account != nil {
		c.account.close()
	}
}

// list is what is remembered under a name, else what ECS says. Of a list that does not come in time it is what has come, or
// what was remembered longer ago.
func (c *completer) list(key string, ask func(*aws.Client) ([]string, error)) []string {
	if found, ok := c.known.find(key, namesLast); ok {
		return found
	}
	client := c.client()
	if client == nil {
		found, _ := c.known.find(key, namesKept)
		return found
	}
	found, err := ask(client)
	if err == nil {
		c.known.put(key, found)
	}
	if old, ok := c.known.find(key, namesKept); err != nil && ok {
		return append(found, old...)
	}
	return found
}

// look lists names in a cluster, or those of clusters.
func (c *completer) look(client *aws.Client, at aws.Sight, names func(*aws.Cluster) []string) (found []string, err error) {
	at.Parts |= aws.NamesOnly
	catalog, err := client.Look(c.ctx, at, func(grown *aws.Catalog) {
		found = nil
		for i := range grown.Clusters {
			found = append(found, names(&grown.Clusters[i])...)
		}
	})
	if err == nil && len(catalog.Gaps) > 0 {
		err = catalog.Gaps[0]
	}
	return found, err
}

func (c *completer) clusters() []string {
	return c.list("clusters", func(client *aws.Client) ([]string, error) {
		return c.look(client, aws.Sight{}, func(k *aws.Cluster) []string { return []string{k.Name} })
	})
}

func (c *completer) services(cluster string) []string {
	return c.list("services "+cluster, func(client *aws.Client) ([]string, error) {
		return c.look(client, aws.Sight{Cluster: cluster, Parts: aws.Services}, func(k *aws.Cluster) []string {
			names := make([]string, 0, len(k.Services))
			for _, s := range k.Services {
				names = append(names, s.Name)
			}
			return names
		})
	})
}

func (c *completer) tasks(cluster string) []string {
	return c.list("tasks "+cluster+"/"+c.at.Service, func(client *aws.Client) ([]string, error) {
		return c.look(client, aws.Sight{Cluster: cluster, Service: c.at.Service, Parts: aws.Tasks}, func(k *aws.Cluster) []string {
			names := make([]string, 0, len(k.Tasks))
			for _, t := range k.Tasks {
				names = append(names, t.ID)
			}
			return names
		})
	})
}

// families are those of the tasks that no service started: the descriptions of the tasks name them.
func (c *completer) families(cluster string) []string {
	return c.list("families "+cluster, func(client *aws.Client) ([]string, error) {
		var found []string
		catalog, err := client.Look(c.ctx, aws.Sight{Cluster: cluster, Parts: aws.Tasks}, func(grown *aws.Catalog) {
			found = nil
			for _, k := range grown.Clusters {
				for _, t := range k.Tasks {
					if t.Service == "" && t.Family != "" {
						found = append(found, t.Family)
					}
				}
			}
		})
		if err == nil && len(catalog.Gaps) > 0 {
			err = catalog.Gaps[0]
		}
		return found, err
	})
}

// containers are those of the task that is named, or of some of the service's or the cluster's.
func (c *completer) containers() []string {
	at := c.at
	if at.Cluster == "" {
		all := c.clusters()
		if len(all) != 1 {
			return nil
		}
		at.Cluster = all[0]
	}
	return c.list("containers "+at.Cluster+"/"+at.Service+"/"+at.Task, func(client *aws.Client) ([]string, error) {
		return client.ContainerNames(c.ctx, at)
	})
}

// inClusters lists in the cluster that is named, else in all of them; of very many in the first.
func (c *completer) inClusters(list func(cluster string) []string) []string {
	if c.at.Cluster != "" {
		return list(c.at.Cluster)
	}
	all := c.clusters()
	found := make([][]string, min(len(all), mostAsked))
	var asking sync.WaitGroup
	for i := range found {
		asking.Go(func() { found[i] = list(all[i]) })
	}
	asking.Wait()
	return slices.Concat(found...)
}

// destinations are those of the whole account, or of what is named, behind the local end that was typed.
func (c *completer) destinations(typed string) []string {
	forward, err := tunnel.ParseNamed(typed + "x")
	if err != nil {
		return nil
	}
	local := strings.TrimSuffix(typed+"x", forward.To)
	found := c.list("destinations "+c.at.Cluster+"/"+c.at.Service, func(client *aws.Client) ([]string, error) {
		return client.DestinationNames(c.ctx, aws.Sight{Cluster: c.at.Cluster, Service: c.at.Service})
	})
	for i, name := range found {
		found[i] = local + name
	}
	return found
}

// targets are clusters, as long as there are several that it may be, and then what is in the one: services, and tasks behind
// the name of a service.
func (c *completer) targets(typed string) []string {
	if strings.HasPrefix(typed, "arn:") {
		return nil
	}
	parts := strings.Split(typed, "/")
	prefix := func(names []string, with, end string) []string {
		all := make([]string, len(names))
		for i, name := range names {
			all[i] = with + name + end
		}
		return all
	}
	switch len(parts) {
	case 1:
		found := beginning(c.clusters(), typed)
		if len(found) == 1 {
			return prefix(c.services(found[0]), found[0]+"/", "")
		}
		return prefix(found, "", "/")
	case 2:
		return prefix(c.services(parts[0]), parts[0]+"/", "")
	case 3:
		if parts[1] == "" {
			return prefix(c.families(parts[0]), parts[0]+"//", "")
		}
		c.at.Service = parts[1]
		return prefix(c.tasks(parts[0]), parts[0]+"/"+parts[1]+"/", "")
	case 4:
		c.at = aws.Query{Cluster: parts[0], Service: parts[1], Task: parts[2]}
		return prefix(c.containers(), strings.Join(parts[:3], "/")+"/", "")
	}
	return nil
}

// beginning are the names that begin as what was typed.
func beginning(names []string, typed string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, typed) })
}

// offered is what a shell completes: every name once, in order. cobra prints what it gets as it is, so a name that could
// not be shown as it is (control characters, say) is left out: nobody could complete it anyway.
func offered(names []string) ([]string, cobra.ShellCompDirective) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return say.Line(name) != name })
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}
