package cli

import (
	"context"
	"net/netip"
	"strings"
	"syscall"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/headless"
)

// farEnd is the far end that -W names. A port alone, localhost and loopback addresses mean the task itself, as they mean the
// machine to which one logs in with ssh's -W.
func farEnd(word string) (tunnel.Endpoint, error) {
	form := "0:" + word // a form with a remote host needs a local port
	f, err := tunnel.ParseForward(form)
	if err != nil || f.Socket != "" || f.Local.Port() != 0 || f.Local.Addr().IsValid() {
		return tunnel.Endpoint{}, usage("write -W HOST:PORT, for instance -W db.internal:5432, or -W [fd00::1]:22", "-W %q is no host and port", word)
	}
	host := strings.TrimSuffix(f.Remote.Host, ".")
	if addr, err := netip.ParseAddr(host); strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback() {
		f.Remote.Host = ""
	}
	return f.Remote, nil
}

// stdio runs culvert -W: it carries one connection to the far end over standard input and output.
func (a *app) stdio(ctx context.Context, aim *aim, forwards *forwards, word string, args []string) error {
	if forwards.any() {
		return usage("leave out -L, -D and their companions", "-W is one connection, without a port here")
	}
	if err := a.shared.withoutAnyHost(); err != nil {
		return err
	}
	if len(args) > 0 {
		return usage("see culvert help forwards", "-W takes no argument %q", args[0])
	}
	remote, err := farEnd(word)
	if err != nil {
		return err
	}
	if err := forwards.reach(remote); err != nil {
		return err
	}
	query, err := aim.query(a.shared.shell())
	if err != nil {
		return err
	}
	a.shared.goHome(query)
	a.shared.lanes = 1 // there is one connection
	acc, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer acc.close()
	a.keepJournal(ctx, acc)
	spec := tunnel.Spec{Remote: remote, Pinned: query.Task != "", Unlistened: true, KeepAlive: a.shared.keepAlive}
	query = forPort(query, spec)
	if spec.Target, err = awaited(ctx, a, func(ctx context.Context) (aws.Target, error) { return acc.client.Lookup(ctx, query) }); err != nil {
		return a.late(ctx, err)
	}
	engine := acc.engine(&a.shared)
	if err := engine.SeekRelay(ctx, &spec); err != nil {
		return err
	}
	err = headless.Stdio(ctx, headless.StdioOptions{Engine: engine, Spec: spec, Wait: a.shared.wait, In: a.Stdin, Out: a.Stdout, Err: a.Stderr})
	for _, left := range engine.Unended() {
		a.warn(left)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case headless.ReaderGone(err): // the reader of the output has closed it, as head does
		return &headless.EndError{Code: exitSignal + int(syscall.SIGPIPE)}
	}
	return err
}
