package aws

import (
	"strings"
	"testing"
)

func TestStreamEndpointReplacesHostAndKeepsTheRest(t *testing.T) {
	const said = "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/me-1?role=publish_subscribe"
	const presigned = said + "&X-Amz-Signature=s"
	for endpoint, test := range map[string]struct{ said, url, host string }{
		"https://vpce-1.example":         {said, "wss://vpce-1.example/v1/data-channel/me-1?role=publish_subscribe", ""},
		"wss://vpce-1.example:8443/":     {said, "wss://vpce-1.example:8443/v1/data-channel/me-1?role=publish_subscribe", ""},
		"http://127.0.0.1:1/behind/a%2F": {said, "ws://127.0.0.1:1/behind/a%2F/v1/data-channel/me-1?role=publish_subscribe", ""},
		"https://vpce-2.example":         {presigned, "wss://vpce-2.example/v1/data-channel/me-1?role=publish_subscribe&X-Amz-Signature=s", "ssmmessages.eu-west-1.amazonaws.com"},
		"":                               {said, said, ""},
	} {
		t.Run(endpoint, func(t *testing.T) {
			c := must(Connect(t.Context(), Options{Region: "eu-west-1", Keys: Keys{ID: "a", Secret: "b"}, StreamEndpoint: endpoint}))
			got, err := c.Upgrade(t.Context(), Session{ID: "me-1", StreamURL: test.said, Token: "secret"})
			if err != nil {
				t.Fatal(err)
			}
			if got.URL.String() != test.url || got.Header.Get("Host") != test.host {
				t.Errorf("got %s, Host %q; want %s, Host %q", got.URL, got.Header.Get("Host"), test.url, test.host)
			}
			if signed := got.Header.Get("Authorization") != ""; signed == (test.host != "") {
				t.Errorf("signed by a header: %v", signed)
			}
		})
	}
	c := must(Connect(t.Context(), Options{Region: "eu-west-1", Keys: Keys{ID: "a", Secret: "b"}, StreamEndpoint: "https://vpce-1.example"}))
	for _, said := range []string{"", "wss:opaque", "x", "wss://a/\n", "wss://" + strings.Repeat("x", 5000)} {
		_, err := c.Upgrade(t.Context(), Session{ID: "me-1", StreamURL: said, Token: "secret"})
		_ = mustBe[*StreamURLError](t, err)
	}
}

func TestStreamEndpointThatIsNoneIsRefused(t *testing.T) {
	for _, endpoint := range []string{"vpce-1.example", "ftp://vpce-1.example", "https://", "https://ines:hunter2@vpce-1.example", "https://a/?b=c", "https://a/#b", "https://a b"} {
		err := CheckStreamEndpoint(endpoint)
		_ = mustBe[*EndpointError](t, err)
		mustSay(t, err, "--stream-endpoint as http")
		if strings.Contains(text(err), "hunter2") {
			t.Error(text(err))
		}
	}
	isolate(t)
	t.Setenv("AWS_ENDPOINT_URL_SSMMESSAGES", "vpce-1.example")
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	_, err := Connect(t.Context(), Options{Region: "eu-west-1"})
	mustSay(t, err, "write AWS_ENDPOINT_URL_SSMMESSAGES as http")
}
