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
	var remote, dynamic, named, browse, exec, start, share, relay bool
	var only, run string
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Print the least IAM policies: the caller's and the task role's",
		Long: "Prints what whoever opens tunnels needs, and what the exec agent needs from the task's role, as JSON with the\n" +
			"account, region and cluster filled in as far as they are known (* otherwise).",
		Example: "  culvert doctor policy -c automation\n  culvert doctor policy -c automation --only caller > caller.json\n" +
			"  culvert doctor policy -c automation -D\n  culvert doctor policy -c automation --run\n  culvert doctor policy -c automation -s squid --start",
		Args: func(cmd *cobra.Command, args []string) error {
			if named && len(args) > 0 {
				return usage("leave "+args[0]+" out: the policy is for all that can be listed", "--to takes no name here")
			}
			return atMost(0)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.printPolicies(cmd.Context(), &aim, aws.Reach{RemoteHosts: remote, AnyHost: dynamic, Named: named, Browse: browse, Exec: exec, Run: run, Share: share, Relay: relay}, start, only)
		},
	}
	cmd.Flags().AddFlagSet(aim.flags())
	cmd.Flags().BoolVar(&remote, "remote-hosts", false, "let the caller forward to hosts behind the tasks, past the proxy's rules")
	cmd.Flags().BoolVarP(&dynamic, "dynamic", "D", false, "let the caller open tunnels to any host, and no others: the document for hosts behind the tasks alone")
	cmd.Flags().BoolVar(&named, "to", false, "let the caller find hosts behind the tasks by their names (--to, list hosts) and forward to them")
	cmd.Flags().BoolVar(&browse, "browse", false, "let the caller list what there is, for the interface")
	cmd.Flags().BoolVar(&relay, "relay", false, "let the caller find a relay that bonds sessions: what the task definitions say")
	cmd.Flags().BoolVar(&exec, "exec", false, "let the caller run commands and shells in the containers (culvert exec); with --container in that one alone")
	cmd.Flags().StringVar(&run, "run", "", "let the caller run and stop tasks of `TASKDEF` for the time of a tunnel; alone: "+moduleFamily)
	cmd.Flags().BoolVar(&share, "share", false, "with --run: let the caller share such tasks with others of its role too")
	cmd.Flags().BoolVar(&start, "start", false, "let the caller scale the service named up from zero for the time of a tunnel")
	cmd.Flags().Var(choiceValue{&only, []string{"caller", "task"}}, "only", "print one of the two, ready for aws iam put-role-policy")
	a.completeTargets(cmd, &aim)
	return cmd
}

func (a *app) printPolicies(ctx context.Context, aim *aim, wanted aws.Reach, start bool, only string) error {
	named, err := aim.names()
	if err != nil {
		return err
	}
	cluster := named.Cluster
	if cluster == "" && a.shared.demo {
		cluster = "automation"
	}
	if cluster == "" {
		return usage("name it with --cluster", "the policy is about one cluster")
	}
	if wanted.Share && wanted.Run == "" {
		return usage("add --run, or leave it out", "--share says something of tasks that are run")
	}
	if start && named.Service == "" {
		return usage("name it with --service", "--start is about one service")
	}
	a.shared.goHome(named)
	acc, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer acc.close()
	if err := acc.client.CheckHome(ctx, named.Home); err != nil {
		return err
	}
	who, unknown := acc.client.Identity(ctx)
	if unknown != nil { // the identity is only needed for the account and the role's id
		a.noticef("the account is not known (%v): write its number in place of the *", unknown)
	}
	reach := acc.client.Reach(cluster)
	reach.RemoteHosts, reach.AnyHost, reach.Named, reach.Browse, reach.RoleID = wanted.RemoteHosts, wanted.AnyHost, wanted.Named, wanted.Browse, who.RoleID()
	reach.Exec, reach.Container = wanted.Exec, named.Container
	if session := who.RoleSession(); session != "" && !aws.IsOwnRoleSession(session) {
		// Whoever brings the keys has named the session of their role, and what is called like that no policy for others can say.
		reach.AnyChannel = true
		if only != "task" {
			a.noticef("Channel is about every session: another program has named yours %s; under a role that culvert assumes (--role-arn) it is about the caller's own", session)
		}
	}
	reach.Share, reach.Relay = wanted.Share, wanted.Relay
	if reach.Run = familyOf(wanted.Run); reach.Run != "" {
		if reach.RunRoles, err = acc.client.RolesOf(ctx, wanted.Run); err != nil {
			a.noticef("the roles of %s are not known (%v): write their ARNs in place of those of PassRoles", wanted.Run, err)
			reach.RunRoles = [2]string{"arn:aws:iam::" + reach.Account + ":role/TASK-ROLE", "arn:aws:iam::" + reach.Account + ":role/EXECUTION-ROLE"}
		}
	}
	if start {
		reach.Start = named.Service
	}
	if only != "task" {
		a.noticef("%s", aboutEndEarlier(acc.client.Shell(), who, unknown))
	}
	var shown any = policies{Caller: aws.CallerPolicy(reach), Task: aws.TaskRolePolicy()}
	switch only {
	case "caller":
		shown = aws.CallerPolicy(reach)
	case "task":
		shown = aws.TaskRolePolicy()
	}
	return a.writeJSON(shown)
}

// familyOf is the family of a task definition that is named by its ARN, by a revision or by itself.
func familyOf(definition string) string {
	family, _, _ := strings.Cut(definition[strings.LastIndexByte(definition, '/')+1:], ":")
	return family
}

// aboutEndEarlier says whose sessions the statement EndEarlier is about, or why it is left out: it needs a role's id.
func aboutEndEarlier(shell aws.Shell, who aws.Identity, unknown error) string {
	switch {
	case unknown != nil:
		return "EndEarlier is left out: it needs the id of the role, and who you are is not known"
	case who.RoleID() == "":
		return "EndEarlier is left out: it is for those who assume a role, and " + who.ARN + " is none; a user's sessions are its own for ever"
	}
	return "EndEarlier is about the role of " + who.ARN + ": in a policy for another role write that one's id (" + shell.AWS("iam", "get-role", "--query", "Role.RoleId", "--role-name", "NAME") + ")"
}
