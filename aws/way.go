package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Verdict is what security groups say about a way.
type Verdict int

// The verdicts, the best first.
const (
	Admitted  Verdict = iota // rules let connections out of the tasks and in at the host
	Unchecked                // it could not be decided; Why says why not
	NoRule                   // a rule is missing; Missing says which
)

// String is the verdict in words, the same for every face.
func (v Verdict) String() string {
	switch v {
	case Admitted:
		return "admitted"
	case NoRule:
		return "no rule"
	case Unchecked:
	}
	return "not checked"
}

// Way is a service whose tasks may be able to reach a host.
type Way struct {
	Cluster, Service string
	Ready            int  // how many tasks can carry a session now
	Named            bool // the service's own task definition names the host
	Verdict          Verdict
	Why              string // why it is not Admitted
	Missing          *MissingRule
	Elsewhere        bool // the host is known to be in another VPC, peered or not
}

// MissingRule is the rule of a security group for lack of which connections are dropped.
type MissingRule struct {
	Group string // the group that lacks it
	Out   bool   // the rule is for what leaves the tasks; else for what arrives at the host
	Peer  string // the security group at the other end; empty for any address
	Port  uint16
}

// Terraform is the rule as a Terraform resource.
func (r MissingRule) Terraform() string {
	kind, peer := "ingress", `referenced_security_group_id = "`+r.Peer+`"`
	if r.Out {
		kind = "egress"
	}
	if r.Peer == "" {
		peer = `cidr_ipv4         = "0.0.0.0/0"`
	}
	return fmt.Sprintf("resource \"aws_vpc_security_group_%s_rule\" \"culvert\" {\n  security_group_id = %q\n  %s\n  ip_protocol       = \"tcp\"\n  from_port         = %d\n  to_port           = %d\n}\n",
		kind, r.Group, peer, r.Port, r.Port)
}

// Command is the aws command that adds the rule.
func (r MissingRule) Command(s Shell) string {
	action := "authorize-security-group-ingress"
	if r.Out {
		action = "authorize-security-group-egress"
	}
	peer := "UserIdGroupPairs=[{GroupId=" + r.Peer + "}]"
	if r.Peer == "" {
		peer = "IpRanges=[{CidrIp=0.0.0.0/0}]"
	}
	return s.AWS("ec2", action, "--group-id", r.Group, "--ip-permissions", fmt.Sprintf("IpProtocol=tcp,FromPort=%d,ToPort=%d,%s", r.Port, r.Port, peer))
}

// Ways judges through which services of a catalog hosts can be reached, in the order of hosts; the best way to each comes
// first. It asks EC2 for the subnets, security groups and prefix lists of both ends. Where EC2 may not be asked, ways are
// Unchecked, and the error names the permission.
func (c *Client) Ways(ctx context.Context, catalog *Catalog, hosts []Host) ([][]Way, error) {
	ends := sendersOf(catalog)
	net, err := c.lookAtNetwork(ctx, ends, hosts)
	all := make([][]Way, len(hosts))
	for i, h := range hosts {
		for _, from := range ends {
			all[i] = append(all[i], net.way(from, h))
		}
		slices.SortStableFunc(all[i], func(a, b Way) int {
			return cmp.Or(cmp.Compare(a.Verdict, b.Verdict), -compareBool(a.Named, b.Named), -cmp.Compare(a.Ready, b.Ready),
				strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Service, b.Service))
		})
	}
	return all, err
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// sender is a service that has tasks which can carry sessions.
type sender struct {
	cluster, service string
	ready            int
	at               Interfaces
	addresses        []netip.Addr // of the ready tasks for which ECS tells it
}

func sendersOf(catalog *Catalog) (all []sender) {
	for _, k := range catalog.Clusters {
		for _, s := range k.Services {
			from := sender{cluster: k.Name, service: s.Name, at: s.Network}
			for _, t := range k.Tasks {
				if t.Service != s.Name || !slices.ContainsFunc(t.Containers, func(c Container) bool { return t.Ready(c) == nil }) {
					continue
				}
				from.ready++
				if a, err := netip.ParseAddr(t.Address); err == nil {
					from.addresses = append(from.addresses, a)
				}
			}
			if from.ready > 0 {
				all = append(all, from)
			}
		}
	}
	return all
}

// network is what EC2 says about the subnets and security groups of senders and hosts.
type network struct {
	subnets  map[string]ec2Subnet
	groups   map[string]securityGroup
	prefixes map[string][]netip.Prefix
	unknown  error // why some of it is missing
}

type ec2Subnet struct {
	ID   string   `xml:"subnetId"`
	VPC  string   `xml:"vpcId"`
	CIDR string   `xml:"cidrBlock"`
	Six  []string `xml:"ipv6CidrBlockAssociationSet>item>ipv6CidrBlock"`
}

