package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"culvert/tunnel"
	"culvert/ui/headless"
)

// errQuit ends a screen that the user has left with q.
var errQuit = errors.New("quit")

// demo is the interface on the embedded account.
func (a *app) demo() *cobra.Command {
	var aim aim
	var forwards forwards
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try culvert on an AWS account inside this process",
		Long: "Starts the embedded account and the interface on it. Without a terminal it opens a tunnel to the proxy of the\n" +
			"squid service and shows how to use it. Nothing leaves this machine, and nothing is kept.",
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.shared.demo = true
			if a.onTerminal() {
				return a.screen(cmd.Context(), &aim, &forwards)
			}
			return a.plainDemo(cmd.Context(), &aim, &forwards)
		},
	}
	cmd.Flags().AddFlagSet(aim.flags())
	cmd.Flags().AddFlagSet(forwards.flags(&a.shared))
	return cmd
}

// plainDemo is the demo without a terminal: it opens a tunnel and prints plain lines about it, until the user types q or a signal
// comes.
func (a *app) plainDemo(ctx context.Context, aim *aim, forwards *forwards) error {
	if !forwards.given() {
		forwards.forms = []written{{form: "3128"}}
	}
	if !aim.given() {
		aim.cluster, aim.service = demoCluster, demoService
	}
	wanted, err := a.wanted(aim, forwards, nil)
	if err != nil {
		return err
	}
	acc, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer acc.close()
	ctx, quit := context.WithCancelCause(ctx)
	defer quit(nil)
	if acc.demo != nil {
		err = a.write("culvert demo: the embedded account 111122223333 in " + demoRegion + "; nothing leaves this machine\n")
	}
	if err != nil {
		return err
	}
	go a.quitOn("q", quit)

	options := a.headlessOptions(acc, wanted)
	options.JSON = false
	options.Ready = func(tunnels []*tunnel.Tunnel) { err = a.write(instructions(acc, tunnels)) }
	if shown := headless.Run(ctx, options); shown != nil && !isQuit(ctx) {
		return shown
	}
	return err
}

// quitOn calls quit when the user types word and enter. Its goroutine ends with the process, as a read from a terminal cannot be
// cancelled.
func (a *app) quitOn(word string, quit context.CancelCauseFunc) {
	lines := bufio.NewScanner(a.Stdin)
	for lines.Scan() {
		if strings.EqualFold(strings.TrimSpace(lines.Text()), word) {
			quit(errQuit)
			return
		}
	}
}

// instructions say how to use the tunnels that have just become ready.
func instructions(acc *account, tunnels []*tunnel.Tunnel) string {
	var b strings.Builder
	b.WriteString("\n")
	for _, t := range tunnels {
		if t.Spec().Dynamic != nil {
			fmt.Fprintf(&b, "%s is a proxy (HTTP and SOCKS) to any host behind the task\n", t.Addr())
		} else {
			fmt.Fprintf(&b, "%s is the task's %s\n", t.Addr(), t.Spec().Remote)
		}
		if acc.demo != nil && (t.Spec().Remote == (tunnel.Endpoint{Port: 3128}) || t.Spec().Dynamic != nil) {
			b.WriteString("try in another terminal:\n")
			fmt.Fprintf(&b, "  curl -x http://%s http://orders.internal/\n", t.Addr())
			fmt.Fprintf(&b, "  curl -x http://%s --cacert %s https://billing.internal/\n", t.Addr(), acc.demo.certificate)
		}
	}
	b.WriteString("q and enter, or ctrl+c, ends it\n\n")
	return b.String()
}
