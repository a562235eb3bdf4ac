package emulator

import (
	"context"
	"net"

	"culvert/tunnel/bond"
)

// serveRelay runs what a container of culvert's image does in a task, the very program: one for all tasks that have it.
func (v *vpc) serveRelay() error {
	listener, err := v.listen(Relay)
	if err != nil {
		return err
	}
	relay := &bond.Relay{
		Targets: []uint16{3128}, Build: "emulator",
		Dial: func(ctx context.Context, _ uint16) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", v.servers[Proxy])
		},
	}
	v.closers = append(v.closers, func() { _ = relay.Close() })
	v.running.Go(func() { _ = relay.Serve(listener) }) // ends with the listener
	return nil
}
