package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/internal/origin"
)

// ciJob is a job on such a runner.
type ciJob struct {
	*testing.T

	runner      ciRunner
	home, mark  string // mark is in the environment of every process of the job
	token       string
	account     *emulator.Emulator
	environment []string
	log         bytes.Buffer
}

const ciRole = "arn:aws:iam::111122223333:role/culvert-caller"

// newCIJob is a job of a runner, with an account that knows the issuer of its token, and a role with the trust of the page.
func newCIJob(t *testing.T, name string) *ciJob {
	t.Helper()
	r := ciRunners()[name]
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded(), Providers: map[string]string{r.issuer: r.audience}, Trust: trustOf(t, name)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	home, err := os.MkdirTemp("", "ci-") //nolint:usetesting // a socket's path may have 107 bytes only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	j := &ciJob{T: t, runner: r, home: home, mark: "CULVERT_STORY_JOB=" + filepath.Base(home), account: e}
	if j.token, err = e.IDToken(emulator.Claims{Issuer: r.issuer, Subject: r.subject, Audience: r.audience}); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{
		"HOME": home, "PATH": filepath.Join(home, "bin") + ":" + os.Getenv("PATH"), "LANG": "C.UTF-8", "AWS_EC2_METADATA_DISABLED": "true", "TMPDIR": filepath.Join(home, "tmp"),
		"XDG_RUNTIME_DIR": filepath.Join(home, "run"), "XDG_STATE_HOME": filepath.Join(home, "state"), "XDG_CONFIG_HOME": filepath.Join(home, "config"),
	}
	for _, v := range e.Env() {
		name, value, _ := strings.Cut(v, "=")
		if !strings.Contains(name, "KEY") {
			variables[name] = value
		}
	}
	maps.Copy(variables, r.variables)
	if r.token != "" {
		variables[r.token] = j.token
	}
	j.write("bin/buildkite-agent", "#!/bin/sh\n[ \"$*\" = 'oidc request-token --audience sts.amazonaws.com' ] && cat \"$HOME/asked\"\n")
	j.write("asked", j.token+"\n")
	j.write("tmp/.keep", "")
	j.write("run/.keep", "")
	azure := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer access" || r.URL.Query().Get("serviceConnectionId") != "SERVICE-CONNECTION-ID" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"oidcToken": j.token})
	}))
	t.Cleanup(azure.Close)
	if variables["TF_BUILD"] != "" { // the step's env maps the token of the job, which is a secret
		variables["SYSTEM_OIDCREQUESTURI"], variables["SYSTEM_ACCESSTOKEN"], variables["SERVICE_CONNECTION_ID"] = azure.URL+"/oidctoken", "access", "SERVICE-CONNECTION-ID"
	}
	j.environment = []string{j.mark}
	for name, value := range variables {
		j.environment = append(j.environment, name+"="+value)
	}
	t.Cleanup(func() {
		for _, pid := range j.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return j
}

func (j *ciJob) write(name, text string) string {
	j.Helper()
	path := filepath.Join(j.home, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o700)); err != nil {
		j.Fatal(err)
	}
	return path
}

// processes are those of the job that live.
func (j *ciJob) processes() (all []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		environment, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err == nil && slices.Contains(strings.Split(string(environment), "\x00"), j.mark) {
			all = append(all, pid)
		}
	}
	return all
}

