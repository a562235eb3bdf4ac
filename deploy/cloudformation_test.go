package deploy_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"culvert/aws"
	"culvert/internal/need"
	"culvert/internal/origin"
)

const template = "cloudformation/culvert.yaml"

const relayImage = "ghcr.io/owner/culvert@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestTemplatePassesCfnLint(t *testing.T) {
	need.CheckOnly(t, "cfn-lint")
	out, err := exec.CommandContext(t.Context(), need.Command(t, "cfn-lint"), "--include-checks", "I", "--", template).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("cfn-lint: %v\n%s", err, out)
	}
}

func TestTemplateHasTheSamePoliciesAsCulvert(t *testing.T) {
	reach := aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "automation"}
	plain := newStack(t, nil)
	plain.same("CallerPolicy.PolicyDocument", aws.CallerPolicy(reach))
	plain.same("TaskRole.Policies.0.PolicyDocument", aws.TaskRolePolicy())

	// A role's own is apart: the policy is for others too.
	if plain.conditions("CallerEndsEarlier") {
		t.Error("somebody may end earlier sessions of a role that is not there")
	}
	github := newStack(t, map[string]any{"GitHubRepositoryIds": []any{"42"}})
	if got := github.text("CallerEndsEarlier.Roles"); !github.conditions("CallerEndsEarlier") || got != `["ref:CallerRole"]` {
		t.Errorf("earlier sessions may be ended by %s, want the caller's role", got)
	}
	ofRole := reach
	ofRole.RoleID = "ref:CallerRole.RoleId"
	whole := aws.CallerPolicy(ofRole)
	last := len(whole.Statement) - 1
	github.same("CallerEndsEarlier.PolicyDocument", aws.Policy{Version: whole.Version, Statement: whole.Statement[last:]})
	github.same("CallerPolicy.PolicyDocument", aws.Policy{Version: whole.Version, Statement: whole.Statement[:last]})

	reach.RemoteHosts, reach.Browse, reach.AnyChannel, reach.Cluster = true, true, true, "tools"
	newStack(t, map[string]any{"AllowRemoteHosts": "yes", "AllowBrowsing": "yes", "OwnChannelsOnly": "no", "ClusterName": "tools"}).
		same("CallerPolicy.PolicyDocument", aws.CallerPolicy(reach))
}

// No Squid, no task: any service with exec will do.
func TestTemplateLeavesAServiceThatIsThere(t *testing.T) {
	s := newStack(t, map[string]any{"CreateService": "no", "AllowRemoteHosts": "yes", "ServiceName": "web", "GitHubRepositoryIds": []any{"42"}})
	for name, wanted := range map[string]bool{
		"Cluster": false, "Log": false, "TaskSecurityGroup": false, "TaskRole": false, "ExecutionRole": false, "TaskDefinition": false, "Service": false,
		"CallerPolicy": true, "CallerRole": true, "CallerEndsEarlier": true, "Provider": true,
	} {
		if s.conditions(name) != wanted {
			t.Errorf("%s: made %t, want %t", name, s.conditions(name), wanted)
		}
	}
	s.same("CallerPolicy.PolicyDocument", aws.CallerPolicy(aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "automation", RemoteHosts: true}))
}

