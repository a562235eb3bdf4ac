package aws

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
)

func searchAPI() bareAPI { return bareAPI{name: "es", id: "opensearch"} }
func kafkaAPI() bareAPI  { return bareAPI{name: "kafka"} }
func mqAPI() bareAPI     { return bareAPI{name: "mq"} }

// domainsAtOnce is how many domains one call of OpenSearch describes (OpenSearch API Reference, DescribeDomains).
const domainsAtOnce = 5

// searchDomains are the domains of OpenSearch that are in a VPC; others are public.
func (c *Client) searchDomains(ctx context.Context) ([]Host, error) {
	var names struct {
		Names []struct {
			Name string `json:"DomainName"`
		} `json:"DomainNames"`
	}
	if err := c.callREST(ctx, searchAPI(), "ListDomainNames", "/2021-01-01/domain", nil, &names); err != nil {
		return nil, err
	}
	var found []Host
	for batch := range slices.Chunk(names.Names, domainsAtOnce) {
		in := map[string][]string{}
		for _, n := range batch {
			in["DomainNames"] = append(in["DomainNames"], n.Name)
		}
		var out struct {
			Domains []struct {
				Name      string            `json:"DomainName"`
				ARN       string            `json:"ARN"`
				Endpoint  string            `json:"Endpoint"`
				Endpoints map[string]string `json:"Endpoints"`
				VPC       struct {
					ID      string   `json:"VPCId"`
					Subnets []string `json:"SubnetIds"`
					Groups  []string `json:"SecurityGroupIds"`
				} `json:"VPCOptions"`
			} `json:"DomainStatusList"`
		}
		if err := c.callREST(ctx, searchAPI(), "DescribeDomains", "/2021-01-01/opensearch/domain-info", in, &out); err != nil {
			return found, err
		}
		for _, d := range out.Domains {
			if len(d.VPC.Subnets) == 0 {
				continue
			}
			found = append(found, Host{
				Kind: KindSearch, Name: d.Name, Host: orWord(d.Endpoints["vpc"], d.Endpoint), Port: 443, Source: "opensearch", ARN: d.ARN,
				VPC: d.VPC.ID, Subnets: d.VPC.Subnets, Groups: d.VPC.Groups, IAM: true,
			})
		}
	}
	return found, nil
}

// kafkaClusters are the clusters of MSK, by their brokers. A broker has a port for each way to log in.
func (c *Client) kafkaClusters(ctx context.Context) ([]Host, error) {
	var clusters []Host // without their brokers
	err := walk("kafka:ListClustersV2", func(token string) (string, error) {
		var out struct {
			Clusters []struct {
				Name        string `json:"clusterName"`
				ARN         string `json:"clusterArn"`
				Provisioned struct {
					Nodes struct {
						Subnets []string `json:"clientSubnets"`
						Groups  []string `json:"securityGroups"`
					} `json:"brokerNodeGroupInfo"`
				} `json:"provisioned"`
				Serverless struct {
					VPC []struct {
						Subnets []string `json:"subnetIds"`
						Groups  []string `json:"securityGroupIds"`
					} `json:"vpcConfigs"`
				} `json:"serverless"`
			} `json:"clusterInfoList"`
			Next string `json:"nextToken"`
		}
		path := "/api/v2/clusters"
		if token != "" {
			path += "?nextToken=" + url.QueryEscape(token)
		}
		err := c.callREST(ctx, kafkaAPI(), "ListClustersV2", path, nil, &out)
		for _, k := range out.Clusters {
			h := Host{Kind: KindKafka, Name: k.Name, Source: "kafka", ARN: k.ARN, Subnets: k.Provisioned.Nodes.Subnets, Groups: k.Provisioned.Nodes.Groups}
			for _, v := range k.Serverless.VPC {
				h.Subnets, h.Groups = append(h.Subnets, v.Subnets...), append(h.Groups, v.Groups...)
			}
			clusters = append(clusters, h)
		}
		return out.Next, err
	})
	found, failure := eachOf(clusters, func(h Host) ([]Host, error) { return c.kafkaBrokers(ctx, h) })
	return found, orError(err, failure)
}

