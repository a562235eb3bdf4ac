package deploy_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"culvert/internal/need"
)

// container is what ECS reads of a container definition, as far as it matters here.
type container struct {
	User        string        `json:"user"`
	EntryPoint  []string      `json:"entryPoint"`
	Command     []string      `json:"command"`
	Environment []environment `json:"environment"`
	HealthCheck struct {
		Command []string `json:"command"`
	} `json:"healthCheck"`
}

type environment struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// task runs a container's processes as ECS does: its user, its environment, its standard streams.
type task struct {
	*testing.T
	container

	squid *exec.Cmd
	read  sync.WaitGroup
	mu    sync.Mutex
	said  strings.Builder
}

func (k *task) command(args ...string) *exec.Cmd {
	k.Helper()
	u, err := user.Lookup(k.User)
	if err != nil {
		k.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		k.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		k.Fatal(err)
	}
	cmd := exec.CommandContext(k.Context(), args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, e := range k.Environment {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start starts the container and waits until Squid answers.
func (k *task) start() {
	k.Helper()
	need.Command(k, "squid")
	k.squid = k.command(append(slices.Clone(k.EntryPoint), k.Command...)...)
	r, w, err := os.Pipe()
	if err != nil {
		k.Fatal(err)
	}
	// A container runtime gives the streams to the container's user.
	if err := w.Chown(int(k.squid.SysProcAttr.Credential.Uid), int(k.squid.SysProcAttr.Credential.Gid)); err != nil {
		k.Fatal(err)
	}
	k.squid.Stdout, k.squid.Stderr = w, w
	if err := k.squid.Start(); err != nil {
		k.Fatal(err)
	}
	_ = w.Close()
	k.read.Go(func() {
		defer r.Close()
		_, _ = io.Copy(k, r)
	})
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := new(net.Dialer).DialContext(k.Context(), "tcp", "127.0.0.1:3128")
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			k.Fatalf("Squid does not listen: %v\n%s", err, k.output())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop ends the container as ECS does, and wants it to go well before it would be killed.
func (k *task) stop() {
	k.Helper()
	if err := k.squid.Process.Signal(syscall.SIGTERM); err != nil {
		k.Fatal(err)
	}
	late := time.AfterFunc(20*time.Second, func() { _ = k.squid.Process.Kill() })
	defer late.Stop()
	if err := k.squid.Wait(); err != nil {
		k.Errorf("Squid ends with %v", err)
	}
	k.read.Wait()
}

// health runs the health check in the container.
func (k *task) health() int {
	k.Helper()
	if k.HealthCheck.Command[0] != "CMD-SHELL" {
		k.Fatalf("health check %v", k.HealthCheck.Command)
	}
	cmd := k.command("/bin/sh", "-c", k.HealthCheck.Command[1])
	if err := cmd.Run(); err != nil {
		if ended, ok := errors.AsType[*exec.ExitError](err); ok {
			return ended.ExitCode()
		}
		k.Fatal(err)
	}
	return 0
}

// parses wants Squid's own parser to be content with the configuration.
func (k *task) parses() {
	k.Helper()
	out, err := k.command("squid", "-k", "parse", "-f", "/tmp/culvert-squid/squid.conf").CombinedOutput()
	if err != nil || strings.Contains(string(out), "WARNING") || strings.Contains(string(out), "ERROR") {
		k.Errorf("squid -k parse: %v\n%s", err, out)
	}
}

// Write takes what the container prints.
func (k *task) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.said.Write(b)
}

func (k *task) output() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.said.String()
}
