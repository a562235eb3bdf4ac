//go:build linux

package action_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
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
	asked    []string          // paths of what was served
	token    string            // that a private repository wants
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
		r.asked = append(r.asked, q.URL.Path)
		if r.token != "" && q.Header.Get("Authorization") != "Bearer "+r.token {
			http.NotFound(w, q) // as GitHub does
			return
		}
		if r.api(w, q) {
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

// api answers as GitHub's API does, with the releases' files by number.
func (r *releases) api(w http.ResponseWriter, q *http.Request) bool {
	below, is := strings.CutPrefix(q.URL.Path, "/api/v3/repos/shop/culvert/releases/")
	if !is {
		return false
	}
	paths := slices.Sorted(maps.Keys(r.files))
	if number, is := strings.CutPrefix(below, "assets/"); is {
		i, err := strconv.Atoi(number)
		if err != nil || i >= len(paths) || q.Header.Get("Accept") != "application/octet-stream" {
			http.NotFound(w, q)
			return true
		}
		_, _ = w.Write(r.files[paths[i]])
		return true
	}
	type asset struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	tag := strings.TrimPrefix(below, "tags/")
	if below == "latest" {
		tag, _, _ = strings.Cut(paths[len(paths)-1], "/")
	}
	assets := []asset{}
	for i, path := range paths {
		if name, of := strings.CutPrefix(path, tag+"/"); of {
			assets = append(assets, asset{i, name})
		}
	}
	if err := json.NewEncoder(w).Encode(struct {
		Tag    string  `json:"tag_name"`
		Assets []asset `json:"assets"`
	}{tag, assets}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
	return true
}

// sources are those of the action as they are released as a version, and as no version when that is empty.
func (r *releases) sources(j *job, version string) string {
	j.Helper()
	dir := j.TempDir()
	for _, script := range []string{"main.js", "post.js", "release.js", "runner.js", "job.js"} {
		text, err := os.ReadFile(script)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, script), text, 0o600)
		}
		if err != nil {
			j.Fatal(err)
		}
	}
	sums := map[string]string{}
	for path, content := range r.files {
		if of, name, _ := strings.Cut(path, "/"); of == "v"+version && strings.HasPrefix(name, "culvert_") {
			sums[name] = sum(content)
		}
	}
	text, err := json.Marshal(map[string]any{"version": version, "sha256": sums})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "release.json"), text, 0o600)
	}
	if err != nil {
		j.Fatal(err)
	}
	return dir
}

// install runs main.js with nothing to open, of sources that are released as a version.
func (r *releases) install(j *job, own string, inputs map[string]string) *step {
	j.Helper()
	return r.from(j, r.sources(j, own), inputs)
}

func (r *releases) from(j *job, dir string, inputs map[string]string) *step {
	j.Helper()
	j.machine["GITHUB_SERVER_URL"], j.machine["GITHUB_ACTION_REPOSITORY"], j.machine["GITHUB_ACTION_REF"] = r.URL, "shop/culvert", "8f4b7f84864484a7bf31"
	all := map[string]string{"install-only": "true"}
	maps.Copy(all, inputs)
	u := j.use(all)
	u.dir = dir
	return u.main()
}

// vouches puts a judge into the PATH of a job, which says yes or no and writes down what it was asked.
func (j *job) vouches(judge string, code int) (asked string) {
	j.Helper()
	dir := j.TempDir()
	asked = filepath.Join(dir, "asked")
	script := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$*\" >>'%s'\n[ %d = 0 ] || echo 'no matching attestations' >&2\nexit %d\n", asked, code, code)
	if err := os.WriteFile(filepath.Join(dir, judge), []byte(script), 0o700); err != nil {
		j.Fatal(err)
	}
	j.machine["PATH"] = dir + ":" + j.machine["PATH"]
	return asked
}

