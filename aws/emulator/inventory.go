package emulator

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Inventory is what the account has besides ECS: private destinations that other services list.
type Inventory struct {
	Databases []Possession // of RDS
	Caches    []Possession // replication groups of ElastiCache
	Balancers []Possession // internal load balancers, each with a listener
}

// Possession is one entry of an Inventory.
type Possession struct {
	Name   string
	Engine string // of a database: postgres, mysql and so on; of a balancer the protocol of its listener
	Host   string
	Port   uint16
	// Closed says that its security group admits nobody; otherwise the group admits that of the tasks.
	Closed bool
}

func (i Inventory) all() []Possession { return slices.Concat(i.Databases, i.Caches, i.Balancers) }

// group is the id of the entry's own security group, made from its name.
func (p Possession) group() string {
	return fmt.Sprintf("sg-%x", fmt.Appendf(nil, "%.8s", p.Name+"--------"))
}

// rules are the rules of the entry's security group.
func (p Possession) rules() groupView {
	g := groupView{ID: p.group(), VPC: vpcID}
	if !p.Closed {
		g.In = []ruleView{{Protocol: "tcp", From: int(p.Port), To: int(p.Port), Groups: []string{taskGroup}}}
	}
	return g
}

// The parts of the query protocol that are served here (Amazon RDS, ElastiCache and Elastic Load Balancing API References).
// Every list has one page, as the account is small.

type databaseView struct {
	ID      string   `xml:"DBInstanceIdentifier"`
	ARN     string   `xml:"DBInstanceArn"`
	Engine  string   `xml:"Engine"`
	Status  string   `xml:"DBInstanceStatus"`
	Address string   `xml:"Endpoint>Address"`
	Port    uint16   `xml:"Endpoint>Port"`
	Groups  []string `xml:"VpcSecurityGroups>VpcSecurityGroupMembership>VpcSecurityGroupId"`
	VPC     string   `xml:"DBSubnetGroup>VpcId"`
	Subnets []string `xml:"DBSubnetGroup>Subnets>Subnet>SubnetIdentifier"`
	IAM     bool     `xml:"IAMDatabaseAuthenticationEnabled"`
}

type cacheView struct {
	ID      string   `xml:"CacheClusterId"`
	Engine  string   `xml:"Engine"`
	Group   string   `xml:"ReplicationGroupId"`
	Subnets string   `xml:"CacheSubnetGroupName"`
	Groups  []string `xml:"SecurityGroups>member>SecurityGroupId"`
}

type cacheGroupView struct {
	ID      string `xml:"ReplicationGroupId"`
	ARN     string `xml:"ARN"`
	Address string `xml:"NodeGroups>NodeGroup>PrimaryEndpoint>Address"`
	Port    uint16 `xml:"NodeGroups>NodeGroup>PrimaryEndpoint>Port"`
}

type cacheSubnetsView struct {
	Name    string   `xml:"CacheSubnetGroupName"`
	VPC     string   `xml:"VpcId"`
	Subnets []string `xml:"Subnets>Subnet>SubnetIdentifier"`
}

type balancerView struct {
	Name    string   `xml:"LoadBalancerName"`
	ARN     string   `xml:"LoadBalancerArn"`
	Host    string   `xml:"DNSName"`
	Scheme  string   `xml:"Scheme"`
	VPC     string   `xml:"VpcId"`
	Groups  []string `xml:"SecurityGroups>member"`
	Subnets []string `xml:"AvailabilityZones>member>SubnetId"`
}

type listenerView struct {
	Port     uint16 `xml:"Port"`
	Protocol string `xml:"Protocol"`
}

// inventoryAnswer is an element <Action>Response with an element <Action>Result in it.
type inventoryAnswer struct {
	action  string
	content any // what is listed; nil for nothing
}

// MarshalXML implements xml.Marshaler.
func (a inventoryAnswer) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	outer := xml.StartElement{Name: xml.Name{Local: a.action + "Response"}}
	inner := xml.StartElement{Name: xml.Name{Local: a.action + "Result"}}
	if err := e.EncodeToken(outer); err != nil {
		return err
	}
	if a.content != nil {
		if err := e.EncodeElement(a.content, inner); err != nil {
			return err
		}
	}
	return e.EncodeToken(outer.End())
}

// inventoryAction serves those services of the query protocol that list entries of the inventory.
func (e *Emulator) inventoryAction(r *http.Request, body []byte, form url.Values) (any, error) {
	service, action := scopeService(r), form.Get("Action")
	who, err := e.verify(r, service, body)
	if err != nil {
		return nil, inQueryWords(err)
	}
	if err := e.data.admit(&request{Body: body, Caller: who, Region: scopeRegion(r), HTTP: r}, service, action, "*"); err != nil {
		refusal := asAPIError(err)
		if refusal.Code == accessDenied {
			refusal = &apiError{Code: "AccessDenied", Message: refusal.Message, Status: http.StatusForbidden}
		}
		return nil, refusal
	}
	content, known := e.inventory(service, action, form)
	if !known {
		return nil, &apiError{Code: "InvalidAction", Message: "Could not find operation " + action}
	}
	return inventoryAnswer{action, content}, nil
}

