//go:build !race

package swarm

// seedsUsual is how many seeds are played out where nobody says how many.
const seedsUsual = 200

const withRace = false
