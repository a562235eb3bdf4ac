//go:build race

package swarm

// seedsUsual is less than without the race detector, which slows the swarm down: make test runs both.
const seedsUsual = 20

const withRace = true