// start runs a part of the file in a process group of its own, as runners do.
func (j *ciJob) start(script string) *exec.Cmd {
	j.Helper()
	line := j.runner.shell(script, j.write("tmp/script", script))
	cmd := exec.CommandContext(context.Background(), line[0], line[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = j.home, j.environment, &j.log, &j.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		j.Fatal(err)
	}
	return cmd
}

// eventually waits until something is so.
func (j *ciJob) eventually(what string, is func() bool) {
	j.Helper()
	for late := time.After(patience); !is(); {
		select {
		case <-late:
			j.Fatalf("not within %s: %s\n%s", patience, what, &j.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// nothingIsLeft wants no process, no session and no file of the job, but for the log, which is kept for a week.
func (j *ciJob) nothingIsLeft(files bool) {
	j.Helper()
	j.eventually("no process is left", func() bool { return len(j.processes()) == 0 })
	j.eventually("no session is left", func() bool { return len(j.account.Sessions()) == 0 })
	err := filepath.WalkDir(j.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		text, _ := os.ReadFile(path) //nolint:gosec // the job's own
		if !strings.HasSuffix(path, "/asked") && bytes.Contains(text, []byte(j.token)) {
			j.Errorf("the token is in %s", path)
		}
		own := strings.Contains(path, "/state/") && strings.HasSuffix(path, ".log") || strings.Contains(path, "/bin/") || strings.HasSuffix(path, "/.keep") || strings.HasSuffix(path, "/script") || strings.HasSuffix(path, "/asked") || strings.HasSuffix(path, "/began")
		if files && !own && !strings.HasSuffix(path, ".lock") {
			j.Errorf("%s is left", path)
		}
		return nil
	})
	if err != nil {
		j.Error(err)
	}
	if strings.Contains(j.log.String(), j.token) {
		j.Errorf("the token is in the log:\n%s", &j.log)
	}
}

// snippet is what culvert ci writes for a command.
func snippet(t *testing.T, system string, command ...string) string {
	t.Helper()
	args := append([]string{"ci", system, "-c", "automation", "-s", "squid", "-L", "0:3128", "--role-arn", ciRole, "--"}, command...)
	out, err := exec.CommandContext(t.Context(), "culvert", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("culvert %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// Each system runs its file: the command goes through the tunnel, under a role that was had for the job's token, and nothing is
// left; neither when the job is cancelled while the command runs, nor when everything of it is killed.
func TestJobsOfEveryCISystem(t *testing.T) {
	need.Command(t, "bash")
	need.Command(t, "curl")
	t.Parallel()
	for name, r := range ciRunners() {
		t.Run(name+" ends", func(t *testing.T) {
			t.Parallel()
			j := newCIJob(t, name)
			script, after := r.parts(t, snippet(t, name, "curl", "-sSf", "http://orders.internal/"))
			if err := j.start(script).Wait(); err != nil || !strings.Contains(j.log.String(), "<h1>Orders</h1>") || !strings.Contains(j.log.String(), "is down") {
				t.Errorf("%v\n%s", err, &j.log)
			}
			if after != "" {
				if err := j.start(after).Wait(); err != nil || !strings.Contains(j.log.String(), "nothing is up") {
					t.Errorf("afterwards: %v\n%s", err, &j.log)
				}
			}
			j.nothingIsLeft(true)
			if strings.Contains(j.log.String(), "HTTP_PROXY=") {
				t.Errorf("the variables are in the log:\n%s", &j.log)
			}
		})
		t.Run(name+" fails", func(t *testing.T) {
			t.Parallel()
			j := newCIJob(t, name)
			script, _ := r.parts(t, snippet(t, name, "sh", "-c", "exit 7"))
			err := j.start(script).Wait()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != cmp.Or(r.failure, 7) {
				t.Errorf("got %v, want the command's code\n%s", err, &j.log)
			}
			j.nothingIsLeft(true)
		})
		for how, signals := range map[string][]syscall.Signal{"is cancelled": {syscall.SIGTERM, syscall.SIGKILL}, "is killed": {syscall.SIGKILL}} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				j := newCIJob(t, name)
				script, after := r.parts(t, snippet(t, name, "sh", "-c", `touch "$HOME/began"; exec sleep 600`))
				cmd := j.start(script)
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				j.eventually("the command runs", func() bool {
					_, err := os.Stat(filepath.Join(j.home, "began"))
					return err == nil
				})
				if got := j.account.Sessions(); len(got) != 1 || !strings.HasPrefix(got[0].ID, r.session) || !strings.Contains(got[0].Owner, strings.TrimSuffix(r.session, "-")) {
					t.Errorf("got %+v, want one whose name begins with %s", got, r.session)
				}
				var err error
				for i, s := range signals {
					_ = syscall.Kill(-cmd.Process.Pid, s)
					grace := time.After(10 * time.Second) // as most runners have it
					if i == len(signals)-1 {
						grace = time.After(patience)
					}
					select {
					case err = <-ended:
					case <-grace:
						continue
					}
					break
				}
				if err == nil {
					t.Errorf("the job was not ended by that\n%s", &j.log)
				}
				if after != "" && r.afterCancel {
					if err := j.start(after).Wait(); err != nil {
						t.Errorf("afterwards: %v\n%s", err, &j.log)
					}
				}
				// Where nobody comes afterwards, word of how it ended waits for the next culvert.
				j.nothingIsLeft(len(signals) > 1 || r.afterCancel)
			})
		}
	}
}

// A runner that has no culvert gets the one of the release, if its checksum is right.
func TestAJobInstallsCulvert(t *testing.T) {
	need.Command(t, "curl")
	t.Parallel()
	r := ciRunners()["gitlab"]
	for how, right := range map[string]bool{"as listed": true, "as not listed": false} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			j := newCIJob(t, "gitlab")
			release := t.TempDir()
			arch := map[string]string{"amd64": "amd64", "arm64": "arm64"}[goarch(t)]
			archive := "culvert_VERSION_linux_" + arch + ".tar.gz"
			lines := fmt.Sprintf("cd '%s' && printf '#!/bin/sh\\necho \"culvert $*\" >&2\\necho :\\n' >culvert && chmod +x culvert && tar -czf %s culvert && sha256sum %s >checksums.txt", release, archive, archive)
			if !right {
				lines += " && echo '# another one' >>culvert && tar -czf " + archive + " culvert"
			}
			if out, err := exec.CommandContext(t.Context(), "sh", "-c", lines).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			site := httptest.NewServer(http.FileServer(http.Dir(release)))
			t.Cleanup(site.Close)
			script, _ := r.parts(t, snippet(t, "gitlab", "true"))
			script = strings.ReplaceAll(script, "https://github.com/"+origin.Owner()+"/"+origin.Repository()+"/releases/download/vVERSION", site.URL)
			for i, v := range j.environment {
				if strings.HasPrefix(v, "PATH=") {
					j.environment[i] = "PATH=" + withoutCulvert(t)
				}
			}
			err := j.start(script).Wait()
			_, missing := os.Stat(filepath.Join(j.home, ".local", "bin", "culvert"))
			if (err == nil) != right || (missing == nil) != right || right != strings.Contains(j.log.String(), "culvert up --name ci-8") {
				t.Errorf("got %v, %v\n%s", err, missing, &j.log)
			}
		})
	}
}

func goarch(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "uname", "-m").Output()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains([]string{"aarch64", "arm64"}, strings.TrimSpace(string(out))) {
		return "arm64"
	}
	return "amd64"
}

