package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cihub/seelog.(*asyncLoopLogger).processQueue"))
}

// fake is an AWS endpoint that answers what a test tells it to, good manners not included.
type fake struct {
	*httptest.Server

	mu      sync.Mutex
	answers map[string]answer
	seen    map[string][]map[string]any // input of each call by action
	headers map[string]http.Header      // of the last call by action
}

// answer makes the result of a call: any JSON, a refusal, or raw bytes.
type answer func(in map[string]any) any

type refusal struct {
	Status        int
	Code, Message string
	Header        http.Header
}

type raw struct {
	Status int
	Body   string
}

func newFake(t *testing.T, answers map[string]answer) *fake {
	t.Helper()
	f := &fake{answers: answers, seen: map[string][]map[string]any{}, headers: map[string]http.Header{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	in := map[string]any{}
	_, action, isJSON := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if isJSON {
		_ = json.Unmarshal(body, &in)
	} else {
		_ = r.ParseForm()
		for pair := range strings.SplitSeq(string(body), "&") {
			name, value, _ := strings.Cut(pair, "=")
			in[name] = strings.NewReplacer("%3A", ":", "%2F", "/").Replace(value)
		}
		action, _ = in["Action"].(string)
	}
	f.mu.Lock()
	f.seen[action] = append(f.seen[action], in)
	f.headers[action] = r.Header
	answer := f.answers[action]
	f.mu.Unlock()
	if answer == nil {
		answer = func(map[string]any) any { return refusal{Code: "UnknownOperationException", Message: action} }
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch a := answer(in).(type) {
	case refusal:
		maps.Copy(w.Header(), a.Header)
		w.WriteHeader(max(a.Status, 400))
		if isJSON {
			encode(w, map[string]string{"__type": a.Code, "message": a.Message})
			return
		}
		_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", a.Code, a.Message)
	case raw:
		w.WriteHeader(max(a.Status, 200))
		_, _ = io.WriteString(w, a.Body)
	default:
		encode(w, a)
	}
}

func encode(w io.Writer, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

// calls returns the inputs of an action so far.
func (f *fake) calls(action string) []map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]map[string]any(nil), f.seen[action]...)
}

func (f *fake) header(action string) http.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.headers[action]
}

// isolate keeps the machine's own AWS, proxy and GitHub settings out of a test, and returns its home directory.
func isolate(t *testing.T) string {
	t.Helper()
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		for _, prefix := range []string{"AWS_", "REQUESTS_CA_BUNDLE", "GITHUB_", "ACTIONS_", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "BITBUCKET_", "TF_BUILD", "JENKINS_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "") // restores it afterwards
				_ = os.Unsetenv(name)
			}
		}
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, "credentials"))
	return home
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// connect is a client of the fake with keys that need no looking up.
func (f *fake) connect(t *testing.T) *Client {
	t.Helper()
	c, err := Connect(t.Context(), Options{Region: "eu-west-1", Endpoint: f.URL, Keys: Keys{ID: "AKIDEXAMPLE", Secret: "example"}})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return c
}

// connectEnv is a client as a user's environment makes it, with two attempts per call so that failures come soon.
func (f *fake) connectEnv(t *testing.T, o Options) (*Client, error) {
	t.Helper()
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "example")
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ENDPOINT_URL", f.URL)
	return Connect(t.Context(), o)
}

// text is how a face shows an error.
func text(err error) string {
	if err == nil {
		return "<nil>"
	}
	if own, ok := explained(err, ""); ok {
		return err.Error() + "\n→ " + own.Remedy()
	}
	return err.Error()
}

// mustSay fails unless error and remedy contain every part.
func mustSay(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text(err), part) {
			t.Errorf("got error %s\nwant it to contain %q", text(err), part)
		}
	}
}

// mustBe fails unless the error is of type E, and returns it.
func mustBe[E error](t *testing.T, err error) E {
	t.Helper()
	want, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("got error %T %s\nwant %T", err, text(err), want)
	}
	return want
}

// bytesClient is an HTTP client that answers every call but ListTasks with the same bytes, without a network.
type bytesClient struct{ answered []byte }

func (b *bytesClient) Do(r *http.Request) (*http.Response, error) {
	body := b.answered
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ListTasks") {
		body = []byte(`{"taskArns":["arn:aws:ecs:eu-west-1:1:task/a/bbbb"]}`)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}
