package aws

import (
	"context"
	"net/url"
	"strings"
)

// rdsAPI is the API of RDS and Aurora, and of DocumentDB and Neptune, which use the same (Amazon DocumentDB and Neptune API
// References).
func rdsAPI() bareAPI { return bareAPI{name: "rds", version: "2014-10-31"} }

func redshiftAPI() bareAPI { return bareAPI{name: "redshift", version: "2012-12-01"} }

func redshiftServerlessAPI() bareAPI {
	return bareAPI{name: "redshift-serverless", target: "RedshiftServerless", id: "redshift_serverless"}
}

// engineKind is the kind of an engine of RDS: postgres, aurora-mysql, oracle-ee, sqlserver-se, docdb and so on.
func engineKind(engine string) HostKind {
	for _, e := range []struct {
		word string
		kind HostKind
	}{
		{"postgres", KindPostgres}, {"mysql", KindMySQL}, {"mariadb", KindMySQL}, {"aurora", KindMySQL}, {"sqlserver", KindSQLServer},
		{"oracle", KindOracle}, {"db2", KindDB2}, {"docdb", KindMongo}, {"neptune", KindHTTPS},
	} {
		if strings.Contains(strings.ToLower(engine), e.word) {
			return e.kind
		}
	}
	return KindUnknown
}

type rdsEndpoint struct {
	Address string `xml:"Address"`
	Port    uint16 `xml:"Port"`
}

type rdsSubnets struct {
	Name    string   `xml:"DBSubnetGroupName"`
	VPC     string   `xml:"VpcId"`
	Subnets []string `xml:"Subnets>Subnet>SubnetIdentifier"`
}

// databases are the instances of RDS, including those of clusters.
func (c *Client) databases(ctx context.Context) (found []Host, err error) {
	err = c.queryPages(ctx, rdsAPI(), "DescribeDBInstances", nil, func(decode func(any) error) (string, error) {
		var out struct {
			Instances []struct {
				ID       string      `xml:"DBInstanceIdentifier"`
				ARN      string      `xml:"DBInstanceArn"`
				Engine   string      `xml:"Engine"`
				Endpoint rdsEndpoint `xml:"Endpoint"`
				Groups   []string    `xml:"VpcSecurityGroups>VpcSecurityGroupMembership>VpcSecurityGroupId"`
				Subnets  rdsSubnets  `xml:"DBSubnetGroup"`
				IAM      bool        `xml:"IAMDatabaseAuthenticationEnabled"`
			} `xml:"DescribeDBInstancesResult>DBInstances>DBInstance"`
			Marker string `xml:"DescribeDBInstancesResult>Marker"`
		}
		err := decode(&out)
		for _, i := range out.Instances {
			found = append(found, Host{
				Kind: engineKind(i.Engine), Name: i.ID, Role: "instance", Host: i.Endpoint.Address, Port: i.Endpoint.Port, Source: "rds", ARN: i.ARN,
				VPC: i.Subnets.VPC, Subnets: i.Subnets.Subnets, Groups: i.Groups, IAM: i.IAM,
			})
		}
		return out.Marker, err
	})
	return found, err
}

// databaseClusters are the writers and readers of clusters of Aurora, RDS, DocumentDB and Neptune.
func (c *Client) databaseClusters(ctx context.Context) (found []Host, err error) {
	subnets := map[string]rdsSubnets{}
	var unknown error // why the subnets of the clusters are not known
	err = c.queryPages(ctx, rdsAPI(), "DescribeDBClusters", nil, func(decode func(any) error) (string, error) {
		var out struct {
			Clusters []struct {
				ID      string   `xml:"DBClusterIdentifier"`
				ARN     string   `xml:"DBClusterArn"`
				Engine  string   `xml:"Engine"`
				Writer  string   `xml:"Endpoint"`
				Reader  string   `xml:"ReaderEndpoint"`
				Custom  []string `xml:"CustomEndpoints>member"`
				Port    uint16   `xml:"Port"`
				Groups  []string `xml:"VpcSecurityGroups>VpcSecurityGroupMembership>VpcSecurityGroupId"`
				Subnets string   `xml:"DBSubnetGroup"`
				IAM     bool     `xml:"IAMDatabaseAuthenticationEnabled"`
			} `xml:"DescribeDBClustersResult>DBClusters>DBCluster"`
			Marker string `xml:"DescribeDBClustersResult>Marker"`
		}
		err := decode(&out)
		if len(out.Clusters) > 0 && len(subnets) == 0 && unknown == nil {
			subnets, unknown = c.databaseSubnets(ctx)
		}
		for _, k := range out.Clusters {
			at := subnets[k.Subnets]
			h := Host{
				Kind: engineKind(k.Engine), Name: k.ID, Port: k.Port, Source: "rds", ARN: k.ARN,
				VPC: at.VPC, Subnets: at.Subnets, Groups: k.Groups, IAM: k.IAM,
			}
			found = append(found, h.as("writer", k.Writer), h.as("reader", k.Reader))
			for _, custom := range k.Custom {
				found = append(found, h.as("custom", custom))
			}
		}
		return out.Marker, err
	})
	return found, orError(err, unknown)
}

