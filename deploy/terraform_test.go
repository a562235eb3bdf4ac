package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/deploy"
	"culvert/internal/need"
	"culvert/ui/cli"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// seelog, which AWS's message package logs with, starts it at import.
		goleak.IgnoreAnyFunction("github.com/cihub/seelog.(*asyncLoopLogger).processQueue"))
}

// module is a copy of the Terraform module, so that no run leaves anything in the tree.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("terraform")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTerraformModuleAndItsExamples(t *testing.T) {
	for _, judge := range need.Terraforms(t) {
		t.Run(judge.Name, func(t *testing.T) {
			dir := module(t)
			judge.Run(t, dir, "fmt", "-check", "-diff", "-recursive")
			judge.Prepare(t, dir)
			judge.Run(t, dir, "validate")
			passes(t, judge, dir, 37)
			examples, err := filepath.Glob(filepath.Join(dir, "examples", "*"))
			if err != nil || len(examples) != 4 {
				t.Fatalf("got examples %v, %v", examples, err)
			}
			for _, example := range examples {
				judge.Prepare(t, example)
				judge.Run(t, example, "validate")
				passes(t, judge, example, 1)
			}
		})
	}
}

// What the documentation tells to write is valid as it stands, beside the module as culvert writes it.
func TestTheConfigurationInTheDocumentationIsValid(t *testing.T) {
	judge := need.Terraforms(t)[0]
	for _, page := range []string{"../docs/getting-started.md", "../docs/deploy.md", "terraform/README.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		block := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindSubmatch(text)
		if block == nil {
			t.Fatalf("%s has no configuration", page)
		}
		dir := t.TempDir()
		if _, err := deploy.Write(deploy.Terraform, filepath.Join(dir, "culvert"), false); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), block[1], 0o600); err != nil {
			t.Fatal(err)
		}
		judge.Prepare(t, dir)
		judge.Run(t, dir, "validate")
	}
}

// passes runs a module's own tests and wants at least so many of them.
func passes(t *testing.T, judge need.Terraform, dir string, least int) {
	t.Helper()
	said := judge.Run(t, dir, "test", "-no-color")
	if got := strings.Count(said, "... pass\n"); got < least {
		t.Errorf("%s: %d runs pass, want at least %d:\n%s", filepath.Base(dir), got, least, said)
	}
}

