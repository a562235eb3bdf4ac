package aws

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestRoleSessionHasANameThatSTSTakes(t *testing.T) {
	isolate(t)
	form := regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	for who, want := range map[string]string{
		"":                       "culvert-",
		"x":                      "culvert-x",
		"ines@corp.example":      "culvert-ines@corp.example",
		`CORP\ines`:              "culvert-CORP-ines",
		"jürgen müller":          "culvert-j-rgen-m-ller",
		"田中":                     "culvert---",
		"a\xffb\x00c\n":          "culvert-a-b-c-",
		"*?${aws:userid}":        "culvert-----aws-userid-",
		strings.Repeat("é", 200): "culvert-" + strings.Repeat("-", 56),
		strings.Repeat("u", 200): "culvert-" + strings.Repeat("u", 56),
	} {
		if got := roleSessionOf(who); got != want || !form.MatchString(got) {
			t.Errorf("%q: got %q, want %q", who, got, want)
		}
	}
	if got, want := roleSession(pipeline{}), "culvert-"+notInRoleSession().ReplaceAllString(userName(), "-"); got != want {
		t.Errorf("on a laptop: got %q, want %q", got, want)
	}
	if got := roleSession(pipeline{run: "42-1"}); got != "culvert-42-1" {
		t.Errorf("in a workflow: got %q", got)
	}
	t.Setenv("AWS_ROLE_SESSION_NAME", "mine")
	if got := roleSession(pipeline{run: "42-1"}); got != "mine" {
		t.Errorf("named by the user: got %q", got)
	}
}

// Whoever assumes a role, culvert or the SDK, gives each session of it the same name at each renewal and in each process;
// what the user has named keeps its name.
func TestEveryRoleSessionIsNamedOnce(t *testing.T) {
	const role, outer = "arn:aws:iam::111122223333:role/ci", "arn:aws:iam::111122223333:role/outer"
	const keys = "[profile keys]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = example\n"
	ours := roleSessionOf(userName())
	for name, c := range map[string]struct {
		config  string
		env     map[string]string
		options Options
		names   map[string]string // by role
	}{
		"source profile": {
			config: "[default]\nrole_arn = " + role + "\nsource_profile = keys\n" + keys,
			names:  map[string]string{role: ours},
		},
		"source profile, named": {
			config: "[default]\nrole_arn = " + role + "\nsource_profile = keys\nrole_session_name = me\n" + keys,
			env:    map[string]string{"AWS_ROLE_SESSION_NAME": "other"},
			names:  map[string]string{role: "me"},
		},
		"source profile, named by the environment": {
			config: "[default]\nrole_arn = " + role + "\nsource_profile = keys\n" + keys,
			env:    map[string]string{"AWS_ROLE_SESSION_NAME": "other"},
			names:  map[string]string{role: "other"},
		},
		"role behind a role, the inner one named": {
			config: "[default]\nrole_arn = " + role + "\nsource_profile = outer\nrole_session_name = me\n" +
				"[profile outer]\nrole_arn = " + outer + "\nsource_profile = keys\n" + keys,
			names: map[string]string{role: "me", outer: ours},
		},
		"role behind a role, the outer one named": {
			config: "[default]\nrole_arn = " + role + "\nsource_profile = outer\n" +
				"[profile outer]\nrole_arn = " + outer + "\nsource_profile = keys\nrole_session_name = me\n" + keys,
			names: map[string]string{role: ours, outer: "me"},
		},
		"web identity of a profile": {
			config: "[default]\nrole_arn = " + role + "\nweb_identity_token_file = TOKEN\n",
			names:  map[string]string{role: ours},
		},
		"web identity of a profile, named": {
			config: "[default]\nrole_arn = " + role + "\nweb_identity_token_file = TOKEN\nrole_session_name = me\n",
			names:  map[string]string{role: "me"},
		},
		"web identity of the environment": {
			env:   map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "TOKEN", "AWS_ROLE_ARN": role},
			names: map[string]string{role: ours},
		},
		"web identity of the environment, named": {
			env:   map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "TOKEN", "AWS_ROLE_ARN": role, "AWS_ROLE_SESSION_NAME": "pod"},
			names: map[string]string{role: "pod"},
		},
		"web identity in a workflow": {
			env:   map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "TOKEN", "AWS_ROLE_ARN": role, "GITHUB_RUN_ID": "42", "GITHUB_RUN_ATTEMPT": "3"},
			names: map[string]string{role: "culvert-42-3"},
		},
		"--role-arn behind a profile's role": {
			config:  "[default]\nrole_arn = " + outer + "\nsource_profile = keys\nrole_session_name = me\n" + keys,
			options: Options{RoleARN: role},
			names:   map[string]string{role: ours, outer: "me"},
		},
		"--role-arn, named": {
			config:  "[default]\nrole_arn = " + outer + "\nsource_profile = keys\n" + keys,
			env:     map[string]string{"AWS_ROLE_SESSION_NAME": "other"},
			options: Options{RoleARN: role},
			names:   map[string]string{role: "other", outer: "other"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := isolate(t)
			token := filepath.Join(home, "token")
			write(t, token, "e30.e30.c2lnbmF0dXJl")
			write(t, filepath.Join(home, "config"), strings.ReplaceAll(c.config, "TOKEN", token))
			for name, value := range c.env {
				t.Setenv(name, strings.ReplaceAll(value, "TOKEN", token))
			}
			soon := time.Now().Add(time.Minute) // within the window: renewed for each call
			f := newFake(t, map[string]answer{
				"AssumeRole": func(map[string]any) any {
					a := roleAnswer(soon)
					a.Body = strings.ReplaceAll(a.Body, "WithWebIdentity", "")
					return a
				},
				"AssumeRoleWithWebIdentity": func(map[string]any) any { return roleAnswer(soon) },
				"ListClusters":              func(map[string]any) any { return map[string]any{"clusterArns": []string{}} },
			})
			t.Setenv("AWS_ENDPOINT_URL_STS", f.URL)
			c.options.Region, c.options.Endpoint = "eu-west-1", f.URL
			for range 2 {
				client, err := Connect(t.Context(), c.options)
				if err != nil {
					t.Fatal(text(err))
				}
				if _, err := client.Discover(t.Context()); err != nil {
					t.Fatal(text(err))
				}
			}
			times := map[string]int{}
			for _, call := range append(f.calls("AssumeRole"), f.calls("AssumeRoleWithWebIdentity")...) {
				role, _ := call["RoleArn"].(string)
				times[role]++
				if got, want := call["RoleSessionName"], c.names[role]; got != want {
					t.Errorf("%s is assumed as %q, want %q", role, got, want)
				}
			}
			for role := range c.names {
				if times[role] < 4 {
					t.Errorf("%s is assumed %d times, want it for each of two calls in each of two processes", role, times[role])
				}
			}
		})
	}
}
