package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/shlex"

	"culvert/aws/emulator"
	"culvert/ui/ci"
)

var updateCI = flag.Bool("update-ci", false, "write the examples of docs/ci anew")

// The example of each page is what culvert ci writes, by the command that stands above it.
func TestPagesOfPipelinesHaveWhatIsWritten(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile(filepath.Join("docs", "ci", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range ci.Names() {
		if name == "github" {
			continue // docs/workflows.md
		}
		path := filepath.Join("docs", "ci", name+".md")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(index), "("+name+".md)") || !strings.Contains(string(text), ci.File(name)) {
			t.Errorf("%s is not in the list of docs/ci/README.md, or does not say which file it is about", path)
		}
		found := regexp.MustCompile("(?s)```sh\n(culvert ci " + name + " .*?)\n```\n\n```(?:yaml|groovy)\n(.*?)```").FindSubmatchIndex(text)
		if found == nil {
			t.Errorf("%s has no command with what it writes", path)
			continue
		}
		words, err := shlex.Split(string(text[found[2]:found[3]]))
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).Output()
		if err != nil {
			t.Errorf("%v: %v", words, err)
			continue
		}
		if got := string(text[found[4]:found[5]]); got == string(out) {
			continue
		}
		if !*updateCI {
			t.Errorf("%s is not what %v writes: go test . -run PagesOfPipelines -update-ci", path, words)
			continue
		}
		if err := os.WriteFile(path, []byte(string(text[:found[4]])+string(out)+string(text[found[5]:])), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// trustOf is the trust policy of a page, as IAM decides by it.
func trustOf(t *testing.T, name string) func(role string, c emulator.Claims) error {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", "ci", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatalf("the page of %s has no policy", name)
	}
	var policy struct {
		Statement []struct {
			Action    string `json:"Action"`
			Principal struct {
				Federated string `json:"Federated"`
			} `json:"Principal"`
			Condition map[string]map[string]string `json:"Condition"`
		} `json:"Statement"`
	}
	if err := json.Unmarshal(block[1], &policy); err != nil || len(policy.Statement) != 1 || policy.Statement[0].Action != "sts:AssumeRoleWithWebIdentity" {
		t.Fatalf("%s: %v in %s", name, err, block[1])
	}
	s := policy.Statement[0]
	return func(_ string, c emulator.Claims) error {
		issuer := strings.TrimPrefix(c.Issuer, "https://")
		if s.Principal.Federated != "arn:aws:iam::111122223333:oidc-provider/"+issuer {
			return fmt.Errorf("%s is for another provider than %s", s.Principal.Federated, issuer)
		}
		if s.Condition["StringEquals"][issuer+":aud"] == "" || s.Condition["StringEquals"][issuer+":sub"]+s.Condition["StringLike"][issuer+":sub"] == "" {
			return fmt.Errorf("the policy does not ask for audience and subject: %v", s.Condition)
		}
		for operator, conditions := range s.Condition {
			for key, want := range conditions {
				got := map[string]string{issuer + ":aud": c.Audience, issuer + ":sub": c.Subject}[key]
				form := regexp.QuoteMeta(want)
				if operator == "StringLike" {
					form = strings.ReplaceAll(form, `\*`, ".*")
				}
				if !regexp.MustCompile("^" + form + "$").MatchString(got) {
					return fmt.Errorf("%s: got %q, want %s %q", key, got, operator, want)
				}
			}
		}
		return nil
	}
}
