package aws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func squid() Target {
	return Target{Cluster: "automation", Service: "squid", Task: strings.Repeat("a", 32), Container: "squid", RuntimeID: strings.Repeat("a", 32) + "-0123456789"}
}

func TestSessionIsStartedForContainerAndDocument(t *testing.T) {
	isolate(t)
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_RUN_ID", "4711")
	t.Setenv("GITHUB_RUN_ATTEMPT", "1")
	t.Setenv("GITHUB_REPOSITORY", strings.Repeat("long/", 100))
	f := newFake(t, map[string]answer{"StartSession": func(map[string]any) any {
		return map[string]string{"SessionId": "me-0123", "StreamUrl": "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/me-0123", "TokenValue": "secret"}
	}})
	got, err := f.connect(t).StartSession(t.Context(), squid(), PortForwardTo("db.internal", 5432))
	if err != nil {
		t.Fatal(text(err))
	}
	if want := (Session{ID: "me-0123", StreamURL: "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/me-0123", Token: "secret"}); got.ID != want.ID || got.StreamURL != want.StreamURL || got.Token != want.Token {
		t.Error("got another session than the answer's")
	}
	in := f.calls("StartSession")[0]
	if want := "ecs:automation_" + squid().Task + "_" + squid().RuntimeID; in["Target"] != want {
		t.Errorf("got target %v, want %s", in["Target"], want)
	}
	if got := fmt.Sprint(in["DocumentName"], in["Parameters"]); got != "AWS-StartPortForwardingSessionToRemoteHostmap[host:[db.internal] localPortNumber:[0] portNumber:[5432]]" {
		t.Errorf("got %s", got)
	}
	reason, _ := in["Reason"].(string)
	if !strings.HasPrefix(reason, "culvert: GitHub run 4711") || len(reason) > 256 {
		t.Errorf("got reason %q of %d bytes, want the run in at most 256", reason, len(reason))
	}
}

func TestStartSessionRefusals(t *testing.T) {
	user := "User: arn:aws:sts::111122223333:assumed-role/ci/culvert-1-1 is not authorized to perform: ssm:StartSession on resource: "
	for _, test := range []struct {
		name    string
		refusal refusal
		says    []string
	}{
		{"document not granted", refusal{Code: "AccessDeniedException", Message: user + "arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSession because no identity-based policy allows the ssm:StartSession action"}, []string{
			"document/AWS-StartPortForwardingSession", "no identity-based policy", "role ci",
			`"Resource":["arn:aws:ecs:eu-west-1:111122223333:task/automation/*","arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSession"]`,
			`"Condition":{"BoolIfExists":{"ssm:SessionDocumentAccessCheck":"true"}}`,
		}},
		{"denied by the organisation", refusal{Code: "AccessDeniedException", Message: user + "arn:aws:ecs:eu-west-1:111122223333:task/automation/aaaa with an explicit deny in a service control policy"}, []string{
			"explicit deny in a service control policy", "a deny outweighs every allow",
		}},
		{"no connection", refusal{Code: "TargetNotConnected", Message: "ecs:automation_x is not connected."}, []string{"no connection to automation/squid/", "may have been replaced", "ssmmessages.eu-west-1"}},
		{"document unknown", refusal{Code: "InvalidDocument", Message: "Document with name AWS-StartPortForwardingSession does not exist."}, []string{"no document AWS-StartPortForwardingSession in eu-west-1", "describe-document"}},
		{"parameters", refusal{Code: "ValidationException", Message: "portNumber must match"}, []string{"ssm:StartSession: ValidationException: portNumber must match", "--log-level debug"}},
		{"key unknown", refusal{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}, []string{"AWS rejects the credentials", "get-caller-identity"}},
		{"clock", refusal{Status: 403, Code: "InvalidSignatureException", Message: "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z", Header: http.Header{"Date": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}}, []string{"clock is", "behind of AWS's", "set the clock"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			isolate(t)
			f := newFake(t, map[string]answer{"StartSession": func(map[string]any) any { return test.refusal }})
			c, err := f.connectEnv(t, Options{})
			if err != nil {
				t.Fatal(text(err))
			}
			_, err = c.StartSession(t.Context(), squid(), PortForward(3128))
			mustSay(t, err, append(test.says, "start session: ")...)
		})
	}
}

