//go:build unix

package main

import (
	"crypto/sha1" //nolint:gosec // as below
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// victim is a user with everything that somebody could want: a single sign-on, keys of a session, a web identity token, and
// a job's token of GitHub.
type victim struct {
	home, repository string
	env              []string
	attacker         atomic.Int32 // requests that the attacker's server has had
	attackerURL      string
	outside          atomic.Int32 // attempts to reach anything but this machine
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{home: filepath.Join(dir, "home"), repository: filepath.Join(dir, "home", "repository")}
	counting := func(n *atomic.Int32) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n.Add(1)
			http.Error(w, "no", http.StatusForbidden)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	v.attackerURL = counting(&v.attacker)
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	proxy := counting(&v.outside)
	v.env = append(e.Env(), "HOME="+v.home, "PATH="+os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "HTTPS_PROXY="+proxy, "HTTP_PROXY="+proxy,
		"ACTIONS_ID_TOKEN_REQUEST_URL="+proxy, "ACTIONS_ID_TOKEN_REQUEST_TOKEN=x", "XDG_RUNTIME_DIR="+filepath.Join(v.home, "run"))
	sum := sha1.Sum([]byte("corp")) //nolint:gosec // how AWS names its files
	v.write(t, ".aws/sso/cache/"+hex.EncodeToString(sum[:])+".json", fmt.Sprintf(`{"accessToken":"SECRET","expiresAt":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	v.write(t, ".aws/config", "[profile prod]\nregion = eu-west-1\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Admin\n"+
		"[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-west-1\n")
	v.write(t, ".bashrc", "# mine\n")
	v.write(t, "repository/.git/HEAD", "ref: refs/heads/main\n")
	v.write(t, "repository/sub/.keep", "")
	v.write(t, "run/.keep", "")
	return v
}

func (v *victim) write(t *testing.T, name, body string) {
	t.Helper()
	path := filepath.Join(v.home, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(body), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run runs culvert in a directory as the victim does.
func (v *victim) run(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "culvert", args...)
	var out, said strings.Builder
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(slices.Clone(v.env), "PWD="+dir), &out, &said
	_ = cmd.Run() // the code tells
	return codeOf(cmd.ProcessState), out.String(), said.String()
}

// files are all that there is, with sizes and times.
func (v *victim) files(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(v.home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(&all, path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// robbed fails when somebody was asked for anything.
func (v *victim) robbed(t *testing.T, doing string) {
	t.Helper()
	if n := v.attacker.Swap(0); n > 0 {
		t.Errorf("%s: the attacker had %d requests", doing, n)
	}
	if n := v.outside.Swap(0); n > 0 {
		t.Errorf("%s: %d requests went out", doing, n)
	}
}

// A clone, an archive or a branch brings a project file along, and entering its directory is enough: a mere TAB. See the
// findings of issue H for what each of these once did.
func TestAHostileRepositoryGetsNothing(t *testing.T) {
	t.Parallel()
	const tunnel = "tunnels:\n  x: {target: automation/squid, forward: \"0:3128\""
	for name, file := range map[string]string{
		"bearer token of single sign-on": "endpoint-url: ATTACKER\nprofile: prod\n",
		"keys of a session":              "endpoint-url: ATTACKER\n",
		"token of a job":                 "endpoint-url: ATTACKER\nrole-arn: arn:aws:iam::111122223333:role/ci\n",
		"role of the attacker":           "role-arn: arn:aws:iam::999999999999:role/attacker\n",
		"another profile":                "profile: prod\n",
		"another region":                 "region: us-east-1\n",
		"code in the shell":              "log-file: ../.bashrc\nlog-level: debug\n",
		"a log in the repository":        "log-file: log\n",
		"a probe of every tunnel":        "probe: ATTACKER/\n",
		"no waiting":                     "wait: 1ms\n",
		"no patience":                    "keep-alive: 1s\n",
		"the demo for the truth":         "demo: true\n",
		"a screen that does nothing":     "read-only: true\n",
		"keys that do other things":      "keys: {quit: x}\n",
		"no mouse":                       "mouse: no\n",
		"output for programs":            "output: json\n",
		"another file":                   "config: evil.yaml\n",
		"by a merge key":                 "base: &b {endpoint-url: ATTACKER}\n<<: *b\n",
		"by an anchor":                   "groups: &g {}\nendpoint-url: ATTACKER\n",
		"in a second document":           "tunnels: {}\n---\nendpoint-url: ATTACKER\n",
		"spelled with escapes":           "\"endpoint\\x2durl\": ATTACKER\n",
		"as JSON":                        `{"endpoint-url": "ATTACKER", "profile": "prod"}`,
		"with a byte order mark":         "\ufeffendpoint-url: ATTACKER\n",
		"with other line ends":           "tunnels: {}\rendpoint-url: ATTACKER\r",
		"as a variable":                  "CULVERT_ENDPOINT_URL: ATTACKER\n",
		"endpoint of a tunnel":           tunnel + ", endpoint-url: ATTACKER}\n",
		"role of a tunnel":               tunnel + ", role-arn: \"arn:aws:iam::999999999999:role/attacker\"}\n",
		"log of a tunnel":                tunnel + ", log-file: ../.bashrc}\n",
		"socket elsewhere":               "tunnels:\n  x: {target: automation/squid, forward: \"../x.sock:3128\"}\n",
		"not even YAML":                  "endpoint-url: ATTACKER: [\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hostileFile(t, file)
		})
	}
}

// hostileFile has a project file in a repository, and everything that is done there refused.
func hostileFile(t *testing.T, file string) {
	t.Helper()
	v := newVictim(t)
	v.write(t, "repository/.culvert.yaml", strings.ReplaceAll(file, "ATTACKER", v.attackerURL))
	before := v.files(t)
	for _, args := range [][]string{
		{"list"}, {"list", "clusters", "-o", "json"}, {"doctor", "-c", "automation", "-s", "squid"}, {"version", "--paths"},
		{"--headless", "-c", "automation", "-s", "squid", "-L", "0:3128", "--wait", "10s"}, {"up", "x"}, {"up", "-c", "automation", "-s", "squid", "-L", "0:3128"},
	} {
		code, _, stderr := v.run(t, filepath.Join(v.repository, "sub"), args...)
		if code != 2 || !strings.Contains(stderr, filepath.Join(v.repository, ".culvert.yaml")) || !strings.Contains(stderr, "remedy: ") {
			t.Errorf("culvert %s: exits with %d and says\n%s", strings.Join(args, " "), code, stderr)
		}
	}
	for _, args := range [][]string{{"list", "-c", ""}, {"--headless", "-c", "automation", "-s", ""}, {"up", ""}, {"up", "--target", ""}} {
		code, stdout, stderr := v.run(t, v.repository, append([]string{"__complete"}, args...)...)
		if code != 0 || stdout != ":4\n" || strings.Contains(stderr, "culvert.yaml") {
			t.Errorf("completing %q: exits with %d, prints %q and says\n%s", args, code, stdout, stderr)
		}
	}
	v.robbed(t, "working in it")
	if after := v.files(t); after != before {
		t.Errorf("there was\n%sand now there is\n%s", before, after)
	}
}

// What a project file may say has no effect until a tunnel of it is asked for by its name.
func TestATunnelOfAProjectHasNoEffectByBeingThere(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	v.write(t, "repository/.culvert.yaml", "tunnels:\n"+
		"  x: {target: automation/squid, forward: \"0:3128\", profile: prod, region: us-east-1, probe: \""+v.attackerURL+"/\"}\n"+
		"  open: {target: automation/squid, forward: \"0.0.0.0:0:3128\"}\n"+
		"groups: {all: [x, open]}\n")
	v.run(t, filepath.Join(v.repository, "sub"), "__complete", "list", "-c", "a") // what it remembers for a minute is no effect of the project's
	before := v.files(t)
	for _, test := range []struct{ args, stdout string }{
		{"list", "squid"}, {"__complete list -c a", "automation\n:4\n"}, {"__complete up ", "all\nopen\nx\n:4\n"}, {"version --paths", "in force " + v.repository + "/.culvert.yaml\n"},
		{"version --paths -o json", `"in_force":["` + v.repository + `/.culvert.yaml"]`},
	} {
		code, stdout, stderr := v.run(t, filepath.Join(v.repository, "sub"), strings.Split(test.args, " ")...)
		if code != 0 || !strings.Contains(stdout, test.stdout) || strings.Contains(stderr, "using the project file") {
			t.Errorf("culvert %s: exits with %d, prints %q and says\n%s", test.args, code, stdout, stderr)
		}
	}
	code, _, stderr := v.run(t, v.repository, "up", "open")
	if want := "culvert: using the project file " + v.repository + "/.culvert.yaml\n"; code != 2 || strings.Count(stderr, want) != 1 || !strings.Contains(stderr, "pass --bind 0.0.0.0") {
		t.Errorf("culvert up open: exits with %d and says\n%s", code, stderr)
	}
	v.robbed(t, "looking")
	if after := v.files(t); after != before {
		t.Errorf("there was\n%sand now there is\n%s", before, after)
	}
}

// Whose directory it is counts, not who could read it: git has the same rule for the same reason.
func TestASecondUserGetsNothing(t *testing.T) {
	t.Parallel()
	other := need.OtherUser(t)
	v := newVictim(t)
	shared := filepath.Join(v.home, "shared")
	for _, path := range []string{"shared/project/.keep", "theirs/sub/.keep"} {
		v.write(t, path, "")
	}
	if err := os.Chmod(shared, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	give := func(path string) {
		t.Helper()
		if err := os.Lchown(filepath.Join(v.home, path), other, other); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		file string
		also []string // what is theirs as well
		at   string
		says string
	}{
		"a file in a shared directory":         {"shared/.culvert.yaml", nil, "shared/project", "the directory may be written by everybody"},
		"a directory of theirs":                {"theirs/.culvert.yaml", []string{"theirs", "theirs/sub"}, "theirs/sub", "the directory belongs to user 54321, not to root"},
		"a file of theirs in a directory ours": {"repository/.culvert.yaml", nil, "repository", "it belongs to user 54321, not to root"},
	} {
		for _, body := range []string{"endpoint-url: " + v.attackerURL + "\nprofile: prod\n", "tunnels: {}\n"} {
			v.write(t, test.file, body)
			give(test.file)
			for _, path := range test.also {
				give(path)
			}
			code, _, stderr := v.run(t, filepath.Join(v.home, test.at), "list")
			if code != 2 || !strings.Contains(stderr, test.says) || !strings.Contains(stderr, "pass --config "+filepath.Join(v.home, test.file)) {
				t.Errorf("%s: exits with %d and says\n%s", name, code, stderr)
			}
			if code, stdout, _ := v.run(t, filepath.Join(v.home, test.at), "__complete", "list", "-c", ""); code != 0 || stdout != ":4\n" {
				t.Errorf("%s: completion exits with %d and prints %q", name, code, stdout)
			}
			if err := os.Remove(filepath.Join(v.home, test.file)); err != nil {
				t.Fatal(err)
			}
			if code, _, stderr := v.run(t, filepath.Join(v.home, test.at), "list"); code != 0 {
				t.Errorf("%s: without the file it exits with %d and says\n%s", name, code, stderr)
			}
		}
	}
	v.robbed(t, "entering")
	if err := os.Symlink(filepath.Join(v.home, ".bashrc"), filepath.Join(shared, "log")); err != nil {
		t.Fatal(err)
	}
	v.write(t, ".config/culvert/config.yaml", "log-file: "+filepath.Join(shared, "log")+"\nlog-level: debug\n")
	code, _, stderr := v.run(t, v.home, "list")
	if code == 0 || !strings.Contains(stderr, "is a link in a directory that others may write") || !strings.Contains(stderr, "remedy: name a file in a directory that is yours alone") {
		t.Errorf("a link of theirs as our log: exits with %d and says\n%s", code, stderr)
	}
	if body, _ := os.ReadFile(filepath.Join(v.home, ".bashrc")); string(body) != "# mine\n" {
		t.Errorf("the shell now begins with %q", body)
	}
	runAs(t, other)
}

// runAs runs culvert as the second user in the first one's directory: that is somebody else's to them.
func runAs(t *testing.T, user int) {
	t.Helper()
	program, err := exec.LookPath("culvert")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "culvert-second-") //nolint:usetesting // nobody else can enter the test's own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	public := filepath.Join(dir, "src")
	copied, home := filepath.Join(dir, "culvert"), filepath.Join(dir, "home")
	for _, err := range []error{ // by cp: a file that this process writes cannot be run while another test forks
		exec.CommandContext(t.Context(), "cp", program, copied).Run(), os.Chmod(copied, 0o755), os.Mkdir(public, 0o755),
		os.WriteFile(filepath.Join(public, ".culvert.yaml"), []byte("tunnels: {}\n"), 0o644), os.Chmod(dir, 0o755),
		os.Mkdir(home, 0o700), os.Chown(home, user, user), // a home of their own, in which there is nothing
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), copied, "version")
	cmd.Dir, cmd.Env = public, []string{"HOME=" + home, "PWD=" + public}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the directory belongs to root, not to user "+fmt.Sprint(user)) {
		t.Errorf("as the second user: %v\n%s", err, out)
	}
}
