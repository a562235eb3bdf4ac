package cli

import "culvert/tunnel"

// The values of --relay.
const (
	relayAuto    = "auto"
	relayNo      = "no"
	relayRequire = "require"
)

// relayMode is the mode of the engine for a value of --relay.
func relayMode(word string) tunnel.RelayMode {
	switch word {
	case relayNo:
		return tunnel.RelayNo
	case relayRequire:
		return tunnel.RelayRequire
	}
	return tunnel.RelayAuto
}
