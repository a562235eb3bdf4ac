package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"culvert/aws"
	"culvert/internal/say"
)

// completionTimeout bounds how long a shell waits for AWS when the user asks for names.
const completionTimeout = 5 * time.Second

// completeTargets lets the shell complete the names of a target by asking AWS.
func (a *app) completeTargets(cmd *cobra.Command, aim *aim) {
	for flag, names := range map[string]func(aws.Cluster) []string{
		"cluster":   func(c aws.Cluster) []string { return []string{c.Name} },
		"service":   serviceNames,
		"task":      func(c aws.Cluster) []string { return taskNames(c, aim.service) },
		"container": func(c aws.Cluster) []string { return containerNames(c, aim.service, aim.task) },
		"target":    targetNames,
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return offered(a.complete(cmd.Context(), typed, func(c aws.Cluster) []string {
				if flag != "cluster" && !admits(aim.cluster, c.Name) {
					return nil
				}
				return names(c)
			}))
		}) // fails only for a flag that does not exist
	}
}

// complete asks the account for names; whatever goes wrong, a shell wants no error but nothing.
func (a *app) complete(ctx context.Context, typed string, names func(aws.Cluster) []string) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	if a.shared.resolve() != nil {
		return nil
	}
	a.unasked = true
	acc, err := a.connect(ctx)
	if err != nil {
		return nil
	}
	defer acc.close()
	catalog, err := acc.client.Discover(ctx)
	if err != nil {
		return nil
	}
	var found []string
	for _, c := range catalog.Clusters {
		for _, name := range names(c) {
			if strings.HasPrefix(name, typed) {
				found = append(found, name)
			}
		}
	}
	return found
}

// offered is what a shell completes: every name once, in order. cobra prints what it gets as it is, so a name that could
// not be shown as it is (control characters, say) is left out: nobody could complete it anyway.
func offered(names []string) ([]string, cobra.ShellCompDirective) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return say.Line(name) != name })
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

func serviceNames(c aws.Cluster) []string {
	names := make([]string, 0, len(c.Services))
	for _, s := range c.Services {
		names = append(names, s.Name)
	}
	return names
}

func taskNames(c aws.Cluster, service string) []string {
	var names []string
	for _, t := range c.Tasks {
		if admits(service, t.Service) {
			names = append(names, t.ID)
		}
	}
	return names
}

func containerNames(c aws.Cluster, service, task string) []string {
	var names []string
	for _, t := range c.Tasks {
		if admits(service, t.Service) && admits(task, t.ID) {
			for _, container := range t.Containers {
				names = append(names, container.Name)
			}
		}
	}
	return names
}

func targetNames(c aws.Cluster) []string {
	names := make([]string, 0, len(c.Services))
	for _, s := range c.Services {
		names = append(names, c.Name+"/"+s.Name)
	}
	return names
}
