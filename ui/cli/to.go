package cli

import (
	"context"

	"culvert/aws"
	"culvert/ui/headless"
)

// aimAt finds the destination of a name and the way to it, within what is named of the way, and says what of that nobody has looked
// at. headless.Forward.Toward makes a forward of it; a forward with a name and no remote end finds it by itself.
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

// through is what the flags ask for: a target, of which destinations that are named need none, or a part of one.
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

// onlyNamed reports whether every forward is to a destination that is named, so that it finds its way by itself.
func (f *forwards) onlyNamed() bool {
	for _, w := range f.forms {
		if w.kind != formNamed {
			return false
		}
	}
	return len(f.forms) > 0
}

// checkNamed refuses what cannot be meant beside --to.
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
