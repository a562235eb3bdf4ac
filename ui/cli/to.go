package cli

import (
	"context"

	"culvert/aws"
	"culvert/ui/headless"
)

// aimAt finds the destination with a name and the best way to it, within the part of the account that within names. It tells what
// of the way could not be checked. headless.Forward.Toward makes a forward of an aim; a forward with a name and no remote end
// finds its aim by itself.
func (a *app) aimAt(ctx context.Context, client *aws.Client, within aws.Query, name string) (aws.Aim, error) {
	aims, err := client.Aim(ctx, within, name)
	if err != nil {
		return aws.Aim{}, err
	}
	if unchecked := aims[0].Unchecked; unchecked != nil {
		a.noticef("%s", headless.WithRemedy(unchecked))
	}
	return aims[0], nil
}

// through is the query for the target of the flags. If all forwards are to destinations by name, the flags may name no target, or
// only a part of one.
func (a *aim) through(f *forwards, shell aws.Shell) (aws.Query, error) {
	if err := f.checkNamed(); err != nil {
		return aws.Query{}, err
	}
	if !f.onlyNamed() {
		return a.query(shell)
	}
	q, err := a.names()
	if err == nil && q.Container != "" && q.Service == "" && q.Task == "" && q.Family == "" {
		return q, usage("name it with --service or --task as well", "no service or task for the container %q", q.Container)
	}
	return q, err
}

// onlyNamed reports whether every forward is to a destination by its name, and so finds its way by itself.
func (f *forwards) onlyNamed() bool {
	for _, w := range f.forms {
		if w.kind != formNamed {
			return false
		}
	}
	return len(f.forms) > 0
}

// checkNamed refuses flags that make no sense with --to.
func (f *forwards) checkNamed() error {
	var named, dynamic bool
	for _, w := range f.forms {
		named, dynamic = named || w.kind == formNamed, dynamic || w.kind == formDynamic
	}
	switch {
	case !named:
	case f.remotePort != 0 || f.remoteHost != "":
		return usage("write --to NAME:PORT for another port of the destination, and -L for another forward", "--remote-port and --remote-host say where a forward leads, and --to finds that by itself")
	case f.localPort != 0:
		return usage("write it before the name, as in --to 15432:orders-db", "--local-port belongs to --remote-port, not to --to")
	case dynamic:
		return usage("leave one of the two out: through -D the destination is reached by its own name", "--to goes not with -D, which leads to any host")
	}
	return nil
}