// A commit is the binary of its own release, whatever is the newest; another version has somebody who vouches for it.
func TestTheVersionIsTheOneThatWasMeant(t *testing.T) {
	t.Parallel()
	r := newReleases(t, "1.4.0", "1.5.0-rc.1", "1.5.0")
	for _, c := range []struct{ own, version, want string }{
		{"1.4.0", "", "1.4.0"},
		{"1.5.0", "", "1.5.0"},
		{"1.5.0", "1.4.0", "1.4.0"},       // what the workflow says
		{"", "v1.5.0-rc.1", "1.5.0-rc.1"}, // with the letter of the tag
		{"1.4.0", "latest", "1.5.0"},
	} {
		j := newJob(t)
		r.put("v"+c.want+"/checksums.txt.sigstore.json", []byte("{}"))
		asked := j.vouches("cosign", 0)
		main := r.install(j, c.own, map[string]string{"version": c.version})
		if main.code != 0 || !strings.Contains(main.log.String(), "culvert "+c.want+"\n") {
			t.Errorf("released as %q, with version %q: ended with %d, want culvert %s", c.own, c.version, main.code, c.want)
		}
		if later := j.start(nil, "culvert", "version").end(); later.log.String() != "culvert "+c.want+"\n" {
			t.Errorf("a later step gets %q from its PATH, want %s", later.log.String(), c.want)
		}
		said, _ := os.ReadFile(asked)
		if want := "--certificate-identity " + r.URL + "/shop/culvert/.github/workflows/release.yml@refs/tags/v" + c.want + " "; c.version != "" && !strings.Contains(string(said), want) {
			t.Errorf("version %q: cosign was asked %q, want %q", c.version, said, want)
		}
	}
	main := r.install(newJob(t), "", nil)
	if got := annotation(main.log.String(), "error"); main.code != 1 || !strings.Contains(got, "no release was made of") {
		t.Errorf("sources that no release was made of: ended with %d and %q", main.code, got)
	}
}

func TestNothingRunsThatNobodyVouchesFor(t *testing.T) {
	t.Parallel()
	r := newReleases(t, "1.4.0")
	name := "v1.4.0/culvert_1.4.0_linux_" + runtime.GOARCH + ".tar.gz"
	good := r.files[name]
	listed := r.files["v1.4.0/checksums.txt"]
	evil := archiveOf(t, map[string]string{"culvert": "#!/bin/sh\necho evil"})
	evilList := fmt.Appendf(nil, "%s  %s\n", sum(evil), filepath.Base(name))
	sources := r.sources(newJob(t), "1.4.0")
	for what, c := range map[string]struct {
		own     string // sources: those of the release
		archive []byte
		list    []byte
		sha256  string
		judge   int // cosign's answer; -1: it is not there
		want    string
	}{
		"another archive, and a list that has it":           {sources, evil, evilList, "", 0, "it is not run"},
		"not what the workflow expects":                     {sources, good, listed, strings.Repeat("1", 64), 0, "it is not run"},
		"another version, with a list that has no name":     {"", good, []byte(strings.Repeat("0", 64) + "  other.tar.gz\n"), "", 0, "does not list"},
		"another version, not as listed":                    {"", evil, listed, "", 0, "it is not run"},
		"another version, as listed, without a signature":   {"", evil, evilList, "", -1, "neither gh with the input token nor cosign"},
		"another version, as listed, with a wrong one":      {"", evil, evilList, "", 1, "no matching attestations: it is not run"},
		"another version that is not what workflow expects": {"", evil, evilList, sum(good), 0, "it is not run"},
	} {
		t.Run(what, func(t *testing.T) {
			r.put(name, c.archive)
			r.put("v1.4.0/checksums.txt", c.list)
			j := newJob(t)
			inputs := map[string]string{"sha256": c.sha256}
			dir := c.own
			if dir == "" {
				dir, inputs["version"] = r.sources(j, ""), "1.4.0"
			}
			if c.judge >= 0 {
				r.put("v1.4.0/checksums.txt.sigstore.json", []byte("{}"))
				j.vouches("cosign", c.judge)
			}
			main := r.from(j, dir, inputs)
			if got := annotation(main.log.String(), "error"); main.code != 1 || !strings.Contains(got, c.want) {
				t.Errorf("ended with %d and %q, want %q", main.code, got, c.want)
			}
			if len(j.paths) > 0 || strings.Contains(main.log.String(), "evil") {
				t.Errorf("it was run or put into PATH: %v", j.paths)
			}
			for _, place := range []string{j.temp, j.machine["RUNNER_TOOL_CACHE"]} {
				if left, _ := filepath.Glob(filepath.Join(place, "culvert*", "*")); len(left) > 0 {
					t.Errorf("%v were unpacked", left)
				}
			}
		})
	}
	r.put(name, good)
	r.put("v1.4.0/checksums.txt", listed)
	if main := r.install(newJob(t), "", map[string]string{"version": "1.4.0", "sha256": strings.ToUpper(sum(good))}); main.code != 0 {
		t.Errorf("with the right checksum expected, main ends with %d", main.code)
	}
	j := newJob(t)
	asked := j.vouches("gh", 0)
	main := r.install(j, "", map[string]string{"version": "1.4.0", "token": "t0ken"})
	if said, _ := os.ReadFile(asked); main.code != 0 || !strings.Contains(string(said), "--repo shop/culvert --signer-workflow shop/culvert/.github/workflows/release.yml") {
		t.Errorf("with gh: ended with %d, and gh was asked %q", main.code, said)
	}
}