// The most ids that are sent in one call, and the most of one kind that are asked about.
const (
	idsAtOnce = 100
	mostIDs   = 2_000
)

// securityGroups is the What of a GapError about these calls.
const securityGroups = "security groups"

func (c *Client) lookAtNetwork(ctx context.Context, senders []sender, hosts []Host) (network, error) {
	n := network{subnets: map[string]ec2Subnet{}, groups: map[string]securityGroup{}, prefixes: map[string][]netip.Prefix{}}
	var subnets, groups []string
	for _, s := range senders {
		subnets, groups = append(subnets, s.at.Subnets...), append(groups, s.at.Groups...)
	}
	if len(senders) == 0 || len(hosts) == 0 {
		return n, nil
	}
	for _, h := range hosts {
		subnets, groups = append(subnets, h.Subnets...), append(groups, h.Groups...)
	}
	var failures []error
	failures = append(failures, c.byID(ctx, "DescribeSubnets", "SubnetId", subnets, func(decode func(any) error) error {
		var out struct {
			Subnets []ec2Subnet `xml:"subnetSet>item"`
		}
		err := decode(&out)
		for _, s := range out.Subnets {
			n.subnets[s.ID] = s
		}
		return err
	}))
	failures = append(failures, c.byID(ctx, "DescribeSecurityGroups", "GroupId", groups, func(decode func(any) error) error {
		var out struct {
			Groups []securityGroup `xml:"securityGroupInfo>item"`
		}
		err := decode(&out)
		for _, g := range out.Groups {
			n.groups[g.ID] = g
		}
		return err
	}))
	failures = append(failures, c.prefixLists(ctx, &n))
	n.unknown = errors.Join(failures...)
	for _, failure := range failures {
		if failure != nil {
			return n, &GapError{What: securityGroups, Err: failure}
		}
	}
	return n, nil
}

// byID describes things in EC2 by their ids, some in each call. An id that does not exist any more makes the whole call fail:
// then the others of that call are asked about one by one.
func (c *Client) byID(ctx context.Context, action, name string, ids []string, take func(decode func(any) error) error) error {
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
	if len(ids) > mostIDs {
		ids = ids[:mostIDs]
	}
	ask := func(ids []string) error {
		form := url.Values{}
		for i, id := range ids {
			form.Set(fmt.Sprintf("%s.%d", name, i+1), id)
		}
		return take(func(into any) error { return c.query(ctx, ec2API(), action, form, into) })
	}
	for batch := range slices.Chunk(ids, idsAtOnce) {
		err := ask(batch)
		if !isMissing(err) {
			if err != nil {
				return err
			}
			continue
		}
		for _, id := range batch {
			if err := ask([]string{id}); err != nil && !isMissing(err) {
				return err
			}
		}
	}
	return nil
}

// isMissing reports whether EC2 does not know an id: InvalidGroup.NotFound, InvalidSubnetID.NotFound, InvalidPrefixListID.NotFound.
func isMissing(err error) bool {
	fault, ok := errors.AsType[*FaultError](err)
	return ok && strings.HasSuffix(fault.Code, ".NotFound")
}

// prefixLists asks for the ranges of the prefix lists that rules refer to.
func (c *Client) prefixLists(ctx context.Context, n *network) error {
	for _, id := range slices.Sorted(maps.Keys(n.groups)) { // in an order, as the bound leaves some out
		for _, r := range slices.Concat(n.groups[id].In, n.groups[id].Out) {
			for _, id := range r.Prefixes {
				if _, known := n.prefixes[id]; known || len(n.prefixes) >= idsAtOnce {
					continue
				}
				var out struct {
					Ranges []string `xml:"entrySet>item>cidr"`
				}
				if err := c.query(ctx, ec2API(), "GetManagedPrefixListEntries", url.Values{"PrefixListId": {id}}, &out); err != nil {
					return err
				}
				n.prefixes[id] = prefixesOf(out.Ranges)
			}
		}
	}
	return nil
}

func prefixesOf(ranges []string) []netip.Prefix {
	all := []netip.Prefix{} // not nil: an empty list is known
	for _, text := range ranges {
		if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p.Masked())
		}
	}
	return all
}

// vpcOf is vpc or, when that is empty, the VPC of subnets or security groups; empty when none is known.
func (n network) vpcOf(vpc string, subnets, groups []string) string {
	for _, id := range subnets {
		vpc = orWord(vpc, n.subnets[id].VPC)
	}
	for _, id := range groups {
		vpc = orWord(vpc, n.groups[id].VPC)
	}
	return vpc
}

// ranges are the addresses that interfaces in subnets can have.
func (n network) ranges(subnets []string) (all []netip.Prefix) {
	for _, id := range subnets {
		s := n.subnets[id]
		all = append(all, prefixesOf(append(slices.Clone(s.Six), s.CIDR))...)
	}
	return all
}

