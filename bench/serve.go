//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"culvert/aws/emulator"
)

// Where the destination is in the emulated account.
const (
	cluster   = "bench"
	service   = "target"
	container = "app"
	region    = "eu-west-1"
	port      = 7000
)

// agentPacing is what the real agent rests after each message of at most 1024 bytes (protocol.md 8).
const agentPacing = time.Millisecond

// conditions are what the service and the agent do to a session.
type conditions struct {
	Delay  time.Duration `json:"delay"`  // of the service, each way
	Pacing time.Duration `json:"pacing"` // of the agent
	Loss   float64       `json:"loss"`   // share of the messages lost: data and acknowledges, both ways
}

// hello is the first line of the far side.
type hello struct {
	URL    string   `json:"url"`
	KeyID  string   `json:"key"`
	Secret string   `json:"secret"`
	Env    []string `json:"env"` // for a client's process
}

// order is what the far side is asked; every order gets an answer.
type order struct {
	Set  *conditions `json:"set"`
	Reap bool        `json:"reap"` // end all sessions
}

type answer struct {
	Received int64 `json:"received"` // bytes that uploads have delivered to the destination so far
}

// serve is the far side in a process of its own, so that its work is not counted as a client's: the account with its
// agents, and the destination. It takes orders as JSON until its input ends.
func serve(in io.Reader, out io.Writer) error {
	d, err := startDestination()
	if err != nil {
		return err
	}
	defer d.close()
	task := emulator.Task{Containers: []emulator.Container{{Name: container, Ports: map[uint16]string{port: d.address()}}}}
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{
		Region:   region,
		Clusters: []emulator.Cluster{{Name: cluster, Services: []emulator.Service{{Name: service, Count: 1, Task: task}}}},
	}})
	if err != nil {
		return fmt.Errorf("start the account: %w", err)
	}
	defer e.Close()
	id, secret := e.Credentials()
	answers, orders := json.NewEncoder(out), json.NewDecoder(in)
	if err := answers.Encode(hello{URL: e.URL(), KeyID: id, Secret: secret, Env: e.Env()}); err != nil { //nolint:gosec // of the emulated account
		return fmt.Errorf("greet: %w", err)
	}
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		a := answer{Received: d.received.Load()}
		if o.Set != nil {
			e.Fault(func(f *emulator.Faults) { o.Set.apply(f) })
		}
		if o.Reap {
			for _, s := range e.Sessions() {
				e.KillSession(s.ID, "the bench has ended the session")
			}
		}
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

func (c conditions) apply(f *emulator.Faults) {
	f.Delay, f.Pacing = c.Delay, c.Pacing
	loss := emulator.Loss{Drop: c.Loss}
	f.Up = emulator.Path{Data: loss, Acks: loss}
	f.Down = f.Up
}
