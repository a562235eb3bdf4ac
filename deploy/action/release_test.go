//go:build linux

package action_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// releases is where the releases of a repository are, as GitHub serves them.
type releases struct {
	*httptest.Server

	mu       sync.Mutex
	files    map[string][]byte // path below releases/download
	failures int               // requests that are still to be answered by 503
}

const repository = "/shop/culvert/releases/"

// newReleases has releases of a culvert that only says its version; the last one is the newest.
func newReleases(t *testing.T, versions ...string) *releases {
	t.Helper()
	r := &releases{files: map[string][]byte{}}
	for _, v := range versions {
		script := "#!/bin/sh\n[ \"$1\" = version ] && echo culvert " + v + "\n"
		name := fmt.Sprintf("culvert_%s_linux_%s.tar.gz", v, runtime.GOARCH)
		archive := archiveOf(t, map[string]string{"README.md": "read me", "culvert": script})
		r.files["v"+v+"/"+name] = archive
		r.files["v"+v+"/checksums.txt"] = fmt.Appendf(nil, "%064d  culvert_%s_darwin_arm64.tar.gz\n%s  %s\n", 0, v, sum(archive), name)
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.failures > 0 {
			r.failures--
			http.Error(w, "try later", http.StatusServiceUnavailable)
			return
		}
		below, _ := strings.CutPrefix(q.URL.Path, repository)
		if below == "latest" {
			http.Redirect(w, q, repository+"tag/v"+versions[len(versions)-1], http.StatusFound)
			return
		}
		file, there := r.files[strings.TrimPrefix(below, "download/")]
		if !there {
			http.NotFound(w, q)
			return
		}
		_, _ = w.Write(file)
	}))
	t.Cleanup(r.Close)
	return r
}

