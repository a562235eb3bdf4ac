package emulator

import (
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"

	"github.com/google/uuid"
)

// Subnet is the network of the tasks, as EC2 describes it. The zero value has a NAT gateway.
type Subnet struct {
	Default    string // target of the default route: nat-…, igw-…, tgw-…; "none" for none
	PublicIP   bool   // the tasks' interfaces have a public address
	Endpoint   bool   // the VPC has an interface endpoint of ssmmessages
	PrivateDNS bool   // the service's own name resolves to that endpoint
	// Outbound is where the security group of the tasks lets connections go on port 443: an address range, "none", or empty for
	// anywhere on all ports.
	Outbound string
	// Inbound is from where the security group of the endpoint lets connections in on port 443: an address range, "none", or
	// empty for the group of the tasks.
	Inbound string
}

// The ids of the network's parts.
const (
	subnetID   = "subnet-0a1b2c3d4e5f60718"
	vpcID      = "vpc-0b1c2d3e4f5061728"
	vpcBlock   = "10.20.0.0/16" // task.address makes addresses in it
	natID      = "nat-0c1d2e3f405162738"
	endpointID = "vpce-0d1e2f30415263748"
	taskGroup  = "sg-0e1f203142536475a"
	doorGroup  = "sg-0f2031425364758bb" // of the endpoint
)

// The parts of EC2's query protocol that are served here (EC2 API Reference).

type subnetsAnswer struct {
	XMLName xml.Name     `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeSubnetsResponse"`
	Subnets []subnetView `xml:"subnetSet>item"`
}

type subnetView struct {
	ID   string `xml:"subnetId"`
	VPC  string `xml:"vpcId"`
	CIDR string `xml:"cidrBlock"`
}

type routesAnswer struct {
	XMLName xml.Name    `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeRouteTablesResponse"`
	Tables  []tableView `xml:"routeTableSet>item"`
}

type tableView struct {
	ID     string      `xml:"routeTableId"`
	VPC    string      `xml:"vpcId"`
	Routes []routeView `xml:"routeSet>item"`
}

type routeView struct {
	To      string `xml:"destinationCidrBlock"`
	Gateway string `xml:"gatewayId,omitempty"`
	NAT     string `xml:"natGatewayId,omitempty"`
	State   string `xml:"state"`
}

type endpointsAnswer struct {
	XMLName   xml.Name       `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeVpcEndpointsResponse"`
	Endpoints []endpointView `xml:"vpcEndpointSet>item"`
}

type endpointView struct {
	ID      string `xml:"vpcEndpointId"`
	VPC     string `xml:"vpcId"`
	Service string `xml:"serviceName"`
	State   string `xml:"state"`
	Private bool   `xml:"privateDnsEnabled"`
	Group   string `xml:"groupSet>item>groupId"`
}

type interfacesAnswer struct {
	XMLName    xml.Name         `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeNetworkInterfacesResponse"`
	Interfaces []interfaceEntry `xml:"networkInterfaceSet>item"`
}

type interfaceEntry struct {
	ID     string `xml:"networkInterfaceId"`
	Public string `xml:"association>publicIp,omitempty"`
	Group  string `xml:"groupSet>item>groupId"`
}

// ec2Action serves EC2's descriptions of the tasks' subnet.
func (e *Emulator) ec2Action(r *http.Request, body []byte, form url.Values) (any, error) {
	who, err := e.verify(r, "ec2", body)
	if err != nil {
		return nil, err
	}
	action := form.Get("Action")
	if err := e.data.admit(&request{Body: body, Caller: who, Region: scopeRegion(r), HTTP: r}, "ec2", action, "*"); err != nil {
		if refusal := asAPIError(err); refusal.Code == accessDenied {
			return nil, &apiError{Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation. " + refusal.Message, Status: http.StatusForbidden}
		}
		return nil, err
	}
	s := e.subnet
	switch action {
	case "DescribeSubnets":
		return subnetsAnswer{Subnets: []subnetView{{subnetID, vpcID, vpcBlock}}}, nil
	case "DescribeRouteTables":
		if form.Get("Filter.1.Name") == "association.subnet-id" {
			return routesAnswer{}, nil // the main table applies to it
		}
		table := tableView{ID: "rtb-0e1f203142536475a", VPC: vpcID, Routes: []routeView{{To: "10.20.0.0/16", Gateway: "local", State: "active"}}}
		switch s.Default {
		case "none":
		case "":
			table.Routes = append(table.Routes, routeView{To: "0.0.0.0/0", NAT: natID, State: "active"})
		default:
			table.Routes = append(table.Routes, routeView{To: "0.0.0.0/0", Gateway: s.Default, State: "active"})
		}
		return routesAnswer{Tables: []tableView{table}}, nil
	case "DescribeVpcEndpoints":
		var answer endpointsAnswer
		if s.Endpoint {
			answer.Endpoints = []endpointView{{endpointID, vpcID, "com.amazonaws." + e.fleet.region + ".ssmmessages", "available", s.PrivateDNS, doorGroup}}
		}
		return answer, nil
	case "DescribeNetworkInterfaces":
		entry := interfaceEntry{ID: "eni-0f10213243546576b", Group: taskGroup}
		if s.PublicIP {
			entry.Public = "203.0.113.20"
		}
		return interfacesAnswer{Interfaces: []interfaceEntry{entry}}, nil
	case "DescribeSecurityGroups":
		return s.groups(form, e.possessions), nil
	}
	return nil, &apiError{Code: "InvalidAction", Message: "The action " + action + " is not valid for this web service."}
}

// ec2Error is the form of EC2's refusals.
type ec2Error struct {
	XMLName   xml.Name `xml:"Response"`
	Code      string   `xml:"Errors>Error>Code"`
	Message   string   `xml:"Errors>Error>Message"`
	RequestID string   `xml:"RequestID"`
}

func (e *Emulator) refuseEC2(w http.ResponseWriter, err error) {
	if _, gone := errors.AsType[unreachableError](err); gone {
		panic(http.ErrAbortHandler) // how net/http hangs up without an answer
	}
	refusal := asAPIError(err)
	e.answerQuery(w, refusal.status(), ec2Error{Code: refusal.Code, Message: refusal.Message, RequestID: uuid.NewString()})
}