// withoutCulvert is the PATH without directories that have a culvert.
func withoutCulvert(t *testing.T) string {
	t.Helper()
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "culvert")); err != nil {
			dirs = append(dirs, dir)
		}
	}
	return strings.Join(dirs, ":")
}

// The policy of each page lets in the jobs that it is about, and no others.
func TestPagesTrustTheirJobsAlone(t *testing.T) {
	t.Parallel()
	for name, r := range ciRunners() {
		trust := trustOf(t, name)
		ours := emulator.Claims{Issuer: r.issuer, Subject: r.subject, Audience: r.audience}
		if err := trust(ciRole, ours); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, change := range map[string]func(*emulator.Claims){
			"another issuer":   func(c *emulator.Claims) { c.Issuer += ".evil.example" },
			"another audience": func(c *emulator.Claims) { c.Audience = "me" },
			"another organization": func(c *emulator.Claims) {
				c.Subject = strings.NewReplacer("acme", "evil", ciOrganization, ciJobID, ciProject, ciJobID, "job/shop", "job/evil").Replace(c.Subject)
			},
			"another project": func(c *emulator.Claims) {
				c.Subject = strings.NewReplacer("shop", "evil", ciProject, ciJobID).Replace(c.Subject)
			},
		} {
			theirs := ours
			change(&theirs)
			if trust(ciRole, theirs) == nil {
				t.Errorf("%s: %s is trusted", name, what)
			}
		}
	}
}
