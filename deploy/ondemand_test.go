package deploy_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
)

// decodePolicy reads a policy as it stands in a module, or as culvert prints it.
func decodePolicy(t *testing.T, text string) (p aws.Policy) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
	for i := range p.Statement {
		slices.Sort(p.Statement[i].Resource) // the order of roles is that of their names
	}
	return p
}

// together adds a role's own statements to those of a policy that others have too: owners to the statement of the same name, else
// the statement.
func together(shared, own []aws.Statement) []aws.Statement {
	const owners = "aws:ResourceTag/culvert:owner"
	all := slices.Clone(shared)
	for _, s := range own {
		i := slices.IndexFunc(all, func(other aws.Statement) bool { return other.Sid == s.Sid })
		if i < 0 {
			all = append(all, s)
			continue
		}
		theirs, _ := all[i].Condition["StringLike"][owners].([]any)
		his, _ := s.Condition["StringLike"][owners].([]any)
		all[i].Condition["StringLike"][owners] = append(theirs, his...)
		s.Condition["StringLike"][owners] = all[i].Condition["StringLike"][owners]
		if !reflect.DeepEqual(all[i], s) {
			all = append(all, s) // they differ in more than the owners
		}
	}
	return all
}

// What culvert doctor policy --run, --share and --start print is what the module grants where it is asked for.
func TestModuleAndCulvertAgreeOnWhatIsStarted(t *testing.T) {
	account, err := emulator.Start(emulator.Options{Fleet: emulator.Demo()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	t.Setenv("HOME", t.TempDir())
	for _, v := range append(account.Env(), "AWS_PROFILE=", "AWS_CONFIG_FILE=", "XDG_CONFIG_HOME=") {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	asRole := []string{"--role-arn", "arn:aws:iam::111122223333:role/culvert-caller"}
	for _, c := range []struct {
		name, variables string
		printed         []string
	}{
		{"run", "allow_run = true", []string{"--run"}},
		{"all", "allow_run = true\n allow_share = true\n allow_start = true\n allow_browsing = true", []string{"--run", "--share", "-s", "squid", "--start", "--browse"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, made := rendered(t, least+c.variables+"\n github_repository_ids = [\"42\"]\n task_count = 0\n")
			value := func(of, key string) string { return fmt.Sprint(made[of].Values[key]) }
			known := strings.NewReplacer(
				"arn:aws:iam::111122223333:role/culvert-squid-task", value("aws_iam_role.task[0]", "arn"),
				"arn:aws:iam::111122223333:role/ecsTaskExecutionRole", value("aws_iam_role.execution[0]", "arn"),
				account.RoleID("culvert-caller"), value("aws_iam_role.caller[0]", "unique_id"),
			)
			printed := func(args ...string) aws.Policy {
				args = append(append([]string{"-c", "automation"}, c.printed...), args...)
				return decodePolicy(t, known.Replace(string(printedPolicies(t, args...).Caller)))
			}
			shared := decodePolicy(t, value("aws_iam_policy.caller", "policy"))
			agree(t, "everybody", shared.Statement, printed().Statement)
			own := decodePolicy(t, value("aws_iam_role_policy.caller[0]", "policy"))
			agree(t, "its role", together(shared.Statement, own.Statement), printed(asRole...).Statement)
		})
	}
	t.Run("of another definition", func(t *testing.T) {
		_, made := rendered(t, `
  create_service = false
  create_cluster = false
  allow_run      = true
  run_family     = "batch"
  run_role_arns  = ["arn:aws:iam::111122223333:role/one", "arn:aws:iam::111122223333:role/other"]
`)
		got := decodePolicy(t, fmt.Sprint(made["aws_iam_policy.caller"].Values["policy"]))
		want := decodePolicy(t, canonical(t, mustJSON(t, aws.CallerPolicy(aws.Reach{
			Region: "eu-west-1", Account: "111122223333", Cluster: "automation", Run: "batch",
			RunRoles: [2]string{"arn:aws:iam::111122223333:role/one", "arn:aws:iam::111122223333:role/other"},
		}))))
		agree(t, "everybody", got.Statement, want.Statement)
	})
}

// The same of the template, which needs no other program to be judged.
func TestTemplateAndCulvertAgreeOnWhatIsStarted(t *testing.T) {
	for _, c := range []struct {
		name  string
		given map[string]any
		reach aws.Reach
	}{
		{"run", map[string]any{"AllowRun": "yes"}, aws.Reach{Run: "culvert-squid", RunRoles: [2]string{"att:ExecutionRole.Arn", "att:TaskRole.Arn"}}},
		{"all", map[string]any{"AllowRun": "yes", "AllowShare": "yes", "AllowStart": "yes", "AllowBrowsing": "yes"}, aws.Reach{
			Run: "culvert-squid", Share: true, Start: "squid", Browse: true, RunRoles: [2]string{"att:ExecutionRole.Arn", "att:TaskRole.Arn"},
		}},
		{"start", map[string]any{"AllowStart": "yes", "CreateService": "no", "ServiceName": "web"}, aws.Reach{Start: "web"}},
		{"of another definition", map[string]any{"AllowRun": "yes", "CreateService": "no", "RunFamily": "batch", "RunRoleArns": []any{"arn:aws:iam::111122223333:role/one"}}, aws.Reach{
			Run: "batch", RunRoles: [2]string{"arn:aws:iam::111122223333:role/one"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.given["GitHubRepositoryIds"] = []any{"42"}
			s := newStack(t, c.given)
			c.reach.Region, c.reach.Account, c.reach.Cluster = "eu-west-1", "111122223333", "automation"
			shared, own := decodePolicy(t, s.text("CallerPolicy.PolicyDocument")), decodePolicy(t, s.text("CallerEndsEarlier.PolicyDocument"))
			printed := func(r aws.Reach) []aws.Statement {
				return decodePolicy(t, string(mustJSON(t, aws.CallerPolicy(r)))).Statement
			}
			agree(t, "everybody", shared.Statement, printed(c.reach))
			c.reach.RoleID = "ref:CallerRole.RoleId"
			agree(t, "its role", together(shared.Statement, own.Statement), printed(c.reach))
		})
	}
	for what, given := range map[string]map[string]any{
		"AllowShare":  {"AllowShare": "yes"},
		"RunFamily":   {"AllowRun": "yes", "CreateService": "no", "RunRoleArns": []any{""}},
		"RunRoleArns": {"AllowRun": "yes", "RunFamily": "batch", "RunRoleArns": []any{""}},
	} {
		if said := newStack(t, given).refused(); len(said) != 1 || !strings.HasPrefix(said[0], what+":") {
			t.Errorf("%v: refused for %q, want %s alone", given, said, what)
		}
	}
}

// agree compares statements one by one.
func agree(t *testing.T, whom string, got, want []aws.Statement) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var one, other aws.Statement
		if i < len(got) {
			one = got[i]
		}
		if i < len(want) {
			other = want[i]
		}
		if !reflect.DeepEqual(one, other) {
			t.Errorf("statement %d: the module gives to %s %+v\nculvert prints %+v", i, whom, one, other)
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
