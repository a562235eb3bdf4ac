package cli

import "culvert/tunnel"

// What --relay may be.
const (
	relayAuto    = "auto"
	relayNo      = "no"
	relayRequire = "require"
)

// relayMode is what the engine is told.
func relayMode(word string) tunnel.RelayMode {
	switch word {
	case relayNo:
		return tunnel.RelayNo
	case relayRequire:
		return tunnel.RelayRequire
	}
	return tunnel.RelayAuto
}
