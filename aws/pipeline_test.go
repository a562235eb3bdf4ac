package aws

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// Each system's job is known by its own variables: the session's name has what tells jobs apart, the reason who it was.
func TestEveryPipelineNamesItsSessions(t *testing.T) {
	const id = "6f1c2f2e-9d1a-4a57-8d3c-0123456789ab"
	for system, c := range map[string]struct {
		env             map[string]string
		session, reason string
	}{
		"none":   {session: roleSessionOf(userName()), reason: "culvert"},
		"GitHub": {map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "42", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_JOB": "test"}, "culvert-42-2", "culvert: GitHub run 42 attempt 2 of acme/shop, job test"},
		"GitLab": {map[string]string{"GITLAB_CI": "true", "CI_PIPELINE_ID": "7", "CI_JOB_ID": "8", "CI_JOB_NAME": "unit tests", "CI_PROJECT_PATH": "acme/shop"}, "culvert-gitlab-7-8", "culvert: GitLab pipeline 7 job 8 (unit tests) of acme/shop"},
		"CircleCI": {
			map[string]string{"CIRCLECI": "true", "CIRCLE_WORKFLOW_ID": id, "CIRCLE_BUILD_NUM": "12", "CIRCLE_JOB": "test", "CIRCLE_PROJECT_USERNAME": "acme", "CIRCLE_PROJECT_REPONAME": "shop"},
			"culvert-circleci-" + id + "-12", "culvert: CircleCI workflow " + id + " job 12 (test) of acme/shop",
		},
		"Buildkite": {
			map[string]string{"BUILDKITE": "true", "BUILDKITE_JOB_ID": id, "BUILDKITE_BUILD_NUMBER": "3", "BUILDKITE_ORGANIZATION_SLUG": "acme", "BUILDKITE_PIPELINE_SLUG": "shop", "BUILDKITE_LABEL": ":go: test"},
			"culvert-buildkite-" + id, "culvert: Buildkite build 3 of acme/shop, job " + id + " (:go: test)",
		},
		"Bitbucket": {
			map[string]string{"BITBUCKET_BUILD_NUMBER": "5", "BITBUCKET_STEP_UUID": "{" + id + "}", "BITBUCKET_REPO_FULL_NAME": "acme/shop"},
			"culvert-bitbucket-5-" + id, "culvert: Bitbucket build 5 of acme/shop, step {" + id + "}",
		},
		"Azure": {
			map[string]string{"TF_BUILD": "True", "BUILD_BUILDID": "991", "SYSTEM_JOBID": id, "SYSTEM_JOBATTEMPT": "1", "BUILD_DEFINITIONNAME": "shop", "SYSTEM_TEAMPROJECT": "Acme Web", "SYSTEM_JOBDISPLAYNAME": "Job"},
			"culvert-azure-991-" + id + "-1", "culvert: Azure build 991 (shop) of Acme Web, job Job attempt 1",
		},
		"Jenkins": {map[string]string{"JENKINS_URL": "https://ci.example/", "BUILD_TAG": "jenkins-acme-shop-main-17", "BUILD_NUMBER": "17", "JOB_NAME": "acme/shop/main"}, "culvert-jenkins-acme-shop-main-17", "culvert: Jenkins build 17 of acme/shop/main"},
		"Jenkins, a long name": {
			map[string]string{"JENKINS_URL": "https://ci.example/", "BUILD_TAG": "jenkins-" + strings.Repeat("folder-", 20) + "main-1234", "BUILD_NUMBER": "1234", "JOB_NAME": "x"},
			"culvert-" + strings.Repeat("folder-", 20)[140-47:] + "main-1234", "culvert: Jenkins build 1234 of x",
		},
		"a job with any name": {
			map[string]string{"GITLAB_CI": "true", "CI_PIPELINE_ID": "7", "CI_JOB_ID": "8", "CI_JOB_NAME": "a\nb\x1b[31m${HOME}", "CI_PROJECT_PATH": "p"},
			"culvert-gitlab-7-8", `culvert: GitLab pipeline 7 job 8 (a b\x1b[31m${HOME}) of p`,
		},
		"a long one": {
			map[string]string{"GITLAB_CI": "true", "CI_PIPELINE_ID": "7", "CI_JOB_ID": "8", "CI_JOB_NAME": strings.Repeat("ü", 400)},
			"culvert-gitlab-7-8", "culvert: GitLab pipeline 7 job 8 (" + strings.Repeat("ü", 256-len("culvert: GitLab pipeline 7 job 8 (")),
		},
		"only the mark": {map[string]string{"GITLAB_CI": "true"}, roleSessionOf(userName()), "culvert"},
	} {
		t.Run(system, func(t *testing.T) {
			isolate(t)
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			p := pipelineEnvironment()
			session, reason := roleSession(p), p.reason()
			if session != c.session || reason != c.reason {
				t.Errorf("got %q, %q\nwant %q, %q", session, reason, c.session, c.reason)
			}
			if !regexp.MustCompile(`^[\w+=,.@-]{2,64}$`).MatchString(session) || !regexp.MustCompile(`^.{1,256}$`).MatchString(reason) || !utf8.ValidString(reason) {
				t.Errorf("AWS takes neither %q nor %q", session, reason)
			}
		})
	}
}

func TestATrustPolicyNamesWhatOfASubjectLasts(t *testing.T) {
	for _, c := range []struct{ issuer, subject, want string }{
		{"token.actions.githubusercontent.com", "repo:a/b:ref:refs/heads/main", ""},
		{"gitlab.example", "project_path:a/b:ref_type:branch:ref:main", ""},
		{"agent.buildkite.com", "organization:a:pipeline:b:ref:refs/heads/commit:x:commit:abc:step:test", "organization:a:pipeline:b:ref:refs/heads/commit:x:commit:*"},
		{"oidc.circleci.com/org/1", "org/1/project/2/user/3", "org/1/project/2/user/*"},
		{"oidc.circleci.com/org/1", "org/1/project/2/user/3/vcs-origin/github.com/a/b/vcs-ref/refs/heads/main", "org/1/project/2/user/*/vcs-origin/github.com/a/b/vcs-ref/refs/heads/main"},
		{"oidc.circleci.com/org/1", "else", ""},
		{"api.bitbucket.org/2.0/workspaces/a/pipelines-config/identity/oidc", "{1}:{2}", "{1}:*"},
		{"api.bitbucket.org/2.0/workspaces/a/pipelines-config/identity/oidc", "{1}:{2}:{3}", "{1}:{2}:*"},
		{"vstoken.dev.azure.com/1", "sc://a/b/c", ""},
		{"agent.buildkite.com", "", ""},
	} {
		got, changes := lastingSubject(c.issuer, c.subject)
		if changes != (c.want != "") || changes && got != c.want || !changes && got != c.subject {
			t.Errorf("%s %q: got %q, %t; want %q", c.issuer, c.subject, got, changes, c.want)
		}
	}
}