// The relay is taken by digest only, into a task that has room for what it bonds, and callers may then find it.
func TestTemplateTakesARelayOnTerms(t *testing.T) {
	with := func(given map[string]any) *stack {
		all := map[string]any{"RelayImage": relayImage, "Size": "large"}
		maps.Copy(all, given)
		return newStack(t, all)
	}
	for _, c := range []struct {
		given map[string]any
		want  string
	}{
		{nil, ""},
		{map[string]any{"RelayImage": "", "Size": "small"}, ""},
		{map[string]any{"Size": "small"}, "Size"},
		{map[string]any{"Size": "medium"}, "Size"},
		{map[string]any{"CreateService": "no"}, "RelayImage"},
	} {
		var got []string
		for _, said := range with(c.given).refused() {
			name, _, _ := strings.Cut(said, ":")
			got = append(got, name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: refused for %v, want %q", c.given, got, c.want)
		}
	}

	parameter, _ := with(nil).section("Parameters")["RelayImage"].(map[string]any)
	form := regexp.MustCompile(fmt.Sprint(parameter["AllowedPattern"]))
	for image, ok := range map[string]bool{
		"": true, relayImage: true, strings.Replace(relayImage, "@", ":1.0.0@", 1): true,
		"ghcr.io/owner/culvert:1.0.0": false, "ghcr.io/owner/culvert": false, relayImage + "0": false, strings.ToUpper(relayImage): false,
	} {
		if form.MatchString(image) != ok {
			t.Errorf("%q: taken %t, want %t", image, !ok, ok)
		}
	}

	reach := aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "automation", Relay: true}
	with(nil).same("CallerPolicy.PolicyDocument", aws.CallerPolicy(reach))
	reach.Browse = true
	with(map[string]any{"AllowBrowsing": "yes"}).same("CallerPolicy.PolicyDocument", aws.CallerPolicy(reach))

	const repository = "arn:aws:ecr:eu-west-1:111122223333:repository/"
	for _, c := range []struct{ image, relay, want string }{
		{repository + "squid", repository + "culvert", `["` + repository + `squid","` + repository + `culvert"]`},
		{"", repository + "culvert", `["` + repository + `culvert"]`},
		{repository + "squid", "", `["` + repository + `squid"]`},
	} {
		s := with(map[string]any{"ImageRepositoryArn": c.image, "RelayImageRepositoryArn": c.relay})
		if got := s.text("ExecutionRole.Policies.0.PolicyDocument.Statement.2.Resource"); got != c.want {
			t.Errorf("%v: ECS may pull %s", c, got)
		}
	}
}

