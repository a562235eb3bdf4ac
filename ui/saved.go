package ui

// Saved are the tunnels and groups of the config files.
type Saved struct{}

// SavedTunnel is one of them.
type SavedTunnel struct{}

func newSaved(a *app) screen { return newHelp(a) }
