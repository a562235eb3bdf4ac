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

// mostAsked is in how many clusters names are looked for when no cluster is named.
const mostAsked = 25

// completeTargets lets the shell complete the values of the flags that name a target, and of some other flags. The names of a
// target come from AWS.
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
				directive |= cobra.ShellCompDirectiveNoSpace // a service follows
			}
			return found, directive
		}) // fails only for a flag that does not exist
	}
	for flag, names := range map[string]func() []string{"profile": aws.Profiles, "region": aws.Regions} {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return offered(beginning(names(), typed))
		}) // fails when the root command has registered a function for all commands
	}
	for flag, words := range map[string][]string{"dynamic": {"1080", "0"}, "via": {"*.internal", "10.0.0.0/8"}, "deny": nil, "warm": nil, "destinations": nil} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // fails in the same case
	}
}

// complete finds names for the shell. When something fails it returns none, as a shell can show no error there.
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
	if !a.shared.demo { // names of the demo account are not remembered: every process has its own
		c.known = nameFile(findPaths().State, a.shared.own())
	}
	defer c.close()
	return beginning(names(c, typed), typed)
}

// completer finds the names for one press of the tab key.
type completer struct {
	app   *app
	ctx   context.Context //nolint:containedctx // it lives as long as the completion
	at    aws.Query       // what the command line names already
	known *nameCache      // the names that are remembered; nil when none are to be

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

// list returns the names that are remembered under a key and not older than namesLast, else those that ask finds. If that fails,
// it is what ask has found and the names that are remembered for up to namesKept.
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

// look returns the names that names finds in the clusters of a sight, as far as they have come when there is an error.
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

// families returns the families of the tasks that no service has started. They are in the descriptions of the tasks.
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

// containers returns the containers of the named task, or of some tasks of the service or the cluster.
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

// inClusters lists names in the named cluster, else in all clusters, but at most in the first mostAsked.
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

// destinations returns the names of the destinations of the account, or of the named cluster or service, each behind the local
// end that was typed.
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

// targets completes a target in one word: clusters as long as several begin as typed, then the services of the cluster, then the
// tasks of the service (or families, without one), then the containers of the task.
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

// beginning returns the names that begin with what was typed.
func beginning(names []string, typed string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, typed) })
}

// offered returns names as a shell completes them: each once, sorted. cobra prints them unchanged, so names with characters that
// must not be shown, such as control characters, are left out.
func offered(names []string) ([]string, cobra.ShellCompDirective) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return say.Line(name) != name })
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}