// put puts a file below releases/download.
func (r *releases) put(path string, content []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[path] = content
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func archiveOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zip)
	for name, text := range files {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// install runs main.js with nothing to open.
func (r *releases) install(j *job, ref string, inputs map[string]string) *step {
	j.Helper()
	j.machine["GITHUB_SERVER_URL"], j.machine["GITHUB_ACTION_REPOSITORY"], j.machine["GITHUB_ACTION_REF"] = r.URL, "shop/culvert", ref
	all := map[string]string{"install-only": "true"}
	maps.Copy(all, inputs)
	return j.use(all).main()
}

func TestTheVersionIsTheOneThatWasMeant(t *testing.T) {
	j := newJob(t)
	r := newReleases(t, "1.4.0", "1.5.0-rc.1", "1.5.0")
	for _, c := range []struct{ ref, version, want string }{
		{"v1.4.0", "", "1.4.0"},               // the action's own tag
		{"v1", "", "1.5.0"},                   // the newest
		{"main", "", "1.5.0"},                 //
		{"v1.5.0", "1.4.0", "1.4.0"},          // what the workflow says
		{"", "v1.5.0-rc.1", "1.5.0-rc.1"},     // with the letter of the tag
		{"v1.4.0", "latest", "1.5.0"},         //
		{"8f4b7f84864484a7bf31", "", "1.5.0"}, // a commit has no version
	} {
		j.paths = nil
		main := r.install(j, c.ref, map[string]string{"version": c.version})
		if main.code != 0 || !strings.Contains(main.log.String(), "culvert "+c.want+"\n") {
			t.Errorf("used as %q with version %q: ended with %d, want culvert %s", c.ref, c.version, main.code, c.want)
		}
		if later := j.start(nil, "culvert", "version").end(); later.log.String() != "culvert "+c.want+"\n" {
			t.Errorf("a later step gets %q from its PATH, want %s", later.log.String(), c.want)
		}
	}
}

func TestNothingRunsWithoutItsChecksum(t *testing.T) {
	r := newReleases(t, "1.4.0")
	name := "v1.4.0/culvert_1.4.0_linux_" + runtime.GOARCH + ".tar.gz"
	good := r.files[name]
	listed := r.files["v1.4.0/checksums.txt"]
	for what, c := range map[string]struct {
		change func()
		sha256 string
		want   string
	}{
		"another archive":           {func() { r.put(name, archiveOf(t, map[string]string{"culvert": "#!/bin/sh\necho evil"})) }, "", "it is not run"},
		"no checksum for it":        {func() { r.put("v1.4.0/checksums.txt", []byte(strings.Repeat("0", 64)+"  other.tar.gz\n")) }, "", "does not list"},
		"not what workflow expects": {func() {}, strings.Repeat("1", 64), "it is not run"},
	} {
		t.Run(what, func(t *testing.T) {
			r.put(name, good)
			r.put("v1.4.0/checksums.txt", listed)
			c.change()
			j := newJob(t)
			main := r.install(j, "v1.4.0", map[string]string{"sha256": c.sha256})
			if got := annotation(main.log.String(), "error"); main.code != 1 || !strings.Contains(got, c.want) {
				t.Errorf("ended with %d and %q, want %q", main.code, got, c.want)
			}
			if len(j.paths) > 0 || strings.Contains(main.log.String(), "evil") {
				t.Errorf("it was run or put into PATH: %v", j.paths)
			}
			if left, _ := filepath.Glob(filepath.Join(j.temp, "*")); len(left) > 0 {
				t.Errorf("%v were unpacked", left)
			}
		})
	}
	r.put(name, good)
	r.put("v1.4.0/checksums.txt", listed)
	if main := r.install(newJob(t), "v1.4.0", map[string]string{"sha256": strings.ToUpper(sum(good))}); main.code != 0 {
		t.Errorf("with the right checksum expected, main ends with %d", main.code)
	}
}

func TestADownloadSurvivesAServerInTrouble(t *testing.T) {
	r := newReleases(t, "1.4.0")
	r.mu.Lock()
	r.failures = 3
	r.mu.Unlock()
	if main := r.install(newJob(t), "v1.4.0", nil); main.code != 0 {
		t.Errorf("ended with %d", main.code)
	}
}

func TestAReleaseThatIsNotThereIsNamed(t *testing.T) {
	r := newReleases(t, "1.4.0")
	for _, c := range []struct {
		ref    string
		inputs map[string]string
		want   string
	}{
		{"", map[string]string{"version": "9.9.9"}, "releases/download/v9.9.9/"}, // whichever of its files is missed first
		{"v2", nil, "used as v2, but the newest release is 1.4.0"},
		{"", map[string]string{"path": "bin/culvert"}, "bin/culvert, where nothing is"},
		{"", map[string]string{"releases-url": r.URL + "/elsewhere"}, "404"},
	} {
		main := r.install(newJob(t), c.ref, c.inputs)
		if got := annotation(main.log.String(), "error"); main.code != 1 || !strings.Contains(got, c.want) {
			t.Errorf("%v: ended with %d and %q, want %q", c.inputs, main.code, got, c.want)
		}
	}
}

func TestADownloadGoesThroughTheRunnersProxy(t *testing.T) {
	r := newReleases(t, "1.4.0")
	target := strings.TrimPrefix(r.URL, "http://")
	var tunnels atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		tunnels.Add(1)
		if q.Method != http.MethodConnect { // a proxy for plain requests, should node send them
			(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.Out.URL.Scheme, p.Out.URL.Host = "http", target }}).ServeHTTP(w, q)
			return
		}
		splice(t, w, target)
	}))
	t.Cleanup(proxy.Close)
	j := newJob(t, "http_proxy="+proxy.URL)
	// A name that only the proxy knows.
	main := r.install(j, "v1.4.0", map[string]string{"releases-url": "http://releases.internal" + strings.TrimSuffix(repository, "/")})
	if main.code != 0 || tunnels.Load() == 0 {
		t.Errorf("ended with %d after %d connections through the proxy", main.code, tunnels.Load())
	}
}

// splice answers CONNECT by a connection to a fixed address.
func splice(t *testing.T, w http.ResponseWriter, address string) {
	t.Helper()
	there, err := net.Dial("tcp", address)
	if err != nil {
		t.Errorf("dial: %v", err)
		return
	}
	defer there.Close()
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Errorf("hijack: %v", err)
		return
	}
	defer here.Close()
	_, _ = here.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(there, buffered)
		_ = there.Close()
	})
	_, _ = io.Copy(here, there)
	_ = here.Close()
	both.Wait()
}
