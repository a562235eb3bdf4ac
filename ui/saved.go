package ui

import (
	"culvert/aws"
	"culvert/tunnel"
)

// Saved are the tunnels and groups of the config files, in their order.
type Saved struct {
	Tunnels []SavedTunnel
	Groups  []SavedGroup
}

// SavedTunnel is a tunnel with a name. Its target has no RuntimeID: what runs is looked up when it is started.
type SavedTunnel struct {
	Name    string
	Target  aws.Target
	Forward tunnel.Forward
	Probe   string // as --probe takes it; empty chooses by the port
}

// SavedGroup names saved tunnels.
type SavedGroup struct {
	Name    string
	Tunnels []string
}

func newSaved(a *app) screen { return newHelp(a) }
