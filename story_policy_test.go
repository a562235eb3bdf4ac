package main

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"culvert/aws"
)

// callerOf makes the story's programs callers of the account who may do what a policy file says, without one of its
// actions or resources where one is named, and nothing else.
//
//	caller FILE [WITHOUT]
func callerOf(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(args) > 1 {
		text = lacking(ts, text, args[1])
	}
	s := storyOf(ts)
	s.callers++
	name := "ci" + strconv.Itoa(s.callers) // each without what the one before was given
	ts.Check(s.account.Attach("user/"+name, text))
	key, secret := s.account.User(name)
	ts.Setenv("AWS_ACCESS_KEY_ID", key)
	ts.Setenv("AWS_SECRET_ACCESS_KEY", secret)
}

// roleOf makes a policy file all that a role may do, without one of its statements where one is named.
//
//	role NAME FILE [WITHOUT]
func roleOf(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(args) > 2 {
		var p aws.Policy
		ts.Check(json.Unmarshal(text, &p))
		n := len(p.Statement)
		p.Statement = slices.DeleteFunc(p.Statement, func(s aws.Statement) bool { return s.Sid == args[2] })
		if len(p.Statement) == n {
			ts.Fatalf("the policy has no statement %s", args[2])
		}
		text, err = json.Marshal(p)
		ts.Check(err)
	}
	ts.Check(storyOf(ts).account.Attach("role/"+args[0], text))
}

// lacking is a policy without an action or a resource, which it must have.
func lacking(ts *testscript.TestScript, text []byte, missing string) []byte {
	var p aws.Policy
	ts.Check(json.Unmarshal(text, &p))
	found := false
	is := func(entry string) bool {
		found = found || entry == missing
		return entry == missing
	}
	for i, s := range p.Statement {
		p.Statement[i].Action, p.Statement[i].Resource = slices.DeleteFunc(s.Action, is), slices.DeleteFunc(s.Resource, is)
	}
	if !found {
		ts.Fatalf("the policy has no %s", missing)
	}
	p.Statement = slices.DeleteFunc(p.Statement, func(s aws.Statement) bool { return len(s.Action) == 0 || len(s.Resource) == 0 })
	less, err := json.Marshal(p)
	ts.Check(err)
	return less
}
