//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	readyWithin = 30 * time.Second
	stopWithin  = 3 * time.Second
	tailSize    = 4 << 10
)

// subject is a program under comparison and how it is started. The clients of one measurement are fresh processes.
type subject struct {
	name  string
	to    remote
	begin func(context.Context, *world, remote) (*client, error)
}

// remote is what a client forwards to: a port of a service's task.
type remote struct {
	service string
	port    uint16
}

func (s subject) start(ctx context.Context, w *world) (*client, error) {
	to := s.to
	if number, other := w.Real[to.port]; other && relays(to.service) {
		to.port = number
	}
	return s.begin(ctx, w, to)
}

// at is the subject with another remote to forward to.
func (s subject) at(to remote) subject {
	s.to = to
	return s
}

// The names of the subjects.
const (
	nameCulvert = "culvert"
	namePlugin  = "plugin"
	nameCLI     = "aws cli"
)

func culvert(extra ...string) subject {
	return subject{nameCulvert, usualRemote(), func(ctx context.Context, w *world, to remote) (*client, error) {
		return startCulvert(ctx, w, to, marks{culvertReady}, extra)
	}}
}

func plugin() subject { return subject{namePlugin, usualRemote(), startPlugin} }
func cli() subject    { return subject{nameCLI, usualRemote(), startCLI} }

func usualRemote() remote { return remote{service, port} }

// client is a subject's process that forwards a local port.
type client struct {
	address string
	began   time.Time // just before the process was started
	cmd     *exec.Cmd
	said    *transcript
	ended   chan struct{}
}

func startCulvert(ctx context.Context, w *world, to remote, ready marks, extra []string) (*client, error) {
	local, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	if dir := w.programs.profile; dir != "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		flags := map[string]string{lanesFlag: "0", relayFlag: "auto"}
		for i := 0; i+1 < len(extra); i += 2 {
			flags[extra[i]] = extra[i+1]
		}
		name := filepath.Join(dir, time.Now().Format("150405.000"))
		return launch(ctx, w, local, ready, nil, self, partEngine, strconv.Itoa(local), to.service, strconv.Itoa(int(to.port)), flags[lanesFlag], flags[relayFlag], name)
	}
	args := append([]string{
		"--headless", "--endpoint-url", w.URL, "--region", region, "--target", cluster + "/" + to.service,
		"-L", fmt.Sprintf("127.0.0.1:%d:%d", local, to.port), "-o", "json",
	}, extra...)
	return launch(ctx, w, local, ready, nil, w.programs.culvert, args...)
}

// What culvert says, and the engine in its place.
const (
	culvertReady = `"event":"ready"`
	relayOn      = `"relay":"on"`
)

// startPlugin starts the plugin as the aws command does, with a session that is open already.
func startPlugin(ctx context.Context, w *world, to remote) (*client, error) {
	local, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	target, err := w.lookup(ctx, to)
	if err != nil {
		return nil, err
	}
	d := document(local, to.port)
	session, err := w.client.StartSession(ctx, target, d)
	if err != nil {
		return nil, err
	}
	response, err := json.Marshal(map[string]string{"SessionId": session.ID, "StreamUrl": session.StreamURL, "TokenValue": session.Token})
	if err != nil {
		return nil, fmt.Errorf("encode the session: %w", err)
	}
	request, err := json.Marshal(map[string]any{"Target": target.ID(), "DocumentName": d.Name, "Parameters": d.Parameters})
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	const variable = "AWS_SSM_START_SESSION_RESPONSE"
	return launch(ctx, w, local, marks{pluginReady}, []string{variable + "=" + string(response)},
		w.programs.plugin, variable, region, "StartSession", "", string(request), w.URL)
}

const pluginReady = "Waiting for connections"

// startCLI starts the aws command, which starts the session and then the plugin.
func startCLI(ctx context.Context, w *world, to remote) (*client, error) {
	local, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	target, err := w.lookup(ctx, to)
	if err != nil {
		return nil, err
	}
	path := "PATH=" + filepath.Dir(w.programs.plugin) + string(os.PathListSeparator) + os.Getenv("PATH")
	return launch(ctx, w, local, marks{pluginReady}, []string{path}, w.programs.cli,
		"ssm", "start-session", "--target", target.ID(), "--document-name", document(local, to.port).Name,
		"--parameters", fmt.Sprintf("portNumber=%d,localPortNumber=%d", to.port, local))
}

// marks are words that a client has all written when it is ready.
type marks []string

// launch starts a client.
func launch(ctx context.Context, w *world, local int, ready marks, env []string, program string, args ...string) (*client, error) {
	c := &client{
		address: net.JoinHostPort("127.0.0.1", strconv.Itoa(local)),
		said:    &transcript{missing: ready, marked: make(chan struct{})}, ended: make(chan struct{}),
	}
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), program, args...) //nolint:gosec // what the bench compares
	c.cmd.Env = append(w.env(), env...)
	c.cmd.Stdout, c.cmd.Stderr = c.said, c.said
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the plugin goes with its aws command
	c.cmd.WaitDelay = time.Second
	c.began = time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // however it ends, what it did not forward is missed
	}()
	return c, nil
}

// ready waits until the client says so.
func (c *client) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	select {
	case <-c.said.marked:
		return nil
	case <-c.ended:
		return fmt.Errorf("the client ended: %s", c.said.tail())
	case <-ctx.Done():
		return fmt.Errorf("wait for the client to be ready: %w: %s", context.Cause(ctx), c.said.tail())
	}
}

// stop ends the client as ctrl+c does, and kills it when that is not enough.
func (c *client) stop() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGINT)
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-c.ended:
		return
	case <-timer.C:
	}
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.ended
}

// dial opens a connection through the forward; it is closed when ctx ends.
func (c *client) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, fmt.Errorf("connect to the forward: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, nil
}

// freePort returns a port that nobody listened on a moment ago.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("look for a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("look for a free port: no TCP address")
	}
	return at.Port, nil
}

// transcript takes a client's output, looks for the marks and keeps the end.
type transcript struct {
	marked chan struct{}

	mu      sync.Mutex
	kept    []byte
	missing marks
	seen    bool
}

// Write implements io.Writer.
func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	t.missing = slices.DeleteFunc(t.missing, func(mark string) bool { return bytes.Contains(t.kept, []byte(mark)) })
	if !t.seen && len(t.missing) == 0 {
		t.seen = true
		close(t.marked)
	}
	if over := len(t.kept) - tailSize; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *transcript) tail() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.kept))
}
