package aws

import "strings"

// Policy is an IAM policy document.
type Policy struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Reach is what a caller's policy is to allow: the tasks of one cluster, and what may be done with them.
type Reach struct {
	Partition       string // empty is aws
	Region, Account string
	Cluster         string    // name
	RoleID          string    // the unique id of the role that the callers assume; empty when they are users, or it is not known
	RemoteHosts     bool      // forwards to hosts behind the tasks as well
	AnyHost         bool      // forwards to other hosts alone: tunnels to any host do not need the tasks' own ports
	AnyChannel      bool      // the data channels of all sessions, for callers whose role sessions have names that no policy can know
	Named           bool      // to find destinations by their names (--to), which needs the permissions to list them
	Browse          bool      // the lists with which the screen begins as well
	Relay           bool      // to find relays that bond sessions, which are named in task definitions
	Exec            bool      // commands and shells in the containers as well
	Container       string    // name of the only one that Exec is for; empty for any
	Run             string    // the family of task definitions that may be run on demand as well; empty for none
	Share           bool      // tasks of Run may be shared
	Start           string    // the service that may be scaled up from zero on demand as well; empty for none
	RunRoles        [2]string // ARNs of the task role and the execution role of Run; empty for a role that it does not have
	Document        string    // the account's own document, by name or ARN, in place of AWS's; empty for those
}

// Reach is the reach of a caller in this client's account and region. The account is "*" when it is not known.
func (c *Client) Reach(cluster string) Reach {
	return Reach{Partition: c.partition(), Region: c.region, Account: orWord(c.accountID(), "*"), Cluster: cluster, Document: c.ownDocument}
}

// arn is the ARN of something in the account and region.
func (r Reach) arn(service, resource string) string {
	return "arn:" + orWord(r.Partition, "aws") + ":" + service + ":" + r.Region + ":" + r.Account + ":" + resource
}