func TestOverSessionIsResumedWithoutTokenAndEndsQuietly(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{
		"ResumeSession":    func(map[string]any) any { return refusal{Code: "DoesNotExistException", Message: "gone"} },
		"TerminateSession": func(map[string]any) any { return refusal{Code: "DoesNotExistException", Message: "gone"} },
	})
	c := f.connect(t)
	got, err := c.ResumeSession(t.Context(), "me-0123")
	if err != nil || got.Token != "" || got.ID != "me-0123" {
		t.Errorf("got %v, %v; want a session without a token", got, err)
	}
	if err := c.TerminateSession(t.Context(), "me-0123"); err != nil {
		t.Errorf("got %v, want no error for a session that is over", err)
	}
}

// What the API names stands in logs, in records and in commands that are pasted into a shell.
func TestSessionsHaveTheFormOfAWS(t *testing.T) {
	isolate(t)
	const id, url, token = "me@example.com_a=b,c+d.e-0123", "wss://ssmmessages.eu-west-1.amazonaws.com/x", "AAEAA+/=secret"
	for name, test := range map[string]struct {
		id, url, token string
		good           bool
	}{
		"as AWS has it":       {id, url, token, true},
		"longest id":          {strings.Repeat("a", 96), url, token, true},
		"command in the id":   {"s-$(touch x)", url, token, false},
		"backquotes":          {"s-`id`", url, token, false},
		"semicolon":           {"s-1;id", url, token, false},
		"path":                {"../../s-1", url, token, false},
		"line break":          {"s-1\nTouch", url, token, false},
		"escape":              {"s-1\x1b[2J", url, token, false},
		"blank":               {"s 1", url, token, false},
		"letters of others":   {"s-ä", url, token, false},
		"lone byte":           {"s-\xff", url, token, false},
		"endless id":          {strings.Repeat("a", 97), url, token, false},
		"no id":               {"", url, token, false},
		"blank in the token":  {id, url, "a b", false},
		"line in the token":   {id, url, "a\r\nX: y", false},
		"endless token":       {id, url, strings.Repeat("a", 5000), false},
		"blank in the URL":    {id, url + "/ y", token, false},
		"escape in the URL":   {id, url + "\x1b", token, false},
		"letters in the URL":  {id, url + "/ä", token, false},
		"endless URL":         {id, url + strings.Repeat("/x", 3000), token, false},
		"no URL with a token": {id, "", token, false},
	} {
		session := func(map[string]any) any {
			return map[string]any{"SessionId": test.id, "StreamUrl": test.url, "TokenValue": test.token}
		}
		f := newFake(t, map[string]answer{"StartSession": session, "ResumeSession": session, "DescribeSessions": func(map[string]any) any {
			return map[string]any{"Sessions": []any{map[string]any{"SessionId": test.id}}}
		}})
		c := f.connect(t)
		refused := func(call string, good bool, err error) {
			if (err == nil) != good {
				t.Errorf("%s: %s: got %v, want good %t", name, call, err, good)
			}
			if err != nil {
				_ = mustBe[*AnswerError](t, err)
			}
			for _, said := range []string{"secret", "touch", "\x1b", "ä"} {
				if strings.Contains(text(err), said) {
					t.Errorf("%s: %s quotes the answer: %s", name, call, text(err))
				}
			}
		}
		_, err := c.StartSession(t.Context(), squid(), PortForward(3128))
		refused("StartSession", test.good, err)
		_, err = c.ActiveSessions(t.Context(), "arn:aws:iam::111122223333:user/me")
		refused("DescribeSessions", isSessionID(test.id), err)
		if test.url != url || test.token != token { // the id is the caller's
			_, err = c.ResumeSession(t.Context(), id)
			refused("ResumeSession", false, err)
		}
	}
	if err := newFake(t, nil).connect(t).CheckStreamURL("wss://ssmmessages.eu-west-1.amazonaws.com/" + strings.Repeat("x", 5000)); err == nil {
		t.Error("an endless stream URL is none")
	}
}

func TestResumeDeniedNamesSessionStatement(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{"ResumeSession": func(map[string]any) any {
		return refusal{Code: "AccessDeniedException", Message: "User: arn:aws:sts::111122223333:assumed-role/ci/x is not authorized to perform: ssm:ResumeSession on resource: arn:aws:ssm:eu-west-1:111122223333:session/x-1"}
	}})
	_, err := f.connect(t).ResumeSession(t.Context(), "x-1")
	mustSay(t, err, `"Action":["ssm:ResumeSession","ssm:TerminateSession"],"Resource":["arn:aws:ssm:eu-west-1:111122223333:session/*"]`, "${aws:userid}")
	if Temporary(err) {
		t.Error("a denial does not mend itself")
	}
}

