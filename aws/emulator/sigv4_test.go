package emulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

// signed makes a request as AWS's own signer signs it.
func signed(t *testing.T, method, url string, body []byte, service string, at time.Time) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	sum := sha256.Sum256(body)
	key := aws.Credentials{AccessKeyID: staticKeyID, SecretAccessKey: staticSecret}
	if err := v4.NewSigner().SignHTTP(t.Context(), key, r, hex.EncodeToString(sum[:]), service, "eu-west-1", at); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSignaturesOfAWSAreUnderstood(t *testing.T) {
	e := open(t, Options{})
	for _, url := range []string{
		"http://127.0.0.1:1/",
		"http://127.0.0.1:1/v1/data-channel/demo-0123456789abcdef0?role=publish_subscribe&cell-number=AAEAAQ%3D%3D",
		"http://127.0.0.1:1/v1/data-channel/a@b,c=d+e-0f?b=2&a=1&a=0&empty=&space=a+b%2Fc",
		"http://localhost/path%20with/%C3%A4?x=%C3%A4%20~-_.",
	} {
		r := signed(t, http.MethodGet, url, nil, "ssmmessages", time.Now())
		r.Header.Set("User-Agent", "changed afterwards, as proxies do")
		if who, err := e.verify(r, "ssmmessages", nil); err != nil || who.ARN != "arn:aws:iam::111122223333:user/demo" || who.AccessKey != staticKeyID {
			t.Errorf("verify %s = %+v, %v", url, who, err)
		}
	}
	r := signed(t, http.MethodPost, "http://127.0.0.1:1/", []byte("body"), "ecs", time.Now())
	if _, err := e.verify(r, "ecs", []byte("body")); err != nil {
		t.Errorf("verify a POST: %v", err)
	}
}

func TestWrongSignaturesAreRefused(t *testing.T) {
	e := open(t, Options{})
	const url = "http://127.0.0.1:1/?a=b"
	for _, c := range []struct {
		what, want, text string
		at               time.Duration
		spoil            func(*http.Request)
	}{
		{what: "none", want: "MissingAuthenticationTokenException", spoil: func(r *http.Request) { r.Header.Del("Authorization") }},
		{what: "not SigV4", want: "IncompleteSignatureException", spoil: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }},
		{what: "cut short", want: "IncompleteSignatureException", spoil: func(r *http.Request) {
			r.Header.Set("Authorization", r.Header.Get("Authorization")[:60])
		}},
		{what: "unknown key", want: "UnrecognizedClientException", spoil: func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), staticKeyID, "AKIANOBODY", 1))
		}},
		{what: "a token that the key has not", want: "UnrecognizedClientException", spoil: func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t") }},
		{what: "another query", want: "InvalidSignatureException", text: "does not match", spoil: func(r *http.Request) { r.URL.RawQuery = "a=c" }},
		{what: "another host", want: "InvalidSignatureException", text: "does not match", spoil: func(r *http.Request) { r.Host = "elsewhere" }},
		{what: "another method", want: "InvalidSignatureException", spoil: func(r *http.Request) { r.Method = http.MethodPut }},
		{what: "an unsigned target", want: "InvalidSignatureException", text: "SignedHeader", spoil: func(r *http.Request) { r.Header.Set("X-Amz-Target", "x") }},
		{what: "another body", want: "InvalidSignatureException", spoil: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "00") }},
		{what: "an hour old", want: "InvalidSignatureException", text: "Signature expired", at: -time.Hour},
		{what: "of tomorrow", want: "InvalidSignatureException", text: "Signature not yet current", at: 24 * time.Hour},
	} {
		r := signed(t, http.MethodGet, url, nil, "ecs", time.Now().Add(c.at))
		if c.spoil != nil {
			c.spoil(r)
		}
		_, err := e.verify(r, "ecs", nil)
		if err == nil || asAPIError(err).Code != c.want || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %s %s", c.what, err, c.want, c.text)
		}
	}
	if _, err := e.verify(signed(t, http.MethodGet, url, nil, "ssm", time.Now()), "ecs", nil); err == nil {
		t.Error("signed for another service: taken")
	}
}

func TestWrongSecretIsRefusedOverTheWire(t *testing.T) {
	e := open(t, Options{})
	config := sdk(t, e)
	config.Credentials = credentials.NewStaticCredentialsProvider(staticKeyID, "wrong", "")
	if _, err := ecs.NewFromConfig(config).ListClusters(t.Context(), nil); code(err) != "InvalidSignatureException" {
		t.Errorf("wrong secret: %v, want InvalidSignatureException", err)
	}
}

func TestRefusalsHaveTheShapeOfAWS(t *testing.T) {
	e := open(t, Options{})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	post := func(header, value string, body io.Reader) (fetched, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL(), body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(header, value)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fetched{status: resp.StatusCode, header: resp.Header}, text
	}
	for _, c := range []struct {
		header, value string
		body          io.Reader
		status        int
		want          string
	}{
		{"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListClusters", nil, 400, "MissingAuthenticationTokenException"},
		{"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.Nonsense", nil, 400, "UnknownOperationException"},
		{"X-Amz-Target", "Nobody.Nonsense", nil, 400, "UnknownOperationException"},
		{"X-Other", "", nil, 404, "UnknownOperationException"},
		{"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListClusters", bytes.NewReader(make([]byte, maxBody+1)), 413, "RequestEntityTooLargeException"},
	} {
		resp, text := post(c.header, c.value, c.body)
		var body struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatalf("%s: body %q: %v", c.value, text, err)
		}
		if resp.status != c.status || body.Type != c.want || body.Message == "" || resp.header.Get("X-Amzn-Requestid") == "" || resp.header.Get("Date") == "" {
			t.Errorf("%s: %d %s %v, want %d %s with request id and date", c.value, resp.status, text, resp.header, c.status, c.want)
		}
	}
	resp, text := post("Content-Type", "application/x-www-form-urlencoded", strings.NewReader("Action=GetCallerIdentity&Version=2011-06-15"))
	if resp.status != http.StatusForbidden || !strings.Contains(string(text), "<Code>MissingAuthenticationToken</Code>") {
		t.Errorf("unsigned STS call: %d %s", resp.status, text)
	}
}
