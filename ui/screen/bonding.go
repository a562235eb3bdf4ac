package screen

import (
	"errors"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// bonding is whether connections go through a relay, in a word, and where there is one, or something is in its way, what more there is
// to say, for a line of their own. Both are empty where nothing is known of one, and of a tunnel that none could serve.
func (r reading) bonding() (word, more string) {
	none, _ := errors.AsType[*aws.NoRelayError](r.Spec.Unrelayed)
	switch {
	case r.State.Final(), r.Spec.Dynamic != nil, r.Spec.Remote.Host != "":
		return "", ""
	case r.Link.Relay.On && r.Stats.Strands == 0:
		return "on", "no session to it is open just now"
	case r.Link.Relay.On:
		return "on", plural(r.Stats.Strands, "session") + " bonded"
	case r.Link.Relay.Why != "":
		return "off", say.Line(r.Link.Relay.Why)
	case r.Spec.Relay != nil:
		return "found", "it has not answered yet"
	case r.Spec.Unrelayed == nil:
		return "", ""
	case errors.Is(r.Spec.Unrelayed, tunnel.ErrRelayUnwanted):
		return "unwanted", ""
	case none != nil && none.Why == aws.RelayUnmapped:
		return "none", ""
	case none != nil && none.Why == aws.RelayUnsought:
		return "unknown", ""
	}
	return "off", say.Line(r.Spec.Unrelayed.Error())
}
