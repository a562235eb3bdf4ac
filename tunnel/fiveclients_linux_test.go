package tunnel_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"culvert/internal/need"
)

// The programs that people have reach five private hosts by their own names through one port, as docs/dynamic.md says it, with no
// proxy in the VPC. Each verifies who answers: a host with the certificate of another is refused by all of them.
func TestProgramsReachFiveHostsByTheirNames(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers and programs of others: make test")
	}
	t.Parallel()
	e := openEstate(t)
	t.Run("all", func(t *testing.T) { // at the same time, which ends before the estate does
		for name, client := range map[string]func(*testing.T, *estate){
			"curl": curls, "wget": wgets, "node": nodes, "requests": requests, "git": clones, "psql": asks, "ssh": logsIn, "chromium": browses,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				client(t, e)
			})
		}
	})
}

// each runs a line for each of the five hosts, and for the impostor, which is not to be believed.
func (e *estate) each(t *testing.T, environment []string, line, host, want string, own ...string) {
	t.Helper()
	for _, name := range fiveHosts {
		said, err := e.run(t, environment, line, append([]string{host, name}, own...)...)
		if want := strings.ReplaceAll(want, "HOST", name); err != nil || !strings.Contains(said, want) {
			t.Errorf("%s: %v, want %q of\n%s", name, err, want, said)
		}
	}
	said, err := e.run(t, environment, line, append([]string{host, impostor}, own...)...)
	if lower := strings.ToLower(said); err == nil || !strings.Contains(lower, "certificate") && !strings.Contains(lower, "host key") {
		t.Errorf("%s: %v, want its certificate to be refused:\n%s", impostor, err, said)
	}
}

func curls(t *testing.T, e *estate) {
	t.Helper()
	for _, way := range documented(t, "curl")[:2] {
		e.each(t, nil, need.Command(t, "curl")+" -sS --fail --cacert "+e.ca+" "+way+" https://HOST/", "HOST", "this is HOST")
	}
}

func wgets(t *testing.T, e *estate) {
	t.Helper()
	e.each(t, []string{"https_proxy=http://" + e.addr}, need.Command(t, "wget")+" -nv -O- --tries=1 --ca-certificate="+e.ca+" https://HOST/", "HOST", "this is HOST")
}

func nodes(t *testing.T, e *estate) {
	t.Helper()
	environment := []string{"NODE_EXTRA_CA_CERTS=" + e.ca}
	for _, setting := range documented(t, "Node")[:2] {
		environment = append(environment, e.here(setting))
	}
	const script = `fetch("https://HOST/").then((a) => a.text()).then(console.log).catch((e) => { console.log(e.cause); process.exit(1) })`
	e.each(t, environment, need.Node(t)+" -e '"+script+"'", "HOST", "this is HOST")
}

func requests(t *testing.T, e *estate) {
	t.Helper()
	python := need.Command(t, "python3")
	if said, err := e.run(t, nil, python+" -c 'import requests'"); err != nil {
		t.Skipf("python has no requests: %s", said)
	}
	environment := []string{"REQUESTS_CA_BUNDLE=" + e.ca, e.here(documented(t, "Python's requests")[0])}
	e.each(t, environment, python+` -c 'import requests; print(requests.get("https://HOST/", timeout=60).text)'`, "HOST", "this is HOST")
}

