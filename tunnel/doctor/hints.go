package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"culvert/aws"
)

// The checks in this file ask IAM and EC2 what may keep an agent from Session Manager. They look only when the live path
// has shown that something does: a simulation never stands against a session that works.

func (x *examination) roleCheck() Check {
	return Check{
		ID: checkRole, Name: "the task role may do what the agent needs", After: []string{checkCluster}, Behind: []string{checkSession},
		Causes: []Cause{
			{"C5", "the agent is not connected, and IAM's simulation denies the task role one of the four ssmmessages actions (a hint)", "add the actions to the task role: `culvert doctor policy` prints the statement"},
		},
		Run: func(ctx context.Context) Finding {
			if !x.isAgentTrouble() {
				return skip("nothing points to the task role")
			}
			role := cmp.Or(x.found.Task.RoleOverride, x.found.Definition.TaskRole)
			if role == "" {
				return skip("the task role is not known, or there is none")
			}
			missing, err := x.client.SimulateRole(ctx, role)
			switch {
			case err != nil:
				return blind(err)
			case len(missing) == 0:
				return pass("IAM's simulation allows " + role + " the four ssmmessages actions")
			}
			return advise([]string{"iam:SimulatePrincipalPolicy"}, &AdviceError{
				ID:      "C5",
				Problem: fmt.Sprintf("by IAM's simulation %s may not do %s", role, strings.Join(missing, ", ")),
				Advice:  fmt.Sprintf("add to the policy of %s: %s", role, aws.TaskRolePolicy().Statement[0]),
			})
		},
	}
}

func (x *examination) networkCheck() Check {
	return Check{
		ID: checkNetwork, Name: "the task's subnet has a way to Session Manager", After: []string{checkCluster}, Behind: []string{checkSession},
		Causes: []Cause{
			{"C8", "the agent is not connected, and the subnet has neither a NAT, nor an internet gateway with a public address, nor an ssmmessages endpoint with private DNS (a hint)", "assign_public_ip, a NAT gateway, or the endpoint com.amazonaws.REGION.ssmmessages with private DNS"},
		},
		Run: func(ctx context.Context) Finding {
			if !x.isAgentTrouble() {
				return skip("nothing points to the network")
			}
			subnet := x.found.Task.Subnet
			if subnet == "" {
				return skip("the task's subnet is not known")
			}
			n, err := x.client.Network(ctx, subnet, x.found.Task.Address)
			if err != nil {
				return blind(err)
			}
			evidence := []string{fmt.Sprintf("%s in %s: default route %s, ssmmessages endpoint %s", subnet, n.VPC, orElse(n.Default, "none"), orElse(n.Endpoint, "none"))}
			if n.Reaches() {
				return pass(evidence...)
			}
			host := "ssmmessages." + x.client.Region()
			a := &AdviceError{ID: "C8", Problem: fmt.Sprintf("%s has no way to %s", subnet, host), Advice: fmt.Sprintf("give %s a route to a NAT gateway, or make the endpoint: aws ec2 create-vpc-endpoint --vpc-id %s --vpc-endpoint-type Interface --service-name com.amazonaws.%s.ssmmessages --subnet-ids %s --private-dns-enabled", subnet, n.VPC, x.client.Region(), subnet)}
			if strings.HasPrefix(n.Default, "igw-") {
				a.Problem += ": its internet gateway serves only interfaces with a public address"
				a.Advice = "set assignPublicIp to ENABLED in the service's network configuration (Terraform: assign_public_ip = true), or " + a.Advice
			}
			if n.Endpoint != "" {
				a.Problem += ": the endpoint " + n.Endpoint + " has no private DNS"
				a.Advice = "run: aws ec2 modify-vpc-endpoint --vpc-endpoint-id " + n.Endpoint + " --private-dns-enabled"
			}
			return advise(evidence, a)
		},
	}
}
