//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"culvert/aws"
)

// world is the far side as the bench sees it, and what its clients need to know of it.
type world struct {
	hello

	programs programs
	usual    conditions
	scratch  string // directory for what clients write
	client   *aws.Client

	cmd    *exec.Cmd
	stdin  io.WriteCloser
	orders *json.Encoder
	from   *json.Decoder
	mu     sync.Mutex // one order at a time
}

// openWorld starts the far side under its usual conditions.
func openWorld(ctx context.Context, usual conditions, p programs) (*world, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	w := &world{programs: p, usual: usual}
	// Not ended by ctx: the clients end first. It ends with its input.
	w.cmd = exec.CommandContext(context.WithoutCancel(ctx), self, partServe) //nolint:gosec // this program
	w.cmd.Stderr = os.Stderr
	if w.stdin, err = w.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start the far side: %w", err)
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the far side: %w", err)
	}
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the far side: %w", err)
	}
	w.orders, w.from = json.NewEncoder(w.stdin), json.NewDecoder(stdout)
	if err := w.greet(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) greet(ctx context.Context) error {
	if err := w.from.Decode(&w.hello); err != nil {
		return fmt.Errorf("hear from the far side: %w", err)
	}
	if err := w.set(w.usual); err != nil {
		return err
	}
	var err error
	if w.scratch, err = os.MkdirTemp("", "culvert-bench-"); err != nil {
		return fmt.Errorf("make a place for the clients' files: %w", err)
	}
	if w.client, err = aws.Connect(ctx, aws.Options{Region: region, Endpoint: w.URL, Keys: aws.Keys{ID: w.KeyID, Secret: w.Secret}}); err != nil {
		return err
	}
	return nil
}

// lookup finds a task that may be forwarded to.
func (w *world) lookup(ctx context.Context, to remote) (aws.Target, error) {
	return w.client.Lookup(ctx, aws.Query{Cluster: cluster, Service: to.service, Container: container, Port: to.port})
}

func (w *world) close() error {
	_ = w.stdin.Close()
	err := w.cmd.Wait()
	if err != nil {
		err = fmt.Errorf("end of the far side: %w", err)
	}
	return errors.Join(err, os.RemoveAll(w.scratch)) //nolint:gosec // made by greet
}

func (w *world) ask(o order) (answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var a answer
	if err := w.orders.Encode(o); err != nil {
		return a, fmt.Errorf("ask the far side: %w", err)
	}
	if err := w.from.Decode(&a); err != nil {
		return a, fmt.Errorf("hear from the far side: %w", err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// set changes the conditions of living and later sessions.
func (w *world) set(c conditions) error {
	_, err := w.ask(order{Set: &c})
	return err
}

// received is how many bytes uploads have delivered so far; it does not go back.
func (w *world) received() int64 {
	a, err := w.ask(order{})
	if err != nil {
		return 0 // counts as no progress
	}
	return a.Received
}

// reap ends the sessions that a client has left, and has the account get well. What is opened from now on is counted anew.
func (w *world) reap() error {
	_, err := w.ask(order{Reap: true})
	return err
}

// opened is how many sessions have been opened since the last reap, task by task, those of the busiest first.
func (w *world) opened() ([]int, error) {
	a, err := w.ask(order{Count: true})
	return a.Opened, err
}

// closeSockets has the service close the clients' websockets, as it does about once an hour.
func (w *world) closeSockets() error {
	_, err := w.ask(order{Close: true})
	return err
}

// shut closes the door of the tasks with a relay.
func (w *world) shut() error {
	_, err := w.ask(order{Shut: true})
	return err
}

// startRelay starts a relay of its own for what is measured next, and returns its process.
func (w *world) startRelay() (pid int, err error) {
	a, err := w.ask(order{Relay: &relayOrder{Program: w.programs.relay}})
	return a.Relay.Pid, err
}

// endRelay ends it and returns how many streams it has had.
func (w *world) endRelay() (streams int, err error) {
	a, err := w.ask(order{Relay: &relayOrder{}})
	return a.Relay.Streams, err
}

// harm does something to what goes through the relay.
func (w *world) harm(what harm) error {
	_, err := w.ask(order{Harm: what})
	return err
}

// kill has the tasks that have sessions die without a word.
func (w *world) kill() error {
	_, err := w.ask(order{Kill: true})
	return err
}

// env is the environment of a client: this process's own without anything that would change how it works.
func (w *world) env() []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "CULVERT_") && !strings.HasPrefix(name, "GITHUB_") &&
			!strings.HasPrefix(name, "GO") && !strings.HasSuffix(strings.ToUpper(name), "_PROXY") && !strings.HasSuffix(name, "_CA_BUNDLE") {
			env = append(env, v)
		}
	}
	return append(append(env, w.Env...), "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "XDG_CONFIG_HOME=/nonexistent")
}

// document is the port forward that a client asks for.
func document(local int, remote uint16) aws.Document {
	d := aws.PortForward(remote)
	d.Parameters["localPortNumber"] = []string{strconv.Itoa(local)}
	return d
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
