//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

// The stories of terminals begin with [linux].

func terminal(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("no terminals on this system")
}

func typed(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("no terminals on this system") }