// Users log what they have at hand; a token in a log is a way into the task.
func TestSessionNeverShowsItsToken(t *testing.T) {
	s := Session{ID: "me-0123", StreamURL: "wss://host/v1?X-Amz-Signature=sig-secret", Token: "token-secret"}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("opened", "session", s, "pointer", &s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("opened", "session", s)
	encoded, err := json.Marshal(map[string]any{"session": s})
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, &s) + fmt.Sprintf(verb, []Session{s})
	}
	if strings.Contains(shown, "secret") {
		t.Errorf("a secret is shown: %s", shown)
	}
	if !strings.Contains(shown, "me-0123") {
		t.Errorf("got %s, want the id", shown)
	}
}

func TestStreamURLMustLeadToSessionManager(t *testing.T) {
	isolate(t)
	client := func(region, endpoint string) *Client {
		return must(Connect(t.Context(), Options{Region: region, Endpoint: endpoint, Keys: Keys{ID: "a", Secret: "b"}}))
	}
	for _, test := range []struct {
		region, url string
		good        bool
	}{
		{"eu-west-1", "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/x?role=publish_subscribe&cell-number=A", true},
		{"eu-west-1", "wss://SSMMESSAGES.eu-west-1.amazonaws.com:443/v1/data-channel/x", true},
		{"eu-west-1", "wss://ssmmessages-fips.eu-west-1.amazonaws.com/v1/data-channel/x", true},
		{"eu-west-1", "wss://ssmmessages.eu-west-1.api.aws/v1/data-channel/x", true},
		{"cn-north-1", "wss://ssmmessages.cn-north-1.amazonaws.com.cn/v1/data-channel/x", true},
		{"cn-north-1", "wss://ssmmessages.cn-north-1.amazonaws.com/v1/data-channel/x", false},
		{"us-gov-west-1", "wss://ssmmessages-fips.us-gov-west-1.amazonaws.com/x", true},
		{"eu-west-1", "ws://ssmmessages.eu-west-1.amazonaws.com/x", false},
		{"eu-west-1", "https://ssmmessages.eu-west-1.amazonaws.com/x", false},
		{"eu-west-1", "wss://ssmmessages.us-east-1.amazonaws.com/x", false},
		{"eu-west-1", "wss://ssmmessages.eu-west-1.amazonaws.com.evil.example/x", false},
		{"eu-west-1", "wss://ssmmessages.eu-west-1.amazonaws.com@evil.example/x", false},
		{"eu-west-1", "wss://evil.example/ssmmessages.eu-west-1.amazonaws.com", false},
		{"eu-west-1", "wss://ssmmessages.eu-west-1.amazonaws.com:8443/x", false},
		{"eu-west-1", "wss://127.0.0.1/x", false},
		{"eu-west-1", "wss:///x", false},
		{"eu-west-1", "", false},
		{"eu-west-1", "://", false},
	} {
		err := client(test.region, "").CheckStreamURL(test.url)
		if (err == nil) != test.good {
			t.Errorf("%s in %s: got %v, want good %v", test.url, test.region, err, test.good)
		}
		if err != nil {
			_ = mustBe[*StreamURLError](t, err)
			mustSay(t, err, "refuse stream URL", "AWS_ENDPOINT_URL_SSM")
		}
	}
	overridden := client("eu-west-1", "http://127.0.0.1:4566")
	if err := overridden.CheckStreamURL("ws://127.0.0.1:4567/v1/data-channel/x"); err != nil {
		t.Errorf("got %v with the endpoint overridden, want none", err)
	}
	if err := overridden.CheckStreamURL("http://127.0.0.1/x"); err == nil {
		t.Error("an http URL is no stream URL, overridden or not")
	}
}

func TestSSMEndpointMayBeOverriddenAnywhere(t *testing.T) {
	const static = "region = eu-west-1\naws_access_key_id = a\naws_secret_access_key = b\n"
	for _, test := range []struct {
		name       string
		env        map[string]string
		config     string
		endpoint   string
		overridden bool
	}{
		{"nowhere", nil, "[default]\n" + static, "", false},
		{"flag", nil, "[default]\n" + static, "http://127.0.0.1:1", true},
		{"environment", map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "[default]\n" + static, "", true},
		{"environment for SSM", map[string]string{"AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:1"}, "[default]\n" + static, "", true},
		{"environment for ECS alone", map[string]string{"AWS_ENDPOINT_URL_ECS": "http://127.0.0.1:1"}, "[default]\n" + static, "", false},
		{"profile", nil, "[default]\nendpoint_url = http://127.0.0.1:1\n" + static, "", true},
		{"profile's services", nil, "[default]\nservices = local\n" + static + "[services local]\nssm =\n  endpoint_url = http://127.0.0.1:1\n", "", true},
		{"ignored", map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "[default]\n" + static, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := isolate(t)
			write(t, home+"/config", test.config)
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			c, err := Connect(t.Context(), Options{Endpoint: test.endpoint})
			if err != nil {
				t.Fatal(text(err))
			}
			if got := c.Overridden(); got != test.overridden {
				t.Errorf("got overridden %v, want %v", got, test.overridden)
			}
		})
	}
}

