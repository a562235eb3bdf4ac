package aws_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
)

const (
	gitlab    = "https://gitlab.example"
	bitbucket = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
)

// providers is an account that knows GitLab and Bitbucket.
func providers(t *testing.T, trust func(string, emulator.Claims) error) *emulator.Emulator {
	t.Helper()
	account(t).Close() // for its environment
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Demo(), Trust: trust, Providers: map[string]string{
		gitlab: "sts.amazonaws.com", bitbucket: "ari:cloud:bitbucket::workspace/1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func tokenOf(t *testing.T, e *emulator.Emulator, c emulator.Claims) string {
	t.Helper()
	token, err := e.IDToken(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CULVERT_ID_TOKEN", token+"\n") // as a command prints it
	return token
}

// A role is assumed with the token of a variable, under the name of the job, and nothing of the token is logged.
func TestARoleIsAssumedWithTheTokenOfAVariable(t *testing.T) {
	e := providers(t, nil)
	token := tokenOf(t, e, emulator.Claims{Issuer: gitlab, Subject: "project_path:a/b:ref_type:branch:ref:main", Audience: "sts.amazonaws.com"})
	for name, value := range map[string]string{"GITLAB_CI": "true", "CI_PIPELINE_ID": "7", "CI_JOB_ID": "8"} {
		t.Setenv(name, value)
	}
	var log bytes.Buffer
	var masked []string
	options := aws.Options{
		Region: "eu-west-1", Endpoint: e.URL(), EndpointTrusted: true, RoleARN: callerRole, TokenVariable: "CULVERT_ID_TOKEN",
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Mask: func(s string) { masked = append(masked, s) },
	}
	c, err := aws.Connect(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	who, err := c.Identity(t.Context())
	if err != nil || !strings.HasSuffix(who.ARN, "/culvert-gitlab-7-8") {
		t.Errorf("got %+v, %v", who, err)
	}
	if len(masked) == 0 || masked[0] != token {
		t.Error("a log that hides secrets is not told the token")
	}
	if strings.Contains(log.String(), token) || strings.Contains(log.String(), token[strings.LastIndex(token, "."):]) {
		t.Error("the token is logged")
	}

	// AWS_ROLE_ARN will do for the role; the token wins over keys of the environment, as it was asked for.
	t.Setenv("AWS_ROLE_ARN", callerRole)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDNOBODY")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nothing")
	options.RoleARN = ""
	if _, err := aws.Connect(t.Context(), options); err != nil {
		t.Error(err)
	}
}

func TestATokenOfAVariableThatCannotBeUsedIsExplained(t *testing.T) {
	nobody := func(string, emulator.Claims) error { return errors.New("nobody is trusted") }
	for name, c := range map[string]struct {
		claims  emulator.Claims // none: the variable stays as it is
		trust   func(string, emulator.Claims) error
		env     map[string]string
		options func(*aws.Options)
		says    []string
		never   []string
	}{
		"none, in GitLab":    {env: map[string]string{"GITLAB_CI": "true"}, says: []string{"no web identity token in the environment variable CULVERT_ID_TOKEN", "id_tokens: {CULVERT_ID_TOKEN: {aud: sts.amazonaws.com}}"}},
		"none, in Bitbucket": {env: map[string]string{"BITBUCKET_BUILD_NUMBER": "1"}, says: []string{"oidc: true"}},
		"none, in Buildkite": {env: map[string]string{"BUILDKITE": "true"}, says: []string{"buildkite-agent oidc request-token --audience sts.amazonaws.com"}},
		"none, in CircleCI":  {env: map[string]string{"CIRCLECI": "true"}, says: []string{"CIRCLE_OIDC_TOKEN_V2"}},
		"none, in Azure":     {env: map[string]string{"TF_BUILD": "True"}, says: []string{"SYSTEM_OIDCREQUESTURI"}},
		"none, in Jenkins":   {env: map[string]string{"JENKINS_URL": "x"}, says: []string{"withCredentials"}},
		"none, elsewhere":    {says: []string{"have the pipeline set CULVERT_ID_TOKEN"}},
		"not a token":        {env: map[string]string{"CULVERT_ID_TOKEN": "sesame"}, says: []string{"not a valid JWT"}, never: []string{"sesame"}},
		"far too long":       {env: map[string]string{"CULVERT_ID_TOKEN": strings.Repeat("x", 20001)}, says: []string{"longer than a web identity token can be"}, never: []string{"xxx"}},
		"the token itself in place of its name": {
			options: func(o *aws.Options) { o.TokenVariable = "eyJhbGciOi.eyJzdWIi.c2ln" }, says: []string{"no name of an environment variable"}, never: []string{"eyJ"},
		},
		"no role": {options: func(o *aws.Options) { o.RoleARN = "" }, says: []string{"(in CULVERT_ID_TOKEN), but nothing names the role", "--role-arn"}},
		"the environment's role is none": {
			options: func(o *aws.Options) { o.RoleARN = "" }, env: map[string]string{"AWS_ROLE_ARN": "deploy"}, says: []string{`"deploy"`},
		},
		"expired": {
			claims: emulator.Claims{Issuer: gitlab, Subject: "s", Audience: "sts.amazonaws.com", Issued: 1, Expires: 2}, env: map[string]string{"GITLAB_CI": "true"},
			says: []string{"the web identity token in CULVERT_ID_TOKEN has expired", "AWS_WEB_IDENTITY_TOKEN_FILE", "id_tokens"},
		},
		"not trusted": {
			claims: emulator.Claims{Issuer: gitlab, Subject: "project_path:a/b:ref_type:branch:ref:x", Audience: "sts.amazonaws.com"}, trust: nobody,
			says: []string{`it has sub "project_path:a/b:ref_type:branch:ref:x", aud "sts.amazonaws.com"`, `"gitlab.example:sub":"project_path:a/b:ref_type:branch:ref:x"`},
		},
		"not trusted, with a subject that changes": {
			claims: emulator.Claims{Issuer: bitbucket, Subject: "{r}:{s}", Audience: "ari:cloud:bitbucket::workspace/1"}, trust: nobody,
			says: []string{`it has sub "{r}:{s}", aud "ari:cloud:bitbucket::workspace/1"`, `"StringLike":{"api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc:sub":"{r}:*"}`, "another one in each run"},
		},
		"an issuer that the account does not know": {
			claims: emulator.Claims{Issuer: "https://git.corp.example", Subject: "s", Audience: "me"},
			says:   []string{`the token of git.corp.example (aud "me")`, "create-open-id-connect-provider --url https://git.corp.example --client-id-list me"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := providers(t, c.trust)
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			if c.claims.Issuer != "" {
				tokenOf(t, e, c.claims)
			}
			options := aws.Options{Region: "eu-west-1", Endpoint: e.URL(), EndpointTrusted: true, RoleARN: callerRole, TokenVariable: "CULVERT_ID_TOKEN"}
			if c.options != nil {
				c.options(&options)
			}
			_, err := aws.Connect(t.Context(), options)
			if err == nil {
				t.Fatal("got a client")
			}
			said := err.Error() + "; remedy: " + say.Remedy(err)
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("got  %s\nwant %s", said, want)
				}
			}
			for _, never := range c.never {
				if strings.Contains(said, never) {
					t.Errorf("got %s\nwith %s", said, never)
				}
			}
		})
	}
}

// The audience is added to a provider that there is.
func TestAnAudienceIsAddedToTheProvider(t *testing.T) {
	e := providers(t, nil)
	tokenOf(t, e, emulator.Claims{Issuer: gitlab, Subject: "s", Audience: "https://gitlab.example"})
	_, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), EndpointTrusted: true, RoleARN: callerRole, TokenVariable: "CULVERT_ID_TOKEN"})
	if got, want := say.Remedy(err), "add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn arn:aws:iam::111122223333:oidc-provider/gitlab.example --client-id https://gitlab.example"; !strings.Contains(got, want) {
		t.Errorf("got %s (%v)\nwant %s", got, err, want)
	}
}
