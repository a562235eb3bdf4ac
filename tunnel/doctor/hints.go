package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"culvert/aws"
)

// The checks in this file ask IAM and EC2 what may keep an agent from Session Manager. They look only when other checks have
// shown that something does: what a simulation says is of no interest when a session works.

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
			x.network = n
			evidence := []string{fmt.Sprintf("%s in %s: default route %s, ssmmessages endpoint %s", subnet, n.VPC, orElse(n.Default, "none"), orElse(n.Endpoint, "none"))}
			if n.Reaches() {
				return pass(evidence...)
			}
			host := "ssmmessages." + x.client.Region()
			a := &AdviceError{ID: "C8", Problem: fmt.Sprintf("%s has no way to %s", subnet, host), Advice: fmt.Sprintf("give %s a route to a NAT gateway, or make the endpoint: %s", subnet, x.client.Shell().AWS("ec2", "create-vpc-endpoint",
				"--vpc-id", n.VPC, "--vpc-endpoint-type", "Interface", "--service-name", "com.amazonaws."+x.client.Region()+".ssmmessages", "--subnet-ids", subnet, "--private-dns-enabled"))}
			if strings.HasPrefix(n.Default, "igw-") {
				a.Problem += ": its internet gateway serves only interfaces with a public address"
				a.Advice = "set assignPublicIp to ENABLED in the network configuration of the service, or of whatever else starts the task (Terraform: assign_public_ip = true), or " + a.Advice
			}
			if n.Endpoint != "" {
				a.Problem += ": the endpoint " + n.Endpoint + " has no private DNS"
				a.Advice = "run: " + x.client.Shell().AWS("ec2", "modify-vpc-endpoint", "--vpc-endpoint-id", n.Endpoint, "--private-dns-enabled")
			}
			return advise(evidence, a)
		},
	}
}

func (x *examination) firewallCheck() Check {
	return Check{
		ID: checkFirewall, Name: "security groups let the task reach Session Manager", After: []string{checkCluster}, Behind: []string{checkNetwork},
		Causes: []Cause{
			{"C9", "the agent is not connected, and no security group of the task lets it out to Session Manager on port 443 (a hint)", "`aws ec2 authorize-security-group-egress …` on the task's security group"},
			{"C10", "the agent is not connected, and the security groups of the ssmmessages endpoint do not admit the task on port 443 (a hint)", "`aws ec2 authorize-security-group-ingress …` on the endpoint's security group"},
		},
		Run: func(ctx context.Context) Finding {
			n, t := x.network, x.found.Task
			switch {
			case !x.isAgentTrouble():
				return skip("nothing points to the network")
			case n.VPC == "":
				return skip("the task's way to Session Manager is not known")
			case !n.Reaches():
				return skip("there is no way that they could close")
			}
			f, err := x.client.Firewall(ctx, t.Subnet, t.Address, n)
			if err != nil {
				return blind(err)
			}
			evidence := []string{"the task's: " + strings.Join(f.Task, ", ")}
			if len(f.Endpoint) > 0 {
				evidence = append(evidence, "the endpoint's: "+strings.Join(f.Endpoint, ", "))
			}
			var advice []*AdviceError
			if !f.Out {
				advice = append(advice, &AdviceError{
					ID:      "C9",
					Problem: fmt.Sprintf("%s does not let the task out to ssmmessages.%s on port 443", strings.Join(f.Task, ", "), x.client.Region()),
					Advice:  x.permit("authorize-security-group-egress", f.Task[0], 443, otherEnd(f.Endpoint, "IpRanges=[{CidrIp=0.0.0.0/0}]")),
				})
			}
			if !f.In {
				advice = append(advice, &AdviceError{
					ID:      "C10",
					Problem: fmt.Sprintf("%s of the endpoint %s does not admit the task on port 443", strings.Join(f.Endpoint, ", "), n.Endpoint),
					Advice:  x.permit("authorize-security-group-ingress", f.Endpoint[0], 443, otherEnd(f.Task, "")),
				})
			}
			return advise(evidence, advice...)
		},
	}
}

// permit is the command that opens a port in a security group, to or from other.
func (x *examination) permit(action, group string, port uint16, other string) string {
	return "run: " + x.client.Shell().AWS("ec2", action, "--group-id", group, "--ip-permissions", fmt.Sprintf("IpProtocol=tcp,FromPort=%[1]d,ToPort=%[1]d,%[2]s", port, other))
}

// otherEnd names the other end of a security group's rule in the form of the aws command: by its first group, or otherwise
// without one.
func otherEnd(groups []string, otherwise string) string {
	if len(groups) == 0 {
		return otherwise
	}
	return "UserIdGroupPairs=[{GroupId=" + groups[0] + "}]"
}

// instanceCheck looks at the container instance on which the task runs, where there is one.
func (x *examination) instanceCheck() Check {
	return Check{
		ID: checkInstance, Name: "the container instance's ECS agent knows ECS Exec", After: []string{checkCluster},
		Run: func(context.Context) Finding {
			i := x.found.Instance
			if x.found.Task.Instance == "" {
				return skip("no container instance is known: tasks on Fargate have none")
			}
			if err := x.gapOf("the container instance"); err != nil {
				return blind(err)
			}
			evidence := []string{x.found.Task.Instance + ": ECS agent " + orElse(i.AgentVersion, "of unknown version")}
			if !i.Old() {
				return pass(evidence...)
			}
			return advise(evidence, &AdviceError{ID: "C2", Problem: "the ECS agent " + i.AgentVersion + " of the container instance is older than ECS Exec (1.50.2)", Advice: i.Remedy(x.client.Shell(), x.found.Task.Cluster)})
		},
	}
}
