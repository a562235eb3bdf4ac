package doctor_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

func TestG1SessionsThatWereLeftOpen(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy())
	c.fault(func(f *emulator.Faults) { f.HandshakeTimeout = time.Hour }) // else an agent ends what nobody comes to
	old, _ := c.start(), c.start()
	if !c.account.AgeSession(old, 3*time.Hour) {
		t.Fatalf("no session %s", old)
	}
	c.warns("leftovers", "G1", "1 sessions", old, "aws ssm terminate-session --session-id "+old)
}

func TestG2CredentialsEndSoon(t *testing.T) {
	bare(t)
	c := newClinic(t, healthy())
	key, secret := c.account.Credentials()
	end := time.Now().Add(10 * time.Minute).UTC().Format(time.RFC3339)
	process := fmt.Sprintf(`{"Version":1,"AccessKeyId":%q,"SecretAccessKey":%q,"Expiration":%q}`, key, secret, end)
	config := fmt.Sprintf("[default]\nregion = eu-west-1\ncredential_process = echo '%s'\n", process)
	if err := os.WriteFile(os.Getenv("AWS_CONFIG_FILE"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c.connect(aws.Options{Endpoint: c.account.URL()})
	c.warns("outlook", "G2", "the credentials end at "+end, "renew them")
}

// A proxy that says no in words of its own.
func TestF18ProxyFailsForAnotherReason(t *testing.T) {
	t.Parallel()
	address := page(t, http.StatusBadGateway)
	newClinic(t, behind(address), "https://billing.internal/").finds("probe-1", "F18", "does not reach billing.internal:443", "CONNECT answered 502", "access.log")
}

// Squid's own errors on versions that are not at hand, as its sources and its users' reports have them.
func TestSquidsErrorsByVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		server, method string
		status         int
		code           string
		want           doctor.Reason
	}{
		{"squid/4.10", "CONNECT", 503, "ERR_DNS_FAIL 0", doctor.ReasonUnresolved},
		{"squid/6.13", "GET", 503, "ERR_DNS_FAIL 0", doctor.ReasonUnresolved},
		{"squid/5.7", "CONNECT", 500, "ERR_CANNOT_FORWARD 0", doctor.ReasonUnresolved},
		{"squid/6.2", "GET", 502, "ERR_READ_ERROR 0", doctor.ReasonUnresolved},
		{"squid", "CONNECT", 500, "ERR_CANNOT_FORWARD 0", doctor.ReasonUnresolved}, // httpd_suppress_version_string
		{"squid/6.3", "CONNECT", 500, "ERR_CANNOT_FORWARD 0", doctor.ReasonOther},  // where DNS has its own error again
		{"squid/4.10", "CONNECT", 503, "ERR_CANNOT_FORWARD 0", doctor.ReasonOther},
		{"squid/5.7", "GET", 502, "ERR_READ_ERROR 104", doctor.ReasonEmpty}, // a reset, not DNS
		{"squid/5.7", "GET", 504, "ERR_READ_TIMEOUT 0", doctor.ReasonMute},
		{"squid/5.7", "GET", 502, "ERR_INVALID_RESP 0", doctor.ReasonEmpty},
		{"squid/5.7", "CONNECT", 503, "ERR_CONNECT_FAIL 110", doctor.ReasonDropped},
		{"squid/5.7", "GET", 503, "ERR_CONNECT_FAIL 113", doctor.ReasonNoRoute},
		{"", "CONNECT", 504, "", doctor.ReasonDropped},
		{"tinyproxy/1.11.1", "CONNECT", 403, "", doctor.ReasonRule},
	} {
		answer := &http.Response{StatusCode: c.status, Header: http.Header{"Server": {c.server}, "X-Squid-Error": {c.code}}}
		got := doctor.Refused(c.method, "h", "443", answer, 0)
		if got == nil || got.Reason != c.want {
			t.Errorf("%s %s %d %s: got %+v, want reason %d", c.server, c.method, c.status, c.code, got, c.want)
		}
	}
	own := &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Server": {"nginx"}}}
	if got := doctor.Refused(http.MethodGet, "h", "80", own, 0); got != nil {
		t.Errorf("a server's own 403 is taken for the proxy's: %v", got)
	}
}

func TestProbesAreParsedOnce(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://billing.internal/x?y": true, "http://h": true, "tcp://db.internal:5432": true, "tls://h": true, "http://[::1]:8080/": true, "db.internal:5432": true, "[fd00::1]:22": true, "db.internal:0": false, "db.internal:99999": false, ":5432": false,
		"tcp://db.internal": false, "ftp://h/": false, "billing.internal": false, "http://": false, "http://h:0/": false, "http://h:99999/": false, "": false,
	} {
		if _, err := doctor.ParseProbe(text); (err == nil) != good {
			t.Errorf("%q: got %v, want good %t", text, err, good)
		}
	}
}

// Untrusted text does not get out of an error as it came in.
func TestErrorsHoldNoControlCharacters(t *testing.T) {
	t.Parallel()
	const evil = "squid/5.7\x1b[2J\r\n::error::x"
	answer := &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Server": {evil}, "X-Squid-Error": {"ERR\x1b 0"}}}
	for _, err := range []error{
		doctor.Refused(http.MethodConnect, "h", "443", answer, 0),
		&doctor.StatusError{URL: "http://h/", Status: 500, Server: evil},
		&doctor.CertificateError{Host: "h", Subject: evil, Issuer: evil},
		&doctor.NotProxyError{Remote: tunnel.Endpoint{Port: 3128}, Answer: doctor.Answer{Protocol: doctor.HTTP, Server: evil}},
	} {
		if containsControl(err.Error()) {
			t.Errorf("%T: %q", err, err.Error())
		}
	}
}
