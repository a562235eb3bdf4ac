package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"culvert/aws"
)

// policies is what culvert doctor policy prints.
type policies struct {
	Caller aws.Policy `json:"caller"`
	Task   aws.Policy `json:"task_role"`
}

func (a *app) doctorPolicy() *cobra.Command {
	var aim aim
	var remote, browse bool
	var only string
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Print the least IAM policies: the caller's and the task role's",
		Long: "Prints what whoever opens tunnels needs, and what the exec agent needs from the task's role, as JSON with the\n" +
			"account, region and cluster filled in as far as they are known (* otherwise).",
		Example: "  culvert doctor policy -c automation\n  culvert doctor policy -c automation --only caller > caller.json",
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.printPolicies(cmd.Context(), &aim, remote, browse, only)
		},
	}
	cmd.Flags().AddFlagSet(aim.flags())
	cmd.Flags().BoolVar(&remote, "remote-hosts", false, "let the caller forward to hosts behind the tasks, past the proxy's rules")
	cmd.Flags().BoolVar(&browse, "browse", false, "let the caller list what there is, for the interface")
	cmd.Flags().Var(choiceValue{&only, []string{"caller", "task"}}, "only", "print one of the two, ready for aws iam put-role-policy")
	a.completeTargets(cmd, &aim)
	return cmd
}

func (a *app) printPolicies(ctx context.Context, aim *aim, remote, browse bool, only string) error {
	cluster := aim.cluster
	if cluster == "" {
		cluster = aim.target.Cluster
	}
	if cluster == "" && a.shared.demo {
		cluster = "automation"
	}
	if cluster == "" {
		return usage("name it with --cluster", "the policy is about one cluster")
	}
	acc, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer acc.close()
	if _, err := acc.client.Identity(ctx); err != nil { // it only fills the account in
		a.noticef("the account is not known (%v): write its number in place of the *", err)
	}
	reach := acc.client.Reach(cluster[strings.LastIndexByte(cluster, '/')+1:])
	reach.RemoteHosts, reach.Browse = remote, browse
	var shown any = policies{Caller: aws.CallerPolicy(reach), Task: aws.TaskRolePolicy()}
	switch only {
	case "caller":
		shown = aws.CallerPolicy(reach)
	case "task":
		shown = aws.TaskRolePolicy()
	}
	return a.writeJSON(shown)
}
