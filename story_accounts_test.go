package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"culvert/aws/emulator"
)

// profiled starts an account and a profile of the AWS configuration that leads to it, endpoint included. Nothing in the
// environment says where to go.
//
//	profile NAME ACCOUNT
func profiled(ts *testscript.TestScript, _ bool, args []string) {
	fleet := emulator.Unbonded()
	fleet.Account = args[1]
	e, err := emulator.Start(emulator.Options{Fleet: fleet})
	ts.Check(err)
	ts.Defer(e.Close)
	s := storyOf(ts)
	if s.accounts == nil {
		s.accounts = map[string]*emulator.Emulator{}
	}
	s.accounts[args[0]] = e
	dir := filepath.Join(ts.Getenv("HOME"), ".aws")
	ts.Check(os.MkdirAll(dir, 0o700))
	file, err := os.OpenFile(filepath.Join(dir, "config"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	ts.Check(err)
	key, secret := e.Credentials()
	_, err = fmt.Fprintf(file, "[profile %s]\nregion = eu-west-1\nendpoint_url = %s\naws_access_key_id = %s\naws_secret_access_key = %s\n", args[0], e.URL(), key, secret)
	ts.Check(err)
	ts.Check(file.Close())
}

// inAccount runs a command of the story in the account of a profile.
//
//	in PROFILE sessions NUMBER | fault …
func inAccount(ts *testscript.TestScript, negated bool, args []string) {
	s := storyOf(ts)
	before := s.account
	defer func() { s.account = before }()
	s.account = s.accounts[args[0]]
	if s.account == nil {
		ts.Fatalf("no profile %q", args[0])
	}
	switch args[1] {
	case "sessions":
		sessions(ts, negated, args[2:])
	case "fault":
		fault(ts, negated, args[2:])
	default:
		ts.Fatalf("unknown command %q", args[1])
	}
}

// renew ends a fault expire.
func renew(e *emulator.Emulator) {
	key, _ := e.Credentials()
	e.RenewCredentials(key, time.Hour)
}