// as is the host with another role and address.
func (h Host) as(role, host string) Host {
	h.Role, h.Host = role, host
	return h
}

func orError(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (c *Client) databaseSubnets(ctx context.Context) (map[string]rdsSubnets, error) {
	found := map[string]rdsSubnets{}
	err := c.queryPages(ctx, rdsAPI(), "DescribeDBSubnetGroups", nil, func(decode func(any) error) (string, error) {
		var out struct {
			Groups []rdsSubnets `xml:"DescribeDBSubnetGroupsResult>DBSubnetGroups>DBSubnetGroup"`
			Marker string       `xml:"DescribeDBSubnetGroupsResult>Marker"`
		}
		err := decode(&out)
		for _, g := range out.Groups {
			found[g.Name] = g
		}
		return out.Marker, err
	})
	return found, err
}

// databaseProxies are the proxies of RDS. They listen on the usual port of their engine.
func (c *Client) databaseProxies(ctx context.Context) (found []Host, err error) {
	err = c.queryPages(ctx, rdsAPI(), "DescribeDBProxies", nil, func(decode func(any) error) (string, error) {
		var out struct {
			Proxies []struct {
				Name    string   `xml:"DBProxyName"`
				ARN     string   `xml:"DBProxyArn"`
				Family  string   `xml:"EngineFamily"`
				Host    string   `xml:"Endpoint"`
				VPC     string   `xml:"VpcId"`
				Groups  []string `xml:"VpcSecurityGroupIds>member"`
				Subnets []string `xml:"VpcSubnetIds>member"`
				Auth    []string `xml:"Auth>member>IAMAuth"`
			} `xml:"DescribeDBProxiesResult>DBProxies>member"`
			Marker string `xml:"DescribeDBProxiesResult>Marker"`
		}
		err := decode(&out)
		for _, p := range out.Proxies {
			kind := engineKind(p.Family)
			found = append(found, Host{
				Kind: kind, Name: p.Name, Role: "proxy", Host: p.Host, Port: kind.usualPort(), Source: "rds", ARN: p.ARN,
				VPC: p.VPC, Subnets: p.Subnets, Groups: p.Groups, IAM: len(p.Auth) > 0 && p.Auth[0] != "DISABLED",
			})
		}
		return out.Marker, err
	})
	return found, err
}

// warehouses are the clusters of Redshift.
func (c *Client) warehouses(ctx context.Context) (found []Host, err error) {
	err = c.queryPages(ctx, redshiftAPI(), "DescribeClusters", url.Values{}, func(decode func(any) error) (string, error) {
		var out struct {
			Clusters []struct {
				ID       string      `xml:"ClusterIdentifier"`
				ARN      string      `xml:"ClusterNamespaceArn"`
				Endpoint rdsEndpoint `xml:"Endpoint"`
				VPC      string      `xml:"VpcId"`
				Groups   []string    `xml:"VpcSecurityGroups>VpcSecurityGroup>VpcSecurityGroupId"`
			} `xml:"DescribeClustersResult>Clusters>Cluster"`
			Marker string `xml:"DescribeClustersResult>Marker"`
		}
		err := decode(&out)
		for _, k := range out.Clusters {
			found = append(found, Host{
				Kind: KindRedshift, Name: k.ID, Host: k.Endpoint.Address, Port: k.Endpoint.Port, Source: "redshift", ARN: k.ARN,
				VPC: k.VPC, Groups: k.Groups, IAM: true,
			})
		}
		return out.Marker, err
	})
	return found, err
}

// workgroups are the workgroups of Redshift Serverless.
func (c *Client) workgroups(ctx context.Context) (found []Host, err error) {
	err = walk("redshift-serverless:ListWorkgroups", func(token string) (string, error) {
		var out struct {
			Workgroups []struct {
				Name     string `json:"workgroupName"`
				ARN      string `json:"workgroupArn"`
				Endpoint struct {
					Address string `json:"address"`
					Port    uint16 `json:"port"`
					VPC     []struct {
						ID string `json:"vpcId"`
					} `json:"vpcEndpoints"`
				} `json:"endpoint"`
				Groups  []string `json:"securityGroupIds"`
				Subnets []string `json:"subnetIds"`
			} `json:"workgroups"`
			Next string `json:"nextToken"`
		}
		err := c.callJSON(ctx, redshiftServerlessAPI(), "ListWorkgroups", nextPage(token), &out)
		for _, w := range out.Workgroups {
			h := Host{
				Kind: KindRedshift, Name: w.Name, Host: w.Endpoint.Address, Port: w.Endpoint.Port, Source: "redshift-serverless", ARN: w.ARN,
				Subnets: w.Subnets, Groups: w.Groups, IAM: true,
			}
			if len(w.Endpoint.VPC) > 0 {
				h.VPC = w.Endpoint.VPC[0].ID
			}
			found = append(found, h)
		}
		return out.Next, err
	})
	return found, err
}

// nextPage is the input of a list whose page token is called nextToken, and that needs no other input.
func nextPage(token string) map[string]any {
	if token == "" {
		return map[string]any{}
	}
	return map[string]any{"nextToken": token}
}
