// Package ci writes jobs for CI systems that open tunnels with culvert: what their files want to have in them, and how a
// value stands in each so that it stays one.
package ci

import (
	"fmt"
	"slices"
	"strings"

	"culvert/internal/say"
)

// Job is what a pipeline is to do.
type Job struct {
	Up      []string // flags of culvert up, without the set's name
	Command []string // what runs behind the tunnels
	Role    bool     // a role is assumed with the token of the pipeline
	Token   string   // variable that the token is in; empty for what is usual in the system
	Step    string   // of a workflow of GitHub, which opens the same

	Repository string // owner and name at GitHub, whose releases have culvert
	Version    string // of those
}

// Names are the systems that Snippet knows.
func Names() []string {
	var names []string
	for _, s := range systems() {
		names = append(names, s.name)
	}
	return names
}

// File is where a system looks for what Snippet writes; empty for one that there is not.
func File(name string) string {
	for _, s := range systems() {
		if s.name == name {
			return s.file
		}
	}
	return ""
}

// Snippet is the file of a system that Names names, with a job. The error is a *ValueError.
func Snippet(name string, j Job) (string, error) {
	i := slices.IndexFunc(systems(), func(s system) bool { return s.name == name })
	if i < 0 {
		return "", fmt.Errorf("no CI system %q", name)
	}
	s := systems()[i]
	for _, value := range slices.Concat(j.Up, j.Command) {
		if err := s.check(value); err != nil {
			return "", err
		}
	}
	return s.write(s, j), nil
}

// ValueError is a value that cannot stand in the file of a system.
type ValueError struct {
	Value, System string
	Part          string // of the value, that the system takes for its own; empty where it is a character that is not shown
}

func (e *ValueError) Error() string {
	if e.Part == "" {
		return fmt.Sprintf("%q has a character that is not shown, and would not stand in a file as it is", say.Line(e.Value))
	}
	return fmt.Sprintf("%q has %s in it, which %s would take for its own", e.Value, e.Part, e.System)
}

// Remedy says how it gets there all the same.
func (e *ValueError) Remedy() string {
	return "leave it out here, and have the job take it from a variable of the pipeline: each flag has one, see culvert help environment"
}

// system is a CI system.
type system struct {
	name, file, title string
	own               []string // what it replaces in a file, wherever that stands
	set               string   // name of the set of tunnels, for a shell: no other job of the same user has it at the same time
	variable          string   // that the token is in
	ask               []string // lines that bring the token into the variable, where nobody else does
	write             func(system, Job) string
}

func systems() []system {
	const ours = "CULVERT_ID_TOKEN"
	return []system{
		{name: "github", file: ".github/workflows/tunnel.yml", title: "GitHub Actions", own: []string{"${{"}, write: github},
		{name: "gitlab", file: ".gitlab-ci.yml", title: "GitLab", own: []string{"$[["}, set: "ci-$CI_JOB_ID", variable: ours, write: gitlab},
		{name: "circleci", file: ".circleci/config.yml", title: "CircleCI", own: []string{"<<"}, set: "ci-$CIRCLE_BUILD_NUM", variable: "CIRCLE_OIDC_TOKEN_V2", write: circleci},
		{name: "buildkite", file: ".buildkite/pipeline.yml", title: "Buildkite", own: []string{`\$`}, set: "ci-$$", variable: ours, ask: []string{
			ours + `="$(buildkite-agent oidc request-token --audience sts.amazonaws.com)"`,
			"export " + ours,
		}, write: buildkite},
		{name: "bitbucket", file: "bitbucket-pipelines.yml", title: "Bitbucket", set: "ci-$BITBUCKET_BUILD_NUMBER", variable: "BITBUCKET_STEP_OIDC_TOKEN", write: bitbucket},
		{name: "azure", file: "azure-pipelines.yml", title: "Azure Pipelines", own: []string{"$(", "${{", "$["}, set: "ci-$BUILD_BUILDID-$AGENT_ID", variable: ours, ask: []string{
			ours + `="$(printf 'Authorization: Bearer %s\n' "$SYSTEM_ACCESSTOKEN" |`,
			`  curl -fsS -X POST -H @- -H 'Content-Type: application/json' -d '' "$SYSTEM_OIDCREQUESTURI?api-version=7.1&serviceConnectionId=$SERVICE_CONNECTION_ID" |`,
			`  sed -n 's/.*"oidcToken" *: *"\([^"]*\)".*/\1/p')"`,
			"export " + ours,
		}, write: azure},
		{name: "jenkins", file: "Jenkinsfile", title: "Jenkins", set: "ci-$BUILD_NUMBER-$EXECUTOR_NUMBER", variable: ours, write: jenkins},
	}
}

// check refuses what would be another value in the file.
func (s system) check(value string) error {
	if say.Line(value) != value {
		return &ValueError{Value: value, System: s.title}
	}
	for _, part := range s.own {
		if strings.Contains(value, part) {
			return &ValueError{Value: value, System: s.title, Part: part}
		}
	}
	return nil
}

// tokenOf is the variable of the token.
func (s system) tokenOf(j Job) string {
	if j.Token != "" {
		return j.Token
	}
	return s.variable
}

// path finds the culvert that script may have installed.
const path = `export PATH="$HOME/.local/bin:$PATH"`

// script is the job for one shell, of any POSIX kind. The set of tunnels ends with that shell: by the trap, or, should the shell be
// killed, by --parent.
func (s system) script(j Job) []string {
	from := "https://github.com/" + j.Repository + "/releases/download/v" + j.Version
	lines := []string{
		"set -e +x # a trace would show the proxy's password",
		path,
		"command -v culvert >/dev/null || {",
		`  arch=amd64; case "$(uname -m)" in aarch64|arm64) arch=arm64 ;; esac`,
		`  from=` + from + ` file="culvert_` + j.Version + `_linux_$arch.tar.gz" into="$(mktemp -d)"`,
		`  curl -fsSL -o "$into/$file" "$from/$file" -o "$into/checksums.txt" "$from/checksums.txt"`,
		`  (cd "$into" && grep "  $file$" checksums.txt | sha256sum -c - && tar -xzf "$file" culvert)`,
		`  mkdir -p "$HOME/.local/bin" && mv "$into/culvert" "$HOME/.local/bin/culvert" && rm -r "$into"`,
		"}",
	}
	up := []string{"culvert", "up", "--name", `"$tunnel"`, "--parent", "$$"}
	words := slices.Clone(j.Up)
	if j.Role {
		for _, line := range s.ask {
			lines = append(lines, strings.ReplaceAll(line, s.variable, s.tokenOf(j)))
		}
		words = append(words, "--web-identity-token-env", s.tokenOf(j))
	}
	lines = append(lines, `tunnel="`+s.set+`"`, `trap 'culvert down "$tunnel"' EXIT`, "trap 'exit 130' INT", "trap 'exit 143' TERM")
	return append(lines, strings.Join(up, " ")+" "+quoted(words), `eval "$(culvert env "$tunnel")"`, quoted(j.Command))
}

// after ends what is left when the job is over, in a shell of its own.
func (s system) after() []string {
	return []string{path, `if command -v culvert >/dev/null; then culvert down "` + s.set + `"; fi`}
}

func quoted(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, say.Word(w))
	}
	return strings.Join(all, " ")
}

// block is lines at an indentation.
func block(indent string, lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(indent + line + "\n")
	}
	return b.String()
}
