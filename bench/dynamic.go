//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Culvert beside itself: a tunnel to any host, which opens a session when somebody asks for a host, and a forward to one of those
// hosts, which has its session before.
const (
	nameForward = "culvert -L"

	dynamicMetric = "dynamic"
	coldMetric    = "dynamic-cold"
	warmMetric    = "dynamic-warm"

	dynamicHosts = 8
)

// benchHost is a name behind the tasks; all lead to the destination.
func benchHost(i int) string { return "h" + strconv.Itoa(i) + ".bench" }

func anyHost() subject {
	return subject{nameCulvert, usualRemote(), func(ctx context.Context, w *world, to remote) (*client, error) {
		return startBeside(ctx, w, to, "-D", "127.0.0.1:%d")
	}}
}

func oneHost() subject {
	return subject{nameForward, usualRemote(), func(ctx context.Context, w *world, to remote) (*client, error) {
		return startBeside(ctx, w, to, "-L", "127.0.0.1:%d:"+net.JoinHostPort(benchHost(0), strconv.Itoa(port)))
	}}
}

// startBeside starts culvert with a form of -L or -D that has a %d for the local port.
func startBeside(ctx context.Context, w *world, to remote, flag, form string) (*client, error) {
	local, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	return launch(ctx, w, local, marks{culvertReady}, nil, w.programs.culvert,
		"--headless", "--endpoint-url", w.URL, "--region", region, "--target", cluster+"/"+to.service, flag, fmt.Sprintf(form, local), "-o", "json")
}

// hosts takes the time from a client's connect to the answer of a host: of a new one, and of one that is known.
func (b *bench) hosts(ctx context.Context, s subject) error {
	return b.with(ctx, s, func(ctx context.Context, c *client) error {
		var cold, warm []time.Duration
		for i := range dynamicHosts {
			host := ""
			if s.name == nameCulvert {
				host = net.JoinHostPort(benchHost(i), strconv.Itoa(port))
			}
			for n := range b.effort.again + 1 {
				took, err := c.ask(ctx, host)
				switch {
				case err != nil:
					return err
				case n > 0:
					warm = append(warm, took)
				case host != "":
					cold = append(cold, took)
				case i == 0: // its session was opened before: what that took, and one round trip more
					opened, err := c.opening()
					if err != nil {
						return err
					}
					cold = append(cold, opened+took)
				}
			}
		}
		b.results.add(coldMetric, s.name, milliseconds(percentile(cold, 50)))
		b.results.add(warmMetric, s.name, milliseconds(percentile(warm, 50)))
		return nil
	})
}

// ask connects, by CONNECT to a host and port if they are named, and has a byte sent back.
func (c *client) ask(ctx context.Context, to string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	began := time.Now()
	conn, err := c.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close() //nolint:errcheck // it has answered
	r := bufio.NewReader(conn)
	if to != "" {
		if err := request(conn, r, to, http.StatusOK); err != nil {
			return 0, err
		}
	}
	if _, err := io.WriteString(conn, wordEcho+"\n!"); err != nil {
		return 0, fmt.Errorf("ask the destination: %w", err)
	}
	if answer, err := r.ReadByte(); err != nil || answer != '!' {
		return 0, fmt.Errorf("ask the destination: got %q, %w", answer, errors.Join(err, context.Cause(ctx)))
	}
	return time.Since(began), nil
}

// request asks a proxy for a host and port and checks its answer.
func request(w io.Writer, r *bufio.Reader, to string, want int) error {
	if _, err := io.WriteString(w, "CONNECT "+to+" HTTP/1.1\r\nHost: "+to+"\r\n\r\n"); err != nil {
		return fmt.Errorf("ask for %s: %w", to, err)
	}
	answer, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // the connection is closed
	if err != nil {
		return fmt.Errorf("ask for %s: %w", to, err)
	}
	if answer.StatusCode != want {
		return fmt.Errorf("ask for %s: %s", to, answer.Status)
	}
	return nil
}

// opening is what StartSession, the websocket and the handshake took, by culvert's own events.
func (c *client) opening() (time.Duration, error) {
	at := map[string]time.Time{}
	for line := range bytes.Lines([]byte(c.said.tail())) {
		var event struct {
			Time  time.Time `json:"time"`
			Event string    `json:"event"`
			State string    `json:"state"`
		}
		if json.Unmarshal(line, &event) == nil && event.Event == "state" {
			at[event.State] = event.Time
		}
	}
	starting, open := at["starting"], at["open"]
	if starting.IsZero() || open.IsZero() {
		return 0, fmt.Errorf("no events of its start: %s", c.said.tail())
	}
	return open.Sub(starting), nil
}
