//go:build unix

package emulator

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
)

// judgeServer serves some random bytes at /down and answers an upload at /up with its SHA-256.
func judgeServer(t *testing.T, size int) (address, digest string) {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.Read(content)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /down", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
	mux.HandleFunc("POST /up", func(w http.ResponseWriter, r *http.Request) {
		hash := sha256.New()
		if _, err := io.Copy(hash, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = fmt.Fprintf(w, "%x", hash.Sum(nil))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	sum := sha256.Sum256(content)
	return server.Listener.Addr().String(), hex.EncodeToString(sum[:])
}

// startPlugin has the aws CLI start a port forward through the real session-manager-plugin and waits until it listens, on
// a port of its own choice. out is what they print; stop ends both as ctrl+c does.
func startPlugin(t *testing.T, e *Emulator, document string, parameters ...string) (port int, out *lockedBuffer, stop func()) {
	t.Helper()
	aws, plugin := need.Command(t, "aws"), need.Plugin(t)
	args := []string{
		"ssm", "start-session", "--target", onlyTarget(t, e), "--document-name", document,
		"--parameters", strings.Join(append(parameters, "localPortNumber=0"), ","),
	}
	cmd := exec.CommandContext(t.Context(), aws, args...)
	cmd.Env = append(os.Environ(), e.Env()...)
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(plugin)+string(os.PathListSeparator)+os.Getenv("PATH"), "AWS_CONFIG_FILE=/dev/null")
	out = &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			interruptGroup(cmd)
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				killGroup(cmd)
				<-ended
			}
		}
	}
	t.Cleanup(stop)
	need.Eventually(t, "the plugin to listen", func() bool {
		select {
		case <-ended:
			t.Fatalf("the plugin ended: %s", out.String())
		default:
		}
		if opened := regexp.MustCompile(`(?s)Port (\d+) opened for sessionId .*Waiting for connections`).FindStringSubmatch(out.String()); opened != nil {
			port, _ = strconv.Atoi(opened[1])
		}
		return port != 0
	})
	return port, out, stop
}

// curl runs the real curl and returns its output.
func curl(t *testing.T, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, need.Command(t, "curl"), append([]string{"-sS", "--fail", "--noproxy", "*"}, args...)...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl %v: %v\n%s", args, err, complaint.String())
	}
	return out
}

func TestPluginCarriesCurlBothWays(t *testing.T) {
	address, want := judgeServer(t, 1<<20)
	e := oneContainer(t, map[uint16]string{8080: address})
	e.Fault(func(f *Faults) { f.Pacing = 0 })
	port, _, stop := startPlugin(t, e, portDocument, "portNumber=8080")
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	if got := digest(curl(t, base+"/down")); got != want {
		t.Errorf("download: SHA-256 %s, want %s", got, want)
	}
	body := make([]byte, 600_000)
	_, _ = rand.Read(body)
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := string(curl(t, "--data-binary", "@"+file, base+"/up")), digest(body); got != want {
		t.Errorf("upload: SHA-256 %s, want %s", got, want)
	}
	stop()
	need.Eventually(t, "the session to end", func() bool { return len(e.Sessions()) == 0 })
}

func TestPluginReachesARemoteHost(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	address, want := judgeServer(t, 1000)
	e := oneContainer(t, nil, "inner.internal:80", address)
	port, _, _ := startPlugin(t, e, remoteDocument, "portNumber=80", "host=inner.internal")
	if got := digest(curl(t, fmt.Sprintf("http://127.0.0.1:%d/down", port))); got != want {
		t.Errorf("download: SHA-256 %s, want %s", got, want)
	}
}

func TestPluginSurvivesAResumeDuringADownload(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	address, want := judgeServer(t, 1_500_000)
	e := oneContainer(t, map[uint16]string{8080: address})
	port, out, _ := startPlugin(t, e, portDocument, "portNumber=8080")
	go func() {
		for e.Sessions()[0].Down < 500_000 {
			time.Sleep(10 * time.Millisecond)
		}
		e.CloseClientLeg(1000)
	}()
	if got := digest(curl(t, fmt.Sprintf("http://127.0.0.1:%d/down", port))); got != want {
		t.Errorf("download: SHA-256 %s, want %s", got, want)
	}
	if n := e.Calls("ResumeSession"); n != 1 {
		t.Errorf("ResumeSession was called %d times, want 1\n%s", n, out)
	}
}

func TestPluginEncryptsWithKMS(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	address, want := judgeServer(t, 50_000)
	e := oneContainer(t, map[uint16]string{8080: address})
	e.Fault(func(f *Faults) { f.KMS = true })
	port, _, _ := startPlugin(t, e, portDocument, "portNumber=8080")
	if got := digest(curl(t, fmt.Sprintf("http://127.0.0.1:%d/down", port))); got != want {
		t.Errorf("download: SHA-256 %s, want %s", got, want)
	}
	if n := e.Calls("GenerateDataKey"); n != 1 {
		t.Errorf("GenerateDataKey was called %d times, want 1", n)
	}
}

func TestPluginSaysWhyASessionEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	e := oneContainer(t, map[uint16]string{8080: ""})
	_, out, _ := startPlugin(t, e, portDocument, "portNumber=8080")
	e.KillSession(e.Sessions()[0].ID, idleText)
	need.Eventually(t, "the session to end", func() bool { return len(e.Sessions()) == 0 })
	need.Eventually(t, "the plugin's word", func() bool { return strings.Contains(out.String(), idleText) })
}