// inventory is what an action lists; nil when the account has nothing of that kind. known is false for an action that is not
// served.
func (e *Emulator) inventory(service, action string, form url.Values) (content any, known bool) {
	has := e.possessions
	switch service + ":" + action {
	case "rds:DescribeDBInstances":
		var list struct {
			Databases []databaseView `xml:"DBInstances>DBInstance"`
		}
		for _, p := range has.Databases {
			list.Databases = append(list.Databases, databaseView{
				ID: p.Name, ARN: e.fleet.arn("rds", "db:"+p.Name), Engine: p.Engine, Status: "available", Address: p.Host, Port: p.Port,
				Groups: []string{p.group()}, VPC: vpcID, Subnets: []string{subnetID}, IAM: true,
			})
		}
		return list, true
	case "elasticache:DescribeCacheClusters":
		var list struct {
			Caches []cacheView `xml:"CacheClusters>CacheCluster"`
		}
		for _, p := range has.Caches {
			list.Caches = append(list.Caches, cacheView{ID: p.Name + "-001", Engine: "redis", Group: p.Name, Subnets: "private", Groups: []string{p.group()}})
		}
		return list, true
	case "elasticache:DescribeReplicationGroups":
		var list struct {
			Groups []cacheGroupView `xml:"ReplicationGroups>ReplicationGroup"`
		}
		for _, p := range has.Caches {
			list.Groups = append(list.Groups, cacheGroupView{ID: p.Name, ARN: e.fleet.arn("elasticache", "replicationgroup:"+p.Name), Address: p.Host, Port: p.Port})
		}
		return list, true
	case "elasticache:DescribeCacheSubnetGroups":
		var list struct {
			Groups []cacheSubnetsView `xml:"CacheSubnetGroups>CacheSubnetGroup"`
		}
		list.Groups = []cacheSubnetsView{{Name: "private", VPC: vpcID, Subnets: []string{subnetID}}}
		return list, true
	case "elasticloadbalancing:DescribeLoadBalancers":
		var list struct {
			Balancers []balancerView `xml:"LoadBalancers>member"`
		}
		for _, p := range has.Balancers {
			list.Balancers = append(list.Balancers, balancerView{
				Name: p.Name, ARN: e.fleet.arn("elasticloadbalancing", "loadbalancer/app/"+p.Name+"/50dc6c495c0c9188"), Host: p.Host, Scheme: "internal",
				VPC: vpcID, Groups: []string{p.group()}, Subnets: []string{subnetID},
			})
		}
		return list, true
	case "elasticloadbalancing:DescribeListeners":
		var list struct {
			Listeners []listenerView `xml:"Listeners>member"`
		}
		for _, p := range has.Balancers {
			if strings.Contains(form.Get("LoadBalancerArn"), "/"+p.Name+"/") {
				list.Listeners = append(list.Listeners, listenerView{p.Port, p.Engine})
			}
		}
		return list, true
	case "rds:DescribeDBClusters", "rds:DescribeDBSubnetGroups", "rds:DescribeDBProxies", "elasticache:DescribeServerlessCaches", "redshift:DescribeClusters":
		return nil, true
	}
	return nil, false
}

// bareInventory recognises the lists of services of which the account has nothing, by their targets and paths (MemoryDB, Cloud
// Map, Redshift Serverless, OpenSearch, MSK, Amazon MQ and EKS API References).
func bareInventory(r *http.Request) (service, action string) {
	switch target := r.Header.Get("X-Amz-Target"); target {
	case "AmazonMemoryDB.DescribeClusters":
		return "memorydb", "DescribeClusters"
	case "Route53AutoNaming_v20170314.ListNamespaces":
		return "servicediscovery", "ListNamespaces"
	case "RedshiftServerless.ListWorkgroups":
		return "redshift-serverless", "ListWorkgroups"
	case "":
		switch r.URL.Path {
		case "/2021-01-01/domain":
			return "es", "ListDomainNames"
		case "/api/v2/clusters":
			return "kafka", "ListClustersV2"
		case "/v1/brokers":
			return "mq", "ListBrokers"
		case "/clusters":
			return "eks", "ListClusters"
		}
	}
	return "", ""
}

// serveNothing answers with an empty list.
func (e *Emulator) serveNothing(w http.ResponseWriter, r *http.Request, service, action string) {
	e.count(action)
	body, err := read(w, r)
	if err == nil {
		var who caller
		if who, err = e.verify(r, service, body); err == nil {
			err = e.data.admit(&request{Body: body, Caller: who, Region: scopeRegion(r), HTTP: r}, service, action, "*")
		}
	}
	if err != nil {
		e.refuse(w, err)
		return
	}
	e.answer(w, http.StatusOK, struct{}{})
}