// A judge that finds nothing wrong in anything would prove nothing.
func TestTheJudgeFindsMistakes(t *testing.T) {
	judge := need.Terraforms(t)[0]
	for file, mistake := range map[string][2]string{
		"service.tf": {"enable_execute_command", "enable_execute_comand"},
		"task.tf":    {"aws_iam_role.task[0].arn", "aws_iam_role.task[0].arnn"},
		"network.tf": {"vpc_id      = var.vpc_id", "vpc_id      = [var.vpc_id]"},
		"main.tf":    {"cluster_name       = aws_ecs_cluster.this[0].name", ""},
		"scaling.tf": {"predefined_metric_type", "predefined_metric_typ"},
	} {
		dir := module(t)
		path := filepath.Join(dir, file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		wrong := strings.Replace(string(text), mistake[0], mistake[1], 1)
		if wrong == string(text) {
			t.Fatalf("%s has no %q", file, mistake[0])
		}
		if err := os.WriteFile(path, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		judge.Prepare(t, dir)
		if said, err := judge.Try(t, dir, "validate"); err == nil {
			t.Errorf("%s with %q: valid?\n%s", file, mistake[1], said)
		}
	}
}

// state is what a test has made, as OpenTofu's JSON output shows it.
type state struct {
	Outputs map[string]output `json:"outputs"`
	Root    struct {
		Resources []resource `json:"resources"`
	} `json:"root_module"`
}

type output struct {
	Value any `json:"value"`
}

type resource struct {
	Address string         `json:"address"`
	Values  map[string]any `json:"values"`
}

// rendered applies the module to the mocked account with some variables and returns its outputs and resources.
func rendered(t *testing.T, variables string) (outputs map[string]any, resources map[string]resource) {
	t.Helper()
	dir := module(t)
	test := `mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}
variables {
` + variables + `
}
run "it" {}
`
	if err := os.WriteFile(filepath.Join(dir, "tests", "rendered.tftest.hcl"), []byte(test), 0o600); err != nil {
		t.Fatal(err)
	}
	judge := need.Terraforms(t)[0]
	judge.Prepare(t, dir)
	said := judge.Run(t, dir, "test", "-json", "-verbose", "-filter=tests/rendered.tftest.hcl")
	for d := json.NewDecoder(strings.NewReader(said)); ; {
		var line struct {
			State *struct {
				Values state `json:"values"`
			} `json:"test_state"`
		}
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("decode what tofu says: %v", err)
		}
		if line.State == nil {
			continue
		}
		outputs, resources = map[string]any{}, map[string]resource{}
		for name, output := range line.State.Values.Outputs {
			outputs[name] = output.Value
		}
		for _, r := range line.State.Values.Root.Resources {
			resources[r.Address] = r
		}
	}
	if len(resources) == 0 {
		t.Fatalf("no state in what tofu says:\n%s", said)
	}
	return outputs, resources
}

// The step that the module hands out names inputs and outputs that the action has.
func TestWorkflowStepFitsTheAction(t *testing.T) {
	step, err := os.ReadFile("terraform/workflow.yml.tftpl")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Inputs  map[string]any `yaml:"inputs"`
		Outputs map[string]any `yaml:"outputs"`
	}
	if err := yaml.Unmarshal(text, &action); err != nil {
		t.Fatal(err)
	}
	inputs := regexp.MustCompile(`(?m)^        ([a-z-]+): `).FindAllStringSubmatch(string(step), -1)
	for _, m := range inputs {
		if _, has := action.Inputs[m[1]]; !has {
			t.Errorf("the step sets %s, which the action does not know", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`outputs\.([a-z-]+)`).FindAllStringSubmatch(string(step), -1) {
		if _, has := action.Outputs[m[1]]; !has {
			t.Errorf("the step reads %s, which the action does not set", m[1])
		}
	}
	if len(inputs) != 6 {
		t.Errorf("got inputs %v, want six, of which a step has either forward or dynamic", inputs)
	}
}

const least = `
  vpc_id          = "vpc-0abc"
  subnet_ids      = ["subnet-0a"]
  allowed_domains = [".corp.example"]
`

// What culvert doctor policy prints is what the module grants.
func TestModuleAndCulvertAgreeOnThePolicies(t *testing.T) {
	account, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	t.Setenv("HOME", t.TempDir())
	for _, v := range append(account.Env(), "AWS_PROFILE=", "AWS_CONFIG_FILE=", "XDG_CONFIG_HOME=") {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}

	_, plain := rendered(t, least)
	printed := printedPolicies(t, "-c", "automation")
	same(t, "caller", plain["aws_iam_policy.caller"], printed.Caller)
	same(t, "task", plain["aws_iam_role_policy.task[0]"], printed.Task)

	// For those who assume a role it prints what the module gives to its own role: the policy, and one statement more.
	_, github := rendered(t, least+`
  github_repository_ids = ["42"]
`)
	id, _ := github["aws_iam_role.caller[0]"].Values["unique_id"].(string)
	printed = printedPolicies(t, "-c", "automation", "--role-arn", "arn:aws:iam::111122223333:role/culvert-caller")
	var whole, shared, own aws.Policy
	for text, p := range map[string]*aws.Policy{
		strings.ReplaceAll(string(printed.Caller), account.RoleID("culvert-caller"), id): &whole,
		fmt.Sprint(github["aws_iam_policy.caller"].Values["policy"]):                     &shared,
		fmt.Sprint(github["aws_iam_role_policy.caller[0]"].Values["policy"]):             &own,
	} {
		if err := json.Unmarshal([]byte(text), p); err != nil {
			t.Fatalf("decode %q: %v", text, err)
		}
	}
	if got, want := slices.Concat(shared.Statement, own.Statement), whole.Statement; id == "" || !reflect.DeepEqual(got, want) {
		t.Errorf("the module gives to its role %s, whose id is %q\nculvert prints %s", got, id, want)
	}

	_, relay := rendered(t, least+`
  cpu         = 1024
  memory      = 2048
  relay_image = "`+relayImage+`"
`)
	printed = printedPolicies(t, "-c", "automation", "--relay")
	same(t, "caller beside a relay", relay["aws_iam_policy.caller"], printed.Caller)
	same(t, "task beside a relay", relay["aws_iam_role_policy.task[0]"], printed.Task)

	_, wide := rendered(t, least+`
  cluster_name      = "tools"
  allow_browsing    = true
  remote_host_ports = [5432]
`)
	_, existing := rendered(t, `
  create_service = false
  create_cluster = false
  service_name   = "web"
  cluster_name   = "tools"
  allow_browsing = true
  remote_hosts   = true
`)
	printed = printedPolicies(t, "-c", "tools", "--browse", "--remote-hosts")
	same(t, "caller of an existing service", existing["aws_iam_policy.caller"], printed.Caller)
	same(t, "wide caller", wide["aws_iam_policy.caller"], printed.Caller)
	same(t, "task beside the wide caller", wide["aws_iam_role_policy.task[0]"], printed.Task)
}

// twoPolicies is what culvert doctor policy prints.
type twoPolicies struct {
	Caller json.RawMessage `json:"caller"`
	Task   json.RawMessage `json:"task_role"`
}

// printedPolicies runs the command on the account that the environment names.
func printedPolicies(t *testing.T, args ...string) twoPolicies {
	t.Helper()
	var out, complaint bytes.Buffer
	code := cli.Run(t.Context(), cli.Process{
		Args: append([]string{"doctor", "policy"}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &complaint,
	})
	if code != 0 {
		t.Fatalf("culvert doctor policy ends with %d: %s", code, &complaint)
	}
	d := json.NewDecoder(&out)
	d.DisallowUnknownFields()
	var p twoPolicies
	if err := d.Decode(&p); err != nil {
		t.Fatalf("decode what culvert doctor policy prints: %v", err)
	}
	return p
}

// same compares a policy of the module with a printed one, as JSON values.
func same(t *testing.T, name string, r resource, want []byte) {
	t.Helper()
	text, _ := r.Values["policy"].(string)
	if got, want := canonical(t, []byte(text)), canonical(t, want); got != want {
		t.Errorf("%s policy: the module has %s\nculvert prints %s", name, got, want)
	}
}

// canonical is a JSON value with its keys sorted.
func canonical(t *testing.T, text []byte) string {
	t.Helper()
	var value any
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&value); err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
	sorted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted)
}
