package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"culvert/aws/emulator"
)

// onDemand are the commands of stories about tasks that run only as long as their tunnels.
func onDemand() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"running": runningTasks,
		"starts":  starts,
		"elapse":  elapse,
		"noted":   noted,
		"desired": desiredTasks,
		"tags":    tagsOf,
	}
}

// runningTasks waits until that many tasks which no service started are meant to run in a cluster.
//
//	running CLUSTER NUMBER
func runningTasks(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	eventually(ts, func() error {
		if got := storyOf(ts).account.Running(args[0]); len(got) != want {
			return fmt.Errorf("got %d running tasks %v, want %d", len(got), got, want)
		}
		return nil
	})
}

// starts says what becomes of the tasks that are started from now on.
//
//	starts well | slowly | KIND
func starts(ts *testscript.TestScript, _ bool, args []string) {
	kinds := map[string]emulator.StartFaultKind{
		"without-memory": emulator.NoMemory, "without-capacity": emulator.NoCapacity, "without-image": emulator.NoImage,
		"without-addresses": emulator.NoAddresses, "crashing": emulator.Crashes, "never": emulator.NeverStarts, "without-agent": emulator.NeverReady,
	}
	kind, known := kinds[args[0]]
	storyOf(ts).account.Fault(func(f *emulator.Faults) {
		f.Starts, f.RunTakes = nil, 0
		switch {
		case known:
			f.Starts = []emulator.StartFault{{Kind: kind}}
		case args[0] == "slowly": // the task is there, and RunTask does not answer for longer than anybody waits
			f.RunTakes = time.Hour
		case args[0] != "well":
			ts.Fatalf("unknown start %q", args[0])
		}
	})
}

// noted counts the tasks that this user's culverts have started and not stopped yet, as they have noted them.
func noted(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(filepath.Join(ts.Getenv("XDG_STATE_HOME"), "culvert", "runs", "*"))
	ts.Check(err)
	if strconv.Itoa(len(found)) != args[0] {
		ts.Fatalf("noted are %q, want %s", found, args[0])
	}
}

// desiredTasks waits until a service of the cluster automation wants that many tasks.
func desiredTasks(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, func() error {
		if got := storyOf(ts).account.Desired("automation", args[0]); strconv.Itoa(got) != args[1] {
			return fmt.Errorf("service %s wants %d tasks, want %s", args[0], got, args[1])
		}
		return nil
	})
}

// tagsOf compares the keys of a service's tags, in the cluster automation.
func tagsOf(ts *testscript.TestScript, _ bool, args []string) {
	if got := storyOf(ts).account.Tags("automation", args[0]); !slices.Equal(got, args[1:]) {
		ts.Fatalf("service %s has the tags %q, want %q", args[0], got, args[1:])
	}
}

// elapse makes the account's running tasks older by a time: those with a limit of their own end when that is over.
func elapse(ts *testscript.TestScript, _ bool, args []string) {
	by, err := time.ParseDuration(args[0])
	ts.Check(err)
	storyOf(ts).account.Elapse(by)
}
