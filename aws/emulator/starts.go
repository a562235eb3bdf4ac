package emulator

import "slices"

// StartFault is what happens to tasks that RunTask starts, instead of their coming up.
type StartFault struct {
	Family string // of the task definition; empty is any
	Kind   StartFaultKind
	Times  int // then it is gone; 0 stays
}

// StartFaultKind is what goes wrong with the start of a task.
type StartFaultKind int

// The ways in which a start goes wrong: RunTask refuses the first, the others stop the task before it runs, the last two
// leave it where it is. The words are ECS's ("Stopped tasks error messages", RunTask's failures).
const (
	startsWell  StartFaultKind = iota
	NoMemory                   // no container instance has room
	NoCapacity                 // Fargate has none
	NoImage                    // the registry does not have it
	NoAddresses                // the subnet has none left
	Crashes                    // its container ends at once
	NeverStarts                // stays PENDING
	NeverReady                 // runs, but its agent stays PENDING
)

// refusal is the reason of RunTask's failure.
func (k StartFaultKind) refusal() (reason string, refused bool) {
	return "RESOURCE:MEMORY", k == NoMemory
}

// stop is why a task of this kind stops, and before it runs or after.
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

// nextStart is what is to happen to the next start of a family, and counts it.
func (a *account) nextStart(family string) StartFaultKind {
	d := &a.emulator.data
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, f := range d.faults.Starts {
		if f.Family != "" && f.Family != family {
			continue
		}
		if f.Times > 0 {
			list := slices.Clone(d.faults.Starts) // others may be reading the present one
			if list[i].Times--; list[i].Times == 0 {
				list = slices.Delete(list, i, i+1)
			}
			d.faults.Starts = list
		}
		return f.Kind
	}
	return startsWell
}