func (c *Client) kafkaBrokers(ctx context.Context, of Host) (found []Host, err error) {
	var lists map[string]string
	if err := c.callREST(ctx, kafkaAPI(), "GetBootstrapBrokers", "/v1/clusters/"+url.PathEscape(of.ARN)+"/bootstrap-brokers", nil, &lists); err != nil {
		return nil, err
	}
	for _, which := range slices.Sorted(maps.Keys(lists)) {
		lower := strings.ToLower(which)
		if !strings.HasPrefix(lower, "bootstrapbrokerstring") || strings.Contains(lower, "public") {
			continue
		}
		for _, m := range readList("KAFKA_BROKERS", lists[which]) {
			h := of
			h.Port, h.IAM = m.Port, strings.HasSuffix(lower, "iam")
			found = append(found, h.as("broker", m.Host))
		}
	}
	return found, nil
}

// brokers are the private brokers of Amazon MQ.
func (c *Client) brokers(ctx context.Context) ([]Host, error) {
	var listed []Host
	err := walk("mq:ListBrokers", func(token string) (string, error) {
		var out struct {
			Brokers []struct {
				ID   string `json:"brokerId"`
				Name string `json:"brokerName"`
				ARN  string `json:"brokerArn"`
			} `json:"brokerSummaries"`
			Next string `json:"nextToken"`
		}
		path := "/v1/brokers"
		if token != "" {
			path += "?nextToken=" + url.QueryEscape(token)
		}
		err := c.callREST(ctx, mqAPI(), "ListBrokers", path, nil, &out)
		for _, b := range out.Brokers {
			listed = append(listed, Host{Name: b.Name, Host: b.ID, Source: "mq", ARN: b.ARN})
		}
		return out.Next, err
	})
	found, failure := eachOf(listed, func(h Host) ([]Host, error) { return c.brokerEndpoints(ctx, h) })
	return found, orError(err, failure)
}

func (c *Client) brokerEndpoints(ctx context.Context, of Host) (found []Host, err error) {
	var out struct {
		Public    bool     `json:"publiclyAccessible"`
		Subnets   []string `json:"subnetIds"`
		Groups    []string `json:"securityGroups"`
		Instances []struct {
			Console   string   `json:"consoleURL"`
			Endpoints []string `json:"endpoints"`
		} `json:"brokerInstances"`
	}
	if err := c.callREST(ctx, mqAPI(), "DescribeBroker", "/v1/brokers/"+url.PathEscape(of.Host), nil, &out); err != nil {
		return nil, err
	}
	if out.Public {
		return nil, nil
	}
	of.Subnets, of.Groups = out.Subnets, out.Groups
	for _, i := range out.Instances {
		for _, endpoint := range append(slices.Clone(i.Endpoints), i.Console) {
			address := brokerAddress(endpoint)
			if address.Host == "" {
				continue
			}
			h := of
			h.Kind, h.Port = address.Kind, address.Port
			role := "broker"
			if endpoint == i.Console {
				role = "console"
			}
			found = append(found, h.as(role, address.Host))
		}
	}
	return found, nil
}

// brokerAddress reads an endpoint of Amazon MQ. There, ssl:// stands for OpenWire, a protocol that only ActiveMQ speaks.
func brokerAddress(endpoint string) Mention {
	scheme, _, _ := strings.Cut(endpoint, "://")
	found, _ := readURL(endpoint)
	if len(found) != 1 {
		return Mention{}
	}
	switch m := found[0]; {
	case strings.HasPrefix(scheme, "amqp"), strings.HasPrefix(scheme, "mqtt"), strings.HasPrefix(scheme, "http"):
		return m
	default:
		m.Kind = KindUnknown
		return m
	}
}

// eachOf calls ask for several hosts, four at a time. An error does not keep the others from being asked; the first one is
// returned.
func eachOf(of []Host, ask func(Host) ([]Host, error)) (found []Host, err error) {
	answers, failures := make([][]Host, len(of)), make([]error, len(of))
	var work sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i, h := range of[:min(len(of), maxHosts)] {
		work.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			answers[i], failures[i] = ask(h)
		})
	}
	work.Wait()
	for _, more := range answers {
		found = append(found, more...)
	}
	for _, failure := range failures {
		gone, ok := errors.AsType[*FaultError](failure)
		if ok && strings.Contains(gone.Code, "NotFound") { // it was deleted after it was listed
			continue
		}
		err = orError(err, failure)
	}
	return found, err
}