func clones(t *testing.T, e *estate) {
	t.Helper()
	environment := []string{"GIT_SSL_CAINFO=" + e.ca, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"}
	need.Command(t, "git")
	e.each(t, environment, documented(t, "git over http(s)")[0]+" into && git -C into log --format=%s", "git.internal", "arrived")
}

// asks has psql go through the bridge that the documentation gives, one for each host.
func asks(t *testing.T, e *estate) {
	t.Helper()
	need.Command(t, "socat")
	need.Command(t, "psql")
	lines := documented(t, "psql")[2:]
	for i := range 1 + len(fiveHosts) {
		own := strconv.Itoa(int(need.Port(t)))
		name := append([]string{impostor}, fiveHosts...)[i]
		// The bridge is there once its port can be connected to.
		line := fmt.Sprintf(`%s & bridge=$!; trap 'kill $bridge' EXIT; n=0
until psql 'hostaddr=127.0.0.1 port=15432 sslmode=require' -Atc '' 2>/dev/null || [ $((n += 1)) = 300 ]; do sleep 0.1; done
%s -Atc 'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()'`, lines[0], lines[1])
		said, err := e.run(t, []string{"PGSSLROOTCERT=" + e.ca, "PGUSER=postgres", "PGDATABASE=postgres", "PGCONNECT_TIMEOUT=30"}, line,
			"orders-db.internal", name, "15432", own)
		if name == impostor {
			if err == nil || !strings.Contains(said, "does not match host name") {
				t.Errorf("%s: %v, want its certificate to be refused:\n%s", name, err, said)
			}
			continue
		}
		if err != nil || !strings.HasPrefix(said, "t|TLSv1") {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
}

func logsIn(t *testing.T, e *estate) {
	t.Helper()
	need.Command(t, "nc")
	need.Command(t, "ssh")
	known := "# hosts that are known\n"
	for _, name := range fiveHosts {
		known += name + " " + e.hostKey + "\n"
	}
	dir := t.TempDir()
	config := "User root\nBatchMode yes\nStrictHostKeyChecking yes\nGlobalKnownHostsFile /dev/null\nUserKnownHostsFile " + filepath.Join(dir, "known") + "\nIdentityFile " + filepath.Join(e.dir, "user") + "\n"
	if user := os.Getenv("USER"); os.Getuid() != 0 && user != "" {
		config = strings.Replace(config, "User root", "User "+user, 1)
	}
	for file, text := range map[string]string{"known": known, "config": config} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.each(t, nil, documented(t, "ssh")[0]+" echo arrived", "host.internal", "arrived", "ssh -o", "ssh -F "+filepath.Join(dir, "config")+" -o")
}

// seen is what a browser saw of a page.
type seen struct {
	URL    string         `json:"url"`
	Status int            `json:"status"`
	Text   string         `json:"text"`
	Parts  map[string]int `json:"parts"`
	Failed []string       `json:"failed"`
	Broken int            `json:"broken"`
	Error  string         `json:"error"`
}

// browses has Chromium open pages by the proxy settings of its own and Playwright's: that of an impostor, one of a hundred resources
// from all of the five, and by the last each host's own.
func browses(t *testing.T, e *estate) {
	t.Helper()
	chromium, node, modules, home := need.Command(t, "chromium"), need.Node(t), need.Playwright(t), e.trusted(t)
	script, err := filepath.Abs("testdata/browse.js")
	if err != nil {
		t.Fatal(err)
	}
	browser := documented(t, "a browser")
	for _, way := range []struct {
		name, option, flag string
		own                []string // hosts whose pages are opened as well
	}{
		{name: "--proxy-server", flag: browser[2]},
		{name: "PAC", flag: "--proxy-pac-url=" + browser[0]},
		{name: "Playwright", option: documented(t, "Playwright")[0], own: fiveHosts},
	} {
		before := e.resource.Load()
		line := node + ` "$SCRIPT" ` + chromium + ` "$OPTION" "$FLAG" https://` + impostor + "/ https://" + fiveHosts[0] + "/hundred"
		for _, host := range way.own {
			line += " https://" + host + "/"
		}
		said, err := e.run(t, []string{"HOME=" + home, "NODE_PATH=" + modules, "SCRIPT=" + script, "OPTION=" + e.here(way.option), "FLAG=" + e.here(way.flag)}, line)
		var all []seen
		for line := range strings.Lines(said) {
			var one seen
			if json.Unmarshal([]byte(line), &one) == nil && one.URL != "" {
				all = append(all, one)
			}
		}
		if err != nil || len(all) != 2+len(way.own) {
			t.Errorf("%s: %d pages, %v\n%s", way.name, len(all), err, said)
			continue
		}
		if got := all[0]; !strings.Contains(got.Error, "ERR_CERT_COMMON_NAME_INVALID") {
			t.Errorf("%s, %s: got %+v, want its certificate to be refused", way.name, impostor, got)
		}
		e.whole(t, way.name, all[1])
		if got := e.resource.Load() - before; got != 100 {
			t.Errorf("%s: %d resources were served, want each of the hundred once", way.name, got)
		}
		for i, host := range way.own {
			if got := all[2+i]; got.Error != "" || got.Status != http.StatusOK || got.Text != "this is "+host || len(got.Failed) > 0 {
				t.Errorf("%s, %s: got %+v", way.name, host, got)
			}
		}
	}
}

// whole looks at the page of a hundred resources.
func (e *estate) whole(t *testing.T, name string, got seen) {
	t.Helper()
	from := map[string]int{}
	for url, status := range got.Parts {
		if status != http.StatusOK && !strings.HasPrefix(url, "data:") {
			t.Errorf("%s: %s was answered with %d", name, url, status)
		}
		if host, _, is := strings.Cut(strings.TrimPrefix(url, "https://"), "/part/"); is {
			from[host]++
		}
	}
	for _, host := range fiveHosts {
		if from[host] != 20 {
			t.Errorf("%s: %d resources from %s, want 20", name, from[host], host)
		}
	}
	if want := "this is " + fiveHosts[0] + ", 25 scripts, 25 fetched"; got.Error != "" || got.Text != want || len(got.Failed) > 0 || got.Broken > 0 {
		t.Errorf("%s: got %q, %d broken pictures, %s, failed %q", name, got.Text, got.Broken, got.Error, got.Failed)
	}
}
