package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/ui/control"
)

// home is an empty home directory, without anything of AWS's in the environment.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "CULVERT_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	return dir
}

func TestNamesAreRememberedForEachAccountApart(t *testing.T) {
	dir := home(t)
	n := nameFile(dir, control.Account{Profile: "dev"})
	n.put("clusters", []string{"a", "b"})
	n.write()
	if got, ok := nameFile(dir, control.Account{Profile: "dev"}).find("clusters", namesLast); !ok || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q, %t", got, ok)
	}
	info, err := os.Stat(n.path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want mode 0600", info, err)
	}
	for name, other := range map[string]func() control.Account{
		"profile":  func() control.Account { return control.Account{Profile: "prod"} },
		"region":   func() control.Account { return control.Account{Profile: "dev", Region: "eu-west-1"} },
		"endpoint": func() control.Account { return control.Account{Profile: "dev", Endpoint: "http://127.0.0.1:1"} },
		"role":     func() control.Account { return control.Account{Profile: "dev", Role: "arn:aws:iam::1:role/x"} },
		"config": func() control.Account {
			_ = os.MkdirAll(filepath.Join(dir, ".aws"), 0o700)
			if err := os.WriteFile(filepath.Join(dir, ".aws", "config"), []byte("[default]\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return control.Account{Profile: "dev"}
		},
		"access key": func() control.Account {
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIDOTHER")
			return control.Account{Profile: "dev"}
		},
	} {
		if got, ok := nameFile(dir, other()).find("clusters", namesLast); ok {
			t.Errorf("another %s is offered %q", name, got)
		}
	}
}

func TestNamesGrowOldAndNeverMany(t *testing.T) {
	dir := home(t)
	n := nameFile(dir, control.Account{})
	for i := range 2 * mostNameLists {
		n.put(fmt.Sprint("services ", i), []string{"x"})
	}
	n.lists["old"] = nameList{At: time.Now().Add(-2 * namesLast), Names: []string{"was"}}
	if _, ok := n.find("old", namesLast); ok {
		t.Error("a list of two minutes ago is offered")
	}
	if got, ok := n.find("old", namesKept); !ok || got[0] != "was" {
		t.Error("a list of two minutes ago is forgotten")
	}
	n.lists["ahead"] = nameList{At: time.Now().Add(namesLast), Names: []string{"later"}}
	if _, ok := n.find("ahead", namesKept); ok {
		t.Error("a list of the future is offered")
	}
	n.put("many", make([]string, mostNames+1))
	if _, ok := n.find("many", namesLast); ok {
		t.Error("a list without bounds is remembered")
	}
	n.write()
	if again := nameFile(dir, control.Account{}); len(again.lists) > mostNameLists {
		t.Errorf("%d lists are remembered", len(again.lists))
	}
	for i := range 2 * mostNameFiles {
		n := nameFile(dir, control.Account{Profile: fmt.Sprint(i)})
		n.put("clusters", []string{"a"})
		n.write()
	}
	files, err := os.ReadDir(filepath.Dir(n.path))
	if err != nil || len(files) > mostNameFiles {
		t.Errorf("%d files are kept, %v", len(files), err)
	}
}

func TestWhatIsNoListOfNamesIsPassedOver(t *testing.T) {
	dir := home(t)
	n := nameFile(dir, control.Account{})
	if err := os.MkdirAll(filepath.Dir(n.path), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "null", "[1]", `{"clusters": 3}`, strings.Repeat("x", mostNameBytes+2)} {
		if err := os.WriteFile(n.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		again := nameFile(dir, control.Account{})
		again.put("clusters", []string{"a"}) // and written anew
		again.write()
		if got, ok := nameFile(dir, control.Account{}).find("clusters", namesLast); !ok || len(got) != 1 {
			t.Errorf("after %.20q: got %q", text, got)
		}
	}
	if err := os.WriteFile(n.path, []byte(`{"clusters":{"at":"`+time.Now().UTC().Format(time.RFC3339)+`","names":["good","bad\u001b]0;x"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	found, _ := nameFile(dir, control.Account{}).find("clusters", namesLast)
	if got, _ := offered(found); !slices.Equal(got, []string{"good"}) {
		t.Errorf("got %q, want only what can be shown", got)
	}
}

// slowECS answers a list's first page and is silent then, as a throttled account may be.
func slowECS(t *testing.T, answer func() bool) *aws.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			NextToken string `json:"nextToken"`
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		if in.NextToken != "" || !answer() {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write([]byte(`{"clusterArns":["arn:aws:ecs:eu-west-1:111122223333:cluster/first"],"nextToken":"more"}`))
	}))
	t.Cleanup(s.Close)
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: s.URL, Keys: aws.Keys{ID: "AKIDEXAMPLE", Secret: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestWhatDoesNotComeInTimeIsCompletedAllTheSame(t *testing.T) {
	dir := home(t)
	answers := true
	client := slowECS(t, func() bool { return answers })
	press := func(known *nameCache) []string {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		c := &completer{ctx: ctx, known: known}
		c.opening.Do(func() { c.account = &account{client: client} })
		return c.clusters()
	}
	known := nameFile(dir, control.Account{})
	if got := press(known); !slices.Equal(got, []string{"first"}) {
		t.Errorf("got %q, want what has come", got)
	}
	if _, ok := known.find("clusters", namesLast); ok {
		t.Error("half a list is remembered")
	}
	answers = false
	known.lists["clusters"] = nameList{At: time.Now().Add(-2 * namesLast), Names: []string{"before"}}
	if got := press(known); !slices.Equal(got, []string{"before"}) {
		t.Errorf("got %q, want what was there a while ago", got)
	}
}
