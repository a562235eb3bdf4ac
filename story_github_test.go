package main

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// onGitHub makes the environment that of a step in GitHub Actions, with fresh files as every step has them. With a
// subject the job may ask for OIDC tokens, which carry it; the account trusts them.
//
//	github [SUBJECT]
func onGitHub(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("GITHUB_ACTIONS", "true")
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"} {
		path := ts.MkAbs(strings.ToLower(name))
		ts.Check(os.WriteFile(path, nil, 0o600))
		ts.Setenv(name, path)
	}
	if len(args) > 0 {
		e := storyOf(ts).account
		e.GitHubSubject(args[0])
		requestURL, token := e.GitHub()
		ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", requestURL)
		ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token)
	}
}

// masks wants the runner to be told that many secrets in a log, each once, and none of them in another line of it. The file
// "secrets" has them.
//
//	masks LOG NUMBER
func masks(ts *testscript.TestScript, _ bool, args []string) {
	const command = "::add-mask::"
	var secrets, others []string
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if secret, ok := strings.CutPrefix(strings.TrimSpace(line), command); ok {
			secrets = append(secrets, secret)
		} else {
			others = append(others, line)
		}
	}
	if strconv.Itoa(len(secrets)) != args[1] {
		ts.Fatalf("%d secrets are masked, want %s", len(secrets), args[1])
	}
	for i, secret := range secrets {
		if len(secret) < 8 || slices.Contains(secrets[:i], secret) || strings.Contains(strings.Join(others, ""), secret) {
			ts.Fatalf("%q is no secret, is masked twice, or is shown", secret)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs("secrets"), []byte(strings.Join(secrets, "\n")+"\n"), 0o600))
}

// runner reads a file of the runner as the runner does (its grammar: platform facts 1.4), and looks at one name in it.
//
//	runner FILE NAME REGEXP [VARIABLE]
func runner(ts *testscript.TestScript, negated bool, args []string) {
	values := map[string]string{}
	lines := strings.Split(ts.ReadFile(args[0]), "\n")
	for len(lines) > 0 {
		line := lines[0]
		lines = lines[1:]
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case line == "":
		case heredoc >= 0 && (equals < 0 || heredoc < equals):
			end := slices.Index(lines, line[heredoc+2:])
			if end < 0 {
				ts.Fatalf("%s: no end of %q", args[0], line)
			}
			values[line[:heredoc]] = strings.Join(lines[:end], "\n")
			lines = lines[end+1:]
		case equals >= 0:
			values[line[:equals]] = line[equals+1:]
		default:
			ts.Fatalf("%s: the runner refuses the line %q", args[0], line)
		}
	}
	got, there := values[args[1]]
	if negated {
		if there {
			ts.Fatalf("%s has %s = %q", args[0], args[1], got)
		}
		return
	}
	match := regexp.MustCompile("^(?:" + args[2] + ")$").FindStringSubmatch(got)
	if !there || match == nil {
		ts.Fatalf("%s: got %s = %q of %q, want a match of %q", args[0], args[1], got, values, args[2])
	}
	if len(args) > 3 {
		ts.Setenv(args[3], got)
	}
}
