package aws

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestShellNamesTheAccountInForce(t *testing.T) {
	home := isolate(t)
	write(t, filepath.Join(home, "config"), "[profile base]\nregion = us-west-2\n[profile of env]\nregion = us-west-2\n[profile base's]\nregion = us-west-2\n")
	write(t, filepath.Join(home, "credentials"), "[default]\naws_access_key_id = A\naws_secret_access_key = b\n"+
		"[base]\naws_access_key_id = A\naws_secret_access_key = b\n[of env]\naws_access_key_id = A\naws_secret_access_key = b\n[base's]\naws_access_key_id = A\naws_secret_access_key = b\n")
	for name, test := range map[string]struct {
		env          map[string]string
		options      Options
		aws, culvert string
	}{
		"default":          {nil, Options{Region: "eu-west-1"}, "aws x --region eu-west-1", "culvert x --region eu-west-1"},
		"flag":             {nil, Options{Profile: "base"}, "aws x --profile base --region us-west-2", "culvert x --profile base --region us-west-2"},
		"flag over region": {nil, Options{Profile: "base", Region: "eu-west-1"}, "aws x --profile base --region eu-west-1", "culvert x --profile base --region eu-west-1"},
		"default by flag":  {map[string]string{"AWS_PROFILE": "base"}, Options{Profile: "default", Region: "eu-west-1"}, "aws x --profile default --region eu-west-1", "culvert x --profile default --region eu-west-1"},
		"environment":      {map[string]string{"AWS_PROFILE": "of env"}, Options{}, "aws x --profile 'of env' --region us-west-2", "culvert x --profile 'of env' --region us-west-2"},
		"keys of the environment before its profile": {map[string]string{"AWS_PROFILE": "base", "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "b"}, Options{},
			"aws x --region us-west-2", "culvert x --region us-west-2"},
		"keys of the environment, profile by flag": {map[string]string{"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "b"}, Options{Profile: "base"},
			"aws x --profile base --region us-west-2", "culvert x --profile base --region us-west-2"},
		"endpoint": {nil, Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1/"}, "aws x --region eu-west-1 --endpoint-url http://127.0.0.1:1",
			"culvert x --region eu-west-1 --endpoint-url http://127.0.0.1:1"},
		"quotes": {nil, Options{Profile: "base's"}, `aws x --profile 'base'\''s' --region us-west-2`, `culvert x --profile 'base'\''s' --region us-west-2`},
		"demo": {nil, Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Keys: Keys{ID: "A", Secret: "b"}, Demo: true},
			"aws x --region eu-west-1 --endpoint-url http://127.0.0.1:1", "culvert x --demo"},
		"environment's profile is not the demo's": {map[string]string{"AWS_PROFILE": "base"}, Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Keys: Keys{ID: "A", Secret: "b"}},
			"aws x --region eu-west-1 --endpoint-url http://127.0.0.1:1", "culvert x --region eu-west-1 --endpoint-url http://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			c, err := Connect(t.Context(), test.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Shell().AWS("x"); got != test.aws {
				t.Errorf("got %s, want %s", got, test.aws)
			}
			if got := c.Shell().Culvert("x"); got != test.culvert {
				t.Errorf("got %s, want %s", got, test.culvert)
			}
		})
	}
	assumed := Shell{Profile: "base", Region: "eu-west-1", Role: "arn:aws:iam::999922223333:role/ci"}
	if got, want := assumed.AWS("x"), "aws x --region eu-west-1 (with the credentials of arn:aws:iam::999922223333:role/ci)"; got != want {
		t.Errorf("got %s, want %s: the profile may be of another account than the role", got, want)
	}
	if got, want := assumed.Culvert("x"), "culvert x --profile base --region eu-west-1 --role-arn arn:aws:iam::999922223333:role/ci"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNamesFromTheAccountCannotLeaveTheirWord(t *testing.T) {
	hostile := Target{Cluster: "a; rm -rf ~", Service: "$(id)`id`'", Task: "t\nu"}
	for cause := CauseTaskPending; cause <= CauseDraining; cause++ {
		for _, target := range []Target{hostile, {Cluster: hostile.Cluster, Task: hostile.Task}} {
			remedy := (&NotReadyError{Target: target, Cause: cause, Origin: Origin{Definition: "$(id)", Capacity: "&"}}).Remedy()
			plain := regexp.MustCompile(`'[^']*'(\\'')?`).ReplaceAllString(remedy, "")
			if at := strings.Index(plain, "aws "); at >= 0 && strings.ContainsAny(plain[at:], "$`&~\n") {
				t.Errorf("%d: %s", cause, remedy)
			}
		}
	}
}

// A command that is written by hand acts on whatever account the shell has that it is pasted into.
func TestCommandsToPasteAreWrittenByAShell(t *testing.T) {
	byHand := regexp.MustCompile(`(^|[ (:])(aws (ecs|ssm|iam|sts|ec2|account|kms|deploy|events|batch|logs) [a-z-]+|culvert (list|doctor))`)
	known := map[string]bool{
		"culvert doctor looks at one forward at a time, not at %d":                                                      true, // a sentence
		"print one of the two, ready for aws iam put-role-policy":                                                       true, // help
		"none is needed here; its sessions end with the idle timeout of the account, or with aws ssm terminate-session": true, // no account is known there
	}
	files := 0
	for _, dir := range []string{".", "../tunnel", "../ui"} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && path == "emulator" {
				return filepath.SkipDir // speaks to nobody
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			files++
			parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				literal, ok := n.(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					return true
				}
				text, _ := strconv.Unquote(literal.Value)
				if byHand.MatchString(text) && !known[text] && !strings.HasPrefix(text, "  culvert ") { // examples of a command's help
					t.Errorf("%s: write it with Shell: %q", path, text)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("looked at %d files only", files)
	}
}
