package aws

import (
	"net/netip"
	"testing"
)

func TestTheWayIsTheAdmittedOne(t *testing.T) {
	const task, db, other = "sg-task", "sg-db", "sg-other"
	tcp := func(from, to int, change func(*securityRule)) securityRule {
		r := securityRule{Protocol: "tcp", From: from, To: to}
		change(&r)
		return r
	}
	of := func(groups ...string) func(*securityRule) { return func(r *securityRule) { r.Groups = groups } }
	cidr := func(ranges ...string) func(*securityRule) { return func(r *securityRule) { r.Ranges = ranges } }
	list := func(id string) func(*securityRule) { return func(r *securityRule) { r.Prefixes = []string{id} } }
	all := []securityRule{{Protocol: "-1", Ranges: []string{"0.0.0.0/0"}}}
	for name, c := range map[string]struct {
		in, out   []securityRule // of the host's group, of the tasks'
		host      func(*Host)
		from      func(*sender)
		want      Verdict
		lacks     string // the group without a rule
		elsewhere bool
	}{
		"a reference to the tasks' group":        {in: []securityRule{tcp(5432, 5432, of(task))}, out: all, want: Admitted},
		"a reference to another group":           {in: []securityRule{tcp(5432, 5432, of(other))}, out: all, want: NoRule, lacks: db},
		"another port":                           {in: []securityRule{tcp(3306, 3306, of(task))}, out: all, want: NoRule, lacks: db},
		"a range of ports":                       {in: []securityRule{tcp(5000, 6000, of(task))}, out: all, want: Admitted},
		"UDP":                                    {in: []securityRule{{Protocol: "udp", From: 5432, To: 5432, Groups: []string{task}}}, out: all, want: NoRule, lacks: db},
		"every protocol":                         {in: []securityRule{{Protocol: "-1", Groups: []string{task}}}, out: all, want: Admitted},
		"the tasks' range":                       {in: []securityRule{tcp(5432, 5432, cidr("10.0.0.0/16"))}, out: all, want: Admitted},
		"half of the tasks' range":               {in: []securityRule{tcp(5432, 5432, cidr("10.0.1.0/25"))}, out: all, want: NoRule, lacks: db},
		"both halves":                            {in: []securityRule{tcp(5432, 5432, cidr("10.0.1.0/25", "10.0.1.128/25"))}, out: all, want: Admitted},
		"the address of the only task":           {in: []securityRule{tcp(5432, 5432, cidr("10.0.1.9/32"))}, out: all, from: func(s *sender) { s.addresses = []netip.Addr{netip.MustParseAddr("10.0.1.9")} }, want: Admitted},
		"the address of another task":            {in: []securityRule{tcp(5432, 5432, cidr("10.0.1.8/32"))}, out: all, from: func(s *sender) { s.addresses = []netip.Addr{netip.MustParseAddr("10.0.1.9")} }, want: NoRule, lacks: db},
		"a prefix list with the tasks' range":    {in: []securityRule{tcp(5432, 5432, list("pl-in"))}, out: all, want: Admitted},
		"a prefix list without it":               {in: []securityRule{tcp(5432, 5432, list("pl-out"))}, out: all, want: NoRule, lacks: db},
		"no rule at all":                         {out: all, want: NoRule, lacks: db},
		"the tasks may not leave":                {in: []securityRule{tcp(5432, 5432, of(task))}, want: NoRule, lacks: task},
		"the tasks may leave to HTTPS alone":     {in: []securityRule{tcp(5432, 5432, of(task))}, out: []securityRule{tcp(443, 443, cidr("0.0.0.0/0"))}, want: NoRule, lacks: task},
		"the tasks may leave to the host's":      {in: []securityRule{tcp(5432, 5432, of(task))}, out: []securityRule{tcp(5432, 5432, of(db))}, want: Admitted},
		"the tasks may leave to its subnet":      {in: []securityRule{tcp(5432, 5432, of(task))}, out: []securityRule{tcp(5432, 5432, cidr("10.0.2.0/24"))}, want: Admitted},
		"the tasks may leave elsewhere":          {in: []securityRule{tcp(5432, 5432, of(task))}, out: []securityRule{tcp(5432, 5432, cidr("10.9.0.0/16"))}, want: NoRule, lacks: task},
		"a host without groups":                  {out: all, host: func(h *Host) { h.Groups = nil }, want: Admitted},
		"a host in another VPC":                  {in: []securityRule{tcp(5432, 5432, of(task))}, out: all, host: func(h *Host) { h.VPC, h.Subnets = "vpc-2", nil }, want: Unchecked, elsewhere: true},
		"a host of which the place is not known": {out: all, host: func(h *Host) { h.VPC, h.Subnets, h.Groups = "", nil, nil }, want: Unchecked},
		"tasks in the network of their hosts":    {in: []securityRule{tcp(5432, 5432, of(task))}, out: all, from: func(s *sender) { s.at = Interfaces{} }, want: Unchecked},
		"a group that EC2 did not tell":          {in: []securityRule{tcp(5432, 5432, of(task))}, out: all, host: func(h *Host) { h.Groups = append(h.Groups, "sg-secret") }, want: Unchecked},
	} {
		t.Run(name, func(t *testing.T) {
			n := network{
				subnets: map[string]ec2Subnet{"subnet-1": {ID: "subnet-1", VPC: "vpc-1", CIDR: "10.0.1.0/24"}, "subnet-2": {ID: "subnet-2", VPC: "vpc-1", CIDR: "10.0.2.0/24"}},
				groups: map[string]securityGroup{
					task: {ID: task, VPC: "vpc-1", Out: c.out}, db: {ID: db, VPC: "vpc-1", In: c.in},
				},
				prefixes: map[string][]netip.Prefix{"pl-in": prefixesOf([]string{"10.0.0.0/23"}), "pl-out": prefixesOf([]string{"10.7.0.0/16"})},
			}
			h := Host{Host: "db.internal", Port: 5432, VPC: "vpc-1", Subnets: []string{"subnet-2"}, Groups: []string{db}}
			if c.host != nil {
				c.host(&h)
			}
			from := sender{cluster: "shop", service: "web", ready: 1, at: Interfaces{Subnets: []string{"subnet-1"}, Groups: []string{task}}}
			if c.from != nil {
				c.from(&from)
			}
			got := n.way(from, h)
			lacks := ""
			if got.Missing != nil {
				lacks = got.Missing.Group
			}
			if got.Verdict != c.want || lacks != c.lacks || got.Elsewhere != c.elsewhere || (got.Why == "") != (c.want == Admitted) {
				t.Errorf("got %s (%s), missing %+v, want %s, missing a rule of %q", got.Verdict, got.Why, got.Missing, c.want, c.lacks)
			}
		})
	}
}
