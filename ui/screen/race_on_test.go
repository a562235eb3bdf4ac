//go:build race

package screen

// raceDetector says that this test binary measures nothing.
const raceDetector = true
