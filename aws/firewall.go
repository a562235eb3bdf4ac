package aws

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
)

// Firewall is what security groups say about the way from a task to Session Manager.
type Firewall struct {
	Task     []string // security groups of the task's interface
	Endpoint []string // security groups of the endpoint, where the way leads through one
	Out      bool     // the task's groups may let connections out to there
	In       bool     // the endpoint's groups may let them in; true without an endpoint
}

// Firewall reads the security groups on the way that Network has found, for the interface with a private address. A rule that
// cannot be decided counts as letting connections through: the other end may be in its address range or prefix list.
func (c *Client) Firewall(ctx context.Context, subnet, address string, n Network) (Firewall, error) {
	f := Firewall{In: true}
	var err error
	if f.Task, err = c.groupsAt(ctx, subnet, address); err != nil {
		return f, err
	}
	if n.Endpoint != "" && n.Private {
		f.Endpoint = n.Groups
	}
	described, err := c.securityGroups(ctx, append(slices.Clone(f.Task), f.Endpoint...))
	if err != nil {
		return f, err
	}
	own, _ := netip.ParseAddr(address)
	f.In = len(f.Endpoint) == 0
	for _, g := range described {
		if slices.Contains(f.Task, g.ID) && slices.ContainsFunc(g.Out, func(r securityRule) bool { return r.leadsOut(f.Endpoint) }) {
			f.Out = true
		}
		if slices.Contains(f.Endpoint, g.ID) && slices.ContainsFunc(g.In, func(r securityRule) bool { return r.admits(own, f.Task) }) {
			f.In = true
		}
	}
	return f, nil
}

// Outlet names the security groups of the interface with a private address, and reports whether one of them lets it connect to
// a TCP port of other hosts.
func (c *Client) Outlet(ctx context.Context, subnet, address string, port uint16) (groups []string, out bool, err error) {
	if groups, err = c.groupsAt(ctx, subnet, address); err != nil {
		return nil, false, err
	}
	described, err := c.securityGroups(ctx, groups)
	if err != nil {
		return nil, false, err
	}
	return groups, slices.ContainsFunc(described, func(g securityGroup) bool {
		return slices.ContainsFunc(g.Out, func(r securityRule) bool { return r.about(port) })
	}), nil
}

// groupsAt are the security groups, at least one, of the interface with a private address.
func (c *Client) groupsAt(ctx context.Context, subnet, address string) ([]string, error) {
	var interfaces struct {
		Groups []string `xml:"networkInterfaceSet>item>groupSet>item>groupId"`
	}
	if err := c.query(ctx, ec2API(), "DescribeNetworkInterfaces", filters("subnet-id", subnet, "addresses.private-ip-address", address), &interfaces); err != nil {
		return nil, err
	}
	if len(interfaces.Groups) == 0 {
		return nil, &AnswerError{Operation: "ec2:DescribeNetworkInterfaces", Problem: "no security group at " + address}
	}
	return interfaces.Groups, nil
}

func (c *Client) securityGroups(ctx context.Context, ids []string) ([]securityGroup, error) {
	form := url.Values{}
	for i, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		form.Set(fmt.Sprintf("GroupId.%d", i+1), id)
	}
	var described struct {
		Groups []securityGroup `xml:"securityGroupInfo>item"`
	}
	if err := c.query(ctx, ec2API(), "DescribeSecurityGroups", form, &described); err != nil {
		return nil, err
	}
	return described.Groups, nil
}

// securityGroup is what is needed of a security group's description.
type securityGroup struct {
	ID  string         `xml:"groupId"`
	VPC string         `xml:"vpcId"`
	In  []securityRule `xml:"ipPermissions>item"`
	Out []securityRule `xml:"ipPermissionsEgress>item"`
}

type securityRule struct {
	Protocol string   `xml:"ipProtocol"`
	From     int      `xml:"fromPort"`
	To       int      `xml:"toPort"`
	Groups   []string `xml:"groups>item>groupId"`
	Ranges   []string `xml:"ipRanges>item>cidrIp"`
	Ranges6  []string `xml:"ipv6Ranges>item>cidrIpv6"`
	Prefixes []string `xml:"prefixListIds>item>prefixListId"`
}

// about reports whether the rule covers a TCP port; port 0 stands for any.
func (r securityRule) about(port uint16) bool {
	return r.Protocol == "-1" || (r.Protocol == "tcp" || r.Protocol == "6") && (port == 0 || r.From <= int(port) && int(port) <= r.To)
}

// leadsOut reports whether the rule may let a task connect to an endpoint with these groups or, without any, to a public
// address of AWS.
func (r securityRule) leadsOut(endpoint []string) bool {
	switch {
	case !r.about(443):
		return false
	case len(r.Prefixes) > 0 || len(r.Ranges6) > 0:
		return true
	case len(endpoint) > 0:
		return len(r.Ranges) > 0 || slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(endpoint, g) })
	}
	return slices.ContainsFunc(r.Ranges, func(text string) bool {
		all, err := netip.ParsePrefix(text)
		return err != nil || !within(all)
	})
}

// within reports whether a range lies within one of the private ranges, in which AWS has no public address.
func within(all netip.Prefix) bool {
	for _, text := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"} {
		private := netip.MustParsePrefix(text)
		if private.Bits() <= all.Bits() && private.Contains(all.Addr()) {
			return true
		}
	}
	return false
}

// admits reports whether the rule may let in connections from an address with these groups.
func (r securityRule) admits(own netip.Addr, groups []string) bool {
	switch {
	case !r.about(443):
		return false
	case len(r.Prefixes) > 0 || len(r.Ranges6) > 0:
		return true
	case slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(groups, g) }):
		return true
	}
	return slices.ContainsFunc(r.Ranges, func(text string) bool {
		all, err := netip.ParsePrefix(text)
		return err != nil || !own.IsValid() || all.Contains(own)
	})
}
