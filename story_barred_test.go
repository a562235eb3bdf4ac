package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
)

// What bars the way to AWS and does not change by itself ends every command at once, with its cause, however long --wait is; what
// may change is named when --wait is over, however short that is.
func TestStoryOfWhatBarsTheWayToAWS(t *testing.T) {
	t.Parallel()
	refusing := func(status int, login string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if login != "" {
				w.Header().Set("Proxy-Authenticate", login)
			}
			w.WriteHeader(status)
		}))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	unknown := strings.TrimPrefix(secure.URL, "https://")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	e.Fault(func(f *emulator.Faults) { f.StreamHost = "stream.test" })
	key, secret := e.Credentials()

	const far = "AWS_ENDPOINT_URL=http://aws.test"
	near := "AWS_ENDPOINT_URL=" + e.URL() // on loopback, which is not asked for through a proxy; its websocket is
	for name, test := range map[string]struct {
		wait string
		env  []string
		code int
		says []string
	}{
		"407":                           {"60s", []string{far, "HTTP_PROXY=http://" + refusing(407, "Basic")}, 125, []string{"407 Proxy Authentication Required", "http://USER:PASSWORD@", "percent-encoded"}},
		"407 of NTLM":                   {"60s", []string{far, "HTTP_PROXY=http://" + refusing(407, "NTLM")}, 125, []string{"takes only ntlm", "cntlm", "px"}},
		"407 for the websocket":         {"60s", []string{near, "HTTP_PROXY=http://" + refusing(407, "Negotiate")}, 125, []string{"stream.test", "takes only negotiate", "px"}},
		"an unknown proxy":              {"60s", []string{far, "HTTP_PROXY=https://" + unknown}, 125, []string{"certificate", "AWS_CA_BUNDLE"}},
		"... for the websocket":         {"60s", []string{near, "HTTP_PROXY=https://" + unknown}, 125, []string{"stream.test", "certificate", "AWS_CA_BUNDLE"}},
		"an unknown AWS":                {"60s", []string{"AWS_ENDPOINT_URL=https://" + unknown}, 125, []string{"certificate", "AWS_CA_BUNDLE"}},
		"a scheme that is none":         {"60s", []string{far, "HTTP_PROXY=socks4://127.0.0.1:1"}, 125, []string{"socks4:// is no proxy", "socks5h://"}},
		"... for the websocket too":     {"60s", []string{near, "HTTP_PROXY=socks4://127.0.0.1:1"}, 125, []string{"stream.test", "socks4:// is no proxy"}},
		"a proxy that is no URL":        {"60s", []string{far, "HTTP_PROXY=http://ines:se#cret@127.0.0.1:1"}, 125, []string{"no URL", "%23"}},
		"a bundle that is not there":    {"60s", []string{near, "REQUESTS_CA_BUNDLE=/nowhere"}, 125, []string{"REQUESTS_CA_BUNDLE"}},
		"an endpoint that is none":      {"60s", []string{near, "AWS_ENDPOINT_URL_SSMMESSAGES=vpce"}, 125, []string{"write AWS_ENDPOINT_URL_SSMMESSAGES as"}},
		"silence, a short wait":         {"2s", []string{"AWS_ENDPOINT_URL=http://" + silent.Addr().String()}, 124, []string{"no answer came within", silent.Addr().String()}},
		"silence of a proxy":            {"2s", []string{far, "HTTP_PROXY=http://" + silent.Addr().String()}, 124, []string{"aws.test"}},
		"503 of a proxy, a short wait":  {"3s", []string{"AWS_ENDPOINT_URL=https://aws.test", "HTTPS_PROXY=http://" + refusing(503, "")}, 124, []string{"503 Service Unavailable", "through the proxy"}},
		"nobody at the stream, a short": {"3s", []string{near, "HTTP_PROXY="}, 124, []string{"stream.test"}},
	} {
		for _, command := range []string{"--headless", "up"} {
			t.Run(name+" "+command, func(t *testing.T) {
				t.Parallel()
				home := t.TempDir()
				run, err := os.MkdirTemp("", "run") //nolint:usetesting // a socket's path is short
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = os.RemoveAll(run) })
				cmd := exec.CommandContext(t.Context(), "culvert", command, "--target", "automation/squid", "-L", "0:3128", "--wait", test.wait)
				var said strings.Builder
				cmd.Stderr = &said
				cmd.Env = append([]string{
					"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "state"), "XDG_RUNTIME_DIR=" + run, "TMPDIR=" + run,
					"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=" + key, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_EC2_METADATA_DISABLED=true",
				}, test.env...)
				begun := time.Now()
				_ = cmd.Run() // the code tells
				if code := codeOf(cmd.ProcessState); code != test.code {
					t.Errorf("ended with %d, want %d", code, test.code)
				}
				if took := time.Since(begun); took > 25*time.Second {
					t.Errorf("took %s", took)
				}
				for _, want := range test.says {
					if !strings.Contains(said.String(), want) {
						t.Errorf("want %q in\n%s", want, said.String())
					}
				}
				if strings.Contains(said.String(), "cret") && strings.Contains(name, "no URL") {
					t.Errorf("the password is repeated:\n%s", said.String())
				}
			})
		}
	}
}
