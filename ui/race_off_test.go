//go:build !race

package ui

// raceDetector says that this test binary measures nothing.
const raceDetector = false
