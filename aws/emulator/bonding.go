package emulator

import (
	"net"
	"slices"

	"culvert/tunnel/bond"
)

// relay is the real relay of a task, behind whichever of its ports is Relay: it opens the other mapped ports of the task. The
// first connection starts it, and it ends with the task.
func (c *container) relay() *bond.Relay {
	t, e := c.task, c.account.emulator
	t.bonding.Do(func() {
		t.relay = &bond.Relay{Build: "emulator", Targets: c.bondable(), Dial: c.dial}
		e.serving.Go(func() {
			select {
			case <-t.gone:
			case <-e.over.Done():
			}
			_ = t.relay.Close()
		})
	})
	return t.relay
}

// bondable are the ports that the relay was given.
func (c *container) bondable() (ports []uint16) {
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	for _, k := range c.task.containers {
		for port, address := range k.pattern.Ports {
			if address != Relay {
				ports = append(ports, port)
			}
		}
	}
	slices.Sort(ports)
	return ports
}

// bond connects to the relay.
func (c *container) bond() net.Conn {
	near, far := net.Pipe()
	c.relay().Take(far)
	return near
}