// way judges the way from a sender to a host.
func (n network) way(from sender, h Host) Way {
	w := Way{Cluster: from.cluster, Service: from.service, Ready: from.ready}
	w.Named = slices.ContainsFunc(h.Mentions, func(m NamedBy) bool { return m.Cluster == from.cluster && m.Service == from.service })
	unchecked := func(why string) Way {
		w.Verdict, w.Why = Unchecked, why
		return w
	}
	here, there := n.vpcOf("", from.at.Subnets, from.at.Groups), n.vpcOf(h.VPC, h.Subnets, h.Groups)
	switch {
	case len(from.at.Subnets) == 0:
		return unchecked("its tasks share the network of their hosts")
	case here == "":
		return unchecked("EC2 did not say where its tasks are")
	case there == "":
		return unchecked("where the host is was not said")
	case here != there:
		w.Elsewhere = true
		return unchecked("the host is in another VPC, " + there)
	}
	in, out := admission{network: n, port: h.Port}, admission{network: n, port: h.Port}
	in.groups, in.ranges = from.at.Groups, from.sources(n)
	out.groups, out.ranges = h.Groups, n.ranges(h.Subnets)
	for _, id := range slices.Concat(h.Groups, from.at.Groups) {
		if _, known := n.groups[id]; !known {
			return unchecked("the rules of " + id + " are not known")
		}
	}
	switch first := func(ids []string) string { return ids[0] }; {
	case len(from.at.Groups) > 0 && !out.any(from.at.Groups, func(g securityGroup) []securityRule { return g.Out }):
		w.Verdict, w.Why = NoRule, "no rule lets "+strings.Join(from.at.Groups, ", ")+" out to it"
		w.Missing = &MissingRule{Group: first(from.at.Groups), Out: true, Port: h.Port}
		if len(h.Groups) > 0 {
			w.Missing.Peer = h.Groups[0]
		}
	case len(h.Groups) > 0 && !in.any(h.Groups, func(g securityGroup) []securityRule { return g.In }):
		w.Verdict, w.Why = NoRule, "no rule of "+strings.Join(h.Groups, ", ")+" lets its tasks in"
		w.Missing = &MissingRule{Group: first(h.Groups), Port: h.Port}
		if len(from.at.Groups) > 0 {
			w.Missing.Peer = from.at.Groups[0]
		}
	}
	if w.Missing != nil && h.Port == 0 {
		w.Missing = nil
	}
	return w
}

// sources are the addresses from which a sender's connections come: those of its ready tasks if all are known, else all of its
// subnets.
func (s sender) sources(n network) (all []netip.Prefix) {
	if len(s.addresses) == s.ready {
		for _, a := range s.addresses {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		}
		return all
	}
	return n.ranges(s.at.Subnets)
}

// admission is the question whether rules let a port through to, or from, the other end of a way.
type admission struct {
	network
	port   uint16         // 0 when it is not known; then a rule for any port will do
	groups []string       // of the other end
	ranges []netip.Prefix // of the other end; every address must be covered, by one rule or by several together
}

func (a admission) any(groups []string, rules func(securityGroup) []securityRule) bool {
	var covers []netip.Prefix
	for _, id := range groups {
		for _, r := range rules(a.network.groups[id]) {
			if !r.about(a.port) {
				continue
			}
			if slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(a.groups, g) }) {
				return true
			}
			covers = append(covers, prefixesOf(slices.Concat(r.Ranges, r.Ranges6))...)
			for _, id := range r.Prefixes {
				covers = append(covers, a.prefixes[id]...)
			}
		}
	}
	four := slices.DeleteFunc(slices.Clone(a.ranges), func(p netip.Prefix) bool { return !p.Addr().Is4() })
	if len(four) == 0 {
		four = a.ranges
	}
	if len(four) == 0 { // the addresses of the other end are not known, so only a rule for all addresses will do
		return slices.ContainsFunc(covers, func(p netip.Prefix) bool { return p.Bits() == 0 })
	}
	return !slices.ContainsFunc(four, func(p netip.Prefix) bool { return !covered(p, covers) })
}

// covered reports whether a range lies within one of the others, or each of its halves is covered.
func covered(p netip.Prefix, by []netip.Prefix) bool {
	overlaps := false
	for _, other := range by {
		if other.Bits() <= p.Bits() && other.Contains(p.Addr()) {
			return true
		}
		overlaps = overlaps || p.Overlaps(other)
	}
	if !overlaps || p.Bits() == p.Addr().BitLen() {
		return false
	}
	low, high := halves(p)
	return covered(low, by) && covered(high, by)
}

func halves(p netip.Prefix) (low, high netip.Prefix) {
	bytes := p.Masked().Addr().AsSlice()
	low = netip.PrefixFrom(p.Masked().Addr(), p.Bits()+1)
	bytes[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	addr, _ := netip.AddrFromSlice(bytes)
	return low, netip.PrefixFrom(addr, p.Bits()+1)
}
