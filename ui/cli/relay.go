package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"culvert/tunnel/bond"
)

// relay serves the relay in the task, which bonds sessions.
func (a *app) relay() *cobra.Command {
	var to []string
	listen, check := bond.UsualListen, false
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "In a task: bond the sessions of one connection",
		Long: "Runs in a task, as a container beside the proxy, and joins what comes through several sessions into one connection, which is\n" +
			"then as fast as all of them together. It listens on the task's loopback and opens the addresses that --to names, of loopback as well.\n" +
			"Terraform and CloudFormation of culvert deploy start it (docs/relay.md); nobody needs to run it by hand.",
		Example: "  culvert relay --to 127.0.0.1:3128\n  culvert relay --check",
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			service := bond.Service{Build: a.Build.complete(nil).Version, Log: a.Stderr}
			var err error
			if service.Listen, err = bond.ParseLoopback(listen); err != nil {
				return usage("write --listen "+bond.UsualListen, "--listen: %s", err)
			}
			if check {
				if len(to) > 0 {
					return usage("leave --to out, or --check", "--check asks the relay that listens, which has its own --to")
				}
				if _, err := bond.Healthy(cmd.Context(), service.Listen); err != nil {
					return fmt.Errorf("the relay on %s: %w", service.Listen, err)
				}
				return nil
			}
			for _, written := range to {
				at, err := bond.ParseLoopback(written)
				if err != nil {
					return usage("write --to 127.0.0.1:PORT", "--to: %s", err)
				}
				service.To = append(service.To, at)
			}
			if err := service.Check(); err != nil {
				return usage("write --to 127.0.0.1:PORT, once for each port that may be opened", "--to: %s", err)
			}
			return service.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", listen, "`ADDRESS:PORT` of loopback to serve on")
	cmd.Flags().StringArrayVar(&to, "to", nil, "`ADDRESS:PORT` of loopback that may be opened; can be given several times")
	cmd.Flags().BoolVar(&check, "check", false, "ask the relay that listens there whether it answers, and exit: for a health check")
	return cmd
}