// What only a service of the stack's own needs is asked for with one alone.
func TestTemplateAsksForANetworkWithANewServiceOnly(t *testing.T) {
	for name, p := range newStack(t, nil).section("Parameters") {
		if p, _ := p.(map[string]any); p["Default"] == nil {
			t.Errorf("%s has no default: nobody can leave it out", name)
		}
	}
	none := func(given map[string]any) map[string]any {
		all := map[string]any{"VpcId": "", "SubnetIds": []any{}, "AllowedDomains": []any{""}}
		maps.Copy(all, given)
		return all
	}
	for _, c := range []struct {
		given map[string]any
		want  []string
	}{
		{none(map[string]any{"CreateService": "no"}), nil},
		{none(nil), []string{"VpcId", "SubnetIds", "AllowedDomains"}},
		{none(map[string]any{"VpcId": "vpc-0abc", "SubnetIds": []any{""}}), []string{"SubnetIds", "AllowedDomains"}},
		{none(map[string]any{"VpcId": "vpc-0abc", "SubnetIds": []any{"subnet-0a", "subnet-0b"}}), []string{"AllowedDomains"}},
		{nil, nil},
	} {
		var got []string
		for _, said := range newStack(t, c.given).refused() {
			name, _, _ := strings.Cut(said, ":")
			got = append(got, name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: refused for %v, want %v", c.given, got, c.want)
		}
	}
}

func TestTemplateTrustsWhoIsNamed(t *testing.T) {
	nobody := newStack(t, nil)
	if nobody.conditions("CallerRole") || nobody.conditions("Provider") {
		t.Error("a role or a provider although nobody is named")
	}
	s := newStack(t, map[string]any{
		"GitHubSubjects": []any{"repo:octo/shop:ref:refs/heads/main"}, "GitHubRepositoryIds": []any{"42"},
		"GitHubOidcProviderArn": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com",
	})
	if !s.conditions("CallerRole") || s.conditions("Provider") {
		t.Error("no role, or a second provider")
	}
	const want = `[` +
		`{"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"},` +
		`"StringLike":{"token.actions.githubusercontent.com:sub":["repo:octo/shop:ref:refs/heads/main"]}},"Effect":"Allow",` +
		`"Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}},` +
		`{"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com",` +
		`"token.actions.githubusercontent.com:repository_id":["42"]},"StringLike":{"token.actions.githubusercontent.com:sub":["repo:*"]}},"Effect":"Allow",` +
		`"Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}}]`
	if got := s.text("CallerRole.AssumeRolePolicyDocument.Statement"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// The template's container is the module's: what real Squid proves of one holds for the other.
func TestTemplateRunsTheProxyOfTheModule(t *testing.T) {
	outputs, resources := rendered(t, `
  vpc_id          = "vpc-0abc"
  subnet_ids      = ["subnet-0a"]
  allowed_domains = ["orders.internal", ".corp.example"]
  allowed_ports   = [80, 443, 8080]
  relay_image     = "`+relayImage+`"
  cpu             = 1024
  memory          = 2048
`)
	s := newStack(t, map[string]any{
		"AllowedDomains": []any{"orders.internal", ".corp.example"}, "AllowedPorts": []any{"80", "443", "8080"}, "RelayImage": relayImage, "Size": "large",
	})
	encoded, _ := s.at("TaskDefinition.ContainerDefinitions.0.Environment.0.Value").(string)
	conf, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if want := outputs["squid_conf"]; string(conf) != want {
		t.Errorf("got squid.conf\n%s\nwant the module's\n%s", conf, want)
	}
	text, _ := resources["aws_ecs_task_definition.this[0]"].Values["container_definitions"].(string)
	var module []map[string]any
	if err := json.Unmarshal([]byte(text), &module); err != nil {
		t.Fatal(err)
	}
	if all, _ := s.at("TaskDefinition.ContainerDefinitions").([]any); len(all) != 2 || len(module) != 2 {
		t.Fatalf("the template has %d containers, the module %d, want two of each", len(all), len(module))
	}
	for i, names := range []map[string]string{
		{
			"user": "User", "image": "Image", "entryPoint": "EntryPoint", "command": "Command", "stopTimeout": "StopTimeout",
			"healthCheck": "HealthCheck", "linuxParameters": "LinuxParameters", "portMappings": "PortMappings", "ulimits": "Ulimits", "essential": "Essential",
		},
		{
			"name": "Name", "user": "User", "image": "Image", "command": "Command", "stopTimeout": "StopTimeout", "essential": "Essential",
			"healthCheck": "HealthCheck", "linuxParameters": "LinuxParameters", "portMappings": "PortMappings",
			"readonlyRootFilesystem": "ReadonlyRootFilesystem", "dependsOn": "DependsOn", "restartPolicy": "RestartPolicy",
		},
	} {
		for ours := range module[i] {
			if _, compared := names[ours]; !compared && !slices.Contains([]string{"name", "environment", "logConfiguration"}, ours) {
				t.Errorf("container %d: %s of the module is compared with nothing", i, ours)
			}
		}
		for ours, theirs := range names {
			want, err := json.Marshal(module[i][ours])
			if err != nil {
				t.Fatal(err)
			}
			if got := s.text(fmt.Sprintf("TaskDefinition.ContainerDefinitions.%d.%s", i, theirs)); !strings.EqualFold(got, string(want)) { // the names differ in case
				t.Errorf("container %d, %s: got %s, want %s as in the module", i, theirs, got, want)
			}
		}
	}
	if one, other := s.text("TaskDefinition.ContainerDefinitions.0.LogConfiguration"), s.text("TaskDefinition.ContainerDefinitions.1.LogConfiguration"); one != other {
		t.Errorf("the proxy logs to %s, the relay to %s", one, other)
	}
	if all, _ := newStack(t, nil).at("TaskDefinition.ContainerDefinitions").([]any); len(all) != 1 {
		t.Errorf("%d containers although nobody asked for a relay", len(all))
	}
}

// stack evaluates as much of CloudFormation's functions as the template uses.
type stack struct {
	*testing.T

	root       map[string]any
	parameters map[string]any
}

func newStack(t *testing.T, parameters map[string]any) *stack {
	t.Helper()
	text, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	s := &stack{T: t, parameters: map[string]any{
		"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "111122223333",
	}}
	s.root, _ = plain(document.Content[0]).(map[string]any)
	for name, p := range s.section("Parameters") {
		value, _ := p.(map[string]any)
		if byDefault, has := value["Default"]; has {
			s.parameters[name] = byDefault
			if value["Type"] == "CommaDelimitedList" {
				list := []any{}
				for part := range strings.SplitSeq(fmt.Sprint(byDefault), ",") {
					list = append(list, part)
				}
				s.parameters[name] = list
			}
		}
	}
	maps.Copy(s.parameters, map[string]any{"VpcId": "vpc-0abc", "SubnetIds": []any{"subnet-0a"}, "AllowedDomains": []any{"orders.internal"}})
	maps.Copy(s.parameters, parameters)
	return s
}

// plain turns YAML into maps, with !Name written out as {"Fn::Name": …}.
func plain(n *yaml.Node) any {
	var value any
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(n.Content[i+1])
		}
		value = m
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, plain(item))
		}
		value = list
	case yaml.ScalarNode:
		value = n.Value
		if n.Tag == "!!int" || n.Tag == "!!bool" {
			value = json.RawMessage(n.Value)
		}
	case yaml.DocumentNode, yaml.AliasNode: // CloudFormation knows no aliases
		panic("an alias")
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return map[string]any{"Fn::" + n.Tag[1:]: value}
	}
	return value
}

