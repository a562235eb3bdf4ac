package emulator

import (
	"net"
	"slices"

	"culvert/tunnel/bond"
)

// relay is the relay of a task, a real one, to which any port leads that is mapped to Relay. It may connect to the other mapped
// ports of the task. The first connection starts it, and it ends with the task.
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

// bondable are the ports to which the relay may connect.
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
