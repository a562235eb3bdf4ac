package aws

import (
	"context"
	"net/url"
	"strconv"
	"strings"
)

func loadBalancingAPI() bareAPI {
	return bareAPI{name: "elasticloadbalancing", version: "2015-12-01", id: "elastic_load_balancing_v2"}
}

func cloudMapAPI() bareAPI {
	return bareAPI{name: "servicediscovery", target: "Route53AutoNaming_v20170314"}
}

func eksAPI() bareAPI { return bareAPI{name: "eks"} }

// loadBalancers are the internal load balancers, one host for each listener.
func (c *Client) loadBalancers(ctx context.Context) ([]Host, error) {
	var internal []Host
	err := c.queryPages(ctx, loadBalancingAPI(), "DescribeLoadBalancers", nil, func(decode func(any) error) (string, error) {
		var out struct {
			Balancers []struct {
				Name    string   `xml:"LoadBalancerName"`
				ARN     string   `xml:"LoadBalancerArn"`
				Host    string   `xml:"DNSName"`
				Scheme  string   `xml:"Scheme"`
				VPC     string   `xml:"VpcId"`
				Groups  []string `xml:"SecurityGroups>member"`
				Subnets []string `xml:"AvailabilityZones>member>SubnetId"`
			} `xml:"DescribeLoadBalancersResult>LoadBalancers>member"`
			Marker string `xml:"DescribeLoadBalancersResult>NextMarker"`
		}
		err := decode(&out)
		for _, b := range out.Balancers {
			if b.Scheme == "internal" {
				internal = append(internal, Host{Name: b.Name, Role: "listener", Host: b.Host, Source: "elasticloadbalancing", ARN: b.ARN, VPC: b.VPC, Subnets: b.Subnets, Groups: b.Groups})
			}
		}
		return out.Marker, err
	})
	found, failure := eachOf(internal, func(h Host) ([]Host, error) { return c.listeners(ctx, h) })
	return found, orError(err, failure)
}

func (c *Client) listeners(ctx context.Context, of Host) (found []Host, err error) {
	err = c.queryPages(ctx, loadBalancingAPI(), "DescribeListeners", url.Values{"LoadBalancerArn": {of.ARN}}, func(decode func(any) error) (string, error) {
		var out struct {
			Listeners []struct {
				Port     uint16 `xml:"Port"`
				Protocol string `xml:"Protocol"`
			} `xml:"DescribeListenersResult>Listeners>member"`
			Marker string `xml:"DescribeListenersResult>NextMarker"`
		}
		err := decode(&out)
		for _, l := range out.Listeners {
			h := of
			h.Port = l.Port
			switch l.Protocol {
			case "HTTP":
				h.Kind = KindHTTP
			case "HTTPS":
				h.Kind = KindHTTPS
			case "UDP", "QUIC":
				continue // a session carries TCP
			default:
				h.Kind = kindOfPort(l.Port)
			}
			found = append(found, h)
		}
		return out.Marker, err
	})
	return found, err
}

// cloudMapNames are the names of services that Cloud Map has for a VPC: those of private DNS, and those of Service Connect,
// which no resolver knows. Of the latter the addresses of the instances are used.
func (c *Client) cloudMapNames(ctx context.Context) ([]Host, error) {
	var services []Host
	err := walk("servicediscovery:ListNamespaces", func(token string) (string, error) {
		var out struct {
			Namespaces []struct {
				ID   string `json:"Id"`
				Name string `json:"Name"`
				Type string `json:"Type"`
			} `json:"Namespaces"`
			Next string `json:"NextToken"`
		}
		err := c.callJSON(ctx, cloudMapAPI(), "ListNamespaces", nextPageUpper(token), &out)
		for _, n := range out.Namespaces {
			if n.Type == "DNS_PUBLIC" || err != nil {
				continue
			}
			var more []Host
			more, err = c.cloudMapServices(ctx, n.ID, n.Name, n.Type == "DNS_PRIVATE")
			services = append(services, more...)
		}
		return out.Next, err
	})
	found, failure := eachOf(services, func(h Host) ([]Host, error) { return c.cloudMapInstances(ctx, h) })
	return found, orError(err, failure)
}

