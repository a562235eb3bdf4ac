package aws

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// Where every task that is elected has ended by then, a run asks for twenty of them, each by a token of its own, and says so.
func TestAnElectionOfEndedTasksEnds(t *testing.T) {
	t.Parallel()
	task := arnOf("task", "automation/"+strings.Repeat("a", 32))
	f := newFake(t, map[string]answer{
		"DescribeTaskDefinition": func(map[string]any) any {
			return map[string]any{"taskDefinition": map[string]any{
				"taskDefinitionArn": arnOf(taskDefinition, "web:1"), "family": "web",
				"containerDefinitions": []map[string]any{{"name": "app", "environment": []map[string]any{{"name": TTLVariable, "value": ""}}}},
			}}
		},
		"GetCallerIdentity": func(map[string]any) any {
			return raw{Body: `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account><UserId>me</UserId><Arn>arn:aws:iam::111122223333:user/me</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`}
		},
		"ListTasks": func(map[string]any) any { return map[string]any{"taskArns": []string{}} },
		"RunTask":   func(map[string]any) any { return map[string]any{"tasks": []map[string]any{{"taskArn": task}}} },
		"DescribeTasks": func(map[string]any) any {
			return map[string]any{"tasks": []map[string]any{{"taskArn": task, "desiredStatus": "STOPPED", "lastStatus": "STOPPED"}}}
		},
	})
	c, err := Connect(t.Context(), Options{Region: "eu-west-1", Endpoint: f.URL, Keys: Keys{ID: "AKIDEXAMPLE", Secret: "example"}})
	if err != nil {
		t.Fatal(err)
	}
	order := Order{Cluster: "automation", Definition: "web", TTL: time.Hour, Share: true}
	_, err = c.Start(t.Context(), order, NewRun(order, time.Now()))
	if refused, ok := errors.AsType[*PlacementError](err); !ok || !strings.Contains(text(refused), "have all ended") {
		t.Errorf("got %v, want that all have ended", err)
	}
	var tokens []string
	for _, call := range f.calls("RunTask") {
		token, _ := call["clientToken"].(string)
		tokens = append(tokens, token)
	}
	slices.Sort(tokens)
	if len(tokens) != 20 || len(slices.Compact(tokens)) != 20 {
		t.Errorf("%d calls by %d tokens, want 20 each", len(tokens), len(slices.Compact(tokens)))
	}
}
