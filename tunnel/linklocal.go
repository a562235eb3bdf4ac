package tunnel

import (
	"fmt"

	"culvert/internal/address"
)

// LinkLocalError is a remote host that is not behind the task but the task's own surroundings.
type LinkLocalError struct{ Host string }

func (e *LinkLocalError) Error() string {
	return fmt.Sprintf("remote host %s is link-local: the metadata and the credentials of the task are at such addresses, no host behind it", e.Host)
}

// Remedy says what the way past it means.
func (e *LinkLocalError) Remedy() string {
	return "name another host; or pass --allow-link-local if everybody who can use the tunnel may have what answers there, such as the credentials of the task's role"
}

// LinkLocal reports whether the host is a link-local address (169.254.0.0/16, fe80::/10, or AWS's own fd00:ec2::/32), however
// it is spelled. The agent forwards to all of them but a few: to 169.254.170.2 too, where every process of the task gets the
// credentials of its role (protocol.md, "Documents"). Of a name only the agent knows where it leads.
func (e Endpoint) LinkLocal() bool {
	addr, ok := address.Parse(e.Host)
	return ok && address.LinkLocal(addr)
}
