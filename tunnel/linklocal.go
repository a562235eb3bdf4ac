package tunnel

import (
	"fmt"

	"culvert/internal/address"
)

// LinkLocalError means that a remote host is a link-local address, which is no host behind the task but belongs to the task
// itself.
type LinkLocalError struct{ Host string }

func (e *LinkLocalError) Error() string {
	return fmt.Sprintf("remote host %s is link-local: the metadata and the credentials of the task are at such addresses, no host behind it", e.Host)
}

// Remedy says what --allow-link-local would give away.
func (e *LinkLocalError) Remedy() string {
	return "name another host; or pass --allow-link-local if everybody who can use the tunnel may have what answers there, such as the credentials of the task's role"
}

// LinkLocal reports whether the host is a link-local address (169.254.0.0/16, fe80::/10, or AWS's own fd00:ec2::/32), however the
// address is spelled. The agent refuses only a few of them: it forwards to 169.254.170.2, where every process of the task gets
// the credentials of the task's role (protocol.md, "Documents"). For a name LinkLocal is false, as only the agent knows which
// address it leads to.
func (e Endpoint) LinkLocal() bool {
	addr, ok := address.Parse(e.Host)
	return ok && address.LinkLocal(addr)
}
