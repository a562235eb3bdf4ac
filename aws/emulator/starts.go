package emulator

import "slices"

// StartFault is what goes wrong when a task is started.
type StartFault struct {
	Family string // of the task definition; empty is any
	Kind   StartFaultKind
	Times  int // for how many starts; 0 for all
}

// StartFaultKind is a way in which the start of a task goes wrong.
type StartFaultKind int

// The ways in which a start goes wrong. With NoMemory there is no task: RunTask refuses it, and a service says so in an event and
// tries again after a pace. The next three stop the task before it runs, Crashes stops it once it runs, and the last two leave it
// as it is. The texts are ECS's ("Stopped tasks error messages", "Service event messages", RunTask's failures).
const (
	startsWell  StartFaultKind = iota
	NoMemory                   // no container instance has room
	NoCapacity                 // Fargate has no capacity
	NoImage                    // the registry does not have the image
	NoAddresses                // the subnet has no address left
	Crashes                    // its container ends at once
	NeverStarts                // the task stays PENDING
	NeverReady                 // the task runs, but its agent stays PENDING
)

// refusal is the reason in RunTask's failure; refused is false when the task is started.
func (k StartFaultKind) refusal() (reason string, refused bool) {
	return "RESOURCE:MEMORY", k == NoMemory
}

// unplaced has a service try again after a pace, and say that there is no room for its task. As in ECS, the event is not repeated
// before a task has been placed.
func (a *account) unplaced(s *service) {
	if !s.crowded {
		s.crowded = true
		a.note(s, a.emulator.now(), "was unable to place a task because no container instance met all of its requirements. "+
			"The closest matching (container-instance "+a.hex(32)+") has insufficient memory available.")
	}
	if s.retrying {
		return
	}
	s.retrying = true
	a.later(1, func() {
		s.retrying = false
		a.settle(s)
	})
}

// stop is why a task with this fault stops; empty when it does not. ran says whether it runs before.
func (k StartFaultKind) stop(t *task) (reason, code string, ran bool) {
	switch k {
	case NoCapacity:
		return "Capacity is unavailable at this time. Please try again later or in a different availability zone", "TaskFailedToStart", false
	case NoImage:
		return "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref " + t.containers[0].image(t.containers[0].account) + ": not found", "TaskFailedToStart", false
	case NoAddresses:
		return "Unexpected EC2 error while attempting to Create Network Interface in subnet '" + subnetID + "': InsufficientFreeAddressesInSubnet", "TaskFailedToStart", false
	case Crashes:
		return "Essential container in task exited", "EssentialContainerExited", true
	case startsWell, NoMemory, NeverStarts, NeverReady:
	}
	return "", "", false
}

// nextStart is the fault of the next start of a family, which is counted as a use of it.
func (a *account) nextStart(family string) StartFaultKind {
	d := &a.emulator.data
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, f := range d.faults.Starts {
		if f.Family != "" && f.Family != family {
			continue
		}
		if f.Times > 0 {
			list := slices.Clone(d.faults.Starts) // others may be reading the present list
			if list[i].Times--; list[i].Times == 0 {
				list = slices.Delete(list, i, i+1)
			}
			d.faults.Starts = list
		}
		return f.Kind
	}
	return startsWell
}
