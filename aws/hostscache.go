package aws

import (
	"context"
	"net/url"
	"slices"
	"strings"
)

func elastiCacheAPI() bareAPI { return bareAPI{name: "elasticache", version: "2015-02-02"} }

func memoryDBAPI() bareAPI {
	return bareAPI{name: "memory-db", signs: "memorydb", target: "AmazonMemoryDB", id: "memorydb"}
}

// cacheNetwork is where the clusters of a replication group have their interfaces.
type cacheNetwork struct {
	subnets string // name of the subnet group
	groups  []string
}

type cacheEndpoint struct {
	Address string `xml:"Address"`
	Port    uint16 `xml:"Port"`
}

func (e cacheEndpoint) onto(h Host, role string) Host {
	h.Port = e.Port
	return h.as(role, e.Address)
}

// caches are the caches of ElastiCache: of a replication group its primary and reader, or its configuration endpoint, from
// which a client learns the other nodes; of a cluster without a group its nodes.
func (c *Client) caches(ctx context.Context) ([]Host, error) {
	var found []Host
	networks := map[string]cacheNetwork{} // by replication group
	var groups []string                   // names of subnet groups
	err := c.queryPages(ctx, elastiCacheAPI(), "DescribeCacheClusters", url.Values{"ShowCacheNodeInfo": {"true"}}, func(decode func(any) error) (string, error) {
		var out struct {
			Clusters []struct {
				ID            string          `xml:"CacheClusterId"`
				ARN           string          `xml:"ARN"`
				Engine        string          `xml:"Engine"`
				Group         string          `xml:"ReplicationGroupId"`
				Subnets       string          `xml:"CacheSubnetGroupName"`
				Groups        []string        `xml:"SecurityGroups>member>SecurityGroupId"`
				Configuration cacheEndpoint   `xml:"ConfigurationEndpoint"`
				Nodes         []cacheEndpoint `xml:"CacheNodes>CacheNode>Endpoint"`
			} `xml:"DescribeCacheClustersResult>CacheClusters>CacheCluster"`
			Marker string `xml:"DescribeCacheClustersResult>Marker"`
		}
		err := decode(&out)
		for _, k := range out.Clusters {
			groups = append(groups, k.Subnets)
			if k.Group != "" {
				networks[k.Group] = cacheNetwork{k.Subnets, k.Groups}
				continue
			}
			h := Host{Kind: cacheKind(k.Engine), Name: k.ID, Source: "elasticache", ARN: k.ARN, VPC: k.Subnets, Groups: k.Groups}
			if k.Configuration.Address != "" {
				found = append(found, k.Configuration.onto(h, "configuration"))
				continue
			}
			for _, node := range k.Nodes {
				found = append(found, node.onto(h, "node"))
			}
		}
		return out.Marker, err
	})
	if err != nil {
		return nil, err
	}
	replicated, failure := c.replicationGroups(ctx, networks)
	found = append(found, replicated...)
	return c.withNetworks(ctx, found, groups, failure)
}

func cacheKind(engine string) HostKind {
	if strings.EqualFold(engine, "memcached") {
		return KindMemcached
	}
	return KindRedis
}

func (c *Client) replicationGroups(ctx context.Context, networks map[string]cacheNetwork) (found []Host, err error) {
	err = c.queryPages(ctx, elastiCacheAPI(), "DescribeReplicationGroups", nil, func(decode func(any) error) (string, error) {
		var out struct {
			Groups []struct {
				ID            string        `xml:"ReplicationGroupId"`
				ARN           string        `xml:"ARN"`
				Configuration cacheEndpoint `xml:"ConfigurationEndpoint"`
				Nodes         []struct {
					Primary cacheEndpoint `xml:"PrimaryEndpoint"`
					Reader  cacheEndpoint `xml:"ReaderEndpoint"`
				} `xml:"NodeGroups>NodeGroup"`
			} `xml:"DescribeReplicationGroupsResult>ReplicationGroups>ReplicationGroup"`
			Marker string `xml:"DescribeReplicationGroupsResult>Marker"`
		}
		err := decode(&out)
		for _, g := range out.Groups {
			at := networks[g.ID]
			h := Host{Kind: KindRedis, Name: g.ID, Source: "elasticache", ARN: g.ARN, VPC: at.subnets, Groups: at.groups}
			if g.Configuration.Address != "" {
				found = append(found, g.Configuration.onto(h, "configuration"))
				continue
			}
			for _, n := range g.Nodes {
				found = append(found, n.Primary.onto(h, "primary"), n.Reader.onto(h, "reader"))
			}
		}
		return out.Marker, err
	})
	return found, err
}

