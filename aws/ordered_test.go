package aws

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// definitionNaming is a task definition whose container names hosts, and has secrets.
func definitionNaming(secrets []map[string]any, hosts ...string) any {
	var environment []map[string]any
	for i, host := range hosts {
		environment = append(environment, map[string]any{"name": fmt.Sprintf("DB%d_HOST", i), "value": host})
	}
	return map[string]any{"taskDefinition": map[string]any{"containerDefinitions": []map[string]any{{"name": "app", "environment": environment, "secrets": secrets}}}}
}

// A host has the variables of everybody who names it, each once, and in an order.
func TestHostIsNamedByAllWhoNameIt(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{"DescribeTaskDefinition": func(map[string]any) any {
		return definitionNaming([]map[string]any{{"name": "CACHE_URL", "valueFrom": "cache"}}, "db.internal:5432")
	}})
	catalog := &Catalog{Clusters: []Cluster{{
		Name:     "k",
		Services: []Service{{Name: "b", TaskDefinition: "b:1"}, {Name: "a", TaskDefinition: "a:1"}},
		Tasks:    []Task{{Family: "etl", TaskDefinition: "etl:1"}, {Family: "etl", TaskDefinition: "etl:2"}},
	}}}
	c, want := f.connect(t), []string{"/etl", "a/", "b/"}
	for range 10 {
		got := c.NamedHosts(t.Context(), catalog)
		if len(got.Hosts) != 1 || !slices.Equal(usersOf(got.Hosts[0].Mentions), want) || !slices.Equal(usersOf(got.Unread), want) {
			t.Fatalf("got %+v and %+v, want one host and one secret of %q", got.Hosts, got.Unread, want)
		}
	}
}

// usersOf are SERVICE/FAMILY of each.
func usersOf(named []NamedBy) (all []string) {
	for _, by := range named {
		all = append(all, by.Service+"/"+by.Family)
	}
	return all
}

// Which hosts are left out, as there are too many, and which of several failures is shown, does not depend on chance.
func TestBoundOfNamedHostsIsNotChance(t *testing.T) {
	isolate(t)
	names := func(of string) (hosts []string) {
		for i := range maxMentions {
			hosts = append(hosts, fmt.Sprintf("%s-%d.internal:80", of, i))
		}
		return hosts
	}
	f := newFake(t, map[string]answer{"DescribeTaskDefinition": func(in map[string]any) any {
		name, _ := in["taskDefinition"].(string)
		if strings.HasPrefix(name, "gone") {
			return refusal{Code: "ClientException", Message: name}
		}
		return definitionNaming(nil, names(name)...)
	}})
	k := Cluster{Name: "k", Services: []Service{{Name: "gone2", TaskDefinition: "gone2"}, {Name: "gone1", TaskDefinition: "gone1"}}}
	const used = maxHosts / maxMentions
	for i := range used + 5 {
		name := fmt.Sprintf("s%02d", i)
		k.Services = append(k.Services, Service{Name: name, TaskDefinition: name})
	}
	got := f.connect(t).NamedHosts(t.Context(), &Catalog{Clusters: []Cluster{k}})
	if len(got.Gaps) != 1 || !strings.Contains(got.Gaps[0].Error(), "gone1") {
		t.Errorf("gaps are %v, want the failure of gone1", got.Gaps)
	}
	if last := got.Hosts[len(got.Hosts)-1]; len(got.Hosts) != maxHosts || last.Mentions[0].Service != fmt.Sprintf("s%02d", used-1) {
		t.Errorf("%d hosts, the last of %s; want %d, those of the first %d services", len(got.Hosts), last.Mentions[0].Service, maxHosts, used)
	}
}

// Of too many prefix lists those of the first security groups are asked about.
func TestBoundOfPrefixListsIsNotChance(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{"GetManagedPrefixListEntries": func(map[string]any) any {
		return raw{Body: `<R><entrySet><item><cidr>10.0.0.0/8</cidr></item></entrySet></R>`}
	}})
	n := network{groups: map[string]securityGroup{}, prefixes: map[string][]netip.Prefix{}}
	var want []string
	for i := range idsAtOnce + 20 {
		list := fmt.Sprintf("pl-%03d", i)
		n.groups[fmt.Sprintf("sg-%03d", i)] = securityGroup{In: []securityRule{{Prefixes: []string{list}}}}
		want = append(want, list)
	}
	if err := f.connect(t).prefixLists(t.Context(), &n); err != nil {
		t.Fatal(text(err))
	}
	if got := slices.Sorted(maps.Keys(n.prefixes)); !slices.Equal(got, want[:idsAtOnce]) {
		t.Errorf("asked about %q, want the first %d", got, idsAtOnce)
	}
}

// The brokers of a Kafka cluster come in one order, however MSK answers.
func TestKafkaBrokersHaveAnOrder(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{"": func(map[string]any) any {
		return map[string]string{"bootstrapBrokerStringTls": "b-1.k.internal:9094", "bootstrapBrokerString": "b-1.k.internal:9092", "bootstrapBrokerStringSaslIam": "b-1.k.internal:9098"}
	}})
	c := f.connect(t)
	for range 10 {
		found, err := c.kafkaBrokers(t.Context(), Host{ARN: "arn:aws:kafka:eu-west-1:111122223333:cluster/k/1"})
		if err != nil {
			t.Fatal(text(err))
		}
		if len(found) != 3 || found[0].Port != 9092 || found[1].Port != 9098 || !found[1].IAM || found[2].Port != 9094 {
			t.Fatalf("got %+v, want the brokers in the order of the names of their lists", found)
		}
	}
}