// CallerPolicy is the least that lets a caller find a task by its service and open tunnels to it (Service Authorization
// Reference of ECS and Systems Manager; Session Manager's sample policies). The Terraform module has the same.
func CallerPolicy(r Reach) Policy {
	sessions := []string{r.arn("ssm", "session/*")}
	cluster := r.arn("ecs", "cluster/"+r.Cluster)
	reached := []string{r.arn("ecs", "task/"+r.Cluster+"/*"), r.document(PortForward(0).Name)}
	switch {
	case r.Document != "":
		reached[1] = r.document(r.Document)
	case r.AnyHost && !r.RemoteHosts:
		reached[1] = r.document(PortForwardTo("", 0).Name)
	case r.RemoteHosts, r.Named:
		reached = append(reached, r.document(PortForwardTo("", 0).Name))
	}
	statements := []Statement{
		{
			Sid: "Find", Effect: "Allow", Action: []string{"ecs:ListTasks", "ecs:DescribeTasks", "ecs:ListServices", "ecs:DescribeServices"},
			Resource:  []string{"*"}, // two of the actions take no other resource; the condition holds for all four
			Condition: map[string]map[string]any{"ArnEquals": {"ecs:cluster": cluster}},
		},
		{
			Sid: "Tunnel", Effect: "Allow", Action: []string{"ssm:StartSession"}, Resource: reached,
			// A call that names no document means a shell. Without this condition the document of such a call would not be
			// checked.
			Condition: map[string]map[string]any{"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}},
		},
		{Sid: "Channel", Effect: "Allow", Action: []string{"ssmmessages:OpenDataChannel"}, Resource: r.channels()},
		{
			Sid: "EndOwn", Effect: "Allow", Action: []string{terminateAction, "ssm:ResumeSession"}, Resource: sessions,
			// Session ids begin with the session name of a role, not with its ${aws:userid}: only the tag tells who has opened
			// a session.
			Condition: map[string]map[string]any{"StringLike": {ownerTag: []string{"${aws:userid}"}}},
		},
	}
	if r.Browse {
		statements = append(statements,
			Statement{Sid: "Browse", Effect: "Allow", Action: []string{"ecs:ListClusters", describeDefinitionAction}, Resource: []string{"*"}},
			Statement{Sid: "BrowseCluster", Effect: "Allow", Action: []string{"ecs:DescribeClusters"}, Resource: []string{cluster}},
		)
	}
	if r.Relay && !r.Browse {
		statements = append(statements, Statement{Sid: "FindRelay", Effect: "Allow", Action: []string{describeDefinitionAction}, Resource: []string{"*"}}) // the action takes no other resource
	}
	if r.Named {
		statements = append(statements, Statement{Sid: "Destinations", Effect: "Allow", Action: destinationActions(), Resource: []string{"*"}})
	}
	if r.Exec {
		statements = append(statements, r.exec())
	}
	if r.Run != "" {
		statements = append(statements, r.onDemand()...)
	}
	if r.Start != "" {
		statements = append(statements, r.scaling()...)
	}
	if r.RoleID != "" {
		statements = append(statements, r.endEarlier())
	}
	return newPolicy(statements...)
}

// destinationActions are the permissions that are needed, besides those for ECS's lists, to list destinations and to check the
// ways to them. Each of them may be missing: what it is for is then not found, or not checked.
func destinationActions() []string {
	return []string{
		describeDefinitionAction,
		"rds:DescribeDBInstances", "rds:DescribeDBClusters", "rds:DescribeDBSubnetGroups", "rds:DescribeDBProxies",
		"elasticache:DescribeCacheClusters", "elasticache:DescribeReplicationGroups", "elasticache:DescribeCacheSubnetGroups",
		"elasticache:DescribeServerlessCaches", "memorydb:DescribeClusters", "memorydb:DescribeSubnetGroups",
		"es:ListDomainNames", "es:DescribeDomains",
		"kafka:ListClustersV2", "kafka:GetBootstrapBrokers", "mq:ListBrokers", "mq:DescribeBroker",
		"redshift:DescribeClusters", "redshift-serverless:ListWorkgroups",
		"elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeListeners",
		"servicediscovery:ListNamespaces", "servicediscovery:ListServices", "servicediscovery:ListInstances",
		"eks:ListClusters", "eks:DescribeCluster",
		"ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "ec2:GetManagedPrefixListEntries",
	}
}

// exec lets a caller run commands in the cluster's containers. ECS checks the action on the cluster and on the task, and opens
// the session itself, so that the caller needs no ssm:StartSession ("Using IAM policies to limit access to ECS Exec").
func (r Reach) exec() Statement {
	s := Statement{
		Sid: "Exec", Effect: "Allow", Action: []string{execAction},
		Resource: []string{r.arn("ecs", "cluster/"+r.Cluster), r.arn("ecs", "task/"+r.Cluster+"/*")},
	}
	if r.Container != "" {
		s.Condition = map[string]map[string]any{"StringEquals": {"ecs:container-name": r.Container}}
	}
	return s
}

// channels are the sessions whose data channels a caller may open: its own. AWS's sample policies name them by ${aws:userid},
// but every session id that has been seen begins with the name of a user or of a role's session, so both are named; no role has
// a user's name.
func (r Reach) channels() []string {
	if r.AnyChannel {
		return []string{r.arn("ssm", "session/*")}
	}
	own := []string{
		r.arn("ssm", "session/${aws:userid}-*"),
		r.arn("ssm", "session/${aws:username, 'nobody'}-*"),
		r.arn("ssm", "session/"+roleSessionPrefix+"*"),
	}
	if r.Exec {
		own = append(own, r.arn("ssm", "session/ecs-execute-command-*")) // ECS names these sessions, without any name of the caller
	}
	return own
}

const terminateAction = "ssm:TerminateSession"

// ownerTag is the condition key for who has opened a session: the service tags each session with the aws:userid of its opener.
const ownerTag = "ssm:resourceTag/aws:ssmmessages:session-id"

// endEarlier lets a later session of a role end the Session Manager sessions of an earlier one whose job was killed. It does
// not let it resume them, as that would be to take them over. The role's id excludes other roles, whose sessions may have the
// same names.
func (r Reach) endEarlier() Statement {
	return Statement{
		Sid: "EndEarlier", Effect: "Allow", Action: []string{terminateAction}, Resource: []string{r.arn("ssm", "session/*")},
		Condition: map[string]map[string]any{"StringLike": {ownerTag: []string{r.RoleID + ":" + roleSessionPrefix + "*"}}},
	}
}

// document is the ARN of a document. A document of AWS's has no account in its ARN.
func (r Reach) document(name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	if strings.HasPrefix(name, "AWS-") {
		r.Account = ""
	}
	return r.arn("ssm", "document/"+name)
}

// TaskRolePolicy is what the exec agent needs in the task's role ("IAM permissions required for ECS Exec").
func TaskRolePolicy() Policy {
	return newPolicy(Statement{
		Sid: "Agent", Effect: "Allow", Resource: []string{"*"}, // the actions take no resource
		Action: []string{
			"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
			"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
		},
	})
}

func newPolicy(statements ...Statement) Policy {
	return Policy{Version: "2012-10-17", Statement: statements}
}
