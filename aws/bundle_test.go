package aws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The aws command (botocore) looks at AWS_CA_BUNDLE, the profile's ca_bundle and REQUESTS_CA_BUNDLE, in this order.
func TestAuthoritiesAreThoseOfTheAWSCommand(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	good := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for name, test := range map[string]struct {
		aws, profile, requests string // files: good, or other, which has an authority that signed nothing here
		says                   string // empty: it is trusted
	}{
		"none":                               {says: "certificate"},
		"REQUESTS_CA_BUNDLE":                 {requests: "good"},
		"AWS_CA_BUNDLE before it":            {aws: "good", requests: "other"},
		"AWS_CA_BUNDLE before it, untrusted": {aws: "other", requests: "good", says: "certificate"},
		"the profile's before it":            {profile: "good", requests: "other"},
		"the profile's, untrusted":           {profile: "other", requests: "good", says: "certificate"},
		"a file that is not there":           {requests: "none", says: "REQUESTS_CA_BUNDLE"},
		"a directory":                        {requests: ".", says: "REQUESTS_CA_BUNDLE"},
		"a file without certificates":        {requests: "config", says: "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			home := isolate(t)
			write(t, filepath.Join(home, "good"), good)
			write(t, filepath.Join(home, "other"), otherAuthority(t))
			config := "[default]\nregion = eu-west-1\naws_access_key_id = a\naws_secret_access_key = b\n"
			if test.profile != "" {
				config += "ca_bundle = " + filepath.Join(home, test.profile) + "\n"
			}
			write(t, filepath.Join(home, "config"), config)
			for variable, file := range map[string]string{"AWS_CA_BUNDLE": test.aws, "REQUESTS_CA_BUNDLE": test.requests} {
				if file != "" {
					t.Setenv(variable, filepath.Join(home, file))
				}
			}
			c, err := Connect(t.Context(), Options{Endpoint: server.URL})
			if err == nil {
				_, err = c.Identity(t.Context())
			}
			switch {
			case test.says == "" && err != nil:
				t.Errorf("got %s", text(err))
			case test.says != "" && (err == nil || !strings.Contains(text(err), test.says)):
				t.Errorf("got %v, want %q in it", err, test.says)
			}
		})
	}
}

// otherAuthority is a certificate of somebody else.
func otherAuthority(t *testing.T) string {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	made := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, NotAfter: time.Now().Add(time.Hour)}
	der := must(x509.CreateCertificate(rand.Reader, made, made, key.Public(), key))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
