package main

import (
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// ciRunner is how a CI system runs the file that culvert ci writes: what it has in the environment of a job, the shells
// that it runs the parts of the file with, and what it does when the job is cancelled.
type ciRunner struct {
	issuer, subject, audience string            // of the job's token
	variables                 map[string]string // predefined
	token                     string            // variable that the system puts the token into by itself; empty where the job asks for it
	session                   string            // how the job's sessions begin
	parts                     func(*testing.T, string) (script, after string)
	shell                     func(script, file string) []string // command line; file is one that has the script
	afterCancel               bool                               // it runs after when the job is cancelled
	failure                   int                                // exit code of its shell for a command's 7, where that is another one
}

const (
	ciJobID        = "6f1c2f2e-9d1a-4a57-8d3c-0123456789ab"
	ciOrganization = "11111111-2222-4333-8444-555555555555"
	ciProject      = "66666666-7777-4888-8999-000000000000"
)

func ciRunners() map[string]ciRunner {
	bash := func(options ...string) func(string, string) []string {
		return func(script, _ string) []string {
			return append(append([]string{"bash", "--noprofile", "--norc"}, options...), script)
		}
	}
	return map[string]ciRunner{
		// GitLab evaluates the lines in a pipe (gitlab-runner, shells/bash.go).
		"gitlab": {
			issuer: "https://gitlab.com", subject: "project_path:acme/shop:ref_type:branch:ref:main", audience: "sts.amazonaws.com",
			variables: map[string]string{"CI": "true", "GITLAB_CI": "true", "CI_PIPELINE_ID": "7", "CI_JOB_ID": "8", "CI_JOB_NAME": "test", "CI_PROJECT_PATH": "acme/shop"},
			token:     "CULVERT_ID_TOKEN", session: "culvert-gitlab-7-8-", afterCancel: true, failure: 1, // of bash's eval in a pipe, whatever fails there
			parts: yamlParts([]any{"test", "script"}, []any{"test", "after_script"}),
			shell: func(script, _ string) []string {
				return []string{"bash", "-c", `set -eo pipefail; set +o noclobber; : | eval "$1"; exit 0`, "gitlab", script}
			},
		},
		"circleci": {
			issuer: "https://oidc.circleci.com/org/" + ciOrganization, audience: ciOrganization,
			subject:   "org/" + ciOrganization + "/project/" + ciProject + "/user/3/vcs-origin/github.com/acme/shop/vcs-ref/refs/heads/main",
			variables: map[string]string{"CI": "true", "CIRCLECI": "true", "CIRCLE_WORKFLOW_ID": ciJobID, "CIRCLE_BUILD_NUM": "12", "CIRCLE_JOB": "test", "CIRCLE_PROJECT_USERNAME": "acme", "CIRCLE_PROJECT_REPONAME": "shop"},
			token:     "CIRCLE_OIDC_TOKEN_V2", session: "culvert-circleci-" + ciJobID + "-12-",
			parts: yamlParts([]any{"jobs", "test", "steps", 1, "run", "command"}, []any{"jobs", "test", "steps", 2, "run", "command"}),
			shell: bash("-eo", "pipefail", "-c"),
		},
		"buildkite": {
			issuer: "https://agent.buildkite.com", subject: "organization:acme:pipeline:shop:ref:refs/heads/main:commit:abc:step:", audience: "sts.amazonaws.com",
			variables: map[string]string{"CI": "true", "BUILDKITE": "true", "BUILDKITE_JOB_ID": ciJobID, "BUILDKITE_BUILD_NUMBER": "3", "BUILDKITE_ORGANIZATION_SLUG": "acme", "BUILDKITE_PIPELINE_SLUG": "shop", "BUILDKITE_LABEL": "x"},
			session:   "culvert-buildkite-" + ciJobID + "-",
			parts: func(t *testing.T, text string) (string, string) {
				t.Helper()
				script, _ := yamlParts([]any{"steps", 0, "command"}, nil)(t, text)
				return interpolated(t, script), ""
			},
			shell: bash("-e", "-c"),
		},
		"bitbucket": {
			issuer: "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", subject: "{" + ciProject + "}:{" + ciJobID + "}", audience: "ari:cloud:bitbucket::workspace/" + ciOrganization,
			variables: map[string]string{"CI": "true", "BITBUCKET_BUILD_NUMBER": "5", "BITBUCKET_STEP_UUID": "{" + ciJobID + "}", "BITBUCKET_REPO_FULL_NAME": "acme/shop"},
			token:     "BITBUCKET_STEP_OIDC_TOKEN", session: "culvert-bitbucket-5-" + ciJobID + "-", afterCancel: true,
			parts: yamlParts([]any{"pipelines", "default", 0, "step", "script"}, []any{"pipelines", "default", 0, "step", "after-script"}),
			shell: func(_, file string) []string { return []string{"sh", "-e", file} },
		},
		"azure": {
			issuer: "https://vstoken.dev.azure.com/" + ciOrganization, subject: "sc://acme/shop/aws", audience: "api://AzureADTokenExchange",
			variables: map[string]string{"TF_BUILD": "True", "BUILD_BUILDID": "991", "AGENT_ID": "4", "SYSTEM_JOBID": ciJobID, "SYSTEM_JOBATTEMPT": "1", "BUILD_DEFINITIONNAME": "shop", "SYSTEM_TEAMPROJECT": "Acme", "SYSTEM_JOBDISPLAYNAME": "Job"},
			session:   "culvert-azure-991-" + ciJobID + "-1-", afterCancel: true,
			parts: yamlParts([]any{"steps", 0, "bash"}, []any{"steps", 1, "bash"}),
			shell: func(_, file string) []string { return []string{"bash", "--noprofile", "--norc", file} },
		},
		// The step sh runs with -xe (durable-task).
		"jenkins": {
			issuer: "https://jenkins.example/oidc", subject: "https://jenkins.example/job/shop/", audience: "sts.amazonaws.com",
			variables: map[string]string{"JENKINS_URL": "https://jenkins.example/", "BUILD_TAG": "jenkins-shop-17", "BUILD_NUMBER": "17", "EXECUTOR_NUMBER": "1", "JOB_NAME": "shop"},
			token:     "CULVERT_ID_TOKEN", session: "culvert-jenkins-shop-17-", afterCancel: true,
			parts: groovyParts,
			shell: func(_, file string) []string { return []string{"sh", "-xe", file} },
		},
	}
}

// yamlParts finds the scripts in a file: a text, or a list of texts.
func yamlParts(script, after []any) func(*testing.T, string) (string, string) {
	at := func(t *testing.T, file any, path []any) string {
		t.Helper()
		for _, step := range path {
			switch in := file.(type) {
			case map[string]any:
				file = in[step.(string)]
			case []any:
				file = in[step.(int)]
			}
		}
		if list, ok := file.([]any); ok {
			var lines []string
			for _, item := range list {
				lines = append(lines, item.(string))
			}
			return strings.Join(lines, "\n")
		}
		text, ok := file.(string)
		if !ok {
			t.Fatalf("there is no text at %v", path)
		}
		return text
	}
	return func(t *testing.T, text string) (string, string) {
		t.Helper()
		var file any
		if err := yaml.Unmarshal([]byte(text), &file); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if after == nil {
			return at(t, file, script), ""
		}
		return at(t, file, script), at(t, file, after)
	}
}

// interpolated is what buildkite-agent pipeline upload makes of a text (github.com/buildkite/interpolate): a doubled dollar sign
// is one, and nothing else may be there to be replaced.
func interpolated(t *testing.T, text string) string {
	t.Helper()
	const one = "\x00"
	text = strings.ReplaceAll(text, "$$", one)
	if strings.Contains(text, "$") {
		t.Errorf("a dollar sign stands alone in\n%s", text)
	}
	return strings.ReplaceAll(text, one, "$")
}

// groovyParts reads the two texts of a Jenkinsfile as Groovy does: between three quotes a backslash takes the next character
// for itself.
func groovyParts(t *testing.T, text string) (script, after string) {
	t.Helper()
	found := regexp.MustCompile(`(?s)sh '''\n(.*?)'''`).FindAllStringSubmatch(text, -1)
	if len(found) != 2 {
		t.Fatalf("got %d shells in\n%s", len(found), text)
	}
	read := func(s string) string { return regexp.MustCompile(`\\(.)`).ReplaceAllString(s, "$1") }
	return read(found[0][1]), read(found[1][1])
}