func TestASecondUseOnARunnerDownloadsNothing(t *testing.T) {
	t.Parallel()
	r := newReleases(t, "1.4.0")
	j := newJob(t)
	sources := r.sources(j, "1.4.0")
	if main := r.from(j, sources, nil); main.code != 0 {
		t.Fatalf("ended with %d", main.code)
	}
	asked := len(r.asked)
	r.Close() // nothing is left to download from
	if main := r.from(j, sources, nil); main.code != 0 || !strings.Contains(main.log.String(), "on this runner already") || len(r.asked) != asked {
		t.Errorf("the second use ended with %d after %d requests", main.code, len(r.asked)-asked)
	}
	// What somebody has changed there is none of it.
	there, _ := filepath.Glob(filepath.Join(j.machine["RUNNER_TOOL_CACHE"], "culvert", "1.4.0", "*", "culvert"))
	if len(there) != 1 {
		t.Fatalf("got %v in the tool cache, want one program", there)
	}
	if err := os.WriteFile(there[0], []byte("#!/bin/sh\necho evil"), 0o700); err != nil {
		t.Fatal(err)
	}
	if main := r.from(j, sources, nil); main.code == 0 || strings.Contains(main.log.String(), "evil") {
		t.Errorf("a changed program was run: ended with %d", main.code)
	}
}

// A private copy of the repository, on a server of one's own: GitHub's API with a token, which nobody else gets.
func TestAPrivateCopyIsReadWithAToken(t *testing.T) {
	t.Parallel()
	r := newReleases(t, "1.4.0")
	r.token = "ghs_secret"
	main := r.install(newJob(t), "1.4.0", nil)
	if got := annotation(main.log.String(), "error"); main.code != 1 || !strings.Contains(got, "set the input token") {
		t.Errorf("without a token: ended with %d and %q", main.code, got)
	}
	main = r.install(newJob(t), "1.4.0", map[string]string{"token": "another"})
	if got := annotation(main.log.String(), "error"); main.code != 1 || !strings.Contains(got, "token may not read") {
		t.Errorf("with a wrong token: ended with %d and %q", main.code, got)
	}
	if main = r.install(newJob(t), "1.4.0", map[string]string{"token": r.token}); main.code != 0 || strings.Contains(main.log.String(), r.token) {
		t.Errorf("with the token: ended with %d, and should not show it", main.code)
	}
	main = r.install(newJob(t), "1.4.0", map[string]string{"token": r.token, "releases-url": r.URL + "/mirror"})
	if got := annotation(main.log.String(), "error"); main.code != 1 || !strings.Contains(got, "none of them") {
		t.Errorf("a token for a mirror: ended with %d and %q", main.code, got)
	}
}

func TestADownloadSurvivesAServerInTrouble(t *testing.T) {
	t.Parallel()
	r := newReleases(t, "1.4.0")
	r.mu.Lock()
	r.failures = 3
	r.mu.Unlock()
	if main := r.install(newJob(t), "1.4.0", nil); main.code != 0 {
		t.Errorf("ended with %d", main.code)
	}
}

func TestAReleaseThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	r := newReleases(t, "1.4.0")
	for _, c := range []struct {
		own    string
		inputs map[string]string
		want   string
	}{
		{"", map[string]string{"version": "9.9.9"}, "releases/download/v9.9.9/"}, // whichever of its files is missed first
		{"2.0.0", nil, "release.json of the action does not list culvert_2.0.0_"},
		{"", map[string]string{"version": "../../x"}, "which is none"},
		{"", map[string]string{"path": "bin/culvert"}, "bin/culvert, where nothing is"},
		{"1.4.0", map[string]string{"releases-url": r.URL + "/elsewhere"}, "404"},
	} {
		main := r.install(newJob(t), c.own, c.inputs)
		if got := annotation(main.log.String(), "error"); main.code != 1 || !strings.Contains(got, c.want) {
			t.Errorf("%v: ended with %d and %q, want %q", c.inputs, main.code, got, c.want)
		}
	}
}

func TestADownloadGoesThroughTheRunnersProxy(t *testing.T) {
	t.Parallel()
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
	main := r.install(j, "1.4.0", map[string]string{"releases-url": "http://releases.internal" + strings.TrimSuffix(repository, "/")})
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
