package aws

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"culvert/internal/say"
)

// SimulateRole asks IAM which of the actions that an agent needs are not allowed to a role. The answer is a hint: IAM's
// simulation does not know every condition, nor the policies of the organisation.
func (c *Client) SimulateRole(ctx context.Context, role string) (missing []string, err error) {
	form := url.Values{"PolicySourceArn": {role}}
	for i, action := range TaskRolePolicy().Statement[0].Action {
		form.Set(fmt.Sprintf("ActionNames.member.%d", i+1), action)
	}
	var out struct {
		Results []struct {
			Action   string `xml:"EvalActionName"`
			Decision string `xml:"EvalDecision"`
		} `xml:"SimulatePrincipalPolicyResult>EvaluationResults>member"`
	}
	if err := c.query(ctx, iamAPI(), "SimulatePrincipalPolicy", form, &out); err != nil {
		return nil, err
	}
	for _, r := range out.Results {
		if r.Decision != "allowed" {
			missing = append(missing, say.Brief(r.Action))
		}
	}
	return missing, nil
}

// Network is the way from a subnet to Session Manager.
type Network struct {
	VPC      string
	Default  string   // target of the default route: nat-…, igw-…, tgw-…; empty without one
	PublicIP bool     // the interface has a public address, too
	Endpoint string   // endpoint of ssmmessages in the VPC: vpce-…; empty without one
	Private  bool     // the service's own name resolves to the endpoint (private DNS)
	Groups   []string // security groups of the endpoint
}

// Reaches reports whether the way is complete, by its routes alone.
func (n Network) Reaches() bool {
	switch {
	case n.Endpoint != "" && n.Private:
		return true
	case strings.HasPrefix(n.Default, "igw-"):
		return n.PublicIP
	}
	return n.Default != ""
}

// Network reads the routes of a subnet, for the interface in it that has a private address.
func (c *Client) Network(ctx context.Context, subnet, address string) (Network, error) {
	var n Network
	var subnets struct {
		VPC []string `xml:"subnetSet>item>vpcId"`
	}
	if err := c.query(ctx, ec2API(), "DescribeSubnets", url.Values{"SubnetId.1": {subnet}}, &subnets); err != nil {
		return n, err
	}
	if len(subnets.VPC) == 0 {
		return n, &AnswerError{Operation: "ec2:DescribeSubnets", Problem: "no subnet " + subnet}
	}
	n.VPC = subnets.VPC[0]
	tables, err := c.routeTables(ctx, "association.subnet-id", subnet)
	if err == nil && len(tables) == 0 { // then the VPC's main route table applies
		tables, err = c.routeTables(ctx, "association.main", "true", "vpc-id", n.VPC)
	}
	if err != nil {
		return n, err
	}
	n.Default = defaultRoute(tables)
	var endpoints struct {
		Items []struct {
			ID      string   `xml:"vpcEndpointId"`
			State   string   `xml:"state"`
			Private bool     `xml:"privateDnsEnabled"`
			Groups  []string `xml:"groupSet>item>groupId"`
		} `xml:"vpcEndpointSet>item"`
	}
	if err := c.query(ctx, ec2API(), "DescribeVpcEndpoints", filters("vpc-id", n.VPC, "service-name", "com.amazonaws."+c.region+".ssmmessages"), &endpoints); err != nil {
		return n, err
	}
	for _, e := range endpoints.Items {
		if strings.EqualFold(e.State, "available") {
			n.Endpoint, n.Private = say.Brief(e.ID), n.Private || e.Private
			n.Groups = append(n.Groups, e.Groups...)
		}
	}
	if strings.HasPrefix(n.Default, "igw-") && address != "" {
		var interfaces struct {
			Public []string `xml:"networkInterfaceSet>item>association>publicIp"`
		}
		if err := c.query(ctx, ec2API(), "DescribeNetworkInterfaces", filters("subnet-id", subnet, "addresses.private-ip-address", address), &interfaces); err != nil {
			return n, err
		}
		n.PublicIP = len(interfaces.Public) > 0
	}
	return n, nil
}

// routeTable is what is needed of a route table's description.
type routeTable struct {
	Routes []route `xml:"routeSet>item"`
}

type route struct {
	To      string `xml:"destinationCidrBlock"`
	State   string `xml:"state"`
	Gateway string `xml:"gatewayId"`
	NAT     string `xml:"natGatewayId"`
	Transit string `xml:"transitGatewayId"`
	ENI     string `xml:"networkInterfaceId"`
	Peer    string `xml:"vpcPeeringConnectionId"`
}

func (c *Client) routeTables(ctx context.Context, pairs ...string) ([]routeTable, error) {
	var out struct {
		Tables []routeTable `xml:"routeTableSet>item"`
	}
	err := c.query(ctx, ec2API(), "DescribeRouteTables", filters(pairs...), &out)
	return out.Tables, err
}

func defaultRoute(tables []routeTable) string {
	for _, t := range tables {
		for _, r := range t.Routes {
			if r.To == "0.0.0.0/0" && r.State != "blackhole" {
				return say.Brief(orWord(r.NAT, orWord(r.Transit, orWord(r.ENI, orWord(r.Peer, r.Gateway)))))
			}
		}
	}
	return ""
}

// filters are filters of EC2's query API, from names and values in turn.
func filters(pairs ...string) url.Values {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(fmt.Sprintf("Filter.%d.Name", i/2+1), pairs[i])
		form.Set(fmt.Sprintf("Filter.%d.Value.1", i/2+1), pairs[i+1])
	}
	return form
}
