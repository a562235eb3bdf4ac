//go:build !unix

package tunnel

import "net"

// crowded is always false: this system sets no such limit.
func crowded(net.Listener) bool { return false }