// withNetworks replaces the name of the subnet group, which stands in VPC until now, by the VPC and sets the subnets.
func (c *Client) withNetworks(ctx context.Context, found []Host, groups []string, failure error) ([]Host, error) {
	type network struct {
		vpc     string
		subnets []string
	}
	at := map[string]network{}
	if slices.ContainsFunc(groups, func(g string) bool { return g != "" }) {
		err := c.queryPages(ctx, elastiCacheAPI(), "DescribeCacheSubnetGroups", nil, func(decode func(any) error) (string, error) {
			var out struct {
				Groups []struct {
					Name    string   `xml:"CacheSubnetGroupName"`
					VPC     string   `xml:"VpcId"`
					Subnets []string `xml:"Subnets>Subnet>SubnetIdentifier"`
				} `xml:"DescribeCacheSubnetGroupsResult>CacheSubnetGroups>CacheSubnetGroup"`
				Marker string `xml:"DescribeCacheSubnetGroupsResult>Marker"`
			}
			err := decode(&out)
			for _, g := range out.Groups {
				at[g.Name] = network{g.VPC, g.Subnets}
			}
			return out.Marker, err
		})
		failure = orError(failure, err)
	}
	for i := range found {
		in := at[found[i].VPC]
		found[i].VPC, found[i].Subnets = in.vpc, in.subnets
	}
	return found, failure
}

func (c *Client) serverlessCaches(ctx context.Context) (found []Host, err error) {
	form := url.Values{}
	err = walk("elasticache:DescribeServerlessCaches", func(token string) (string, error) {
		if token != "" {
			form.Set("NextToken", token)
		}
		var out struct {
			Caches []struct {
				Name    string        `xml:"ServerlessCacheName"`
				ARN     string        `xml:"ARN"`
				Engine  string        `xml:"Engine"`
				Primary cacheEndpoint `xml:"Endpoint"`
				Reader  cacheEndpoint `xml:"ReaderEndpoint"`
				Groups  []string      `xml:"SecurityGroupIds>SecurityGroupId"`
				Subnets []string      `xml:"SubnetIds>SubnetId"`
			} `xml:"DescribeServerlessCachesResult>ServerlessCaches>member"`
			Next string `xml:"DescribeServerlessCachesResult>NextToken"`
		}
		err := c.query(ctx, elastiCacheAPI(), "DescribeServerlessCaches", form, &out)
		for _, s := range out.Caches {
			h := Host{Kind: cacheKind(s.Engine), Name: s.Name, Source: "elasticache", ARN: s.ARN, Groups: s.Groups, Subnets: s.Subnets}
			found = append(found, s.Primary.onto(h, "primary"), s.Reader.onto(h, "reader"))
		}
		return out.Next, err
	})
	return found, err
}

// memoryClusters are the clusters of MemoryDB. A client learns the shards from the cluster's endpoint.
func (c *Client) memoryClusters(ctx context.Context) (found []Host, err error) {
	type network struct {
		Name    string `json:"Name"`
		VPC     string `json:"VpcId"`
		Subnets []struct {
			ID string `json:"Identifier"`
		} `json:"Subnets"`
	}
	err = walk("memorydb:DescribeClusters", func(token string) (string, error) {
		var out struct {
			Clusters []struct {
				Name     string `json:"Name"`
				ARN      string `json:"ARN"`
				Endpoint struct {
					Address string `json:"Address"`
					Port    uint16 `json:"Port"`
				} `json:"ClusterEndpoint"`
				Subnets string `json:"SubnetGroupName"`
				Groups  []struct {
					ID string `json:"SecurityGroupId"`
				} `json:"SecurityGroups"`
			} `json:"Clusters"`
			Next string `json:"NextToken"`
		}
		err := c.callJSON(ctx, memoryDBAPI(), "DescribeClusters", nextPageUpper(token), &out)
		for _, k := range out.Clusters {
			h := Host{Kind: KindRedis, Name: k.Name, Role: "configuration", Host: k.Endpoint.Address, Port: k.Endpoint.Port, Source: "memorydb", ARN: k.ARN, VPC: k.Subnets}
			for _, g := range k.Groups {
				h.Groups = append(h.Groups, g.ID)
			}
			found = append(found, h)
		}
		return out.Next, err
	})
	if err != nil || len(found) == 0 {
		return found, err
	}
	networks := map[string]network{}
	err = walk("memorydb:DescribeSubnetGroups", func(token string) (string, error) {
		var out struct {
			Groups []network `json:"SubnetGroups"`
			Next   string    `json:"NextToken"`
		}
		err := c.callJSON(ctx, memoryDBAPI(), "DescribeSubnetGroups", nextPageUpper(token), &out)
		for _, g := range out.Groups {
			networks[g.Name] = g
		}
		return out.Next, err
	})
	for i := range found {
		at := networks[found[i].VPC]
		found[i].VPC = at.VPC
		for _, s := range at.Subnets {
			found[i].Subnets = append(found[i].Subnets, s.ID)
		}
	}
	return found, err
}

// nextPageUpper is the input of a list whose page token is called NextToken.
func nextPageUpper(token string) map[string]any {
	if token == "" {
		return map[string]any{}
	}
	return map[string]any{"NextToken": token}
}