// The flag is what the user typed last: it wins over a service's own variable.
func TestEndpointFlagWinsOverServiceVariable(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{"ListClusters": func(map[string]any) any { return map[string]any{"clusterArns": []string{}} }})
	t.Setenv("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:1")
	c := must(Connect(t.Context(), Options{Region: "eu-west-1", Endpoint: f.URL, Keys: Keys{ID: "a", Secret: "b"}}))
	if _, err := c.Discover(t.Context()); err != nil {
		t.Error(text(err))
	}
}

func TestUpgradeIsSignedUnlessPresigned(t *testing.T) {
	isolate(t)
	c := must(Connect(t.Context(), Options{Region: "eu-west-1", Keys: Keys{ID: "AKIDEXAMPLE", Secret: "secret", Session: "session"}}))
	request := &http.Request{URL: must(url.Parse("wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/x?role=publish_subscribe")), Header: http.Header{"Sec-Websocket-Protocol": {"x"}}}
	if err := c.SignUpgrade(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	authorization := request.Header.Get("Authorization")
	for _, part := range []string{"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/", "/eu-west-1/ssmmessages/aws4_request", "SignedHeaders=host;x-amz-date;x-amz-security-token,"} {
		if !strings.Contains(authorization, part) {
			t.Errorf("got authorization %q, want %q in it", authorization, part)
		}
	}
	if got := request.Header.Get("X-Amz-Security-Token"); got != "session" {
		t.Errorf("got security token %q", got)
	}
	presigned := &http.Request{URL: must(url.Parse("wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/x?X-Amz-Signature=abc")), Header: http.Header{}}
	if err := c.SignUpgrade(t.Context(), presigned); err != nil || len(presigned.Header) != 0 {
		t.Errorf("got %v, headers %v; want a presigned URL left alone", err, presigned.Header)
	}
}

// The SDK corrects the time of its own signatures by AWS's clock; the upgrade's must not stay behind.
func TestUpgradeIsSignedByAWSClock(t *testing.T) {
	isolate(t)
	ahead := 2 * time.Hour
	f := newFake(t, nil)
	f.answers = map[string]answer{"StartSession": func(map[string]any) any {
		return map[string]string{"SessionId": "s", "StreamUrl": "wss://x", "TokenValue": "t"}
	}}
	skewed := f.Config.Handler
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		skewed.ServeHTTP(w, r)
	})
	c := f.connect(t)
	if _, err := c.StartSession(t.Context(), squid(), PortForward(3128)); err != nil {
		t.Fatal(text(err))
	}
	request := &http.Request{URL: must(url.Parse("wss://ssmmessages.eu-west-1.amazonaws.com/"))}
	if err := c.SignUpgrade(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	signed := must(time.Parse("20060102T150405Z", request.Header.Get("X-Amz-Date")))
	if off := time.Until(signed) - ahead; off.Abs() > 5*time.Second {
		t.Errorf("signed at %s, want AWS's time two hours ahead (off by %s)", signed, off)
	}
}

func TestDataKeyHas64Bytes(t *testing.T) {
	isolate(t)
	size := 64
	f := newFake(t, map[string]answer{"GenerateDataKey": func(map[string]any) any {
		return map[string]any{"Plaintext": make([]byte, size), "CiphertextBlob": []byte("sealed")}
	}})
	c := f.connect(t)
	key := "arn:aws:kms:eu-west-1:111122223333:key/k"
	plain, sealed, err := c.GenerateDataKey(t.Context(), key, map[string]string{"aws:ssm:SessionId": "x"})
	if err != nil || len(plain) != 64 || string(sealed) != "sealed" {
		t.Errorf("got %d bytes, %q, %v", len(plain), sealed, err)
	}
	size = 16
	if _, _, err := c.GenerateDataKey(t.Context(), key, nil); err == nil {
		t.Error("a key of 16 bytes is taken")
	}
}