// cloudMapServices are the services of a namespace. Name is the full name, Role the service's id, and Host is empty unless DNS
// has the name.
func (c *Client) cloudMapServices(ctx context.Context, namespace, name string, dns bool) (found []Host, err error) {
	err = walk("servicediscovery:ListServices", func(token string) (string, error) {
		in := nextPageUpper(token)
		in["Filters"] = []map[string]any{{"Name": "NAMESPACE_ID", "Values": []string{namespace}, "Condition": "EQ"}}
		var out struct {
			Services []struct {
				ID   string `json:"Id"`
				Name string `json:"Name"`
				ARN  string `json:"Arn"`
			} `json:"Services"`
			Next string `json:"NextToken"`
		}
		err := c.callJSON(ctx, cloudMapAPI(), "ListServices", in, &out)
		for _, s := range out.Services {
			h := Host{Name: s.Name + "." + name, Role: s.ID, Source: "servicediscovery", ARN: s.ARN}
			if dns {
				h.Host = h.Name
			}
			found = append(found, h)
		}
		return out.Next, err
	})
	return found, err
}

func (c *Client) cloudMapInstances(ctx context.Context, of Host) (found []Host, err error) {
	id := of.Role
	of.Role = ""
	err = walk("servicediscovery:ListInstances", func(token string) (string, error) {
		in := nextPageUpper(token)
		in["ServiceId"] = id
		var out struct {
			Instances []struct {
				Attributes map[string]string `json:"Attributes"`
			} `json:"Instances"`
			Next string `json:"NextToken"`
		}
		err := c.callJSON(ctx, cloudMapAPI(), "ListInstances", in, &out)
		for _, i := range out.Instances {
			h := of
			port, _ := strconv.ParseUint(i.Attributes["AWS_INSTANCE_PORT"], 10, 16)
			h.Port = uint16(port)
			h.Kind = kindOfPort(h.Port)
			if h.Host == "" {
				h = h.as("instance", orWord(i.Attributes["AWS_INSTANCE_IPV4"], i.Attributes["AWS_INSTANCE_IPV6"]))
			}
			found = append(found, h)
		}
		return out.Next, err
	})
	if err == nil && len(found) == 0 && of.Host != "" { // a name without instances resolves to nothing
		return nil, nil
	}
	return found, err
}

// kubernetesEndpoints are the private endpoints of EKS clusters.
func (c *Client) kubernetesEndpoints(ctx context.Context) ([]Host, error) {
	var clusters []Host
	err := walk("eks:ListClusters", func(token string) (string, error) {
		var out struct {
			Names []string `json:"clusters"`
			Next  string   `json:"nextToken"`
		}
		path := "/clusters"
		if token != "" {
			path += "?nextToken=" + url.QueryEscape(token)
		}
		err := c.callREST(ctx, eksAPI(), "ListClusters", path, nil, &out)
		for _, name := range out.Names {
			clusters = append(clusters, Host{Kind: KindHTTPS, Name: name, Source: "eks", IAM: true})
		}
		return out.Next, err
	})
	found, failure := eachOf(clusters, func(h Host) ([]Host, error) { return c.kubernetesEndpoint(ctx, h) })
	return found, orError(err, failure)
}

func (c *Client) kubernetesEndpoint(ctx context.Context, h Host) ([]Host, error) {
	var out struct {
		Cluster struct {
			ARN      string `json:"arn"`
			Endpoint string `json:"endpoint"`
			VPC      struct {
				ID      string   `json:"vpcId"`
				Subnets []string `json:"subnetIds"`
				Groups  []string `json:"securityGroupIds"`
				Own     string   `json:"clusterSecurityGroupId"`
				Private bool     `json:"endpointPrivateAccess"`
			} `json:"resourcesVpcConfig"`
		} `json:"cluster"`
	}
	if err := c.callREST(ctx, eksAPI(), "DescribeCluster", "/clusters/"+url.PathEscape(h.Name), nil, &out); err != nil {
		return nil, err
	}
	k := out.Cluster
	if !k.VPC.Private {
		return nil, nil
	}
	h.ARN, h.Host, h.Port = k.ARN, strings.TrimPrefix(k.Endpoint, "https://"), 443
	h.VPC, h.Subnets, h.Groups = k.VPC.ID, k.VPC.Subnets, k.VPC.Groups
	if k.VPC.Own != "" {
		h.Groups = append(h.Groups, k.VPC.Own)
	}
	return []Host{h}, nil
}
