package aws

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSecretsOfATaskDefinitionAreMasked(t *testing.T) {
	const hush = "hunter2" // in every place where a secret may stand
	answer := `{"taskDefinition":{"family":"web","revision":7,"cpu":"256","containerDefinitions":[{"name":"app","image":"nginx:1.27",
		"environment":[{"name":"LOG_LEVEL","value":"hunter2"},{"value":"hunter2","name":"DB_PASSWORD"},{"name":"EMPTY","value":""}],
		"environmentFiles":[{"value":"arn:aws:s3:::b/env","type":"s3"}],
		"secrets":[{"name":"API","valueFrom":"arn:aws:ssm:eu-west-1:1:parameter/hunter2"}],
		"entryPoint":["sh","-c","export MODE=hunter2; run --db-password hunter2 --url postgres://kim:hunter2@db/x --set auth.key='hunter2 b' && curl -H 'Authorization: Bearer hunter2' https://h/?sig=hunter2&x=1"],
		"command":["serve","--port=8080","--api-token","hunter2","--password=hunter2","-u","kim:hunter2","--env=LOGIN=hunter2","AKIAIOSFODNN7EXAMPLE","secret:hunter2"],
		"healthCheck":{"command":["CMD-SHELL","mysqladmin ping -phunter2 && redis-cli -h localhost -a hunter2 ping"]},
		"logConfiguration":{"logDriver":"splunk","options":{"splunk-url":"https://kim:hunter2@splunk/","splunk-token":"hunter2","awslogs-group":"/ecs/web"},"secretOptions":[{"name":"t","valueFrom":"hunter2"}]},
		"dockerLabels":{"traefik.basicauth.users":"kim:hunter2","team":"shop"},
		"repositoryCredentials":{"credentialsParameter":"arn:hunter2"}},
		{"name":"side","command":["mysql","-u","root","-p","hunter2"],"entryPoint":["mysql","-phunter2"],"unheardOf":[{"name":"A","value":"hunter2"}]}],
		"volumes":[{"name":"v","dockerVolumeConfiguration":{"driverOpts":{"o":"addr=10.0.0.1,password=hunter2"}}}],
		"proxyConfiguration":{"properties":[{"name":"P","value":"hunter2"}]},"requiresAttributes":[{"name":"ecs.capability.x"}]},
		"tags":[{"key":"k","value":"hunter2"}]}`
	got, err := maskDefinition([]byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, hush) {
		for line := range strings.Lines(got) {
			if strings.Contains(line, hush) {
				t.Errorf("shown: %s", line)
			}
		}
	}
	if !json.Valid([]byte(got)) {
		t.Errorf("no JSON: %s", got)
	}
	for _, kept := range []string{
		`"family": "web"`, `"revision": 7`, `"image": "nginx:1.27"`, `"name": "LOG_LEVEL"`, `"name": "API"`, `"--port=8080"`, `"value": ""`, `"-u"`,
		`postgres://…@db/x`, `"arn:aws:s3:::b/env"`, `"awslogs-group": "/ecs/web"`, `"team": "shop"`, `"kim:…"`, `"--env=LOGIN=…"`, `"ecs.capability.x"`, `addr=10.0.0.1,password=…`,
	} {
		if !strings.Contains(got, kept) {
			t.Errorf("got no %s in\n%s", kept, got)
		}
	}
	if strings.Index(got, `"family"`) > strings.Index(got, `"containerDefinitions"`) || strings.Contains(got, "tags") {
		t.Errorf("the keys are in another order, or there are more of them:\n%s", got)
	}
}

func TestAnEndlessTaskDefinitionIsNotShown(t *testing.T) {
	if got, err := maskDefinition([]byte(`{"taskDefinition":{"family":"` + strings.Repeat("x", maxDefinition) + `"}}`)); got != "" || err != nil {
		t.Errorf("too large: got %d bytes and %v, want nothing", len(got), err)
	}
	deep := strings.Repeat("[", 2*maxDefinitionDepth) + strings.Repeat("]", 2*maxDefinitionDepth)
	if got, err := maskDefinition([]byte(`{"taskDefinition":{"x":` + deep + `}}`)); got != "" || err == nil {
		t.Errorf("too deep: got %q and %v, want an error", got, err)
	}
	if got, err := maskDefinition([]byte("{\"taskDefinition\":{\"family\":\"a\\u001b[2J\u202e\"}}")); err != nil || strings.ContainsAny(got, "\x1b\u202e") {
		t.Errorf("hostile text: got %q, %v", got, err)
	}
}

func FuzzMasking(f *testing.F) {
	f.Add("sh -c 'export A=b' --token x", "MYSQL")
	f.Add("https://a:b@c/?sig=d", "key")
	f.Fuzz(func(t *testing.T, word, key string) {
		body, err := json.Marshal(map[string]any{"taskDefinition": map[string]any{
			key: word, "command": []any{key, word, "mysql", word}, "environment": []any{map[string]any{"name": key, "value": "the secret of it " + word}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := maskDefinition(body)
		if err != nil {
			t.Fatal(err)
		}
		if key != "environment" && key != "command" && got != "" && (strings.Contains(got, "the secret of it") || !json.Valid([]byte(got))) {
			t.Errorf("got %s", got)
		}
	})
}
