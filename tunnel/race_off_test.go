//go:build !race

package tunnel_test

// raceDetector says that this test binary measures nothing.
const raceDetector = false
