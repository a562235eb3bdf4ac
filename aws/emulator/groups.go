package emulator

import (
	"encoding/xml"
	"net/url"
	"slices"
	"strings"
)

type groupsAnswer struct {
	XMLName xml.Name    `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeSecurityGroupsResponse"`
	Groups  []groupView `xml:"securityGroupInfo>item"`
}

type groupView struct {
	ID  string     `xml:"groupId"`
	VPC string     `xml:"vpcId"`
	In  []ruleView `xml:"ipPermissions>item"`
	Out []ruleView `xml:"ipPermissionsEgress>item"`
}

// ruleView is a rule of a security group; one without ports is for all ports.
type ruleView struct {
	Protocol string   `xml:"ipProtocol"`
	From     int      `xml:"fromPort,omitempty"`
	To       int      `xml:"toPort,omitempty"`
	Groups   []string `xml:"groups>item>groupId"`
	Ranges   []string `xml:"ipRanges>item>cidrIp"`
}

// groups are those security groups that a call asks for: of the tasks, of the endpoint, and of the inventory.
func (s Subnet) groups(form url.Values, has Inventory) groupsAnswer {
	anywhere := ruleView{Protocol: "-1", Ranges: []string{"0.0.0.0/0"}}
	tasks, door := groupView{ID: taskGroup, VPC: vpcID}, groupView{ID: doorGroup, VPC: vpcID, Out: []ruleView{anywhere}}
	switch s.Outbound {
	case "":
		tasks.Out = []ruleView{anywhere}
	case "none": // except for what a database needs
		tasks.Out = []ruleView{{Protocol: "tcp", From: 5432, To: 5432, Ranges: []string{"10.20.0.0/16"}}}
	default:
		tasks.Out = []ruleView{{Protocol: "tcp", From: 443, To: 443, Ranges: []string{s.Outbound}}}
	}
	switch s.Inbound {
	case "":
		door.In = []ruleView{{Protocol: "tcp", From: 443, To: 443, Groups: []string{taskGroup}}}
	case "none":
		door.In = []ruleView{{Protocol: "tcp", From: 443, To: 443, Groups: []string{doorGroup}}}
	default:
		door.In = []ruleView{{Protocol: "tcp", From: 443, To: 443, Ranges: []string{s.Inbound}}}
	}
	all := []groupView{tasks, door}
	for _, p := range has.all() {
		all = append(all, p.rules())
	}
	var answer groupsAnswer
	for name := range form {
		i := slices.IndexFunc(all, func(g groupView) bool { return strings.HasPrefix(name, "GroupId.") && g.ID == form.Get(name) })
		if i >= 0 {
			answer.Groups = append(answer.Groups, all[i])
		}
	}
	slices.SortFunc(answer.Groups, func(a, b groupView) int { return strings.Compare(a.ID, b.ID) })
	return answer
}
