package wire

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/session-manager-plugin/src/config"
)

// Version is a dotted version of four numbers, in which agents and clients announce themselves; the zero Version is "0.0.0.0".
type Version [4]uint32

// ClientVersion is the version that culvert announces. The agent chooses its features by this alone, so it is that of AWS's own
// client which has the features that culvert has (above 1.2.331.0 the agent does not send smux keepalives; 1.2.764.0 is the
// oldest that AWS supports).
const ClientVersion = "1.2.764.0"

// ServiceName is the service for which the upgrade request of a data channel is signed (SigV4).
const ServiceName = config.ServiceName

// ParseVersion decodes "a.b.c.d"; missing parts are 0. Versions have to be compared as numbers: comparing them as strings or by
// semver gets four parts wrong.
func ParseVersion(s string) (Version, error) {
	var v Version
	parts := strings.Split(s, ".")
	if len(parts) > len(v) {
		return Version{}, fmt.Errorf("%w: version %q has more than four parts", ErrInvalid, s)
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return Version{}, fmt.Errorf("%w: version %q", ErrInvalid, s)
		}
		v[i] = uint32(n)
	}
	return v, nil
}

// String returns the version in its dotted form.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d.%d", v[0], v[1], v[2], v[3]) }

// Compare is negative when v is older than w, positive when it is newer.
func (v Version) Compare(w Version) int {
	for i := range v {
		if c := cmp.Compare(v[i], w[i]); c != 0 {
			return c
		}
	}
	return 0
}

func (v Version) after(s string) bool {
	w, err := ParseVersion(s)
	return err == nil && v.Compare(w) > 0
}

// Mux reports whether an agent of this version multiplexes connections with smux.
func (v Version) Mux() bool {
	return v.after(config.TCPMultiplexingSupportedAfterThisAgentVersion)
}

// KeepAlive reports whether an agent of this version closes a mux session that sends it nothing for 30 s.
func (v Version) KeepAlive() bool {
	return v.Mux() && !v.after(config.TCPMultiplexingWithSmuxKeepAliveDisabledAfterThisAgentVersion)
}

// TerminateFlag reports whether an agent of this version understands FlagTerminateSession.
func (v Version) TerminateFlag() bool {
	return v.after(config.TerminateSessionFlagSupportedAfterThisAgentVersion)
}