func (s *stack) section(name string) map[string]any {
	section, _ := s.root[name].(map[string]any)
	return section
}

// conditions reports whether a resource is made.
func (s *stack) conditions(resource string) bool {
	r, _ := s.section("Resources")[resource].(map[string]any)
	name, has := r["Condition"].(string)
	return !has || s.condition(name)
}

// refused is what the template's rules say against the parameters.
func (s *stack) refused() (all []string) {
	for _, r := range s.section("Rules") {
		rule, _ := r.(map[string]any)
		if when, has := rule["RuleCondition"]; has && s.value(when) != true {
			continue
		}
		assertions, _ := rule["Assertions"].([]any)
		for _, a := range assertions {
			if a, _ := a.(map[string]any); s.value(a["Assert"]) != true {
				all = append(all, fmt.Sprint(a["AssertDescription"]))
			}
		}
	}
	return all
}

func (s *stack) condition(name string) bool {
	is, _ := s.value(s.section("Conditions")[name]).(bool)
	return is
}

// at evaluates a part of a resource's properties: "Resource.Property.0.Name".
func (s *stack) at(path string) any {
	s.Helper()
	parts := strings.Split(path, ".")
	r, _ := s.section("Resources")[parts[0]].(map[string]any)
	value := s.value(r["Properties"])
	for _, part := range parts[1:] {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(v) {
				s.Fatalf("%s: no %s", path, part)
			}
			value = v[i]
		}
		if value == nil {
			s.Fatalf("%s: no %s", path, part)
		}
	}
	return value
}

func (s *stack) text(path string) string {
	s.Helper()
	text, err := json.Marshal(s.at(path))
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

// same compares a policy in the template with one of culvert's.
func (s *stack) same(path string, p aws.Policy) {
	s.Helper()
	want, err := json.Marshal(p)
	if err != nil {
		s.Fatal(err)
	}
	if got, want := s.text(path), canonical(s.T, want); got != want {
		s.Errorf("%s: the template has %s\nculvert has %s", path, got, want)
	}
}

// noValue stands for what is left out.
type noValue struct{}

// value evaluates the functions in a part of the template.
func (s *stack) value(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, argument := range v {
			if len(v) == 1 && strings.HasPrefix(name, "Fn::") {
				return s.call(name, argument)
			}
		}
		m := map[string]any{}
		for name, item := range v {
			if item := s.value(item); item != (noValue{}) {
				m[name] = item
			}
		}
		return m
	case []any:
		list := []any{}
		for _, item := range v {
			if item := s.value(item); item != any(noValue{}) {
				list = append(list, item)
			}
		}
		return list
	}
	return v
}

func (s *stack) call(name string, argument any) any {
	list, _ := argument.([]any)
	switch name {
	case "Fn::Ref":
		return s.ref(fmt.Sprint(argument))
	case "Fn::GetAtt":
		return fmt.Sprint("att:", argument)
	case "Fn::Condition":
		return s.condition(fmt.Sprint(argument))
	case "Fn::If":
		if s.condition(fmt.Sprint(list[0])) {
			return s.value(list[1])
		}
		return s.value(list[2])
	case "Fn::Equals":
		return s.value(list[0]) == s.value(list[1])
	case "Fn::EachMemberEquals":
		members, _ := s.value(list[0]).([]any)
		return !slices.ContainsFunc(members, func(m any) bool { return m != s.value(list[1]) })
	case "Fn::Not":
		return s.value(list[0]) != true
	case "Fn::And":
		return s.value(list[0]) == true && s.value(list[1]) == true
	case "Fn::Or":
		return s.value(list[0]) == true || s.value(list[1]) == true
	case "Fn::Join":
		var parts []string
		items, _ := s.value(list[1]).([]any)
		for _, item := range items {
			parts = append(parts, fmt.Sprint(item))
		}
		return strings.Join(parts, fmt.Sprint(list[0]))
	case "Fn::Split":
		var items []any
		for part := range strings.SplitSeq(fmt.Sprint(s.value(list[1])), fmt.Sprint(list[0])) {
			items = append(items, part)
		}
		return items
	case "Fn::Select":
		items, _ := s.value(list[1]).([]any)
		number, _ := list[0].(json.RawMessage)
		i, err := strconv.Atoi(string(number))
		if err != nil || i >= len(items) {
			s.Fatalf("Fn::Select %v of %v", list[0], items)
		}
		return items[i]
	case "Fn::FindInMap":
		return fmt.Sprint("map:", s.value(list[1]))
	case "Fn::Base64":
		return base64.StdEncoding.EncodeToString(fmt.Append(nil, s.value(argument)))
	case "Fn::Sub":
		text, own := argument, map[string]any{}
		if list != nil {
			text = list[0]
			own, _ = s.value(list[1]).(map[string]any)
		}
		return regexp.MustCompile(`\$\{[^}]+\}`).ReplaceAllStringFunc(fmt.Sprint(text), func(variable string) string {
			if literal, is := strings.CutPrefix(variable, "${!"); is {
				return "${" + literal
			}
			name := strings.Trim(variable, "${}")
			if value, has := own[name]; has {
				return fmt.Sprint(value)
			}
			return fmt.Sprint(s.ref(name))
		})
	}
	s.Fatalf("%s is not known here", name)
	return nil
}

