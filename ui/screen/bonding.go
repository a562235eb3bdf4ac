package screen

import (
	"errors"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// bonding says whether connections go through a relay: in a word, and in more, for a line of its own, over how many sessions or
// why not. Both are empty where nothing is known of a relay, and for a tunnel that no relay could serve.
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
