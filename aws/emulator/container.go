package emulator

import (
	"context"
	"fmt"
	"net"
	"syscall"
)

// container finds a container in any state by the three parts of a session's target.
func (e *Emulator) container(cluster, task, runtimeID string) (*container, bool) {
	return e.target("ecs:" + cluster + "_" + task + "_" + runtimeID)
}

// target finds the container that a target of the form ecs:<cluster>_<task>_<runtime id> names. Names of clusters can have
// underscores, so the text is compared as a whole.
func (e *Emulator) target(id string) (*container, bool) {
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.clusters {
		for _, t := range c.tasks {
			for _, k := range t.containers {
				if k.runtime != "" && "ecs:"+c.name+"_"+t.id+"_"+k.runtime == id {
					return k, true
				}
			}
		}
	}
	return nil, false
}

// agentRunning reports whether the container's agent can take sessions.
func (c *container) agentRunning() bool {
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	return c.task.status == "RUNNING" && !c.task.pattern.ExecOff && !c.pattern.NotStarted && !c.pattern.Over && !c.killed &&
		!c.agent.Absent && !c.agent.Silent && c.agent.Status == "RUNNING" && c.task.pattern.Network != "none"
}

// stopped is closed once the container's task has stopped.
func (c *container) stopped() <-chan struct{} { return c.task.gone }

// arn is the ARN of the container's task.
func (c *container) arn() string { return c.task.arn(c.account) }

func (t *task) arn(a *account) string { return a.arn("ecs", "task/"+t.cluster.name+"/"+t.id) }

// dial connects to a port on the container's localhost, which all containers of a task share in the network modes awsvpc and
// host.
func (c *container) dial(ctx context.Context, port uint16) (net.Conn, error) {
	listening := c.listening(port)
	if listening == Relay {
		return c.bond(), nil //nolint:contextcheck // the relay serves beyond the dial
	}
	address, err := c.account.emulator.vpc.locate(listening)
	if err == nil && address == "" {
		err = syscall.ECONNREFUSED
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}, Err: err}
	}
	conn, err := c.account.emulator.network.DialContext(context.WithValue(ctx, dialling{}, c.task), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("dial what stands behind port %d: %w", port, err)
	}
	return conn, nil
}

// dialling is the key of a context's task, see DiallingTask.
type dialling struct{}

// DiallingTask returns the id of the task that connects to one of its own ports, in a call of DialContext of Options.Network, and
// a Go channel that is closed when the task has stopped. So each task can have a server of its own behind an address that all of
// them map. The id is empty for other connections.
func DiallingTask(ctx context.Context) (id string, gone <-chan struct{}) {
	if t, is := ctx.Value(dialling{}).(*task); is {
		return t.id, t.gone
	}
	return "", nil
}

// listening is the address that is mapped to a port; empty when nobody listens there.
func (c *container) listening(port uint16) string {
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	for _, k := range c.task.containers {
		if k != c && c.task.pattern.Network == "bridge" {
			continue
		}
		if address := or(k.pattern.Ports[port], k.pattern.Unmapped[port]); address != "" {
			return address
		}
	}
	return ""
}