func (s *stack) ref(name string) any {
	if name == "AWS::NoValue" {
		return noValue{}
	}
	if value, has := s.parameters[name]; has {
		return value
	}
	return "ref:" + name
}

// The ports that the security group opens are those that the proxy lets through, and all of them where callers go past it.
func TestTemplateOpensTheAllowedPortsAlone(t *testing.T) {
	for _, c := range []struct {
		ports, remote string
		want          []string
	}{
		{"443", "no", []string{"443-443"}},
		{"80,443", "no", []string{"80-80", "443-443"}},
		{"80,443,8080,8443,9000", "no", []string{"80-80", "443-443", "8080-8080", "8443-8443", "9000-9000"}},
		{"80,443", "yes", []string{"1-65535"}},
	} {
		var ports []any
		for port := range strings.SplitSeq(c.ports, ",") {
			ports = append(ports, port)
		}
		s := newStack(t, map[string]any{"AllowedPorts": ports, "AllowRemoteHosts": c.remote, "DestinationCidr": "10.0.0.0/8"})
		rules, _ := s.at("DestinationsSecurityGroup.SecurityGroupEgress").([]any)
		var got []string
		for _, rule := range rules {
			r, _ := rule.(map[string]any)
			got = append(got, fmt.Sprintf("%s-%s", r["FromPort"], r["ToPort"]))
			if r["CidrIp"] != "10.0.0.0/8" || r["IpProtocol"] != "tcp" {
				t.Errorf("ports %s: got %v", c.ports, r)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("ports %s, remote hosts %s: got %q, want %q", c.ports, c.remote, got, c.want)
		}
	}
	s := newStack(t, nil)
	rules, _ := s.at("TaskSecurityGroup.SecurityGroupEgress").([]any)
	if len(rules) != 1 {
		t.Errorf("got %d rules beside those of the destinations, want that of port 443", len(rules))
	}
	if groups, _ := s.at("Service.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups").([]any); len(groups) != 2 {
		t.Errorf("got the security groups %v, want both", groups)
	}
	if got := newStack(t, map[string]any{"Architecture": "ARM64"}).text("TaskDefinition.RuntimePlatform.CpuArchitecture"); got != `"ARM64"` {
		t.Errorf("got processors %s, want ARM64", got)
	}
}

func TestTemplateWritesAStepThatUsesTheAction(t *testing.T) {
	for create, what := range map[string]string{"yes": `forward: "3128"`, "no": `dynamic: "1080"`} {
		s := newStack(t, map[string]any{"GitHubRepositoryIds": []any{"7"}, "CreateService": create})
		outputs, _ := s.root["Outputs"].(map[string]any)
		output, _ := outputs["WorkflowStep"].(map[string]any)
		text := fmt.Sprint(s.value(output["Value"]))
		var steps []map[string]any
		if err := yaml.Unmarshal([]byte(text), &steps); err != nil || len(steps) != 2 {
			t.Fatalf("no steps: %v\n%s", err, text)
		}
		if steps[0]["uses"] != origin.Action() || !strings.Contains(text, what) || !strings.Contains(text, "PROXY_URL: ${{ steps.culvert.outputs.proxy-url }}\n") {
			t.Errorf("create service %s: got\n%s", create, text)
		}
	}
}
