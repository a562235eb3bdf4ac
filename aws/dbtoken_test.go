package aws

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
)

// botocore makes the tokens of `aws rds generate-db-auth-token`.
func TestDatabaseTokensAreThoseOfBotocore(t *testing.T) {
	python := need.Command(t, "python3")
	type form struct {
		Host    string `json:"host"`
		Port    uint16 `json:"port"`
		User    string `json:"user"`
		Region  string `json:"region"`
		ID      string `json:"id"`
		Secret  string `json:"secret"`
		Session string `json:"session"`
		Date    string `json:"date"`
	}
	cases := []form{
		{Host: "orders.c9abc.eu-west-1.rds.amazonaws.com", Port: 5432, User: "app", Region: "eu-west-1"},
		{Host: "orders.c9abc.eu-west-1.rds.amazonaws.com", Port: 3307, User: "app", Region: "eu-west-1", Session: "FwoGZXIvYXdzE+/=="},
		{Host: "orders.cluster-ro-c9.us-east-2.rds.amazonaws.com", Port: 5432, User: "app", Region: "us-east-2"}, // named by an environment in eu-west-1
		{Host: "db.internal", Port: 5432, User: "kim o'hara+x@example.com/ä &=%", Region: "eu-west-1"},
		{Host: "orders.c9abc.cn-north-1.rds.amazonaws.com.cn", Port: 5432, User: "app", Region: "cn-north-1"},
	}
	var tokens []*url.URL
	for i := range cases {
		f := &cases[i]
		f.ID, f.Secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
		c, err := Connect(t.Context(), Options{Region: "eu-west-1", Keys: Keys{ID: f.ID, Secret: f.Secret, Session: f.Session}})
		if err != nil {
			t.Fatal(err)
		}
		before := time.Now().UTC().Truncate(time.Second)
		token, err := c.DatabaseToken(t.Context(), strings.ToUpper(f.Host)+".", f.Port, f.User)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, parsedToken(t, token))
		f.Date = tokens[i].Query().Get("X-Amz-Date")
		if at, err := time.Parse("20060102T150405Z", f.Date); err != nil || at.Before(before) || at.After(time.Now()) {
			t.Errorf("got signed at %q, want now", f.Date)
		}
	}
	input, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/dbtoken.py")
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ask botocore: %v", err)
	}
	var said []string
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	for i, got := range tokens {
		want := parsedToken(t, said[i])
		if got.Host != want.Host || got.Path != want.Path || got.Query().Encode() != want.Query().Encode() {
			t.Errorf("%s as %s: got\n%s\nbotocore makes\n%s", cases[i].Host, cases[i].User, got, want)
		}
	}
}

func parsedToken(t *testing.T, token string) *url.URL {
	t.Helper()
	u, err := url.Parse("https://" + token)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
